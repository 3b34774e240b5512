package driver

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// native is a number in the processor's byte order, as numgen gives it.
func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// Attach are the operations that put a container on a network, without the
// default route and the published ports.
func Attach(e *Env, n *Network, c *Container, ep *snap.Endpoint) []fixups.Op {
	w, at := e.Where(c), e.Host
	var ops []fixups.Op
	switch n.Net.Driver {
	case "bridge":
		ops = n.veth(e, at, n.Net.Bridge, w, ep)
		if !e.Proxy {
			yes := true
			ops = append(ops, &fixups.PortSet{Where: e.Host, Name: ep.HostLink, Hairpin: &yes})
		}
	case "overlay":
		at = e.OverlayNetns(n)
		ops = n.veth(e, at, "br0", w, ep)
	case "macvlan":
		host := e.Host
		ops = []fixups.Op{&fixups.LinkAdd{
			Where: w, Lower: n.Net.Parent, LowerIn: &host,
			Link: snap.Link{Name: ep.Link, Kind: "macvlan", MAC: ep.MAC, MTU: n.Net.MTU, Alias: e.Mark(), Macvlan: &snap.Macvlan{Mode: n.Net.Mode}},
		}}
	case "ipvlan":
		host := e.Host
		ops = []fixups.Op{&fixups.LinkAdd{
			Where: w, Lower: n.Net.Parent, LowerIn: &host,
			Link: snap.Link{Name: ep.Link, Kind: "ipvlan", MTU: n.Net.MTU, Alias: e.Mark(), Ipvlan: &snap.Ipvlan{Mode: n.Net.Mode}},
		}}
	default:
		return nil
	}
	v6 := "1"
	if ep.IPv6.IsValid() {
		v6 = "0"
	}
	// Before the device is up: taking IPv6 from one that is waits for the kernel.
	ops = append(ops, &fixups.SysctlSet{Where: w, Key: "net/ipv6/conf/" + ep.Link + "/disable_ipv6", Value: v6}, &fixups.LinkSet{Where: w, Name: ep.Link, Up: true})
	for _, p := range []netip.Prefix{ep.IPv4, ep.IPv6} {
		if p.IsValid() {
			ops = append(ops, addr(w, ep.Link, p))
		}
	}
	if ep.HostLink != "" {
		// The last: one that is up without a carrier has its queues stopped, and the
		// kernel waits for every processor then, with the lock of all devices
		// (net/core/link_watch.c: linkwatch_do_dev, net/sched/sch_generic.c:
		// dev_deactivate_many).
		ops = append(ops, &fixups.LinkSet{Where: at, Name: ep.HostLink, Up: true})
	}
	if n.Net.Driver == "bridge" {
		ops = append(ops, n.guard(e, ep)...)
	}
	return ops
}

// veth makes a pair of which one end is the container's. Where nobody says how
// many queues it has the kernel makes many and turns all but one off, for which it
// waits for every processor, with the lock of all devices
// (drivers/net/veth.c: veth_init_queues, net/core/dev.c:
// netif_set_real_num_tx_queues).
func (n *Network) veth(e *Env, at fixups.Where, br string, in fixups.Where, ep *snap.Endpoint) []fixups.Op {
	return []fixups.Op{&fixups.LinkAdd{
		Where: at, Master: br, Queues: 1,
		Link: snap.Link{Name: ep.HostLink, Kind: "veth", MTU: n.Net.MTU, Alias: e.Mark(), Group: Group},
		Peer: &fixups.LinkEnd{Where: in, Name: ep.Link, MAC: ep.MAC},
	}}
}

// Gateway is the endpoint whose gateway a container's default route of a family
// takes: by priority, then the way out before others, both families before
// one, then the network's name (moby daemon/libnetwork/sandbox.go: Less). nil:
// no network has one to give.
func Gateway(e *Env, c *Container, nets map[string]*Network, v6 bool) *snap.Endpoint {
	var best *snap.Endpoint
	for i := range c.Ctr.Endpoints {
		ep := &c.Ctr.Endpoints[i]
		n := nets[ep.Network]
		if n == nil || !n.gives(e, v6) || !gatewayOf(ep, v6).IsValid() {
			continue
		}
		if best == nil || before(c, nets, ep, best) {
			best = ep
		}
	}
	return best
}

