package sim

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// portRef points at the line that holds a port's settings.
func portRef(n *netns, p *snap.Link) snap.Ref { return snap.RefLink(n.n.ID, p.Name) }

func (r *run) bridgeDrop(n *netns, dev *snap.Link, k *skb, cause Cause, detail string) *fate {
	return r.drop(n, dev, k, Where{Layer: "bridge", Cause: cause, Reason: "NOT_SPECIFIED", Ref: portRef(n, dev), Detail: detail})
}

// portState is the STP state; a snapshot without it means forwarding. So does a
// disabled port that has carrier while its operational state does not say so yet:
// both follow the carrier in one step, a moment after a container's start
// (net/core/link_watch.c: linkwatch_do_dev; net/bridge/br_if.c:
// br_port_carrier_check). Of 400 dumps right after a veth was set up, 244 showed it
// so, and none a disabled port that was operationally up.
func portState(p *snap.Link) int {
	if p.Port == nil || p.Port.State == snap.PortDisabled && p.Up && p.LowerUp && (p.OperState == "lowerlayerdown" || p.OperState == "down") {
		return snap.PortForwarding
	}
	return p.Port.State
}

var portStates = [...]string{"disabled", "listening", "learning", "forwarding", "blocking"}

func stateName(s int) string {
	if s >= 0 && s < len(portStates) {
		return portStates[s]
	}
	return fmt.Sprint(s)
}

// portDown says in words why a port does not forward.
func portDown(br, p *snap.Link) (Cause, string) {
	switch {
	case !br.Up:
		return CauseLinkDown, br.Name + " is down"
	case !p.Up:
		return CauseLinkDown, p.Name + " is down"
	case p.ProtoDown:
		return CauseNoCarrier, p.Name + " is held down (protodown)"
	case p.LowerUp && p.OperState == "dormant":
		return CausePortState, p.Name + " is dormant: it waits for a supplicant to open it"
	case !p.LowerUp && portState(p) == snap.PortDisabled:
		return CauseNoCarrier, p.Name + " has no carrier: its other end is down"
	}
	return CausePortState, p.Name + " is in the state " + stateName(portState(p)) + " on " + br.Name
}

// bridgeRcv is br_handle_frame (net/bridge/br_input.c).
func (r *run) bridgeRcv(n *netns, port, br *snap.Link, k *skb) *fate {
	if s := portState(port); s != snap.PortForwarding && s != snap.PortLearning || !br.Up {
		cause, why := portDown(br, port)
		return r.bridgeDrop(n, port, k, cause, why)
	}
	k.brIn = port
	if k.DstMAC == br.MAC {
		k.PktType = "host"
	}
	// Priority 0 is br_netfilter's; chains of the same priority were registered
	// later and come first.
	if f := r.bridgeHook(n, "prerouting", port.Index, 0, k, -1<<31, prioBRNF); f != nil {
		return f
	}
	if r.callsIPTables(n, br, k) {
		if f, stolen := r.brnfPre(n, port, br, k); stolen {
			return f
		}
	}
	if f := r.bridgeHook(n, "prerouting", port.Index, 0, k, prioBRNF+1, 1<<31-1); f != nil {
		return f
	}
	return r.bridgeFinish(n, port, br, k)
}

// bridgeHook runs the bridge family's chains of a hook between two priorities,
// both included.
func (r *run) bridgeHook(n *netns, hook string, in, out int, k *skb, from, to int32) *fate {
	list := n.program().BaseChains(snap.BridgeFamily, hook, "")
	if len(list) == 0 {
		return nil
	}
	h := &hookState{hook: hook, in: in, out: out}
	iif, oif := k.Iif, k.Oif
	for _, b := range list {
		if b.Priority < from || b.Priority > to {
			continue
		}
		k.Iif, k.Oif = in, out
		if _, f := r.chain(n, h, b, k); f != nil {
			return f
		}
	}
	k.Iif, k.Oif = iif, oif
	return nil
}

