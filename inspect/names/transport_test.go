package names

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// answered is a live answer of plain's server in lab(), changed by edit.
func answered(s *snap.Snapshot, edit func(*snap.Probe)) {
	p := snap.Probe{
		ID: len(s.Probes) + 1, Kind: "dns", From: "plain", Dst: port53("198.51.100.53"), Outcome: "answered",
		DNS: &snap.DNSProbe{Name: "www.example.org.", Type: "A", RCode: "NOERROR", Answers: []string{"A 192.0.2.80"}},
	}
	edit(&p)
	s.Probes = append(s.Probes, p)
}

func silence(p *snap.Probe) { p.Outcome, p.DNS.RCode, p.DNS.Answers = "timeout", "", []string{} }

func TestHowAServerWasAsked(t *testing.T) {
	t.Parallel()
	libcs := func(glibc, musl, golang Verdict) map[string]Verdict {
		return map[string]Verdict{"glibc": glibc, "musl": musl, "go": golang}
	}
	tests := []struct {
		name    string
		probes  []func(*snap.Probe)
		tcp     bool
		vc      bool // options use-vc
		timeout int  // options timeout, with attempts:1
		want    map[string]Verdict
		kind    string
		detail  string
	}{
		{
			name: "a big answer whose rest does not come by TCP",
			probes: []func(*snap.Probe){func(p *snap.Probe) {
				p.DNS.TC, p.Detail = true, "the answer was cut short, and over TCP: timeout"
			}},
			want: libcs(Timeout, Resolved, Timeout), kind: BigAnswersLost,
			detail: "the answer of 198.51.100.53 for www.example.org is too big for UDP, and over TCP: timeout",
		},
		{
			name: "a big answer that comes by TCP", probes: []func(*snap.Probe){func(p *snap.Probe) { p.DNS.TC, p.DNS.TCP = true, true }},
			want: libcs(Resolved, Resolved, Resolved),
		},
		{
			name:   "UDP is lost, TCP is not",
			probes: []func(*snap.Probe){silence, func(p *snap.Probe) { p.DNS.TCP = true }},
			want:   libcs(Timeout, Timeout, Timeout), kind: UpstreamDead,
			detail: "198.51.100.53 does not answer by UDP, but by TCP it does, asked from plain",
		},
		{
			name: "asked by TCP", tcp: true, probes: []func(*snap.Probe){silence, func(p *snap.Probe) { p.DNS.TCP = true }},
			want: libcs(Resolved, Resolved, Resolved),
		},
		{
			name: "use-vc: UDP is lost, and asked by musl alone", vc: true, probes: []func(*snap.Probe){silence, func(p *snap.Probe) { p.DNS.TCP = true }},
			want: libcs(Resolved, Timeout, Resolved),
		},
		{
			name: "use-vc: TCP is lost", vc: true, probes: []func(*snap.Probe){func(*snap.Probe) {}, func(p *snap.Probe) { p.DNS.TCP = true; silence(p) }},
			want: libcs(Timeout, Resolved, Timeout), kind: UpstreamDead,
			detail: "198.51.100.53 does not answer by TCP, but by UDP it does, asked from plain",
		},
		{
			name: "only EDNS is lost", probes: []func(*snap.Probe){func(*snap.Probe) {}, func(p *snap.Probe) { p.DNS.EDNS = true; silence(p) }},
			want: libcs(Resolved, Resolved, Resolved),
		},
		{
			name: "an answer that comes when the client has given up", probes: []func(*snap.Probe){func(p *snap.Probe) { p.RTTMs = 1501 }}, timeout: 1,
			want: libcs(Timeout, Timeout, Timeout), kind: TooLate,
			detail: "198.51.100.53 answers after 1.5s, and glibc in plain waits 1s (timeout:1 attempts:1)",
		},
		{
			name: "an answer that is slow, and waited for", probes: []func(*snap.Probe){func(p *snap.Probe) { p.RTTMs = 4100 }},
			want: libcs(Resolved, Resolved, Resolved),
		},
		{
			name:   "nothing but answers with another id",
			probes: []func(*snap.Probe){func(p *snap.Probe) { silence(p); p.DNS.Bad = []string{"id", "source"} }},
			want:   libcs(Timeout, Timeout, Timeout), kind: UpstreamDead,
			detail: "198.51.100.53 sends nothing but answers with another id and from another address, asked from plain",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := lab()
			resolver(s, "plain").ResolvConf = conf("198.51.100.53")
			resolver(s, "plain").ResolvConf.UseVC = tt.vc
			if tt.timeout > 0 {
				resolver(s, "plain").ResolvConf.TimeoutS, resolver(s, "plain").ResolvConf.Attempts = tt.timeout, 1
			}
			for _, p := range tt.probes {
				answered(s, p)
			}
			in := ask(s, "plain", "www.example.org")
			in.Reach, in.TCP = healthy, tt.tcp
			got := Resolve(in)
			if diff := cmp.Diff(tt.want, got.Libc); diff != "" {
				t.Errorf("libc (-want +got)\n%s", diff)
			}
			if kind(got.Problem) != tt.kind || tt.kind != "" && got.Problem.Detail != tt.detail {
				t.Errorf("problem %+v, want %s %q", got.Problem, tt.kind, tt.detail)
			}
		})
	}
}

