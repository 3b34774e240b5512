package names

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func port53(s string) netip.AddrPort { return netip.AddrPortFrom(addr(s), 53) }

func TestQuestions(t *testing.T) {
	t.Parallel()
	s := lab()
	s.Engines[0].Version = "29.0.1"
	resolver(s, "client").ResolvConf.ExtServers = []string{"host(198.51.100.53)"}
	resolver(s, "plain").ResolvConf = conf("198.51.100.53", "198.51.100.54")
	resolver(s, "plain").ResolvConf.Search = []string{"example.net"}
	tests := []struct {
		name, from, ask string
		want            []Question
	}{
		{"a container's name is not sent upstream", "client", "web", []Question{{"client", port53("127.0.0.11"), "web", "A"}}},
		{"a name of the world", "client", "www.example.org", []Question{
			{"client", port53("127.0.0.11"), "www.example.org", "A"},
			{"host", port53("198.51.100.53"), "www.example.org", "A"},
		}},
		{"each server and each full name", "plain", "www", []Question{
			{"plain", port53("198.51.100.53"), "www.example.net", "A"},
			{"plain", port53("198.51.100.54"), "www.example.net", "A"},
			{"plain", port53("198.51.100.53"), "www", "A"},
			{"plain", port53("198.51.100.54"), "www", "A"},
			{"plain", port53("198.51.100.53"), "netdoctor-no-such-name.example.net", "A"},
			{"plain", port53("198.51.100.54"), "netdoctor-no-such-name.example.net", "A"},
		}},
		{"an address", "plain", "192.0.2.1", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Questions(Resolve(ask(s, tt.from, tt.ask)))
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, ask, answer string
		want              Proof
	}{
		{"not asked", "web", "", Proof{Verdict: Unknown}},
		{"as predicted", "web", "172.30.1.12", Proof{Verdict: Resolved, Answers: []string{"172.30.1.12"}, Probes: nil}},
		{"another address", "web", "172.30.1.99", Proof{Verdict: Resolved, Answers: []string{"172.30.1.99"}, Contradictions: []Contradiction{{
			From: "client", Name: "web", Server: port53("127.0.0.11"), Predicted: Resolved, Seen: Resolved,
			PredictedAnswers: []string{"172.30.1.12"}, SeenAnswers: []string{"172.30.1.99"}, Probe: "probe/1",
		}}}},
		{"no answer", "web", "timeout", Proof{Verdict: Timeout, Contradictions: []Contradiction{{
			From: "client", Name: "web", Server: port53("127.0.0.11"), Predicted: Resolved, Seen: Timeout,
			PredictedAnswers: []string{"172.30.1.12"}, Probe: "probe/1",
		}}}},
		{"what was not predicted contradicts nothing", "www.example.org", "192.0.2.80", Proof{Verdict: Resolved, Answers: []string{"192.0.2.80"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := lab()
			if tt.answer != "" {
				asked(s, "client", "127.0.0.11", tt.ask, tt.answer)
			}
			got := Reconcile(ask(s, "client", tt.ask))
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.IgnoreFields(Proof{}, "Probes")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if (tt.answer != "") != (len(got.Probes) == 1) {
				t.Errorf("probes %v", got.Probes)
			}
		})
	}
}

// Docker's resolver needs 4 s for a dead server; a probe that gave up before
// says nothing against it.
func TestAnImpatientProbeContradictsNothing(t *testing.T) {
	t.Parallel()
	s := lab()
	s.Container("docker:client").DNS = []string{"192.0.2.1", "198.51.100.53"}
	asked(s, "client", "192.0.2.1", "www.example.org", "timeout")
	asked(s, "client", "198.51.100.53", "www.example.org", "192.0.2.80")
	asked(s, "client", "127.0.0.11", "www.example.org", "timeout")
	in := ask(s, "client", "www.example.org")
	if p := Resolve(in); p.Verdict != Resolved || kind(p.Problem) != FirstServerDead {
		t.Errorf("%s, problem %+v", p.Verdict, p.Problem)
	}
	got := Reconcile(in)
	if got.Verdict != Unknown || len(got.Contradictions) != 0 {
		t.Errorf("%+v", got)
	}
}
