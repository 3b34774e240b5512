package probe

import (
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room is one private network namespace of a test.
type room struct {
	t  *testing.T
	fd int
	n  *snap.Netns
	h  *netlink.Handle
}

// newRoom makes a namespace that ends with the test.
func newRoom(t *testing.T, id string) *room {
	t.Helper()
	fds := make(chan int, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread stays in the new namespace and ends
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			fds <- -1
			return
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			fd = -1
		}
		fds <- fd
	}()
	fd := <-fds
	if fd < 0 {
		labtest.Lacking(t, "this machine makes no network namespaces, or not for this user")
	}
	h, err := netlink.NewHandleAt(netns.NsHandle(fd), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	r := &room{t: t, fd: fd, h: h, n: &snap.Netns{ID: id, Path: "/proc/self/fd/" + strconv.Itoa(fd)}}
	t.Cleanup(func() {
		h.Close()
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	r.up("lo")
	// A router whose link-local address is tentative solicits no neighbour.
	r.sysctl("net/ipv6/conf/default/accept_dad", "0")
	return r
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) up(name string) {
	r.t.Helper()
	l, err := r.h.LinkByName(name)
	r.must(err)
	r.must(r.h.LinkSetUp(l))
}

// cable joins two rooms by a veth.
func cable(a *room, aName string, b *room, bName string, mtu int) {
	a.t.Helper()
	la := netlink.NewLinkAttrs()
	la.Name, la.MTU = aName, mtu
	a.must(a.h.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: bName, PeerNamespace: netlink.NsFd(b.fd)}))
	a.up(aName)
	b.up(bName)
}

// addr gives a device an address, ready at once.
func (r *room) addr(dev string, prefixes ...string) {
	r.t.Helper()
	l, err := r.h.LinkByName(dev)
	r.must(err)
	for _, p := range prefixes {
		a, err := netlink.ParseAddr(p)
		r.must(err)
		a.Flags = unix.IFA_F_NODAD
		r.must(r.h.AddrAdd(l, a))
	}
	r.look()
}

// settle waits until each device has a link-local address, without which it solicits no
// neighbour for others, and none is tentative, which answers no solicitation. The kernel gives
// and frees them by work that waits for its lock (net/core/link_watch.c, net/ipv6/addrconf.c).
func (r *room) settle() {
	r.t.Helper()
	links, err := r.h.LinkList()
	r.must(err)
	for _, l := range links {
		for deadline := time.Now().Add(10 * time.Second); l.Attrs().Name != "lo"; time.Sleep(10 * time.Millisecond) {
			addrs, err := r.h.AddrList(l, unix.AF_INET6)
			r.must(err)
			if slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IP.IsLinkLocalUnicast() }) &&
				!slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 }) {
				break
			}
			if time.Now().After(deadline) {
				r.t.Fatalf("%s: addresses not ready after 10 s: %v", l.Attrs().Name, addrs)
			}
		}
	}
}

// route adds a route: via a gateway, or of a type that refuses (gw "").
func (r *room) route(dst, gw string, typ int) {
	r.t.Helper()
	n, err := netlink.ParseIPNet(dst)
	r.must(err)
	rt := &netlink.Route{Dst: n, Type: typ}
	if gw != "" {
		rt.Gw = netip.MustParseAddr(gw).AsSlice()
	}
	r.must(r.h.RouteAdd(rt))
}

// look puts links and addresses into the snapshot's form.
func (r *room) look() {
	r.t.Helper()
	r.n.Links, r.n.Addrs = nil, nil
	links, err := r.h.LinkList()
	r.must(err)
	for _, l := range links {
		a := l.Attrs()
		r.n.Links = append(r.n.Links, snap.Link{
			Index: a.Index, Name: a.Name, MAC: a.HardwareAddr.String(), MTU: a.MTU, Up: true, Loopback: a.Name == "lo",
		})
		addrs, err := r.h.AddrList(l, unix.AF_UNSPEC)
		r.must(err)
		for _, x := range addrs {
			ip, _ := netip.AddrFromSlice(x.IP)
			ones, _ := x.Mask.Size()
			r.n.Addrs = append(r.n.Addrs, snap.Addr{Index: a.Index, Prefix: netip.PrefixFrom(ip.Unmap(), ones)})
		}
	}
}