func TestANamedServerIsAskedAlone(t *testing.T) {
	t.Parallel()
	s := lab()
	asked(s, "client", "192.0.2.53", "web", "192.0.2.9")
	in := ask(s, "client", "web")
	in.Reach, in.Server = healthy, port53("192.0.2.53")
	got := Resolve(in)
	if diff := cmp.Diff([]string{"192.0.2.53: ok: 192.0.2.9"}, steps(got)); diff != "" || got.Verdict != Resolved {
		t.Errorf("%s (-want +got)\n%s", got.Verdict, diff)
	}
}

func TestALinkHidesAContainerOfItsName(t *testing.T) {
	t.Parallel()
	s := lab()
	s.Container("docker:client").Endpoints[0].Links = []string{"db:web"}
	in := ask(s, "client", "web")
	in.Reach = healthy
	if got := Resolve(in); !cmp.Equal(got.Answers, []string{"172.30.1.13"}) {
		t.Errorf("web is %v, and stands for db", got.Answers)
	}
}

func TestHowLongAProgramWaits(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		verdict Verdict
		step    string
		waits   map[string]time.Duration
	}{
		// Before 25 the resolver says nothing, so that each client waits its own
		// time: getent took 10.0 s on 20.10.24. Since then it answers SERVFAIL after
		// 8 s, which glibc still hears: it asks again by the same socket.
		"20.10.24": {Timeout, "embedded resolver: fail: waits 2 × 4s = 8s for its servers, then gives no answer", map[string]time.Duration{"glibc": 10 * time.Second, "musl": 5 * time.Second, "go": 10 * time.Second}},
		"29.0.1":   {ServFail, "embedded resolver: fail: waits 2 × 4s = 8s for its servers, then answers SERVFAIL", nil},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := lab()
			s.Engines[0].Version = version
			s.Container("docker:client").DNS = []string{"192.0.2.77", "192.0.2.78"}
			for _, a := range s.Container("docker:client").DNS {
				answered(s, func(p *snap.Probe) { p.From, p.Dst = "client", port53(a); silence(p) })
			}
			in := ask(s, "client", "www.example.org")
			in.Reach = healthy
			got := Resolve(in)
			if got.Verdict != want.verdict {
				t.Errorf("glibc gets %s, want %s", got.Verdict, want.verdict)
			}
			if list := steps(got); !slices.Contains(list, want.step) {
				t.Errorf("no step %q in %q", want.step, list)
			}
			if diff := cmp.Diff(want.waits, got.Waits); want.waits != nil && diff != "" {
				t.Errorf("waits (-want +got)\n%s", diff)
			}
		})
	}
}
