package sim

import (
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// callsIPTables says whether br_netfilter runs the IP hooks for a frame on
// this bridge: the namespace's switch or the bridge's own
// (br_nf_pre_routing, net/bridge/br_netfilter_hooks.c). The switches are there
// only while the module is loaded.
func (r *run) callsIPTables(n *netns, br *snap.Link, k *skb) bool {
	if k.Family == snap.ARP || k.VLAN != 0 && n.sysctl("net/bridge/bridge-nf-filter-vlan-tagged", 0) == 0 {
		return false
	}
	key := "net/bridge/bridge-nf-call-iptables"
	own := br.Bridge != nil && br.Bridge.NFCallIPTables
	if k.Family == snap.IPv6 {
		key = "net/bridge/bridge-nf-call-ip6tables"
		own = br.Bridge != nil && br.Bridge.NFCallIP6Tables
	}
	_, loaded := n.n.Sysctls[key]
	return loaded && (own || n.sysctl(key, 0) != 0)
}

// brnfPre is br_nf_pre_routing and br_nf_pre_routing_finish: IP PREROUTING for
// a bridged frame. stolen says that the fate is final; else the frame goes on
// in the bridge.
func (r *run) brnfPre(n *netns, port, br *snap.Link, k *skb) (f *fate, stolen bool) {
	k.nfBridge, k.PhysIn, k.PhysOut, k.PhysBridged = true, port.Index, 0, false
	k.dropCT()
	k.route = nil
	was := k.PktType
	if was == "otherhost" {
		k.PktType = "host"
	}
	dst := k.Dst
	if f := r.nf(n, "prerouting", br.Index, 0, k); f != nil {
		return f, true
	}
	k.Iif, k.Oif = port.Index, 0
	k.PktType = was
	if k.Dst == dst {
		return nil, false
	}
	rt := n.routeIn(r.routes.new(), k.lookup(), br, r.pickWay(n))
	if rt.kind == "" {
		return r.routeFate(n, br, k, rt), true
	}
	k.route = rt
	if rt.kind == "unicast" && rt.dev == br {
		return r.bridgedDNAT(n, port, br, k, rt), true
	}
	// It becomes the host's to route, even if only to be refused.
	k.DstMAC, k.PktType = br.MAC, "host"
	return nil, false
}

// bridgedDNAT is br_nf_pre_routing_finish_bridge: the new destination is on
// the same bridge, so that the frame gets its MAC and is bridged to it from
// the port it came in by.
func (r *run) bridgedDNAT(n *netns, port, br *snap.Link, k *skb, rt *routed) *fate {
	mac, f := r.resolve(n, br, rt.nexthop(k.Dst), k)
	if f != nil {
		return f
	}
	k.DstMAC = mac
	return r.bridgeFinish(n, port, br, k)
}
