package app

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/diff"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// testRuleTrace: the kernel's own trace names the rule, of each rule system, and
// nothing of it stays.
func testRuleTrace(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("NETDOCTOR_JOURNAL", dir)
	read := func() *snap.Snapshot {
		t.Helper()
		s, err := New().Read(t.Context(), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := read()
	legacy := &fixups.RuleInsert{
		ChainRef: fixups.ChainRef{Where: fixups.At(s, s.Host.Netns), System: snap.IPTablesLegacy, Family: snap.IPv4, Table: "filter", Chain: "FORWARD"},
		Args:     []string{"-d", "198.51.100.53/32", "-j", "DROP"},
	}
	ap := apply.Applier{Dir: dir}
	if _, err := ap.Apply(t.Context(), s, apply.Tx{ID: "test", Ops: []fixups.Op{legacy}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := ap.Undo(context.Background(), ""); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct {
		name, to, system, table, rule string
		app                           *App
		contradicts                   string
	}{
		{"of nftables", "198.51.100.20:80", "nft", "hidden", "drop", New(), ""},
		{"of nftables, unknown to the model", "198.51.100.20:80", "nft", "hidden", "", withheld("hidden"), "nft ip hidden fwd rule with handle"},
		{"echoes", "198.51.100.20/icmp", "nft", "hidden", "drop", New(), ""},
		{"datagrams", "198.51.100.20:53/udp", "nft", "hidden", "drop", New(), ""},
		{"of iptables-legacy", "198.51.100.53:80", "iptables-legacy", "filter", "DROP", New(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, loggers := read(), logger(t)
			r, err := tt.app.Trace(t.Context(), TraceOptions{Common: Common{TraceRules: true}, From: "client", To: tt.to})
			if err != nil {
				t.Fatal(err)
			}
			last := -1
			for i, h := range r.Rules {
				if h.Verdict == "drop" || strings.HasSuffix(h.Rule, "-j DROP") {
					last = i
				}
			}
			if last < 0 || r.Rules[last].System != tt.system || r.Rules[last].Table != tt.table || !strings.Contains(r.Rules[last].Rule, tt.rule) {
				t.Errorf("rules %+v, want them to end in %s %s", r.Rules, tt.system, tt.table)
			}
			if r.Proved == nil || r.Proved.Where == nil || r.Proved.Where.Table != tt.table || !strings.Contains(r.Proved.Detail, "the kernel's own trace names that rule") {
				t.Errorf("proved %+v, want dropped by the rule of %s", r.Proved, tt.table)
			}
			if f := finding(r.Findings, "ND9001"); (f != nil) != (tt.contradicts != "") || f != nil && !strings.Contains(f.Summary, tt.contradicts) {
				t.Errorf("contradiction %+v, want %q", f, tt.contradicts)
			}
			var changed []string
			for _, c := range diff.Of(before, read()) {
				if c.Netns == "" {
					continue // an engine that comes up elsewhere on this machine meanwhile
				}
				changed = append(changed, c.Netns+" "+c.Text)
			}
			if now := logger(t); now != loggers {
				changed = append(changed, "the logger of IPv4 is "+now+", was "+loggers)
			}
			if d := cmp.Diff([]string(nil), changed); d != "" {
				t.Errorf("it left (-want +got)\n%s", d)
			}
		})
	}
}

// logger is the one of IPv4 in the namespace of this process.
func logger(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_log/2")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
