package app

import (
	"strings"
	"testing"
)

// testInject: a packet of a sender beyond this host comes in, and what becomes of
// it is what was predicted; unasked, nothing is forged.
func testInject(t *testing.T) {
	for _, tt := range []struct{ name, to, verdict, detail string }{
		{"to a published port", "192.0.2.10:8080", "delivered", "the answer left by it"},
		{"to a port where nobody listens", "192.0.2.10:81", "refused", "NO_SOCKET"},
		{"echo to the host", "192.0.2.10/icmp", "delivered", "the answer left by it"},
		{"straight to a container", "172.20.0.13:5432", "dropped", "NETFILTER_DROP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := TraceOptions{From: "198.51.100.53", To: tt.to}
			r, err := New().Trace(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Proved != nil || len(r.Sent) > 0 || !strings.Contains(r.Unproved, "--inject") {
				t.Errorf("unasked: proved %+v, sent %v, %q; want that it says what would prove it", r.Proved, r.Sent, r.Unproved)
			}
			o.Inject = true
			if r, err = New().Trace(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if r.Proved == nil || r.Verdict != tt.verdict || r.Predicted.Verdict != tt.verdict || !strings.Contains(r.Proved.Detail, tt.detail) {
				t.Errorf("predicted %+v, proved %+v (%s), want %s, and %q", r.Predicted, r.Proved, r.Unproved, tt.verdict, tt.detail)
			}
			if f := finding(r.Findings, "ND9001"); f != nil {
				t.Errorf("contradiction: %s", f.Summary)
			}
			if len(r.Sent) != 1 || r.Sent[0].Src == "" || !strings.HasPrefix(r.Sent[0].Src, "198.51.100.53") {
				t.Errorf("sent %+v, want the packet with its forged source listed", r.Sent)
			}
		})
	}
}
