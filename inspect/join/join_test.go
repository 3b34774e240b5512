package join_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/join"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func docker20(t *testing.T) *snap.Snapshot {
	t.Helper()
	s, err := inspect.ReadFile("../../cmd/cli/testdata/docker20.ndsnap")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pair is a host, and the same host again with another address of its subnet.
func pair(t *testing.T) (one, two *snap.Snapshot, second netip.Addr) {
	t.Helper()
	one, two = docker20(t), docker20(t)
	h := two.HostNs()
	was, is := netip.MustParseAddr("192.168.50.10"), netip.MustParseAddr("192.168.50.11")
	for i := range h.Addrs {
		if h.Addrs[i].Prefix.Addr() == was {
			h.Addrs[i].Prefix = netip.PrefixFrom(is, h.Addrs[i].Prefix.Bits())
		}
	}
	for i := range h.Routes {
		r := &h.Routes[i]
		if r.Dst.Addr() == was {
			r.Dst = netip.PrefixFrom(is, r.Dst.Bits())
		}
		if r.PrefSrc == was {
			r.PrefSrc = is
		}
	}
	h.Link("eth0").MAC = "02:00:00:00:00:99"
	return one, two, is
}

// TestTwoHosts: two hosts of one Docker set-up, side by side on one link. From a
// container of one the published port of the other is reached, and not when the
// other's own rule is against it; the snapshots stay as they were.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	one, two, is := pair(t)
	h := two.HostNs()
	s, err := join.Of([]*snap.Snapshot{one, two}, []string{"one", "one"})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Hosts) != 2 || s.Hosts[1] != "one.2" || s.HostNs() == nil || s.HostNs().ID != "one/host" {
		t.Fatalf("hosts %v, host %v", s.Hosts, s.HostNs())
	}
	fl := sim.Flow{From: "one/client", Dst: is, Proto: snap.TCP, Dport: 8080}
	tr := sim.New(s).Trace(fl)
	if tr.Verdict != sim.Delivered || tr.Arrived != "one.2/web" {
		t.Errorf("%s, arrived in %q: %+v", tr.Verdict, tr.Arrived, tr.Where)
	}
	// Somebody else on that link is not known.
	fl.Dst = netip.MustParseAddr("192.168.50.77")
	if tr := sim.New(s).Trace(fl); tr.Verdict != sim.Unknown {
		t.Errorf("an address that nobody is known to have: %s", tr.Verdict)
	}
	h.Link("eth0").Up = false
	if s, err = join.Of([]*snap.Snapshot{one, two}, []string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	fl.Dst = is
	if tr := sim.New(s).Trace(fl); tr.Verdict == sim.Delivered {
		t.Error("delivered to a host whose uplink is down")
	}
	if one.Hosts != nil || one.Ns("client") == nil || one.HostNs().Link("eth0").PeerNetns == join.Between {
		t.Error("the snapshot that was joined has changed")
	}
	if _, err := join.Of([]*snap.Snapshot{one, {Host: snap.Host{Netns: "host"}}}, []string{"one", "two"}); err == nil {
		t.Error("a snapshot without a host was joined")
	}
}

// What lies between is made of what both say, each thing once: one switch for the link
// that they share, with the router that both are led to.
func TestBetween(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t)
	one.Redacted, two.Redacted = []string{"names"}, []string{"names", "macs"}
	s, err := join.Of([]*snap.Snapshot{one, two}, []string{"one", "two"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"names", "macs"}; !slices.Equal(s.Redacted, want) {
		t.Errorf("redacted %v, want %v", s.Redacted, want)
	}
	mid := s.Ns(join.Between)
	switches, hosts := 0, 0
	for i := range mid.Links {
		l := &mid.Links[i]
		if l.Bridge != nil {
			switches++
			var got []string
			for _, a := range mid.AddrsOf(l.Index) {
				got = append(got, a.Prefix.String())
			}
			if want := []string{"192.168.50.1/24", "2001:db8:50::1/64"}; !slices.Equal(got, want) {
				t.Errorf("addresses of %s: %v, want the one router's %v", l.Name, got, want)
			}
		}
		if l.PeerNetns != "" {
			hosts++
		}
	}
	if switches != 1 || hosts != 2 {
		t.Errorf("%d switches and %d hosts on them, want 1 and 2", switches, hosts)
	}
}
