package sim

import (
	"net/netip"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	conn := func(src, dst, server, state string) snap.Conn {
		return snap.Conn{
			Family: snap.IPv4, Proto: snap.IPProtoTCP, TCPState: state,
			Orig:  snap.Tuple{Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)},
			Reply: snap.Tuple{Src: netip.MustParseAddrPort(server), Dst: netip.MustParseAddrPort(src)},
		}
	}
	ns := snap.Netns{
		ID: "host", ConntrackCount: 4, Sysctls: map[string]string{"net/netfilter/nf_conntrack_count": "4"},
		Conntrack: []snap.Conn{
			conn("192.168.50.20:1", "192.168.50.10:80", "172.30.1.12:80", "ESTABLISHED"),
			conn("192.168.50.20:2", "192.168.50.10:80", "172.30.1.12:80", "TIME_WAIT"),
			conn("192.168.50.21:1", "192.168.50.10:80", "172.30.1.12:80", "SYN_RECV"),
			conn("10.0.0.1:1", "192.168.50.10:80", "172.30.1.13:80", "ESTABLISHED"),
		},
	}
	w := New(&snap.Snapshot{Host: snap.Host{Netns: "host"}, Netns: []snap.Netns{ns}})
	n := w.ns["host"]
	for _, c := range []struct {
		a, mask string
		to      bool
		want    uint32
	}{
		{"192.168.50.20", "255.255.255.255", false, 1},
		{"192.168.50.20", "255.255.255.0", false, 2},
		{"192.168.50.20", "0.0.0.0", false, 3},
		{"172.30.1.12", "255.255.255.255", true, 2},
		{"192.168.50.10", "255.255.255.255", true, 3},
		{"2001:db8::1", "ffff::", false, 0},
	} {
		if got, known := n.Connections(netip.MustParseAddr(c.a), netip.MustParseAddr(c.mask), c.to); got != c.want || !known {
			t.Errorf("%s/%s to=%v: %d, known %v; want %d", c.a, c.mask, c.to, got, known, c.want)
		}
	}
	n.n.Conntrack = nil
	if _, known := n.Connections(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("255.255.255.255"), false); known {
		t.Error("a table that was not read is known")
	}
}