func gatewayOf(ep *snap.Endpoint, v6 bool) netip.Addr {
	if v6 {
		return ep.Gateway6
	}
	return ep.Gateway4
}

// gives says whether the network is a way out. Docker 20.10 left the default
// route on internal ones, and gave one to every macvlan.
func (n *Network) gives(e *Env, v6 bool) bool {
	switch n.Net.Driver {
	case "bridge":
		return (!n.Net.Internal || e.Gen == Docker20) && n.mode(v6) != "isolated"
	case "macvlan", "ipvlan":
		return !n.Net.Internal && (n.GatewayGiven || e.Gen == Docker20)
	}
	return false // an overlay has a bridge of its own for that
}

func before(c *Container, nets map[string]*Network, a, b *snap.Endpoint) bool {
	na, nb := nets[a.Network], nets[b.Network]
	both := func(x *snap.Endpoint) bool { return x.IPv4.IsValid() && x.IPv6.IsValid() }
	switch {
	case c.Priority[a.Network] != c.Priority[b.Network]:
		return c.Priority[a.Network] > c.Priority[b.Network]
	case na.Hidden != nb.Hidden:
		return nb.Hidden
	case na.Net.Internal != nb.Net.Internal:
		return nb.Net.Internal
	case both(a) != both(b):
		return both(a)
	}
	return strings.Compare(a.Network, b.Network) < 0
}

// DefaultRoute is the route by an endpoint's gateway; nil for no endpoint.
func DefaultRoute(e *Env, c *Container, ep *snap.Endpoint, v6 bool) fixups.Op {
	if ep == nil {
		return nil
	}
	r := snap.Route{Family: snap.IPv4, Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Gateway: ep.Gateway4, Protocol: "boot", Scope: "global", Type: "unicast", Table: 254}
	if v6 {
		r.Family, r.Dst, r.Gateway, r.Metric = snap.IPv6, netip.PrefixFrom(netip.IPv6Unspecified(), 0), ep.Gateway6, 1024
	}
	return &fixups.RouteAdd{Where: e.Where(c), Devs: []string{ep.Link}, Route: r}
}

// Publisher is the endpoint that a container's published ports lead to: that of
// its way out, by a bridge; nil when it has none.
func Publisher(e *Env, c *Container, nets map[string]*Network) *snap.Endpoint {
	ep := Gateway(e, c, nets, false)
	if ep == nil {
		ep = Gateway(e, c, nets, true)
	}
	if ep == nil || nets[ep.Network].Net.Driver != "bridge" {
		return nil
	}
	return ep
}

// NextLink is the name of the container's device for a further network: eth and
// the lowest free number.
func NextLink(c *Container, prefix string) string {
	if prefix == "" {
		prefix = "eth"
	}
	for i := 0; ; i++ {
		name := prefix + strconv.Itoa(i)
		if !slices.ContainsFunc(c.Ctr.Endpoints, func(x snap.Endpoint) bool { return x.Link == name }) {
			return name
		}
	}
}

// Order are the names of a container's networks, the one with the way out first.
func Order(c *Container, nets map[string]*Network) []string {
	var list []*snap.Endpoint
	for i := range c.Ctr.Endpoints {
		if nets[c.Ctr.Endpoints[i].Network] != nil {
			list = append(list, &c.Ctr.Endpoints[i])
		}
	}
	snap.Sort(list, func(a, b *snap.Endpoint) int {
		switch {
		case before(c, nets, a, b):
			return -1
		case before(c, nets, b, a):
			return 1
		}
		return 0
	})
	out := make([]string, len(list))
	for i, ep := range list {
		out[i] = ep.Network
	}
	return out
}
