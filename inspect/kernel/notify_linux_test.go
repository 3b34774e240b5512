package kernel

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// told says whether a change is told of in time.
func told(n *Notifier, most time.Duration) bool {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-n.Changed():
		return true
	case <-t.C:
		return false
	}
}

func TestNotifierTellsOfEachKindOfChange(t *testing.T) {
	h := labtest.Netns(t)
	s := &snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{{ID: "host", Path: fmt.Sprintf("/proc/self/fd/%d", h.Fd()), Inode: h.Inode(), Class: snap.ClassHost}}}
	n, err := NewNotifier(s)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if !told(n, 5*time.Second) {
		t.Error("what was before it listened counts as no change")
	}
	in := func(what string, f func() error) {
		t.Helper()
		for told(n, 20*time.Millisecond) { // what the last step led to, IPv6's own doings among it
		}
		if err := h.Do(f); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !told(n, 5*time.Second) {
			t.Errorf("nothing is told of %s", what)
		}
	}
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	in("a new link", func() error { return netlink.LinkAdd(br) })
	in("a link that goes up", func() error { return netlink.LinkSetUp(br) })
	in("an address", func() error {
		a, err := netlink.ParseAddr("192.0.2.1/24")
		if err != nil {
			return err
		}
		return netlink.AddrAdd(br, a)
	})
	in("a policy rule", func() error {
		r := netlink.NewRule()
		r.Table, r.Priority, r.Family = 100, 1000, unix.AF_INET
		return netlink.RuleAdd(r)
	})
	in("a permanent neighbour", func() error {
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: br.Index, State: netlink.NUD_PERMANENT, IP: []byte{192, 0, 2, 2}, HardwareAddr: []byte{2, 0, 0, 0, 0, 2},
		})
	})
	in("a table of rules", func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "t"})
		return c.Flush()
	})
	if err := n.Watch(&snap.Snapshot{}); err != nil || len(n.socks) != 0 {
		t.Errorf("%v, and %d namespaces are listened in that are gone", err, len(n.socks))
	}
}
