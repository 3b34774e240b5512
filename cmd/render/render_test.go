package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

var update = flag.Bool("update", false, "write the golden screens")

func head(kind string) v1.Head {
	return v1.Head{APIVersion: v1.APIVersion, Kind: kind, StartedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), DurationMs: 412.5}
}

// results are one of each kind, with a bit of everything.
func results() map[string]v1.Result {
	cause := v1.Finding{
		Code: "ND3204", Name: "no-masquerade", Severity: "error", Summary: "net:app cannot leave this host: no masquerade for 172.20.0.0/16",
		Cause: "nothing replaces the private source address, so no answer finds its way back", Subject: v1.Subject{Kind: "network", Name: "app"},
		Flows: []v1.FlowRef{{From: "client", To: "198.51.100.20:80/tcp"}}, Confidence: "proved",
		Evidence: []v1.Evidence{{Source: "iptables -t nat -S POSTROUTING", Text: "no rule for 172.20.0.0/16"}, {Source: "probe 1", Text: "3 SYN from client, 0 answers", Ref: "probe/1"}},
		Hides:    []string{"ND4301"}, Hidden: []v1.Hidden{{Code: "ND4301", Count: 5, Summary: "client: upstream 198.51.100.53 does not answer"}},
		Fix: &v1.Fix{ID: "ND3204", Risk: "low", Reversible: true, Survives: "until reboot", Durable: "restart the daemon", Commands: []string{"iptables -t nat -A POSTROUTING -s 172.20.0.0/16 ! -o br-app -j MASQUERADE"}},
	}
	loose := v1.Finding{Code: "ND1107", Name: "not-on-bridge", Severity: "warning", Summary: "docker:cache: veth3f1c is on no bridge", Confidence: "predicted", Advice: "docker restart cache"}
	tail := v1.Tail{Coverage: v1.Coverage{Ran: []string{"ND3204"}, Skipped: []v1.Skip{{Check: "bpf", Reason: "not permitted", Needs: "CAP_BPF"}}}, Findings: []v1.Finding{cause, loose}}
	host := v1.HostInfo{Name: "host", Kernel: "6.12.0", Distro: "Debian 13", Engines: []v1.EngineInfo{{Name: "docker", Version: "29.7", Rules: "nftables", Reachable: true}}, ReadAt: "2026-03-01T12:00:00Z"}
	trace := v1.TraceResult{
		Head: head(v1.KindTrace), Verdict: "dropped", Proto: "tcp", Why: "asked",
		From:      v1.Endpoint{Target: "web", Netns: "web", Container: "docker:web", Address: "172.20.0.3"},
		To:        v1.Endpoint{Target: "db:5432", Netns: "db", Container: "docker:db", Address: "172.21.0.2", Port: 5432},
		Predicted: &v1.Said{Verdict: "dropped", Detail: "isolated"}, Proved: &v1.Said{Verdict: "dropped", Detail: "3 sent, 0 answered"},
		Where: &v1.Where{Netns: "host", Device: "br-app", Layer: "netfilter", System: "iptables-nft", Family: "ipv4", Table: "filter", Chain: "DOCKER-ISOLATION-STAGE-1", Handle: 12, Num: 1, Rule: "-o br-data -j DROP", Reason: "NETFILTER_DROP", Cause: "rule", Detail: "Docker isolates br-app from br-data"},
		Forward: []v1.Hop{
			{N: 1, Netns: "web", Device: "eth0", Stage: "route", Did: "default via 172.20.0.1", Verdict: "ok", Packet: v1.Packet{Src: "172.20.0.3:40000", Dst: "172.21.0.2:5432", Proto: "tcp"}},
			{N: 2, Netns: "host", Device: "br-app→br-data", Stage: "filter FORWARD", Did: "DOCKER-ISOLATION-STAGE-1 rule 1", Verdict: "drop", Rule: "-o br-data -j DROP", Packet: v1.Packet{Src: "172.20.0.3:40000", Dst: "172.21.0.2:5432", Proto: "tcp"}},
		},
		Name: &v1.NameWay{Name: "db", Verdict: "nxdomain", Used: "container"},
		Sent: []v1.Sent{{Kind: "tcp", From: "web", Dst: "172.21.0.2:5432", Outcome: "timeout", Detail: "nothing came back", Packets: 3}},
		Tail: tail,
	}
	dns := v1.DNSResult{
		Head: head(v1.KindDNS), Verdict: "resolved", Name: "db", Type: "A", From: v1.Endpoint{Target: "web", Netns: "web"}, Answers: []string{"172.20.0.4"},
		Steps: []v1.DNSStep{{Where: "/etc/hosts", Asked: "db", Answer: "not there", Verdict: "skip"}, {Where: "127.0.0.11", Asked: "db A", Answer: "172.20.0.4", Verdict: "ok", LeavesFrom: "web", DurationMs: 0.4}},
		Libc:  v1.LibcSet{Glibc: v1.LibcAnswer{Verdict: "resolved"}, Musl: v1.LibcAnswer{Verdict: "nxdomain"}, Go: v1.LibcAnswer{Verdict: "resolved"}},
	}
	uneven := dns
	uneven.Servers = []v1.DNSServer{{Server: "198.51.100.53:53", Role: "upstream", From: "web", Reach: "delivered", Way: []string{"web eth0 route default via 172.20.0.1", "host eth0 send leaves by eth0"}, Answers: []v1.DNSServerAnswer{
		{Name: "db.", Transport: "udp", EDNS: true, Outcome: "timeout", ThrownAway: []string{"id"}},
		{Name: "db.", Transport: "udp", Outcome: "answered", Rcode: "NOERROR", Flags: []string{"ra"}, Records: []string{"A 172.20.0.4"}, DurationMs: 0.4},
	}}}
	lost := dns
	lost.Verdict, lost.Answers, lost.Name, lost.Problem = "timeout", nil, "cache", &v1.DNSProblem{Kind: "upstream-dead", Detail: "198.51.100.53 does not answer"}
	change := v1.Change{ID: 1, Finding: "ND3204", Summary: "append to nat POSTROUTING: -s 172.20.0.0/16 ! -o br-app -j MASQUERADE", Do: []string{"iptables -t nat -A POSTROUTING -s 172.20.0.0/16 -j MASQUERADE"}, Undo: []string{"iptables -t nat -D POSTROUTING -s 172.20.0.0/16 -j MASQUERADE"}, Risk: "low", Survives: "until reboot", Netns: "host", Note: "whatever flushed nat flushes it again"}
	return map[string]v1.Result{
		"check": &v1.CheckResult{
			Head: head(v1.KindCheck), Verdict: "problems", Host: host, Summary: v1.Summary{Errors: 1, Warnings: 1, Passed: 212, Skipped: 1, Networks: 3, Containers: 7, Running: 6},
			Checked: []v1.Checked{{Kind: "flow", Why: "egress", From: "client", To: "internet", Predicted: "dropped", Proved: "dropped"}}, Sent: trace.Sent, Tail: tail,
		},
		"healthy": &v1.CheckResult{Head: head(v1.KindCheck), Verdict: "healthy", Host: host, Summary: v1.Summary{Passed: 230, Networks: 3, Containers: 7}},
		"trace":   &trace,
		"traces":  &v1.TraceSetResult{Head: head(v1.KindTraceSet), Verdict: "dropped", From: trace.From, Traces: []v1.TraceResult{trace}, Names: []v1.DNSResult{dns}, Tail: tail},
		"probes": &v1.ProbeResult{
			Head: head(v1.KindProbe), Verdict: "problems", Summary: v1.ProbeSummary{Cells: 3, Seen: 2, Same: 1, Differ: 1, Broken: 1},
			Cells: []v1.ProbeCell{
				{From: "web", To: "db:5432/tcp", Netns: "web", Why: "member", Must: true, Expected: "delivered", Seen: "dropped", Detail: "1 sent, 0 answered", Where: trace.Where},
				{From: "web", To: "172.20.0.1/icmp", Netns: "web", Why: "gateway", Expected: "delivered", Seen: "delivered"},
				{From: "web", To: "internet", Netns: "web", Why: "egress", Must: true, Expected: "delivered"},
			}, Tail: tail,
		},
		"dns":          &dns,
		"uneven":       &uneven,
		"allnames":     &v1.DNSSetResult{Head: head(v1.KindDNSSet), Verdict: "timeout", Results: []v1.DNSResult{dns, lost}},
		"names":        &v1.DNSSetResult{Head: head(v1.KindDNSSet), Verdict: "resolved", Name: "db", Type: "A", Results: []v1.DNSResult{dns}},
		"plan":         &v1.FixPlan{Head: head(v1.KindFixPlan), Changes: []v1.Change{change}, Pending: true, After: []v1.AfterFlow{{From: "client", To: "198.51.100.20:80/tcp", Before: "dropped", After: "delivered"}}, Others: v1.Others{Followed: 48, LeftOut: 3, Opens: []v1.AfterFlow{{From: "db", To: "198.51.100.20:80/tcp", Before: "dropped", After: "delivered"}}}, Advice: []v1.Advice{{Finding: "ND1107", Summary: loose.Summary, Advice: "docker restart cache"}}, Tail: tail},
		"fixed":        &v1.FixResult{Head: head(v1.KindFix), Changes: []v1.Change{change}, Applied: true, Verified: true, Transaction: "t-1", Transactions: []string{"t-1"}, Gone: []string{"ND3204"}},
		"failed":       &v1.FixResult{Head: head(v1.KindFix), Changes: []v1.Change{change}, Error: "no such device", Left: []string{"rule 2 of nat POSTROUTING"}},
		"undone":       &v1.UndoResult{Head: head(v1.KindUndo), Transaction: "t-1", Done: []string{"deleted rule 2"}},
		"undone-part":  &v1.UndoResult{Head: head(v1.KindUndo), Transaction: "t-1", Done: []string{"deleted rule 2"}, Left: []string{"add a route: others changed it since"}},
		"undone-not":   &v1.UndoResult{Head: head(v1.KindUndo), Transaction: "t-1", Left: []string{"add a route: others changed it since"}},
		"list":         &v1.ListResult{Head: head(v1.KindList), Of: "containers", Items: []v1.Item{{Kind: "container", Name: "web", Target: "docker:web", ID: "0123456789ab", State: "running", Netns: "web", Addresses: []string{"172.20.0.3"}, Networks: []string{"app"}, Ports: []string{"0.0.0.0:8080→80/tcp"}}}},
		"inspect":      &v1.InspectResult{Head: head(v1.KindInspect), Subject: v1.Subject{Kind: "container", Name: "web", Netns: "web"}, Sections: []v1.Section{{Title: "container docker:web", Facts: []v1.Fact{{Name: "state", Value: "running"}}}}, Object: json.RawMessage(`{"name":"web"}`)},
		"snapshot":     &v1.SnapshotResult{Head: head(v1.KindSnapshot), File: "host.ndsnap", Bytes: 12345, Redacted: []string{"label values"}, Contents: []v1.Fact{{Name: "namespaces", Value: "7"}}},
		"capabilities": &v1.CapabilitiesResult{Head: head(v1.KindCapabilities), Host: host, Can: []v1.Ability{{Name: "raw sockets", Have: "no", For: "ping", Why: "not permitted", Needs: "CAP_NET_RAW"}}, Tools: []v1.Fact{{Name: "ip", Value: "/usr/sbin/ip"}}},
		"explain":      &v1.ExplainResult{Head: head(v1.KindExplain), Code: "ND3204", Name: "no-masquerade", Title: "Nothing masquerades", Severity: "error", Since: "v1.0", Doc: "Because.\n\nSee it by hand:\n\n\tiptables -t nat -S", After: []string{"ND6101", "ND1101", "ND1103", "ND1107", "ND1108", "ND2101", "ND2105"}, Fixable: true},
		"version":      &v1.VersionResult{Head: head(v1.KindVersion), Version: "v1.2.3", Commit: "0123abc", Go: "go1.26", OS: "linux", Arch: "amd64", SnapshotSchema: 1},
		"test":         testResult([]v1.Finding{cause}),
		"map":          mapResult(8),
		"diff": &v1.DiffResult{
			Head: head(v1.KindDiff), A: host, B: host, Gone: []string{"ND1107"}, Tail: tail,
			Changes: []v1.Difference{
				{Sign: "-", Noun: "rule", Netns: "host", Name: "nat POSTROUTING", Text: "rule removed from nat POSTROUTING: -s 172.20.0.0/16 ! -o br-app -j MASQUERADE", Broke: []v1.Turned{{Kind: "flow", From: "client", To: "internet", Before: "delivered", After: "dropped"}, {Kind: "name", From: "client", To: "example.com.", Before: "resolved", After: "timeout"}}},
				{Sign: "~", Noun: "container", Name: "docker:db", Text: "docker:db running → exited (code 137)"},
				{Sign: "+", Noun: "addr", Netns: "host", Name: "eth0", Text: "eth0 has the address 192.0.2.11/24 now"},
			},
			Broke: []v1.Turned{{Kind: "flow", From: "web", To: "db:5432/tcp", Before: "delivered", After: "refused"}}, Mended: []v1.Turned{{Kind: "flow", From: "db", To: "web:80/tcp", Before: "dropped", After: "delivered"}},
		},
		"report": &v1.ReportResult{Head: head(v1.KindReport), File: "report.html", Bytes: 123456, Verdict: "problems", Contents: []v1.Fact{{Name: "findings", Value: "2"}}},
		"lab":    &v1.LabResult{Head: head(v1.KindLab), Action: "faults", Lab: "default", Items: []v1.Fact{{Name: "bridge-down", Value: "the bridge is down"}}},
	}
}

