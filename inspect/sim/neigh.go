package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const macBroadcast = "ff:ff:ff:ff:ff:ff"

// macElsewhere stands for the address of a machine outside the snapshot.
const macElsewhere = "outside"

// multicastMAC is the Ethernet group of an IP group (RFC 1112, RFC 2464).
func multicastMAC(ip netip.Addr) string {
	b := ip.AsSlice()
	if ip.Is4() {
		return fmt.Sprintf("01:00:5e:%02x:%02x:%02x", b[1]&0x7f, b[2], b[3])
	}
	return fmt.Sprintf("33:33:%02x:%02x:%02x:%02x", b[12], b[13], b[14], b[15])
}

// group says whether a MAC is a multicast or the broadcast one.
func group(mac string) bool {
	return len(mac) > 1 && strings.ContainsRune("13579bdf", rune(mac[1])) && mac != macElsewhere
}

// macOf is the hardware address with which packets of ip come in by a device: its own,
// or that of the router by which the device leads there, as far as it is remembered.
func (n *netns) macOf(dev *snap.Link, ip netip.Addr) string {
	hop, bits := ip, -1
	for i := range n.n.Routes {
		r := &n.n.Routes[i]
		if r.Oif != dev.Index || r.Table != snap.TableMain || !r.Dst.Contains(ip) || r.Dst.Bits() <= bits {
			continue
		}
		if hop, bits = ip, r.Dst.Bits(); r.Gateway.IsValid() {
			hop = r.Gateway
		}
	}
	if i, ok := n.neighs[neighKey{dev.Index, hop}]; ok && n.n.Neighs[i].MAC != "" {
		return n.n.Neighs[i].MAC
	}
	return macElsewhere
}

// noL2 says whether a device carries bare IP packets.
func noL2(dev *snap.Link) bool {
	switch dev.Kind {
	case "tun", "wireguard", "ipip", "sit", "gre", "ip6tnl", "ip6gre", "vti", "vti6", "xfrm", "ppp":
		return dev.MAC == ""
	}
	return dev.MAC == "" && (dev.PointToPt || dev.NoARP)
}

// resolve is the neighbour subsystem (net/core/neighbour.c): the MAC for ip on
// dev. A question is really put to everybody whom it would reach, so that what
// stops it is found, and two holders of one address are.
func (r *run) resolve(n *netns, dev *snap.Link, ip netip.Addr, k *skb) (string, *fate) {
	if dev.NoARP || dev.Loopback {
		return dev.MAC, nil // arp_constructor: NUD_NOARP with the device's own address
	}
	k.neighRef, k.neighText = "", ""
	if p := dev.Reader; p.UserNAT() {
		if strings.EqualFold(p.State, "T") {
			return "", r.drop(n, dev, k, stoppedReader(n, dev))
		}
		if p.Name != "slirp4netns" { // passt arp.c: arp() answers for all but the container's own
			return macElsewhere, nil
		}
	}
	if dev.PointToPt {
		return macBroadcast, nil
	}
	cached, state, ref := "", "", snap.Ref("")
	if i, ok := n.neighs[neighKey{dev.Index, ip}]; ok {
		e := &n.n.Neighs[i]
		state, ref = e.State, snap.RefItem(n.n.ID, "neigh", i)
		switch e.State {
		case "permanent", "noarp":
			k.neighRef, k.neighText = ref, fmt.Sprintf("%s has %s at %s (%s)", n.n.ID, ip, e.MAC, e.State)
			r.hop(n, dev, "neigh", ip.String()+" is at "+e.MAC+" ("+e.State+")", "ok", k, ref)
			return e.MAC, nil
		case "reachable", "stale", "delay", "probe":
			cached = e.MAC
		}
	}
	if br := n.links[dev.Master]; cached == "" && br != nil && br.Bridge != nil && !n.broutes() {
		// br_handle_frame (net/bridge/br_input.c) takes the answer away from the port.
		return "", r.drop(n, dev, k, Where{
			Layer: "neigh", Cause: CauseOnPort, Reason: "NEIGH_FAILED", Ref: snap.RefLink(n.n.ID, dev.Name),
			Detail: fmt.Sprintf("%s is a port of %s, which takes in whatever %s answers", dev.Name, br.Name, ip),
		})
	}
	if key := snap.AsksKey(k.Family, dev.Name); cached == "" && n.n.Sysctls[key] == "0" {
		// __neigh_event_send (net/core/neighbour.c): with no questions to put it has failed.
		if learned := r.neighs[runNeigh{n, dev.Index, ip}]; learned != "" {
			return learned, nil
		}
		return "", r.drop(n, dev, k, Where{
			Layer: "neigh", Cause: CauseNeighFailed, Reason: "NEIGH_FAILED", Ref: snap.RefSysctl(n.n.ID, key),
			Detail: fmt.Sprintf("mcast_solicit is 0 on %s, so that nobody is asked for %s", dev.Name, ip),
		})
	}
	r.spoil() // a tunnel's neighbour, for a question that goes through it
	key := runNeigh{n, dev.Index, ip}
	learned, ok := r.neighs[key]
	got, lost, out := r.ask(n, dev, ip, k, cached != "")
	if cached == "" && ok && r.overheard[key] && len(got)+len(out) == 0 {
		return "", r.forgotten(n, dev, ip, k, lost)
	}
	if ok {
		cached = learned
	}
	switch {
	case len(got) > 1:
		var who []string
		for _, a := range got {
			who = append(who, a.dev.Name+" of "+a.holder.n.ID)
		}
		return "", r.unknown(n, dev, k, Where{Layer: "neigh", Cause: CauseDuplicate, Ref: ref, Detail: "duplicate address " + ip.String() + ": " + strings.Join(who, " and ") + " answer for it, which is first is a race"})
	case cached != "" && len(got) == 1 && got[0].mac != cached:
		return "", r.unknown(n, dev, k, Where{Layer: "neigh", Cause: CauseDuplicate, Ref: ref, Detail: fmt.Sprintf("%s is remembered at %s, but %s of %s answers for it", ip, cached, got[0].dev.Name, got[0].holder.n.ID)})
	case cached != "":
		return cached, nil
	case len(got) == 1:
		r.neighs[runNeigh{n, dev.Index, ip}] = got[0].mac
		return got[0].mac, nil
	case len(out) > 0 && (state == "failed" || state == "incomplete"):
		return "", r.unknown(n, dev, k, Where{Layer: "neigh", Cause: CauseNeighFailed, Ref: ref, Detail: ip.String() + " answered no ARP on " + dev.Name + " when it was last asked"})
	case len(out) > 0:
		return macElsewhere, nil
	}
	return "", r.nobody(n, dev, ip, k, lost, ref)
}

