package testenv_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// floor is the bare program: the system calls that make what a container of ours
// has in the kernel, and nothing else. TestFloorMakesTheVerySame says that it makes
// no less.
type floor struct {
	h       *netlink.Handle
	br      *netlink.Bridge
	c       *nftables.Conn
	table   *nftables.Table
	raw     *nftables.Chain
	port    uint16 // of the resolver
	n       int
	sockets []interface{ Close() error }
}

// forwarding of the host: with it each new device is another (net/ipv4/devinet.c:
// inetdev_init), and has LRO turned off.
const forwarding = "/proc/sys/net/ipv4/ip_forward"

// newFloor makes what there is once: a bridge of that name, and a table.
func newFloor(b testing.TB, bridge string, port uint16) *floor {
	b.Helper()
	f := &floor{br: &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge, Group: driver.Group, TxQLen: -1}}, port: port}
	must(b, os.WriteFile(forwarding, []byte("1"), 0o644))
	var err error
	f.h, err = netlink.NewHandle()
	must(b, err)
	must(b, f.h.LinkAdd(f.br))
	must(b, f.h.LinkSetUp(f.br))
	must(b, f.h.AddrAdd(f.br, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(172, 17, 0, 1), Mask: net.CIDRMask(16, 32)}}))
	f.c, err = nftables.New(nftables.AsLasting())
	must(b, err)
	f.table = f.c.AddTable(&nftables.Table{Name: "bench", Family: nftables.TableFamilyIPv4})
	f.raw = f.c.AddChain(&nftables.Chain{Name: "raw", Table: f.table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw})
	must(b, f.c.Flush())
	must(b, os.MkdirAll("/run/bench", 0o755))
	return f
}

func (f *floor) path(i int) string { return fmt.Sprintf("/run/bench/%d", i) }

// close takes everything away.
func (f *floor) close(b testing.TB) {
	b.Helper()
	for _, s := range f.sockets {
		must(b, s.Close())
	}
	for i := range f.n {
		must(b, unix.Unmount(f.path(i), unix.MNT_DETACH))
		must(b, os.Remove(f.path(i)))
	}
	must(b, f.h.LinkDel(f.br))
	f.c.DelTable(f.table)
	must(b, f.c.Flush())
	must(b, f.c.CloseLasting())
	must(b, os.WriteFile(forwarding, []byte("0"), 0o644))
	f.h.Close()
}

// attach makes the i-th namespace with everything in it.
func (f *floor) attach(b testing.TB, i int) {
	b.Helper()
	ip := netip.AddrFrom4([4]byte{172, 17, byte((i + 2) >> 8), byte(i + 2)})
	path := f.path(i)
	bindNetns(b, path)
	f.n = i + 1
	in, err := ns.Open(path)
	must(b, err)
	defer in.Close()
	host := fmt.Sprintf("vethb%d", i)
	must(b, f.h.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: host, MasterIndex: f.br.Attrs().Index, Group: driver.Group, TxQLen: -1, NumTxQueues: 1, NumRxQueues: 1}, PeerName: "eth0", PeerNamespace: netlink.NsFd(in.Fd()),
		PeerTxQLen: -1, PeerNumTxQueues: 1, PeerNumRxQueues: 1,
		PeerHardwareAddr: net.HardwareAddr{2, 66, 0, 0, byte(i >> 8), byte(i)},
	}))
	must(b, f.h.LinkSetAlias(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: host}}, "netdoctor:bench"))
	must(b, in.Do(func() error {
		g, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer g.Close()
		for k, v := range map[string]string{"net/ipv4/ip_unprivileged_port_start": "0", "net/ipv4/ping_group_range": "0 2147483647", "net/ipv6/conf/eth0/disable_ipv6": "1"} {
			if err := os.WriteFile("/proc/sys/"+k, []byte(v), 0o644); err != nil {
				return err
			}
		}
		lo := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}}
		if err := g.LinkSetUp(lo); err != nil {
			return err
		}
		eth, err := g.LinkByName("eth0")
		if err == nil {
			err = g.LinkSetUp(eth)
		}
		if err == nil {
			err = g.AddrAdd(eth, &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(16, 32)}})
		}
		if err == nil {
			err = g.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: net.IPv4(172, 17, 0, 1)})
		}
		if err != nil {
			return err
		}
		if err := f.dns(); err != nil {
			return err
		}
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 11), Port: int(f.port)})
		if err != nil {
			return err
		}
		t, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 11), Port: int(f.port)})
		f.sockets = append(f.sockets, u, t)
		return err
	}))
	must(b, f.h.LinkSetUp(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: host}}))
	f.c.AddRule(&nftables.Rule{Table: f.table, Chain: f.raw, UserData: userdata.AppendString(nil, userdata.TypeComment, "DROP DIRECT ACCESS"), Exprs: []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, &expr.Cmp{Register: 1, Data: ip.AsSlice()},
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: ifname(f.br.Name)},
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop},
	}})
	must(b, f.c.Flush())
}

// bindNetns makes a namespace and keeps it at a path.
func bindNetns(b testing.TB, path string) {
	b.Helper()
	must(b, os.WriteFile(path, nil, 0o444))
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		done <- err
	}()
	must(b, <-done)
}

// dns are the resolver's four rules, in the calling thread's namespace.
func (f *floor) dns() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	port := binary.BigEndian.AppendUint16(nil, f.port)
	t := c.AddTable(&nftables.Table{Name: "netdoctor-dns", Family: nftables.TableFamilyIPv4})
	chains := []*nftables.Chain{
		c.AddChain(&nftables.Chain{Name: "dns-dnat", Table: t, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest}),
		c.AddChain(&nftables.Chain{Name: "dns-snat", Table: t, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource}),
	}
	for i, ch := range chains {
		for _, proto := range []byte{6, 17} {
			e := []expr.Any{
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: uint32(16 - 4*i), Len: 4}, &expr.Cmp{Register: 1, Data: []byte{127, 0, 0, 11}},
				&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Register: 1, Data: []byte{proto}},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: uint32(2 - 2*i), Len: 2}, &expr.Cmp{Register: 1, Data: [][]byte{{0, 53}, port}[i]},
				&expr.Counter{},
			}
			if i == 0 {
				e = append(e, &expr.Immediate{Register: 1, Data: []byte{127, 0, 0, 11}}, &expr.Immediate{Register: 2, Data: port},
					&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2})
			} else {
				e = append(e, &expr.Immediate{Register: 1, Data: []byte{0, 53}}, &expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegProtoMin: 1})
			}
			c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: e})
		}
	}
	return c.Flush()
}

// ifname is a device's name as the kernel compares it (IFNAMSIZ).
func ifname(s string) []byte { return append([]byte(s), make([]byte, 16-len(s))...) }