func TestScreens(t *testing.T) {
	t.Parallel()
	for name, r := range results() {
		for _, c := range []struct {
			file, format string
			st           Style
		}{
			{name + ".txt", "text", Style{Exit: 1}},
			{name + ".wide.txt", "wide", Style{}},
			{name + ".ascii.txt", "text", Style{ASCII: true, Exit: 1}},
			{name + ".narrow.txt", "text", Style{Wrap: true, Width: 60, Verbose: true}},
			{name + ".md", "markdown", Style{}},
		} {
			t.Run(c.file, func(t *testing.T) {
				t.Parallel()
				var b bytes.Buffer
				if err := Write(&b, r, c.format, c.st); err != nil {
					t.Fatal(err)
				}
				golden(t, "testdata/"+c.file, b.String())
				for i, l := range strings.Split(b.String(), "\n") {
					if strings.TrimRight(l, " ") != l {
						t.Errorf("line %d ends in blanks: %q", i+1, l)
					}
					if c.st.ASCII && strings.IndexFunc(l, func(r rune) bool { return r > 0x7e }) >= 0 {
						t.Errorf("line %d is not ASCII: %q", i+1, l)
					}
				}
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got)\n%s", path, d)
	}
}

// TestDocumentsAgree: JSON, ndjson and YAML of every result hold the same, and
// keep to the schema.
func TestDocumentsAgree(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("../schema/v1/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range results() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var js, ys bytes.Buffer
			if err := Write(&js, r, "json", Style{}); err != nil {
				t.Fatal(err)
			}
			if err := Write(&ys, r, "yaml", Style{}); err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(js.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Error(err)
			}
			var fromJSON, fromYAML any
			if err := yaml.Unmarshal(js.Bytes(), &fromJSON); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal(ys.Bytes(), &fromYAML); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(fromJSON, fromYAML); d != "" {
				t.Errorf("YAML differs (-json +yaml)\n%s", d)
			}
		})
	}
}