// broutes says whether rules may let a bridge port keep what comes in by it
// (net/bridge/netfilter/ebtable_broute.c).
func (n *netns) broutes() bool {
	return slices.ContainsFunc(n.n.Ruleset.Tables, func(t snap.Table) bool { return t.Name == "broute" })
}

// forgotten is the end of an answer whose sender learns the asker's MAC only from
// a question that the asker, who has it in its table, need not put: neigh_event_ns
// (net/core/neighbour.c) for one flow, and arp_solicit in vain for the next.
func (r *run) forgotten(n *netns, dev *snap.Link, ip netip.Addr, k *skb, lost []lostCopy) *fate {
	w, _ := r.silence(n, dev, ip, lost, "")
	w.Detail += "; it is known there only for as long as " + ip.String() + " asks for it"
	return r.unknown(n, dev, k, w)
}

// nobody is the end of a packet for whose nexthop no MAC is to be had. What
// kept the holder of the address from answering is named, if there is one.
func (r *run) nobody(n *netns, dev *snap.Link, ip netip.Addr, k *skb, lost []lostCopy, ref snap.Ref) *fate {
	w, known := r.silence(n, dev, ip, lost, ref)
	if !known {
		return r.unknown(n, dev, k, w)
	}
	return r.drop(n, dev, k, w)
}

// silence is why a question came to nothing; false when that is not known for sure.
func (r *run) silence(n *netns, dev *snap.Link, ip netip.Addr, lost []lostCopy, ref snap.Ref) (Where, bool) {
	what := "ARP"
	if ip.Is6() {
		what = "neighbour discovery"
	}
	w := Where{Layer: "neigh", Cause: CauseNeighFailed, Reason: "NEIGH_FAILED", Ref: ref, Detail: ip.String() + " answers no " + what + " on " + dev.Name}
	if w.Ref == "" {
		w.Ref = snap.RefLink(n.n.ID, dev.Name)
	}
	for i := range lost {
		f := &lost[i]
		if f.kind == fateUnknown {
			u := f.where
			u.Behind = &f.where
			u.Detail = ip.String() + " may answer no " + what + ": " + u.Detail
			return u, false
		}
	}
	best := -1
	for i := range lost {
		if lost[i].kind != fateDropped {
			continue
		}
		if best < 0 || r.towards(&lost[i], ip) > r.towards(&lost[best], ip) {
			best = i
		}
	}
	if best >= 0 && (r.towards(&lost[best], ip) > 0 || len(lost) == 1) {
		b := lost[best].where
		w.Cause, w.Rule, w.Behind = b.Cause, b.Rule, &b
		if b.Ref != "" {
			w.Ref = b.Ref
		}
		w.Detail += ": "
		if b.Rule != nil && b.Netns != n.n.ID {
			w.Detail += "in " + b.Netns + " "
		}
		w.Detail += b.Detail
	}
	return w, true
}

// towards is 1 when a lost copy of a question was on its way to a holder of
// the address, or was the answer.
func (r *run) towards(f *lostCopy, ip netip.Addr) int {
	if f.ns.holds(ip) && (f.reply || f.question && f.where.Layer == "neigh") {
		return 3
	}
	if f.reply {
		return 3
	}
	if f.dev != nil && f.dev.PeerNetns != "" && f.dev.Kind == "veth" {
		if p := r.w.ns[f.dev.PeerNetns]; p != nil && p.holds(ip) {
			return 2
		}
	}
	if f.ns.holds(ip) {
		return 2
	}
	if f.bridged {
		return 1
	}
	return 0
}
