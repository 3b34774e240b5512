package sim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tc runs the traffic-control filters of a device's hook, by priority
// (tcf_classify, net/sched/cls_api.c).
func (r *run) tc(n *netns, dev *snap.Link, hook string, k *skb) *fate {
	for i := range dev.Filters {
		t := &dev.Filters[i]
		if t.Hook != hook || t.Protocol != 3 && t.Protocol != 0 && t.Protocol != k.EtherType {
			continue
		}
		w := Where{Layer: "tc", Cause: CauseTC, Ref: snap.RefLink(n.n.ID, dev.Name)}
		name := strings.TrimSpace("tc " + t.Kind + " " + t.Name)
		hit, known := t.Kind == "matchall" || t.Kind == "tcx", true
		if t.Kind == "u32" && !t.Opaque {
			hit, known = u32(t.U32, k)
		} else if t.Opaque || !hit {
			known = false
		}
		if known && !hit {
			continue
		}
		for _, a := range t.Actions {
			if !known && (a == "ok" || a == "pass" || a == "pipe") && len(t.Actions) == 1 {
				break // whether it matched does not matter
			}
			if to := redirectedTo(n, a); known && to != nil {
				return r.redirectTo(n, dev, to, name, hook, k)
			}
			switch {
			case !known || a == "?" || strings.HasPrefix(a, "bpf") || strings.HasPrefix(a, "redirect") || strings.HasPrefix(a, "police"):
				w.Detail = fmt.Sprintf("%s on %s %s may do anything with it (%s)", name, dev.Name, hook, a)
				return r.unknown(n, dev, k, w)
			case a == "drop" || a == "shot" || a == "trap" || a == "stolen":
				w.Reason, w.Detail = "TC_INGRESS", fmt.Sprintf("%s on %s %s drops it", name, dev.Name, hook)
				if hook == "egress" {
					w.Reason = "TC_EGRESS"
				}
				return r.drop(n, dev, k, w)
			case a == "ok" || a == "pass":
				return nil
			}
		}
		if !known && len(t.Actions) == 0 {
			w.Detail = fmt.Sprintf("%s on %s %s may do anything with it", name, dev.Name, hook)
			return r.unknown(n, dev, k, w)
		}
	}
	return nil
}

// redirectedTo is the device that an action sends the packet out of; nil for
// any other.
func redirectedTo(n *netns, action string) *snap.Link {
	i, err := strconv.Atoi(strings.TrimPrefix(action, "redirect:"))
	if err != nil || !strings.HasPrefix(action, "redirect:") {
		return nil
	}
	return n.links[i]
}

// redirectTo is tcf_mirred_act (net/sched/act_mirred.c): the frame leaves by another
// device as it is, and this stack sees nothing of it. An ifb gives it back where it
// was, and no filter is asked again (drivers/net/ifb.c:ifb_ri_tasklet).
func (r *run) redirectTo(n *netns, dev, to *snap.Link, name, hook string, k *skb) *fate {
	how := fmt.Sprintf("%s on %s %s redirects it to %s", name, dev.Name, hook, to.Name)
	r.hop(n, dev, "tc", how, "ok", k, snap.RefLink(n.n.ID, dev.Name))
	if to.Kind == "ifb" && to.Up {
		if f := r.tc(n, to, "egress", k); f != nil {
			return f
		}
		return r.qdisc(n, to, k)
	}
	if to.Loopback { // eth_type_trans: the frame has somebody's MAC, lo has none
		return r.drop(n, dev, k, Where{Layer: "tc", Cause: CauseTC, Reason: "OTHERHOST", Ref: snap.RefLink(n.n.ID, dev.Name), Detail: how + ", where it is for nobody"})
	}
	f := r.xmit(n, to, k)
	if f == nil || f.where.Rule != nil || hook == "ingress" && f.where.Netns != n.n.ID {
		return f
	}
	if f.kind == fateDropped || f.kind == fateElsewise || f.kind == fateUnknown && f.where.Netns == n.n.ID {
		f.where.Detail = how + "; " + f.where.Detail
		if f.kind == fateElsewise {
			f.kind, f.where.Detail, f.where.Layer = fateDropped, how+", where it is for nobody", "tc"
		}
		if !to.Up { // tcf_mirred_act drops it itself
			f.where.Reason = "TC_" + strings.ToUpper(hook)
		}
		f.where.Cause, f.where.Netns, f.where.Device, f.where.Ref = CauseTC, n.n.ID, dev.Name, snap.RefLink(n.n.ID, dev.Name)
	}
	return f
}

// u32 compares the packet's head; known is false when a byte that is looked at
// is not part of the model.
func u32(keys []snap.U32Key, k *skb) (hit, known bool) {
	b, have := k.head()
	known = true
	for _, key := range keys {
		var val, mask uint32
		for i := range 4 {
			o := key.Off + i
			val <<= 8
			mask <<= 8
			if o >= 0 && o < len(b) && have[o] {
				val |= uint32(b[o])
				mask |= 0xff
			}
		}
		if key.Mask&^mask != 0 {
			known = false
		}
		if (val^key.Val)&key.Mask&mask != 0 {
			return false, true
		}
	}
	return known, known
}

// head is the beginning of the network header, and which bytes of it are known.
func (k *skb) head() (b [64]byte, have [64]bool) {
	put := func(off int, x ...byte) {
		for i, c := range x {
			b[off+i], have[off+i] = c, true
		}
	}
	th := 20
	switch k.Family {
	case snap.IPv4:
		put(0, 0x45, k.TOS, byte(k.Len>>8), byte(k.Len))
		put(8, k.TTL, k.Proto)
		put(12, k.Src.AsSlice()...)
		put(16, k.Dst.AsSlice()...)
	case snap.IPv6:
		put(6, k.Proto, k.TTL)
		put(8, k.Src.AsSlice()...)
		put(24, k.Dst.AsSlice()...)
		th = 40
	default:
		return b, have
	}
	switch k.Proto {
	case snap.IPProtoICMP, snap.IPProtoICMPv6:
		put(th, k.ICMPType, k.ICMPCode)
	case snap.IPProtoTCP:
		put(th, byte(k.Sport>>8), byte(k.Sport), byte(k.Dport>>8), byte(k.Dport))
		put(th+13, k.TCPFlags)
	default:
		put(th, byte(k.Sport>>8), byte(k.Sport), byte(k.Dport>>8), byte(k.Dport))
	}
	return b, have
}

// qdisc is what a queue does that loses packets on purpose.
func (r *run) qdisc(n *netns, dev *snap.Link, k *skb) *fate {
	for i := range dev.Qdiscs {
		q := &dev.Qdiscs[i]
		if q.Kind != "netem" || q.LossPct <= 0 {
			continue
		}
		w := Where{Layer: "tc", Cause: CauseTC, Reason: "QDISC_DROP", Ref: snap.RefLink(n.n.ID, dev.Name), Detail: fmt.Sprintf("netem on %s loses %g %% of all packets", dev.Name, q.LossPct)}
		if q.LossPct >= 100 {
			return r.drop(n, dev, k, w)
		}
		lost := r.choose(2) == 1
		a := rules.Assumption{Key: fmt.Sprintf("netem %s %d", dev.Name, r.at), Value: lost, What: w.Detail, StateDependent: true, Chance: 1 - q.LossPct/100}
		if lost {
			a.Chance = q.LossPct / 100
		}
		r.assume(n.n.ID, a)
		if lost {
			return r.drop(n, dev, k, w)
		}
	}
	return nil
}
