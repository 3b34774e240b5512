package kernel

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

// record writes what the kernel says about the plan below into testdata, for
// the tests that need no kernel.
var record = flag.Bool("record", false, "record the kernel's messages in testdata")

// run feeds lines to a host tool inside the namespace.
func run(t *testing.T, h *ns.Handle, tool string, args []string, lines string) {
	t.Helper()
	_, err := ns.Tool{Name: tool, Args: args, Stdin: strings.NewReader(lines)}.Run(t.Context(), h)
	if errors.Is(err, snap.ErrTool) {
		labtest.Lacking(t, "%v", err)
	}
	if err != nil {
		if te, ok := errors.AsType[*ns.ToolError](err); ok {
			t.Fatalf("%v: %s", err, te.Stderr)
		}
		t.Fatal(err)
	}
}

// The plans use what every kernel with containers has. What some lack (VLAN,
// VRF, ipvlan, netem) is in TestReadOptionalKinds and, as bytes, in decode_linux_test.go.
const planLinks = `
link set lo up
link add br0 address 02:00:00:00:00:01 type bridge forward_delay 400
link add p0 address 02:00:00:00:00:02 type veth peer name q0 address 02:00:00:00:00:12
link add p1 address 02:00:00:00:00:03 type veth peer name q1 address 02:00:00:00:00:13
link set p0 master br0 alias netdoctor:one
link set p1 master br0
link set p1 type bridge_slave hairpin on isolated on learning off
link add d0 address 02:00:00:00:00:07 mtu 1400 type veth peer name e0 address 02:00:00:00:00:17
link add vx0 address 02:00:00:00:00:04 type vxlan id 4097 local 192.0.2.1 dev d0 dstport 4789 proxy l2miss l3miss
link add link d0 name mv0 address 02:00:00:00:00:06 type macvlan mode private
link set d0 up
link set e0 up
link set p0 up
link set q0 up
link set p1 up
link set q1 up
link set br0 up
`

const planRoutes = `
addr add 192.0.2.1/24 brd + dev d0 label d0:a
addr add 203.0.113.1 peer 203.0.113.2/32 dev d0
addr add 2001:db8::1/64 dev d0 nodad
addr add 10.0.0.1/24 dev br0
rule add pref 90 from 192.0.2.0/24 fwmark 0x10/0xff ipproto tcp dport 80-90 lookup 100
rule add pref 33000 not from all iif d0 uidrange 1000-2000 prohibit
rule add pref 92 from all lookup main suppress_prefixlength 0
rule add pref 1 l3mdev
route add 198.51.100.0/24 via 192.0.2.254 dev d0 metric 50 mtu 1300 proto static table 100
route add 198.51.101.0/24 nexthop via 192.0.2.2 dev d0 weight 2 nexthop via 192.0.2.3 dev d0
route add blackhole 198.51.102.0/24
route add default via 192.0.2.254 dev d0
route add 198.51.103.0/24 via inet6 2001:db8::fe dev d0
nexthop add id 7 via 192.0.2.9 dev d0
nexthop add id 8 via 192.0.2.10 dev d0
nexthop add id 9 group 7,2/8
route add 198.51.104.0/24 nhid 9
route add unreachable 2001:db8:1::/48
route add 2001:db8:2::/48 via 2001:db8::fe dev d0
neigh add 192.0.2.2 lladdr 02:00:00:00:00:99 dev d0 nud permanent
neigh add proxy 192.0.2.77 dev d0
`

const planFDB = `
fdb add 02:00:00:00:00:aa dev p0 master static
fdb add 02:00:00:00:00:bb dev vx0 dst 192.0.2.200 self permanent
`

const planTC = `
qdisc add dev d0 root handle 1: tbf rate 8mbit burst 10000 limit 20000
qdisc add dev p0 clsact
filter add dev p0 ingress protocol ip pref 5 u32 match ip dport 80 0xffff action mirred egress redirect dev d0
filter add dev p0 egress protocol all pref 6 u32 match u32 0 0 action mirred egress mirror dev d0
`

