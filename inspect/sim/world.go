package sim

import (
	"net/netip"
	"reflect"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// World is a snapshot made ready to be walked: everything is found by key. It
// is immutable and safe for concurrent use; it points into the snapshot.
type World struct {
	snap  *snap.Snapshot
	ns    map[string]*netns
	order []*netns
	// stacked are the devices that ride on another one (vlan, macvlan, ipvlan,
	// vxlan), by the namespace and ifindex of the lower device.
	stacked map[devKey][]end
	now     time.Time
	// holders are the namespaces by the addresses that they hold, eager those
	// that may answer for others; see quiet.go.
	holders map[netip.Addr][]*netns
	eager   []*netns
	runs    sync.Pool // of *run, with nothing in them
}

// devKey names a device in the whole snapshot.
type devKey struct {
	ns    string
	index int
}

// end is a device in its namespace.
type end struct {
	ns  *netns
	dev *snap.Link
}

// netns is one namespace with its look-up tables. It is a rules.Env.
type netns struct {
	w *World
	n *snap.Netns

	links  map[int]*snap.Link
	byName map[string]*snap.Link
	ports  map[int][]*snap.Link        // by ifindex of the master
	addrs  map[netip.Addr][]int        // indices into n.Addrs
	addrOf map[int][]int               // by ifindex
	fib    map[snap.Family]func() *fib // made when the first packet comes by
	neighs map[neighKey]int            // index into n.Neighs
	fdb    map[fdbKey]int              // index into n.FDB
	vlans  map[int]map[int]vlanOpt     // by ifindex, by vid
	gaps   map[string]*snap.Gap        // by noun
	// undecided says what of the namespace could not be read without which no
	// packet in it can be followed; "" nothing.
	undecided string
	learned   map[netip.Addr][]int // indices into n.Learned
	ends      map[int]*ends        // of its bridges, by ifindex
	sysctls   func() *sysctls      // sorted when the first packet comes by
	lo        *snap.Link           // the first loopback device; nil none
	vrfs      bool                 // there is one

	asked askedBook // questions for its neighbours

	lines sync.Map // *said, by rules.Place
	once  sync.Once
	rules *ruleTable // see program
}

type neighKey struct {
	index int
	ip    netip.Addr
}

type fdbKey struct {
	bridge int
	mac    string
	vlan   int
}

type vlanOpt struct{ pvid, untagged bool }

// New indexes a snapshot. The snapshot must not be changed afterwards.
func New(s *snap.Snapshot) *World {
	w := &World{snap: s, ns: map[string]*netns{}, stacked: map[devKey][]end{}, now: s.Taken.End, holders: map[netip.Addr][]*netns{}}
	sorted := map[uintptr]func() *sysctls{} // by the table, which namespaces may share
	for i := range s.Netns {
		n := newNetns(w, &s.Netns[i])
		at := reflect.ValueOf(n.n.Sysctls).Pointer()
		if sorted[at] == nil {
			sorted[at] = sync.OnceValue(func() *sysctls { return sortSysctls(n.n.Sysctls) })
		}
		n.sysctls = sorted[at]
		w.ns[n.n.ID] = n
		w.order = append(w.order, n)
	}
	for i := range s.Gaps {
		g := &s.Gaps[i]
		if n := w.ns[g.Netns]; n != nil {
			if old := n.gaps[g.What]; old == nil || old.Kind == "unsupported" {
				n.gaps[g.What] = g
			}
		}
	}
	for _, n := range w.order {
		n.undecided = n.gap("namespace", "links", "addresses", "policy rules", "routes", "nexthops", "bridge VLANs", "sysctls", "traffic control filters")
	}
	for _, n := range w.order {
		for i := range n.n.Links {
			l := &n.n.Links[i]
			if l.Peer == 0 || l.Kind == "veth" || l.PeerNetns == "" {
				continue
			}
			k := devKey{l.PeerNetns, l.Peer}
			w.stacked[k] = append(w.stacked[k], end{n, l})
		}
	}
	w.sortPorts()
	return w
}

func newNetns(w *World, s *snap.Netns) *netns {
	n := &netns{
		w: w, n: s,
		links: map[int]*snap.Link{}, byName: map[string]*snap.Link{}, ports: map[int][]*snap.Link{},
		addrs: map[netip.Addr][]int{}, addrOf: map[int][]int{}, fib: map[snap.Family]func() *fib{},
		neighs: map[neighKey]int{}, fdb: map[fdbKey]int{}, vlans: map[int]map[int]vlanOpt{}, gaps: map[string]*snap.Gap{}, learned: map[netip.Addr][]int{}, ends: map[int]*ends{},
	}
	for i := range s.Learned {
		n.learned[s.Learned[i].Dst] = append(n.learned[s.Learned[i].Dst], i)
	}
	for i := range s.Links {
		l := &s.Links[i]
		n.links[l.Index] = l
		n.byName[l.Name] = l
		n.vrfs = n.vrfs || l.VRF != nil
		if n.lo == nil && (l.Loopback || l.Kind == "loopback" || l.Name == "lo") {
			n.lo = l
		}
		if l.Master != 0 {
			n.ports[l.Master] = append(n.ports[l.Master], l)
		}
	}
	for i := range s.Addrs {
		a := s.Addrs[i].Prefix.Addr()
		n.addrs[a] = append(n.addrs[a], i)
		n.addrOf[s.Addrs[i].Index] = append(n.addrOf[s.Addrs[i].Index], i)
	}
	for _, fam := range []snap.Family{snap.IPv4, snap.IPv6} {
		n.fib[fam] = sync.OnceValue(func() *fib { return newFIB(n, fam) })
	}
	for i := range s.Neighs {
		if e := &s.Neighs[i]; !e.Proxy {
			n.neighs[neighKey{e.Index, e.IP}] = i
		}
	}
	for i := range s.FDB {
		e := &s.FDB[i]
		if e.Master == 0 {
			continue
		}
		n.fdb[fdbKey{e.Master, e.MAC, e.Vlan}] = i
	}
	for _, v := range s.Vlans {
		m := n.vlans[v.Index]
		if m == nil {
			m = map[int]vlanOpt{}
			n.vlans[v.Index] = m
		}
		m[v.VID] = vlanOpt{v.PVID, v.Untagged}
	}
	for _, p := range n.ports {
		sortFlood(p)
	}
	return n
}

// sortFlood puts ports into the order of floods, the newest first (net/bridge/br_if.c:
// br_add_if). That is told by their numbers, as far as none was given anew
// (find_portno).
func sortFlood(p []*snap.Link) {
	sort.Slice(p, func(i, j int) bool {
		if x, y := p[i].Port, p[j].Port; x != nil && y != nil && x.No != y.No {
			return x.No > y.No
		}
		return p[i].Index > p[j].Index
	})
}

// gap is the reason why one of the nouns could not be read, "" when it was.
func (n *netns) gap(nouns ...string) string {
	for _, what := range nouns {
		if g := n.gaps[what]; g != nil {
			return what + " of " + n.n.ID + " could not be read: " + g.Why
		}
	}
	return ""
}

// loopback is lo; nil only in a snapshot that has none.
func (n *netns) loopback() *snap.Link { return n.lo }

// vrfOf is the VRF that the device belongs to or is; nil when none.
func (n *netns) vrfOf(dev *snap.Link) *snap.Link {
	if dev == nil || !n.vrfs {
		return nil
	}
	if dev.VRF != nil {
		return dev
	}
	if m := n.links[dev.Master]; m != nil && m.VRF != nil {
		return m
	}
	return nil
}

// bridgeOf is the bridge that the device is a port of; nil when none.
func (n *netns) bridgeOf(dev *snap.Link) *snap.Link {
	if m := n.links[dev.Master]; m != nil && (m.Kind == "bridge" || m.Bridge != nil) {
		return m
	}
	return nil
}

// addrUsable says whether an address takes part: not a tentative IPv6 one.
func addrUsable(a *snap.Addr) bool { return !a.Has("tentative") && !a.Has("dadfailed") }

// holds says whether the namespace has the address on one of its devices
// (inet_lookup_ifaddr_rcu, net/ipv4/devinet.c).
func (n *netns) holds(ip netip.Addr) bool {
	for _, i := range n.addrs[ip] {
		if addrUsable(&n.n.Addrs[i]) {
			return true
		}
	}
	return false
}

// scopeNo is the kernel's number of an address or route scope (rtnetlink.h).
func scopeNo(s string) int {
	switch s {
	case "site":
		return 200
	case "link":
		return 253
	case "host":
		return 254
	case "nowhere":
		return 255
	}
	if i, err := strconv.Atoi(s); err == nil {
		return i
	}
	return 0
}
