package diag_test

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/diag/checks"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// recorded is a healthy host with Docker 20.10; probes left out.
func recorded(t *testing.T) *snap.Snapshot {
	t.Helper()
	f, err := os.Open("../../cmd/cli/testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := inspect.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	s.Probes = nil
	return s
}

// syn is what conntrack holds of a SYN without an answer.
func syn(from, to string, leftMs int64, status ...string) snap.Conn {
	c := snap.Conn{Family: snap.IPv4, Proto: 6, TCPState: "SYN_SENT", TimeoutMs: leftMs, Status: append([]string{"confirmed"}, status...)}
	c.Orig = snap.Tuple{Src: netip.MustParseAddrPort(from), Dst: netip.MustParseAddrPort(to)}
	c.Reply = snap.Tuple{Src: c.Orig.Dst, Dst: c.Orig.Src}
	return c
}

func tries(in *diag.Input) []string {
	var out []string
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Kind == "tried" {
			out = append(out, f.From+" "+f.To)
		}
	}
	return out
}

func TestWhatContainersTry(t *testing.T) {
	t.Parallel()
	ip := func(s *snap.Snapshot, c string) string {
		return s.Container("docker:" + c).Endpoints[0].IPv4.Addr().String()
	}
	for _, tt := range []struct {
		name string
		in   string // namespace whose conntrack holds it
		conn func(s *snap.Snapshot) []snap.Conn
		want []string
	}{
		{"in its own namespace", "client", func(s *snap.Snapshot) []snap.Conn {
			return []snap.Conn{syn(ip(s, "client")+":40000", "203.0.113.9:443", 117000)}
		}, []string{"client 203.0.113.9:443/tcp"}},
		{"in the host's, by address", "host", func(s *snap.Snapshot) []snap.Conn {
			return []snap.Conn{syn(ip(s, "plain")+":40000", "203.0.113.9:443", 117000)}
		}, []string{"plain 203.0.113.9:443/tcp"}},
		{"once, when both hold it", "client", func(s *snap.Snapshot) []snap.Conn {
			s.HostNs().Conntrack = []snap.Conn{syn(ip(s, "client")+":40001", "203.0.113.9:443", 117000)}
			return []snap.Conn{syn(ip(s, "client")+":40000", "203.0.113.9:443", 116000)}
		}, []string{"client 203.0.113.9:443/tcp"}},
		{"answered", "client", func(s *snap.Snapshot) []snap.Conn {
			return []snap.Conn{syn(ip(s, "client")+":40000", "203.0.113.9:443", 117000, "seen-reply")}
		}, nil},
		{"long ago", "client", func(s *snap.Snapshot) []snap.Conn {
			return []snap.Conn{syn(ip(s, "client")+":40000", "203.0.113.9:443", 60000)}
		}, nil},
		{"by this program's own probe", "client", func(s *snap.Snapshot) []snap.Conn {
			return []snap.Conn{syn(ip(s, "client")+":61234", "203.0.113.9:443", 119000)}
		}, nil},
		{"by somebody outside", "host", func(s *snap.Snapshot) []snap.Conn {
			return []snap.Conn{syn("203.0.113.9:40000", "192.168.50.10:8080", 119000)}
		}, nil},
		{"a scan is cut short", "client", func(s *snap.Snapshot) []snap.Conn {
			var out []snap.Conn
			for _, p := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
				out = append(out, syn(ip(s, "client")+":40000", "203.0.113.9:"+p, 119000))
			}
			return out
		}, []string{"client 203.0.113.9:1/tcp", "client 203.0.113.9:2/tcp", "client 203.0.113.9:3/tcp", "client 203.0.113.9:4/tcp"}},
	} {
		s := recorded(t)
		conns := tt.conn(s)
		s.Ns(tt.in).Conntrack = append(s.Ns(tt.in).Conntrack, conns...)
		if got := tries(diag.Build(s, nil, diag.Options{})); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A packet that a rule drops before the host's conntrack confirms it is in no
// table; the socket that waits for an answer is there.
func TestWhatWaitsForAConnection(t *testing.T) {
	t.Parallel()
	wait := func(local, remote string) snap.Socket {
		return snap.Socket{Proto: snap.TCP, Family: snap.IPv4, Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote), Repeats: 3, Process: &snap.Process{PID: 7, Name: "curl"}}
	}
	for _, tt := range []struct {
		name string
		in   string
		s    snap.Socket
		want []string
		seen string
	}{
		{"of a container", "plain", wait("172.17.0.2:40000", "203.0.113.9:443"), []string{"plain 203.0.113.9:443/tcp"}, "curl (pid 7) in plain waits for 203.0.113.9:443: its SYN was sent 4 times, and nothing came back"},
		{"an IPv6 socket towards IPv4", "plain", wait("[::ffff:172.17.0.2]:40000", "[::ffff:203.0.113.9]:443"), []string{"plain 203.0.113.9:443/tcp"}, "curl (pid 7) in plain waits for [::ffff:203.0.113.9]:443: its SYN was sent 4 times, and nothing came back"},
		{"this program's own probe", "plain", wait("172.17.0.2:61234", "203.0.113.9:443"), nil, ""},
		{"the host's own", "host", wait("192.168.50.10:40000", "203.0.113.9:443"), nil, ""},
	} {
		s := recorded(t)
		s.Ns(tt.in).Trying = []snap.Socket{tt.s}
		in := diag.Build(s, nil, diag.Options{})
		if got := tries(in); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		for i := range in.Flows {
			if f := &in.Flows[i]; f.Kind == "tried" && diag.Tried(f).Text != tt.seen {
				t.Errorf("%s: seen %q, want %q", tt.name, diag.Tried(f).Text, tt.seen)
			}
		}
	}
}