func plan(t *testing.T) *ns.Handle {
	t.Helper()
	h := labtest.Netns(t)
	run(t, h, "ip", []string{"-batch", "-"}, planLinks)
	run(t, h, "ip", []string{"-batch", "-"}, planRoutes)
	run(t, h, "bridge", []string{"-batch", "-"}, planFDB)
	run(t, h, "tc", []string{"-batch", "-"}, planTC)
	return h
}

// pick finds the one entry that f likes.
func pick[T any](t *testing.T, what string, list []T, f func(T) bool) T {
	t.Helper()
	var out []T
	for _, x := range list {
		if f(x) {
			out = append(out, x)
		}
	}
	if len(out) != 1 {
		t.Fatalf("%s: found %d of %d", what, len(out), len(list))
	}
	return out[0]
}

func TestReadNetns(t *testing.T) {
	h := plan(t)
	n, gaps := ReadNetns(t.Context(), h, Options{Host: true})
	// The kernel tells a bridge of its ports' carrier a moment later.
	for end := time.Now().Add(5 * time.Second); n.Link("p0").Port.State != snap.PortForwarding && time.Now().Before(end); {
		n, gaps = ReadNetns(t.Context(), h, Options{Host: true})
	}
	if len(gaps) > 0 {
		t.Errorf("gaps: %+v", gaps)
	}
	link := func(name string) *snap.Link {
		l := n.Link(name)
		if l == nil {
			t.Fatalf("no device %s", name)
		}
		return l
	}
	d0, p0, p1, br0 := link("d0").Index, link("p0"), link("p1"), link("br0")
	same(t, "kind of loopback", "loopback", link("lo").Kind)
	same(t, "mtu", 1400, link("d0").MTU)
	same(t, "alias", "netdoctor:one", p0.Alias)
	same(t, "master", br0.Index, p0.Master)
	same(t, "bridge", [3]any{false, int64(4000), int64(300000)}, [3]any{br0.Bridge.VlanFiltering, br0.Bridge.ForwardDelayMs, br0.Bridge.AgeingMs})
	same(t, "port is forwarding", snap.PortForwarding, p0.Port.State)
	same(t, "veth", [3]any{"veth", link("e0").Index, -1}, [3]any{link("d0").Kind, link("d0").Peer, link("d0").PeerNSID})
	same(t, "port", [5]bool{true, true, false, true, true},
		[5]bool{p1.Port.Hairpin, p1.Port.Isolated, p1.Port.Learning, p1.Port.Flood, p0.Port.Learning})
	same(t, "vxlan", &snap.Vxlan{VNI: 4097, Local: netip.MustParseAddr("192.0.2.1"), Lower: d0, Port: 4789, Learning: true, Proxy: true, L2Miss: true, L3Miss: true, UDPCsum: link("vx0").Vxlan.UDPCsum}, link("vx0").Vxlan)
	same(t, "macvlan", &snap.Macvlan{Mode: "private"}, link("mv0").Macvlan)
	same(t, "lower of macvlan", d0, link("mv0").Peer)

	a := pick(t, "peer address", n.Addrs, func(a snap.Addr) bool { return a.Peer.IsValid() })
	same(t, "peer address", [2]string{"203.0.113.1/32", "203.0.113.2/32"}, [2]string{a.Prefix.String(), a.Peer.String()})
	a = pick(t, "labelled address", n.Addrs, func(a snap.Addr) bool { return a.Label == "d0:a" })
	same(t, "labelled address", snap.Addr{
		Index: d0, Prefix: netip.MustParsePrefix("192.0.2.1/24"), Bcast: netip.MustParseAddr("192.0.2.255"),
		Scope: "global", Label: "d0:a", Flags: []string{"permanent"}, ValidMs: -1, PreferredMs: -1,
	}, a)

	rule := func(pref uint32, f snap.Family) snap.PolicyRule {
		return pick(t, "rule", n.Rules, func(r snap.PolicyRule) bool { return r.Priority == pref && r.Family == f })
	}
	same(t, "rule 90", snap.PolicyRule{
		Family: snap.IPv4, Priority: 90, Src: netip.MustParsePrefix("192.0.2.0/24"), Mark: 0x10, Mask: 0xff, IPProto: 6,
		Dport: [2]uint16{80, 90}, Action: "table", Table: 100, SuppressPrefixLen: -1, SuppressIfgroup: -1,
	}, rule(90, snap.IPv4))
	same(t, "rule 33000", snap.PolicyRule{
		Family: snap.IPv4, Priority: 33000, Invert: true, IIF: "d0", UID: &[2]uint32{1000, 2000}, Action: "prohibit", SuppressPrefixLen: -1, SuppressIfgroup: -1,
	}, rule(33000, snap.IPv4))
	same(t, "rule 92", 0, rule(92, snap.IPv4).SuppressPrefixLen)
	same(t, "l3mdev rule", true, rule(1, snap.IPv4).L3mdev)

	route := func(dst string) snap.Route {
		p := netip.MustParsePrefix(dst)
		return pick(t, "route "+dst, n.Routes, func(r snap.Route) bool { return r.Dst == p })
	}
	same(t, "route of table 100", snap.Route{
		Family: snap.IPv4, Table: 100, Type: "unicast", Dst: netip.MustParsePrefix("198.51.100.0/24"), Scope: "global", Protocol: "static",
		Metric: 50, Oif: d0, Gateway: netip.MustParseAddr("192.0.2.254"), MTU: 1300,
	}, route("198.51.100.0/24"))
	same(t, "multipath", []snap.Nexthop{
		{Oif: d0, Gateway: netip.MustParseAddr("192.0.2.2"), Weight: 2},
		{Oif: d0, Gateway: netip.MustParseAddr("192.0.2.3"), Weight: 1},
	}, route("198.51.101.0/24").Nexthops)
	same(t, "blackhole", "blackhole", route("198.51.102.0/24").Type)
	same(t, "default", "192.0.2.254", route("0.0.0.0/0").Gateway.String())
	same(t, "via", "2001:db8::fe", route("198.51.103.0/24").Via.String())
	same(t, "nexthop group", []snap.Nexthop{
		{Oif: d0, Gateway: netip.MustParseAddr("192.0.2.9"), Weight: 2},
		{Oif: d0, Gateway: netip.MustParseAddr("192.0.2.10"), Weight: 1},
	}, slices.Clone(route("198.51.104.0/24").Nexthops))
	same(t, "nhid", uint32(9), route("198.51.104.0/24").NHID)
	same(t, "unreachable", "unreachable", route("2001:db8:1::/48").Type)
	same(t, "nexthop objects", 3, len(n.Nexthops))

	neigh := pick(t, "neighbour", n.Neighs, func(x snap.Neigh) bool { return x.IP == netip.MustParseAddr("192.0.2.2") })
	same(t, "neighbour", snap.Neigh{Index: d0, IP: neigh.IP, MAC: "02:00:00:00:00:99", State: "permanent"}, neigh)
	same(t, "proxy neighbour", true, pick(t, "proxy", n.Neighs, func(x snap.Neigh) bool { return x.IP == netip.MustParseAddr("192.0.2.77") }).Proxy)
	e := pick(t, "fdb", n.FDB, func(e snap.FDBEntry) bool { return e.MAC == "02:00:00:00:00:aa" })
	same(t, "fdb", snap.FDBEntry{Index: p0.Index, Master: br0.Index, MAC: e.MAC, State: "static"}, e)
	e = pick(t, "vxlan fdb", n.FDB, func(e snap.FDBEntry) bool { return e.MAC == "02:00:00:00:00:bb" })
	same(t, "vxlan fdb", snap.FDBEntry{Index: link("vx0").Index, MAC: e.MAC, State: "permanent", Self: true, Dst: netip.MustParseAddr("192.0.2.200")}, e)
	q := pick(t, "tbf", link("d0").Qdiscs, func(q snap.Qdisc) bool { return q.Kind == "tbf" })
	same(t, "tbf", [3]uint64{8_000_000, 1, 20000}, [3]uint64{q.RateBps, (q.BurstBytes + 5) / 10000, q.LimitBytes})
	same(t, "filters", []snap.TCFilter{
		{Hook: "ingress", Kind: "u32", Priority: 5, Protocol: unix.ETH_P_IP, Handle: 0x80000800, Actions: []string{"redirect:" + strconv.Itoa(d0)}, U32: []snap.U32Key{{Mask: 0xffff, Val: 80, Off: 20}}},
		{Hook: "egress", Kind: "u32", Priority: 6, Protocol: unix.ETH_P_ALL, Handle: 0x80100800, Actions: []string{"mirror:" + strconv.Itoa(d0)}, U32: []snap.U32Key{{}}},
	}, p0.Filters)
	if *record {
		recordAll(t, h)
	}
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("%s (-want +got)\n%s", what, d)
	}
}

