package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"br-app":                "br-app",
		"$(id) --help `x` \"'":  "$(id) --help `x` \"'",
		"a\x1b[31mred\x07":      `a\x1b[31mred\x07`,
		"a\nb\rc\td":            `a\nb\rc\td`,
		"\u009b31m":             `\u009b31m`,
		"\x9b\xff":              `\x9b\xff`,
		"del\x7f":               `del\x7f`,
		"evil\u202egnp.exe":     `evil\u202egnp.exe`,
		"\u2066iso\u2069":       `\u2066iso\u2069`,
		"zero\u200bwidth\ufeff": `zero\u200bwidth\ufeff`,
		"line\u2028end":         `line\u2028end`,
		"tag\U000e0041":         `tag\ue0041`,
		"grüße 網路 → ×":          "grüße 網路 → ×",
		"soft\u00adhyphen":      `soft\u00adhyphen`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// hostileResult has a hostile text wherever a foreign one may stand.
func hostileResult(evil string) []v1.Result {
	f := v1.Finding{
		Code: evil, Severity: "error", Summary: evil, Cause: evil + "!", Advice: evil, Subject: v1.Subject{Kind: evil, Name: evil, Netns: evil},
		Evidence: []v1.Evidence{{Source: evil + "?", Text: evil, Ref: evil}}, Hidden: []v1.Hidden{{Code: evil, Summary: evil, Count: 2}},
		Flows: []v1.FlowRef{{From: evil, To: evil}}, Fix: &v1.Fix{ID: evil, Commands: []string{evil}, Durable: evil},
	}
	tail := v1.Tail{Findings: []v1.Finding{f, f}, Coverage: v1.Coverage{Skipped: []v1.Skip{{Check: evil, Reason: evil, Needs: evil, Netns: evil}}}}
	e := v1.Endpoint{Target: evil, Netns: evil, Container: evil, Address: evil, Device: evil}
	tr := v1.TraceResult{
		Verdict: "dropped", From: e, To: e, Proto: evil, Predicted: &v1.Said{Verdict: evil, Detail: evil}, Proved: &v1.Said{Verdict: "dropped", Detail: evil},
		Where:   &v1.Where{Detail: evil, Rule: evil, Table: evil, Chain: evil},
		Forward: []v1.Hop{{N: 1, Netns: evil, Device: evil, Stage: evil, Did: evil, Rule: evil + "#", Verdict: "drop", Packet: v1.Packet{Src: evil, Dst: evil}}},
		Unknown: []string{evil + "%"}, Name: &v1.NameWay{Name: evil, Verdict: evil, Answers: []string{evil}}, Tail: tail,
		Sent: []v1.Sent{{Kind: evil, From: evil, Dst: evil, Detail: evil}}, Branches: []v1.Branch{{Assumed: []string{evil}, Verdict: evil}},
	}
	dns := v1.DNSResult{Verdict: evil, Name: evil, Type: evil, From: e, Answers: []string{evil}, Steps: []v1.DNSStep{{Where: evil, Asked: evil, Answer: evil}}, Problem: &v1.DNSProblem{Detail: evil}, Tail: tail}
	return []v1.Result{
		&v1.CheckResult{Verdict: "problems", Host: v1.HostInfo{Name: evil, Kernel: evil, Snapshot: evil, Engines: []v1.EngineInfo{{Name: evil, Version: evil}}}, Checked: []v1.Checked{{From: evil, To: evil, Why: evil, Predicted: evil}}, Tail: tail},
		&tr, &dns,
		&v1.ProbeResult{Verdict: "problems", Cells: []v1.ProbeCell{{From: evil, To: evil, Why: evil, Expected: evil, Seen: evil + "~", Detail: evil, Where: &v1.Where{Detail: evil + "^"}}}, Tail: tail},
		&v1.TraceSetResult{Verdict: "dropped", From: e, Traces: []v1.TraceResult{tr}, Names: []v1.DNSResult{dns}, Tail: tail},
		&v1.DNSSetResult{Name: evil, Results: []v1.DNSResult{dns}, Tail: tail},
		&v1.FixPlan{Changes: []v1.Change{{Finding: evil, Summary: evil, Do: []string{evil}, Undo: []string{evil}, Survives: evil, Netns: evil, Note: evil}}, Advice: []v1.Advice{{Finding: evil, Summary: evil, Advice: evil}}, Tail: tail},
		&v1.TraceResult{WhatIf: &v1.WhatIf{Changes: []v1.Change{{Summary: evil, Do: []string{evil}}}, Before: v1.Said{Verdict: "dropped", Detail: evil}, Others: v1.Others{Opens: []v1.AfterFlow{{From: evil, To: evil, Before: evil, After: evil}}}}, Tail: tail},
		&v1.FixResult{Error: evil, Left: []string{evil}, Tail: tail},
		&v1.ListResult{Of: evil, Items: []v1.Item{{Name: evil, State: evil, Addresses: []string{evil}, Detail: evil, Networks: []string{evil}, Ports: []string{evil}}}, Tail: tail},
		&v1.InspectResult{Sections: []v1.Section{{Title: evil, Facts: []v1.Fact{{Name: evil, Value: evil}}}}, Object: json.RawMessage("null")},
	}
}

// TestNothingHostileComesThrough writes hostile names in every format: no
// control character but the newlines of the format itself, no bidirectional
// one, and no broken UTF-8 reaches the stream.
func TestNothingHostileComesThrough(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{"\x1b]0;owned\x07\x1b[2J", "a\nrm -rf /", "\u202ecod.exe", "\u009b2J\x9b", "x\u2028y\u200f", "`|*_<b>", "\r\x00"} {
		for _, r := range hostileResult(evil) {
			for _, format := range Formats() {
				var b bytes.Buffer
				if err := Write(&b, r, format, Style{Width: 60, Wrap: true, Verbose: true}); err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				out := b.String()
				if !utf8.ValidString(out) {
					t.Errorf("%T as %s is no UTF-8", r, format)
				}
				if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && hostile(r) }); i >= 0 {
					t.Errorf("%T of %q as %s lets %q through", r, evil, format, out[max(0, i-10):min(len(out), i+10)])
				}
				for l := range strings.SplitSeq(out, "\n") {
					if strings.HasPrefix(l, "rm -rf") {
						t.Errorf("%T as %s: a foreign newline breaks the line", r, format)
					}
				}
			}
		}
	}
}

// TestJSONKeepsTheValue: escaping in JSON changes nothing of what is read back.
func TestJSONKeepsTheValue(t *testing.T) {
	t.Parallel()
	want := "\x1b[31m \u202e \u009b \U000e0041 \u2028 網"
	var b bytes.Buffer
	if err := writeJSON(&b, want, false); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("br-app")
	f.Add("\x1b[31m\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		out := Clean(in)
		if !utf8.ValidString(out) || strings.IndexFunc(out, hostile) >= 0 {
			t.Errorf("Clean(%q) = %q", in, out)
		}
		if Clean(out) != out {
			t.Errorf("Clean(%q) is not what it was", out)
		}
	})
}
