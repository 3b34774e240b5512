package names

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// stubbed is the lab with Docker 20.10, whose host names a loopback server by
// now that nobody serves.
func stubbed(changed bool) *snap.Snapshot {
	s := lab()
	s.Engine("docker").Version = "20.10.24"
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	s.Container("docker:client").Started = at
	h := s.Resolver("host")
	h.ResolvConf = conf("127.0.0.1")
	h.Modified = at.Add(-time.Hour)
	if changed {
		h.Modified = at.Add(time.Hour)
	}
	return s
}

func TestTheEngineKeepsTheServersOfTheStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		changed bool
		want    Verdict
		kind    string
	}{
		{"the file is older than the container", false, Refused, LoopbackStub},
		{"the file was changed afterwards", true, Unknown, ""},
	} {
		in := ask(stubbed(tt.changed), "client", "www.example.org")
		in.Reach = healthy
		if got := Resolve(in); got.Verdict != tt.want || kind(got.Problem) != tt.kind {
			t.Errorf("%s: %s %q, want %s %q", tt.name, got.Verdict, kind(got.Problem), tt.want, tt.kind)
		}
	}
}

func TestAnAnswerThatOnlyAnUpstreamCanGiveBeatsTheModel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rcode string
		want  Verdict
		kind  string
	}{
		{"NOERROR", Unknown, ""},
		{"REFUSED", Unknown, ""},
		{"SERVFAIL", Refused, LoopbackStub}, // the engine's own, when it has no server
	} {
		s := stubbed(false)
		s.Probes = append(s.Probes, snap.Probe{
			Kind: "dns", From: "client", Dst: netip.MustParseAddrPort("127.0.0.11:53"), Outcome: "answered",
			DNS: &snap.DNSProbe{Name: ".", Type: "NS", RCode: tt.rcode},
		})
		in := ask(s, "client", "www.example.org")
		in.Reach = healthy
		if got := Resolve(in); got.Verdict != tt.want || kind(got.Problem) != tt.kind {
			t.Errorf("%s: %s %q, want %s %q", tt.rcode, got.Verdict, kind(got.Problem), tt.want, tt.kind)
		}
	}
}

// A search list that comes first, with an answer that is not known, says
// nothing against the name as it stands.
func TestASearchListOfUnknownAnswersIsNoFault(t *testing.T) {
	t.Parallel()
	s := lab()
	rc := &resolver(s, "client").ResolvConf
	rc.Search, rc.Ndots, rc.Options = []string{"corp.example"}, 5, []string{"ndots:5"}
	in := ask(s, "client", "web")
	in.Reach = healthy
	if got := Resolve(in); got.Problem != nil || got.Verdict != Unknown && got.Verdict != Resolved {
		t.Errorf("%s, problem %+v", got.Verdict, got.Problem)
	}
	in = ask(s, "client", "nobody")
	in.Reach = healthy
	if got := Resolve(in); kind(got.Problem) != NoSuchName {
		t.Errorf("nobody: %s %q, want %s", got.Verdict, kind(got.Problem), NoSuchName)
	}
}
