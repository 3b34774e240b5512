package render

import (
	"io"
	"testing"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// TestAPlaceThatMayStop: a rule that counts stops some packets. Where this one came through
// the headline names no hop, and the row says "may".
func TestAPlaceThatMayStop(t *testing.T) {
	t.Parallel()
	hops := []v1.Hop{{N: 1, Netns: "web", Stage: "send", Verdict: "ok"}, {N: 2, Netns: "host", Stage: "crowd f", Did: "rule 3 rejects it", Verdict: "reject"}}
	p := newPrinter(io.Discard, Style{})
	for _, c := range []struct {
		verdict, banner, result string
		open                    bool
	}{
		{"delivered", "DELIVERED", "may REJECT  rule 3 rejects it", true},
		{"unknown", "UNKNOWN at hop 2", "may REJECT  rule 3 rejects it", true},
		{"dropped", "DROPPED at hop 2", "REJECT  rule 3 rejects it", false},
	} {
		if got := p.banner(&v1.TraceResult{Verdict: c.verdict, Forward: hops}); got != c.banner {
			t.Errorf("%s: headline %q, want %q", c.verdict, got, c.banner)
		}
		_, rows := p.hops([][]v1.Hop{hops}, false, c.open)
		if got := rows[1][len(rows[1])-1].text; got != c.result {
			t.Errorf("%s: row %q, want %q", c.verdict, got, c.result)
		}
	}
}