// bridgeFinish is br_handle_frame_finish: VLAN, learning, and where to.
func (r *run) bridgeFinish(n *netns, port, br *snap.Link, k *skb) *fate {
	if f := r.step(n, port, k); f != nil {
		return f
	}
	if !r.vlanIn(n, br, port, k) {
		return r.bridgeDrop(n, port, k, CauseVlan, fmt.Sprintf("%s is not in VLAN %d", port.Name, k.VLAN))
	}
	p := port.Port
	if p != nil && p.Locked {
		if i, ok := n.fdb[fdbKey{br.Index, k.SrcMAC, k.vid}]; !ok || n.n.FDB[i].Index != port.Index {
			return r.bridgeDrop(n, port, k, CausePortState, port.Name+" is locked and does not know "+k.SrcMAC)
		}
	}
	if p == nil || p.Learning {
		r.learnPort(runFDB{n, fdbKey{br.Index, k.SrcMAC, k.vid}}, port.Index)
	}
	if portState(port) == snap.PortLearning {
		return r.bridgeDrop(n, port, k, CausePortState, port.Name+" is in the state learning on "+br.Name)
	}
	k.isolated = p != nil && p.Isolated
	up := br.Promisc || k.DstMAC == macBroadcast || group(k.DstMAC)
	if k.DstMAC != macBroadcast && !group(k.DstMAC) {
		to, local := r.fdbFind(n, br, k.DstMAC, k.vid)
		if local {
			return r.bridgeUp(n, port, br, k)
		}
		if to != nil {
			if !up {
				return r.bridgeForward(n, br, port, to, k)
			}
			return r.spread(k, []copyTo{
				{n, to, func(c *skb) *fate { return r.bridgeForward(n, br, port, to, c) }},
				{n, br, func(c *skb) *fate { return r.bridgeUp(n, port, br, c) }},
			})
		}
	}
	return r.bridgeFlood(n, br, port, k, up)
}

// fdbFind is br_fdb_find_rcu: the port for a MAC, or whether it is the
// bridge's own.
func (r *run) fdbFind(n *netns, br *snap.Link, mac string, vid int) (to *snap.Link, local bool) {
	if mac == br.MAC && (vid == 0 || r.inVlan(n, br, vid)) {
		return nil, true
	}
	if i, ok := n.fdb[fdbKey{br.Index, mac, vid}]; ok {
		e := &n.n.FDB[i]
		if e.Local || e.State == "permanent" {
			return nil, true
		}
		// A static entry only does not age: it moves to the port that its MAC
		// sends from, as all others (net/bridge/br_fdb.c:br_fdb_update).
		if e.Sticky {
			return n.links[e.Index], false
		}
	}
	if i, ok := r.portOf(runFDB{n, fdbKey{br.Index, mac, vid}}); ok {
		return n.links[i], false
	}
	if i, ok := n.fdb[fdbKey{br.Index, mac, vid}]; ok {
		return n.links[n.n.FDB[i].Index], false
	}
	for _, p := range n.ports[br.Index] {
		if p.MAC == mac && mac != "" && len(n.n.FDB) == 0 {
			return nil, true
		}
	}
	return nil, false
}

// blocked is should_deliver: why a frame must not leave by a port, "" when it may.
func (r *run) blocked(n *netns, br, from, to *snap.Link, k *skb) (Cause, string) {
	p := to.Port
	switch {
	case from == to && (p == nil || !p.Hairpin):
		return CauseHairpin, "it came in by " + to.Name + " and would leave by it (hairpin off)"
	case portState(to) != snap.PortForwarding:
		return portDown(br, to)
	case k.vid != 0 && !r.inVlan(n, to, k.vid):
		return CauseVlan, fmt.Sprintf("%s is not in VLAN %d", to.Name, k.vid)
	case k.isolated && p != nil && p.Isolated:
		return CauseIsolated, from.Name + " and " + to.Name + " are both isolated ports of " + br.Name
	}
	return CauseNone, ""
}