// recordAll writes every kind of message as lines of hex. For the sockets there
// is a listener on 127.0.0.1:8080 with one connection.
func recordAll(t *testing.T, h *ns.Handle) {
	t.Helper()
	filters := body(sizeofTcmsg, 0)
	n, _ := ReadNetns(t.Context(), h, Options{Light: true})
	binary.NativeEndian.PutUint32(filters[4:], uint32(n.Link("p0").Index))
	binary.NativeEndian.PutUint32(filters[12:], tcParentIngress)
	sockets := body(sizeofInetDiagReq, unix.AF_INET)
	sockets[1] = unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(sockets[4:], 1<<tcpListen|connectedStates)
	run(t, h, "nft", []string{"-f", "-"}, "table ip t { chain c { type filter hook input priority 0; ct state new accept; }; }")
	err := h.Do(func() error {
		l, err := net.Listen("tcp4", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		defer l.Close()
		c, err := net.Dial("tcp4", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		defer c.Close()
		for _, x := range []struct {
			name  string
			proto int
			typ   uint16
			req   []byte
		}{
			{"link", unix.NETLINK_ROUTE, unix.RTM_GETLINK, body(unix.SizeofIfInfomsg, 0)},
			{"addr", unix.NETLINK_ROUTE, unix.RTM_GETADDR, body(unix.SizeofIfAddrmsg, 0)},
			{"rule", unix.NETLINK_ROUTE, unix.RTM_GETRULE, body(unix.SizeofRtMsg, unix.AF_INET)},
			{"route4", unix.NETLINK_ROUTE, unix.RTM_GETROUTE, body(unix.SizeofRtMsg, unix.AF_INET)},
			{"route6", unix.NETLINK_ROUTE, unix.RTM_GETROUTE, body(unix.SizeofRtMsg, unix.AF_INET6)},
			{"nexthop", unix.NETLINK_ROUTE, unix.RTM_GETNEXTHOP, body(sizeofNHMsg, 0)},
			{"neigh", unix.NETLINK_ROUTE, unix.RTM_GETNEIGH, body(unix.SizeofNdMsg, 0)},
			{"fdb", unix.NETLINK_ROUTE, unix.RTM_GETNEIGH, body(unix.SizeofNdMsg, unix.AF_BRIDGE)},
			{"qdisc", unix.NETLINK_ROUTE, unix.RTM_GETQDISC, body(sizeofTcmsg, 0)},
			{"filter", unix.NETLINK_ROUTE, unix.RTM_GETTFILTER, filters},
			{"socket", unix.NETLINK_SOCK_DIAG, unix.SOCK_DIAG_BY_FAMILY, sockets},
			{"conn", unix.NETLINK_NETFILTER, ctGet, body(sizeofNfgenmsg, 0)},
		} {
			r, err := dial(x.proto, nil)
			if err != nil {
				return err
			}
			var out strings.Builder
			err = r.dump(t.Context(), x.name, x.typ, x.req, out.Reset, func(m message) { out.WriteString(hex.EncodeToString(m.data) + "\n") })
			r.close()
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join("testdata", x.name+".hex"), []byte(out.String()), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