// TestNothingIsCut: on a narrow terminal every address, name and rule is whole.
func TestNothingIsCut(t *testing.T) {
	t.Parallel()
	r := results()["trace"]
	for width := 20; width < 200; width += 7 {
		var b bytes.Buffer
		if err := Write(&b, r, "wide", Style{Wrap: true, Width: width}); err != nil {
			t.Fatal(err)
		}
		for _, whole := range []string{"172.21.0.2:5432", "DOCKER-ISOLATION-STAGE-1", "br-app→br-data", "172.20.0.3:40000", "ND3204"} {
			if !strings.Contains(b.String(), whole) {
				t.Errorf("width %d cuts %s", width, whole)
			}
		}
	}
}

// A thousand containers are no thousand lines, and no line of a thousand names.
func TestManyAreFolded(t *testing.T) {
	r := &v1.SetupResult{Head: head(v1.KindSetup), Action: "setup"}
	n := v1.Item{Kind: "network", Name: "app", Detail: "bridge", Addresses: []string{"172.18.0.0/16"}}
	r.Changes = append(r.Changes, v1.Made{Did: "made", What: "network app"})
	for i := range 400 {
		name := fmt.Sprintf("box-%d", i+1)
		r.Changes = append(r.Changes, v1.Made{Did: "made", What: "container " + name})
		n.Networks = append(n.Networks, name)
	}
	r.Networks = []v1.Item{n}
	const names = "box-1, box-2, box-3, box-4, box-5, box-6, box-7, box-8 and 392 more"
	var b bytes.Buffer
	if err := Write(&b, r, "text", Style{Width: 120}); err != nil {
		t.Fatal(err)
	}
	want := "made network app\nmade 400 containers: " + names + "\n\nnetwork  driver  subnets        containers\napp      bridge  172.18.0.0/16  " + names + "\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	b.Reset()
	if err := Write(&b, r, "text", Style{Width: 120, Verbose: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "made container box-400\n") || !strings.Contains(b.String(), "box-399, box-400") {
		t.Errorf("-v does not tell all:\n%s", b.String())
	}
}