// A container's tries alone must not open what a rule or an engine closes.
func TestATryIsNoRight(t *testing.T) {
	t.Parallel()
	rule := func(s *snap.Snapshot, chain string, position int, args ...string) fixups.Op {
		return &fixups.RuleInsert{ChainRef: fixups.ChainRef{Where: fixups.At(s, "host"), System: snap.IPTablesNFT, Family: snap.IPv4, Table: "filter", Chain: chain}, Position: position, Args: args}
	}
	policy := func(s *snap.Snapshot) fixups.Op {
		return &fixups.ChainPolicy{ChainRef: fixups.ChainRef{Where: fixups.At(s, "host"), System: snap.IPTablesNFT, Family: snap.IPv4, Table: "filter", Chain: "INPUT"}, Policy: "drop"}
	}
	for _, tt := range []struct {
		name string
		to   string
		ops  func(s *snap.Snapshot) []fixups.Op
		want []string // codes
	}{
		{"a service open to the network behind a policy", "192.168.50.10:9000", func(s *snap.Snapshot) []fixups.Op {
			return []fixups.Op{
				rule(s, "INPUT", 1, "-i", "eth0", "-j", "ACCEPT"), rule(s, "INPUT", 1, "-i", "lo", "-j", "ACCEPT"),
				rule(s, "INPUT", 1, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"), policy(s),
			}
		}, []string{"ND3101"}},
		{"a service closed to all", "192.168.50.10:9000", func(s *snap.Snapshot) []fixups.Op {
			return []fixups.Op{
				rule(s, "INPUT", 1, "-i", "lo", "-j", "ACCEPT"), rule(s, "INPUT", 1, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"), policy(s),
			}
		}, nil},
		{"a rule against containers", "192.168.50.10:9000", func(s *snap.Snapshot) []fixups.Op {
			return []fixups.Op{rule(s, "INPUT", 1, "-i", "br-app", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")}
		}, nil},
		{"a rule against a destination", "203.0.113.9:25", func(s *snap.Snapshot) []fixups.Op {
			return []fixups.Op{rule(s, "DOCKER-USER", 1, "-p", "tcp", "--dport", "25", "-j", "DROP")}
		}, nil},
		{"another network", "172.30.2.11:80", func(*snap.Snapshot) []fixups.Op { return nil }, nil},
	} {
		s := recorded(t)
		for _, op := range tt.ops(s) {
			if err := op.On(s); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
		}
		client := s.Container("docker:client")
		s.Ns("client").Conntrack = []snap.Conn{syn(client.Endpoints[0].IPv4.Addr().String()+":40000", tt.to, 118000)}
		in := diag.Build(s, nil, diag.Options{})
		if len(tries(in)) != 1 {
			t.Errorf("%s: followed %q", tt.name, tries(in))
		}
		var got []string
		for _, f := range diag.Run(in, checks.All()).Findings {
			if f.Severity != diag.Info {
				got = append(got, string(f.Code))
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
