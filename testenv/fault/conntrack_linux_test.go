package fault_test

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestAForgottenConnectionThatCameBackLeavesNothing: its next packet made a new entry, by
// other rules. There is nothing to put back, and nothing was left.
func TestAForgottenConnectionThatCameBackLeavesNothing(t *testing.T) {
	h := alone(t)
	if h == nil {
		return
	}
	client, published, server := net.IPv4(192, 0, 2, 20).To4(), net.IPv4(192, 0, 2, 10).To4(), net.IPv4(172, 30, 1, 12).To4()
	entry := func(answers net.IP, port uint16) {
		t.Helper()
		f := netlink.ConntrackFlow{
			FamilyType: unix.AF_INET, TimeOut: 60,
			Forward: netlink.IPTuple{SrcIP: client, DstIP: published, SrcPort: 40000, DstPort: 5300, Protocol: unix.IPPROTO_UDP},
			Reverse: netlink.IPTuple{SrcIP: answers, DstIP: client, SrcPort: port, DstPort: 40000, Protocol: unix.IPPROTO_UDP},
		}
		if err := netlink.ConntrackCreate(netlink.ConntrackTable, unix.AF_INET, &f); err != nil {
			t.Fatal(err)
		}
	}
	entry(published, 5300)
	s := h.read()
	var stale *snap.Conn
	for i, c := range s.HostNs().Conntrack {
		if c.Orig.Dst.Port() == 5300 {
			stale = &s.HostNs().Conntrack[i]
		}
	}
	if stale == nil {
		t.Fatalf("the entry is not read: %+v", s.HostNs().Conntrack)
	}
	id := h.do(s, &fixups.ConntrackDelete{Where: fixups.At(s, s.Host.Netns), Conn: *stale})
	entry(server, 53)
	if left := h.undo(id); len(left) > 0 {
		t.Errorf("undo left %q", left)
	}
}
