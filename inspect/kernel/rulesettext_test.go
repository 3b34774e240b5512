package kernel

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// lines are a file's lines without comments.
func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if l := strings.TrimSpace(s.Text()); l != "" && l[0] != '#' {
			list = append(list, l)
		}
	}
	return list
}

// output runs a tool on standard input and gives its output.
func output(t *testing.T, stdin, tool string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), tool, args...)
	c.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// readHere reads the rule set of this process's namespace, without gaps.
func readHere(t *testing.T) snap.Ruleset {
	t.Helper()
	h, err := ns.Self()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	rs, gaps := ReadRuleset(t.Context(), h)
	for _, g := range gaps {
		t.Errorf("gap: %+v", g)
	}
	return rs
}

// restoreInput groups "TABLE RULE" lines for iptables-restore.
func restoreInput(list []string) string {
	var b strings.Builder
	for _, table := range []string{"raw", "mangle", "nat", "filter"} {
		fmt.Fprintf(&b, "*%s\n", table)
		for _, l := range list {
			if name, rule, _ := strings.Cut(l, " "); name == table {
				b.WriteString(rule + "\n")
			}
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// saved is what iptables-save prints of the rules, by table and chain.
func saved(out string) map[string][]string {
	m := map[string][]string{}
	table := ""
	for l := range strings.SplitSeq(out, "\n") {
		switch {
		case strings.HasPrefix(l, "*"):
			table = l[1:]
		case strings.HasPrefix(l, "-A "):
			key := table + " " + strings.Fields(l)[1]
			m[key] = append(m[key], l)
		}
	}
	return m
}

// texts are the rules of a system and family as RuleText writes them.
func texts(rs snap.Ruleset, sys snap.System, f snap.Family) map[string][]string {
	m := map[string][]string{}
	for i := range rs.Tables {
		t := &rs.Tables[i]
		if t.System != sys || t.Family != f {
			continue
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			for k := range c.Rules {
				m[t.Name+" "+c.Name] = append(m[t.Name+" "+c.Name], firewall.RuleText(nil, t, c, &c.Rules[k]))
			}
		}
	}
	return m
}

func TestIptablesTextIsWhatIptablesSavePrints(t *testing.T) {
	for _, tt := range []struct {
		prefix string
		system snap.System
		family snap.Family
		files  []string
	}{
		{"iptables-nft", snap.IPTablesNFT, snap.IPv4, []string{"iptables.txt", "iptables-v4.txt"}},
		{"ip6tables-nft", snap.IPTablesNFT, snap.IPv6, []string{"iptables.txt", "iptables-v6.txt"}},
		{"iptables-legacy", snap.IPTablesLegacy, snap.IPv4, []string{"iptables.txt", "iptables-v4.txt"}},
		{"ip6tables-legacy", snap.IPTablesLegacy, snap.IPv6, []string{"iptables.txt", "iptables-v6.txt"}},
	} {
		t.Run(tt.prefix, func(t *testing.T) {
			if !labtest.InOwnNetns(t, nil, tt.prefix) {
				return
			}
			var rules []string
			for _, f := range tt.files {
				rules = append(rules, lines(t, "testdata/"+f)...)
			}
			if tt.family == snap.IPv6 {
				// IPv6 has no -f and writes masks of addresses otherwise.
				rules = slices.DeleteFunc(rules, func(l string) bool {
					return strings.Contains(l, " -f ") || strings.Contains(l, "10.") || strings.Contains(l, "192.0.2") || strings.Contains(l, "255.255") || strings.Contains(l, " icmp ")
				})
			}
			output(t, restoreInput(rules), tt.prefix+"-restore")
			want := saved(output(t, "", tt.prefix+"-save"))
			rs := readHere(t)
			got := texts(rs, tt.system, tt.family)
			if tt.system == snap.IPTablesLegacy {
				recordLegacy(t, tt.prefix, rs, tt.family)
			} else {
				recordTables(t, tt.prefix, nil, rs, tt.system, tt.family)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("text differs from %s-save (-want +got):\n%s", tt.prefix, diff)
			}
		})
	}
}

// listed is what nft lists of the rules, by family, table and chain; a rule
// that nft breaks into lines is one line.
func listed(out string) map[string][]string {
	m := map[string][]string{}
	family, table, chain, depth, rule := "", "", "", 0, ""
	for l := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(l)
		if len(f) == 0 {
			continue
		}
		switch {
		case depth == 0 && f[0] == "table":
			family, table = f[1], f[2]
		case depth == 1 && f[0] == "chain":
			chain = family + " " + table + " " + f[1]
		case depth == 1:
			chain = ""
		case depth == 2 && chain != "" && rule == "" && (f[0] == "type" || f[0] == "policy" || f[0] == "}"):
		case depth >= 2 && chain != "":
			rule += " " + strings.Join(f, " ")
			if depth+strings.Count(l, "{")-strings.Count(l, "}") == 2 {
				m[chain] = append(m[chain], strings.TrimSpace(rule))
				rule = ""
			}
		}
		depth += strings.Count(l, "{") - strings.Count(l, "}")
	}
	return m
}

func TestNftTextIsWhatNftLists(t *testing.T) {
	if !labtest.InOwnNetns(t, nil, "nft") {
		return
	}
	output(t, "", "nft", "-f", "testdata/rules.nft")
	want := listed(output(t, "", "nft", "-s", "list", "ruleset"))
	rs := readHere(t)
	h, err := ns.Self()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	host := &snap.Netns{Links: []snap.Link{{Index: 1, Name: "lo"}}}
	recordTables(t, "nft", host, rs, snap.NFT, "")
	got := map[string][]string{}
	for i := range rs.Tables {
		tb := &rs.Tables[i]
		for j := range tb.Chains {
			c := &tb.Chains[j]
			family := map[snap.Family]string{snap.IPv4: "ip", snap.IPv6: "ip6"}[tb.Family]
			if family == "" {
				family = string(tb.Family)
			}
			for k := range c.Rules {
				if !strings.HasPrefix(c.Name, "__chain") {
					key := family + " " + tb.Name + " " + c.Name
					text := strings.ReplaceAll(firewall.RuleText(host, tb, c, &c.Rules[k]), ";", "") // nft puts each rule of an inline chain on its line
					got[key] = append(got[key], strings.Join(strings.Fields(text), " "))
				}
			}
		}
	}
	for key := range want {
		for i, w := range want[key] {
			if i >= len(got[key]) {
				t.Fatalf("%s: rule %d is missing: %s", key, i+1, w)
			}
			if g := got[key][i]; g != w {
				t.Errorf("%s: rule %d\n got %s\nwant %s", key, i+1, g, w)
			}
		}
		if len(got[key]) != len(want[key]) {
			t.Errorf("%s: %d rules, want %d", key, len(got[key]), len(want[key]))
		}
	}
}

func TestEbtablesTextIsWhatEbtablesSavePrints(t *testing.T) {
	if !labtest.InOwnNetns(t, nil, "ebtables-nft", "ebtables-nft-save") {
		return
	}
	for _, l := range lines(t, "testdata/ebtables.txt") {
		output(t, "", "ebtables-nft", strings.Fields(l)...)
	}
	want := saved(output(t, "", "ebtables-nft-save"))
	rs := readHere(t)
	got := texts(rs, snap.EBTablesNFT, snap.BridgeFamily)
	recordTables(t, "ebtables-nft", nil, rs, snap.EBTablesNFT, snap.BridgeFamily)
	for k, list := range want {
		for i := range list {
			want[k][i] = strings.TrimSpace(list[i])
		}
	}
	for k, list := range got { // the last rule of a user chain is its policy, which ebtables-save writes elsewhere
		if k == "filter foo" && len(list) > 0 {
			got[k] = list[:len(list)-1]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text differs from ebtables-nft-save (-want +got):\n%s", diff)
	}
}

// listedSets is what nft lists of the elements of named sets, sorted, by table and set.
func listedSets(out string) map[string][]string {
	m := map[string][]string{}
	table, set, text := "", "", ""
	for l := range strings.SplitSeq(out, "\n") {
		f := strings.Fields(l)
		switch {
		case len(f) == 0:
		case f[0] == "table":
			table = f[2]
		case f[0] == "set" || f[0] == "map":
			set, text = f[1], ""
			m[table+" "+set] = nil
		case f[0] == "elements" || text != "":
			text += " " + strings.Join(f, " ")
			if strings.HasSuffix(text, " }") {
				text = strings.TrimSuffix(strings.TrimPrefix(text, " elements = { "), " }")
				m[table+" "+set] = slices.Sorted(strings.SplitSeq(text, ", "))
				text = ""
			}
		}
	}
	return m
}

func TestElementTextIsWhatNftLists(t *testing.T) {
	if !labtest.InOwnNetns(t, nil, "nft") {
		return
	}
	output(t, "", "nft", "-f", "testdata/rules.nft")
	want := listedSets(output(t, "", "nft", "-s", "list", "sets") + output(t, "", "nft", "-s", "list", "maps"))
	got := map[string][]string{}
	for _, tb := range readHere(t).Tables {
		for i := range tb.Sets {
			s := &tb.Sets[i]
			if s.Anonymous {
				continue
			}
			var texts []string
			for j := range s.Elements {
				texts = append(texts, firewall.ElementText(nil, s, &s.Elements[j]))
			}
			slices.Sort(texts)
			got[tb.Name+" "+s.Name] = texts
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("elements differ from nft's (-want +got):\n%s", diff)
	}
}