// bridgeForward is br_forward (net/bridge/br_forward.c); from is nil for a
// frame of the bridge's own host.
func (r *run) bridgeForward(n *netns, br, from, to *snap.Link, k *skb) *fate {
	if cause, why := r.blocked(n, br, from, to, k); why != "" {
		dev := to
		if from != nil {
			dev = from
		}
		f := r.bridgeDrop(n, dev, k, cause, why)
		f.dev, f.where.Ref = to, portRef(n, to)
		return f
	}
	r.vlanOut(n, to, k)
	if from == nil {
		if f := r.bridgeHook(n, "output", 0, to.Index, k, -1<<31, 1<<31-1); f != nil {
			return f
		}
	} else {
		r.hop(n, to, "bridge "+br.Name, "from port "+from.Name+" to port "+to.Name, "ok", k, portRef(n, to))
		if f := r.bridgeHook(n, "forward", from.Index, to.Index, k, -1<<31, prioBRNF); f != nil {
			return f
		}
		if k.nfBridge {
			// br_nf_forward: IP FORWARD with the bridge on both sides.
			k.PhysOut, k.PhysBridged, k.PktType = to.Index, true, "host"
			if f := r.nf(n, "forward", br.Index, br.Index, k); f != nil {
				return f
			}
		}
		if f := r.bridgeHook(n, "forward", from.Index, to.Index, k, prioBRNF+1, 1<<31-1); f != nil {
			return f
		}
	}
	if f := r.bridgeHook(n, "postrouting", 0, to.Index, k, -1<<31, 1<<31-1); f != nil {
		return f
	}
	if k.nfBridge && k.PhysOut != 0 {
		// br_nf_post_routing: no input device.
		if f := r.nf(n, "postrouting", 0, br.Index, k); f != nil {
			return f
		}
		// br_nf_dev_queue_xmit: what conntrack saw is fragmented anew for the
		// port, as if it were routed; IPv6 only what had come in fragments.
		if to.MTU > 0 && k.frameLen() > to.MTU {
			if k.DF || k.Family == snap.IPv6 {
				return r.bridgeDrop(n, to, k, CauseMTU, fmt.Sprintf("%d bytes do not fit the MTU %d of %s", k.frameLen(), to.MTU, to.Name))
			}
			k.wire = to.MTU
		}
	}
	if !to.Up {
		return r.bridgeDrop(n, to, k, CauseLinkDown, to.Name+" is down")
	}
	if k.frameLen() > to.MTU+4 && to.MTU > 0 {
		return r.bridgeDrop(n, to, k, CauseMTU, fmt.Sprintf("%d bytes do not fit the MTU %d of %s", k.frameLen(), to.MTU, to.Name))
	}
	return r.xmit(n, to, k)
}

// bridgeUp is br_pass_frame_up: the bridge's own host receives.
func (r *run) bridgeUp(n *netns, port, br *snap.Link, k *skb) *fate {
	if k.vid != 0 && !r.inVlan(n, br, k.vid) && !br.Promisc {
		return r.bridgeDrop(n, port, k, CauseVlan, fmt.Sprintf("%s itself is not in VLAN %d", br.Name, k.vid))
	}
	r.vlanOut(n, br, k)
	in := 0
	if port != nil {
		in = port.Index
	}
	if f := r.bridgeHook(n, "input", in, 0, k, -1<<31, 1<<31-1); f != nil {
		return f
	}
	if r.quiet == 0 && port != nil {
		r.hop(n, br, "bridge "+br.Name, "from port "+port.Name+" up to the host", "ok", k)
	}
	return r.receive(n, br, k)
}

// bridgeXmit is br_dev_xmit (net/bridge/br_device.c): the host sends by its
// bridge.
func (r *run) bridgeXmit(n *netns, br *snap.Link, k *skb) *fate {
	k.brIn, k.isolated = nil, false
	if !r.vlanIn(n, br, br, k) {
		return r.bridgeDrop(n, br, k, CauseVlan, fmt.Sprintf("%s itself is not in VLAN %d", br.Name, k.VLAN))
	}
	if len(n.ports[br.Index]) == 0 {
		f := r.bridgeDrop(n, br, k, CauseBridgeNoPort, br.Name+" has no port")
		f.where.Reason = "" // NOT_SPECIFIED, and of late NO_TX_TARGET
		return f
	}
	if k.DstMAC != macBroadcast && !group(k.DstMAC) {
		if to, local := r.fdbFind(n, br, k.DstMAC, k.vid); to != nil {
			return r.bridgeForward(n, br, nil, to, k)
		} else if local {
			// A port's own MAC has that port as its destination: it leaves there.
			if i, ok := n.fdb[fdbKey{br.Index, k.DstMAC, k.vid}]; ok && n.n.FDB[i].Index != br.Index {
				return r.bridgeForward(n, br, nil, n.links[n.n.FDB[i].Index], k)
			}
			return r.bridgeDrop(n, br, k, CauseWrongMAC, k.DstMAC+" is the bridge's own MAC")
		}
	}
	return r.bridgeFlood(n, br, nil, k, false)
}