// in runs fn inside the room; what it opens keeps the namespace.
func (r *room) in(fn func() error) {
	r.t.Helper()
	h, err := ns.Open(r.n.Path)
	r.must(err)
	defer h.Close()
	r.must(h.Do(fn))
}

func (r *room) sysctl(key, value string) {
	r.t.Helper()
	r.in(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o600) })
}

// world is client — router — server, with names of RFC 5737 and 3849.
//
//	client 192.0.2.1, 2001:db8:1::1 — router .254 — server 198.51.100.1, .2, 2001:db8:2::1 (MTU 1400)
//	                                  router — far 203.0.113.1 (its device takes 1300 and a VLAN tag, nobody tells)
type world struct{ client, router, server, far *room }

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{newRoom(t, "client"), newRoom(t, "router"), newRoom(t, "server"), newRoom(t, "far")}
	cable(w.client, "eth0", w.router, "lan", 1500)
	cable(w.router, "wan", w.server, "eth0", 1400)
	cable(w.router, "blind", w.far, "eth0", 1500)
	w.client.addr("eth0", "192.0.2.1/24", "2001:db8:1::1/64")
	w.router.addr("lan", "192.0.2.254/24", "2001:db8:1::254/64")
	w.router.addr("wan", "198.51.100.254/24", "2001:db8:2::254/64")
	w.router.addr("blind", "203.0.113.254/24")
	w.server.addr("eth0", "198.51.100.1/24", "198.51.100.2/24", "2001:db8:2::1/64")
	w.far.addr("eth0", "203.0.113.1/24")
	l, err := w.far.h.LinkByName("eth0")
	w.far.must(err)
	w.far.must(w.far.h.LinkSetMTU(l, 1300))
	w.router.sysctl("net/ipv4/ip_forward", "1")
	w.router.sysctl("net/ipv6/conf/all/forwarding", "1")
	w.router.sysctl("net/ipv4/icmp_ratelimit", "0")
	w.router.sysctl("net/ipv6/icmp/ratelimit", "0")
	w.client.route("0.0.0.0/0", "192.0.2.254", unix.RTN_UNICAST)
	w.client.route("::/0", "2001:db8:1::254", unix.RTN_UNICAST)
	w.server.route("0.0.0.0/0", "198.51.100.254", unix.RTN_UNICAST)
	w.server.route("::/0", "2001:db8:2::254", unix.RTN_UNICAST)
	w.far.route("0.0.0.0/0", "203.0.113.254", unix.RTN_UNICAST)
	w.router.route("10.1.0.0/16", "", unix.RTN_UNREACHABLE)
	w.router.route("10.2.0.0/16", "", unix.RTN_PROHIBIT)
	w.router.route("10.3.0.0/16", "", unix.RTN_BLACKHOLE)
	w.client.route("10.4.0.0/16", "", unix.RTN_UNREACHABLE)
	w.client.route("10.5.0.0/16", "", unix.RTN_BLACKHOLE)
	w.router.route("2001:db8:dead::/48", "", unix.RTN_PROHIBIT)
	for _, r := range []*room{w.client, w.router, w.server, w.far} {
		r.settle()
		r.look()
	}
	return w
}

// serve runs a server goroutine that ends when its socket is closed.
func serve(t *testing.T, closer interface{ Close() error }, fn func()) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(fn)
	t.Cleanup(func() {
		_ = closer.Close() // ends fn
		wg.Wait()
	})
}

func (r *room) bridge(name string) {
	r.t.Helper()
	la := netlink.NewLinkAttrs()
	la.Name = name
	r.must(r.h.LinkAdd(&netlink.Bridge{LinkAttrs: la}))
	r.up(name)
}

func (r *room) enslave(port, bridge string) {
	r.t.Helper()
	l, err := r.h.LinkByName(port)
	r.must(err)
	b, err := r.h.LinkByName(bridge)
	r.must(err)
	r.must(r.h.LinkSetMaster(l, b))
}
