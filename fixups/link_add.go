package fixups

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkAdd makes a device. Link says what it is to be: Kind, Name, and of the
// rest what is not zero (MAC, MTU, Alias, Bridge, Macvlan, Ipvlan, Vxlan, Vlan,
// VRF, Index). It is down when it is made, unless Up says otherwise.
type LinkAdd struct {
	Where `json:"where"`
	Link  snap.Link `json:"link"`
	// Peer is the other end of a veth pair.
	Peer *LinkEnd `json:"peer,omitempty"`
	// Lower is the device that a macvlan, ipvlan, vlan or vxlan sits on, in
	// LowerIn, or where that is nil in the same namespace.
	Lower   string `json:"lower,omitempty"`
	LowerIn *Where `json:"lowerIn,omitempty"`
	Master  string `json:"master,omitempty"` // bridge to join
	Up      bool   `json:"up,omitempty"`
	// Queues are those of each end of a veth pair in each direction; 0: the
	// kernel's choice, as many as there may be processors, of which it uses one.
	Queues int `json:"queues,omitempty"`
}

// LinkEnd is one end of a veth pair.
type LinkEnd struct {
	Where `json:"where"`
	Name  string `json:"name"`
	MAC   string `json:"mac,omitempty"`
	Index int    `json:"index,omitempty"` // 0: the kernel's choice
	Up    bool   `json:"up,omitempty"`
}

func (*LinkAdd) Kind() string { return "link-add" }

func (o *LinkAdd) Describe() string {
	d := fmt.Sprintf("make %s %s%s", o.Link.Kind, o.Link.Name, o.in())
	if o.Peer != nil {
		d += fmt.Sprintf(" with its other end %s%s", o.Peer.Name, o.Peer.in())
	}
	if o.Master != "" {
		d += " on bridge " + o.Master
	}
	return d
}

// Shell makes the device where the lower one is, and moves it.
func (o *LinkAdd) Shell() []string {
	at, move := o.Where, false
	if o.LowerIn != nil && o.LowerIn.ID != o.ID {
		at, move = *o.LowerIn, true
	}
	args := []string{"ip", "link", "add", o.Link.Name}
	if o.Lower != "" && o.Link.Kind != "vxlan" {
		args = append(args, "link", o.Lower)
	}
	if o.Link.MAC != "" {
		args = append(args, "address", o.Link.MAC)
	}
	if o.Link.MTU != 0 {
		args = append(args, "mtu", strconv.Itoa(o.Link.MTU))
	}
	if o.Link.Index != 0 {
		args = append(args, "index", strconv.Itoa(o.Link.Index))
	}
	args = append(args, o.queues()...)
	if move {
		args = append(args, "netns", netnsWord(o.Where))
	}
	args = append(args, "type", o.Link.Kind)
	args = append(args, o.options()...)
	out := []string{at.line(args...)}
	if o.Link.Alias != "" {
		out = append(out, o.line("ip", "link", "set", "dev", o.Link.Name, "alias", o.Link.Alias))
	}
	if o.Master != "" {
		out = append(out, o.line("ip", "link", "set", "dev", o.Link.Name, "master", o.Master))
	}
	if o.Up {
		out = append(out, o.line("ip", "link", "set", "dev", o.Link.Name, "up"))
	}
	if o.Peer != nil && o.Peer.Up {
		out = append(out, o.Peer.line("ip", "link", "set", "dev", o.Peer.Name, "up"))
	}
	return out
}

func (o *LinkAdd) queues() []string {
	if o.Queues == 0 {
		return nil
	}
	n := strconv.Itoa(o.Queues)
	return []string{"numtxqueues", n, "numrxqueues", n}
}

// netnsWord is how ip-link(8) wants a namespace named: by name or by pid.
func netnsWord(w Where) string {
	switch {
	case w.Name != "":
		return w.Name
	case w.Pid != 0:
		return strconv.Itoa(w.Pid)
	}
	return w.ID
}

func (o *LinkAdd) options() []string {
	l := &o.Link
	switch {
	case o.Peer != nil:
		a := []string{"peer", "name", o.Peer.Name}
		if o.Peer.MAC != "" {
			a = append(a, "address", o.Peer.MAC)
		}
		if o.Peer.ID != o.ID {
			a = append(a, "netns", netnsWord(o.Peer.Where))
		}
		return append(a, o.queues()...)
	case l.Macvlan != nil:
		return []string{"mode", l.Macvlan.Mode}
	case l.Ipvlan != nil:
		return []string{"mode", l.Ipvlan.Mode}
	case l.Vlan != nil:
		return []string{"id", strconv.Itoa(l.Vlan.ID)}
	case l.VRF != nil:
		return []string{"table", strconv.FormatUint(uint64(l.VRF.Table), 10)}
	case l.Vxlan != nil:
		return o.vxlanOptions()
	case l.Bridge != nil:
		var a []string
		if l.Bridge.STP {
			a = append(a, "stp_state", "1")
		}
		if l.Bridge.VlanFiltering {
			a = append(a, "vlan_filtering", "1")
		}
		return a
	}
	return nil
}

func (o *LinkAdd) vxlanOptions() []string {
	v := o.Link.Vxlan
	a := []string{"id", strconv.FormatUint(uint64(v.VNI), 10), "dstport", strconv.Itoa(int(v.Port))}
	if v.Local.IsValid() {
		a = append(a, "local", v.Local.String())
	}
	if v.Remote.IsValid() {
		word := "remote"
		if v.Remote.IsMulticast() {
			word = "group"
		}
		a = append(a, word, v.Remote.String())
	}
	if o.Lower != "" {
		a = append(a, "dev", o.Lower)
	}
	if !v.Learning {
		a = append(a, "nolearning")
	}
	return a
}

// nextIndex is an ifindex that is free.
func nextIndex(ns *snap.Netns) int {
	n := 0
	for _, l := range ns.Links {
		n = max(n, l.Index)
	}
	return n + 1
}

func (o *LinkAdd) On(s *snap.Snapshot) error {
	ns, err := o.find(s)
	if err != nil {
		return err
	}
	l := o.Link
	if l.Name == "" || len(l.Name) > 15 || ns.Link(l.Name) != nil {
		return fmt.Errorf("%s can't make %s in %s: the name is taken or unfit", o.Kind(), l.Name, o.ID)
	}
	fresh(&l, ns)
	if o.Lower != "" {
		w := o.Where
		if o.LowerIn != nil {
			w = *o.LowerIn
		}
		lns, lower, err := w.link(s, o.Lower)
		if err != nil {
			return err
		}
		l.Peer, l.PeerNetns = lower.Index, lns.ID
		if lns.ID != ns.ID {
			l.PeerNSID = nsid(ns, lns.ID)
		}
		if o.Link.MTU == 0 {
			l.MTU = lower.MTU
		}
	}
	if o.Peer != nil {
		if err := o.addPeer(s, ns, &l); err != nil {
			return err
		}
	}
	ns.Links = append(ns.Links, l)
	inherit(ns, l.Name)
	if l.Bridge != nil && l.Bridge.DefaultPVID != 0 { // br_vlan.c:br_vlan_init
		ns.Vlans = append(ns.Vlans, snap.BridgeVlan{Index: l.Index, VID: l.Bridge.DefaultPVID, PVID: true, Untagged: true})
	}
	if o.Master != "" {
		if err := (&LinkMaster{Where: o.Where, Name: l.Name, Master: o.Master}).On(s); err != nil {
			return err
		}
	}
	if o.Up {
		raise(s, ns, ns.Link(l.Name))
	}
	if o.Peer != nil && o.Peer.Up {
		pns, p, err := o.Peer.link(s, o.Peer.Name)
		if err != nil {
			return err
		}
		raise(s, pns, p)
	}
	return nil
}

// fresh fills what the kernel gives a new device.
func fresh(l *snap.Link, ns *snap.Netns) {
	if l.Index == 0 {
		l.Index = nextIndex(ns)
	}
	if l.MTU == 0 {
		l.MTU = 1500
	}
	l.Broadcast, l.OperState, l.PeerNSID, l.Up, l.LowerUp, l.Running = true, "down", -1, false, false, false
	if l.Kind == "bridge" && l.Bridge == nil {
		l.Bridge = &snap.Bridge{DefaultPVID: 1, VlanProtocol: "802.1Q", ForwardDelayMs: 15000, AgeingMs: 300000, McastSnooping: true}
	}
}

func (o *LinkAdd) addPeer(s *snap.Snapshot, ns *snap.Netns, l *snap.Link) error {
	pns, err := o.Peer.find(s)
	if err != nil {
		return err
	}
	if pns.Link(o.Peer.Name) != nil || pns.ID == ns.ID && o.Peer.Name == l.Name {
		return fmt.Errorf("%s in %s is there already", o.Peer.Name, pns.ID)
	}
	p := snap.Link{Name: o.Peer.Name, Kind: "veth", MAC: o.Peer.MAC, Index: o.Peer.Index, MTU: l.MTU}
	if p.Index == 0 && pns.ID == ns.ID {
		p.Index = l.Index + 1
	}
	fresh(&p, pns)
	p.Peer, p.PeerNetns, l.Peer, l.PeerNetns = l.Index, ns.ID, p.Index, pns.ID
	if pns.ID != ns.ID {
		p.PeerNSID, l.PeerNSID = nsid(pns, ns.ID), nsid(ns, pns.ID)
	}
	pns.Links = append(pns.Links, p)
	inherit(pns, p.Name)
	return nil
}

// inherit gives a new device the sysctls that "default" has, as far as they are
// known.
func inherit(ns *snap.Netns, name string) {
	was, own := ns.Sysctls, ns.OwnSysctls()
	for _, proto := range []string{"net/ipv4/conf/", "net/ipv6/conf/"} {
		for k, v := range was {
			if key, ok := strings.CutPrefix(k, proto+"default/"); ok {
				own[proto+name+"/"+key] = v
			}
		}
	}
}

// nsid is the number by which ns knows the namespace id; a new one is not
// written down, as it takes part in nothing.
func nsid(ns *snap.Netns, id string) int {
	for n, i := range ns.NSIDs {
		if i == id {
			return n
		}
	}
	return len(ns.NSIDs)
}

func (o *LinkAdd) Inverse(s *snap.Snapshot) (Op, error) {
	ns, err := o.find(s)
	if err != nil {
		return nil, err
	}
	if ns.Link(o.Link.Name) != nil {
		return nil, nil
	}
	return &LinkDel{Where: o.Where, Name: o.Link.Name}, nil
}

func (o *LinkAdd) Risk() Risk { return RiskLow }

func (o *LinkAdd) Object(s *snap.Snapshot) any {
	ns, err := o.find(s)
	if err != nil {
		return nil
	}
	if l := ns.Link(o.Link.Name); l != nil {
		return []any{l.Kind, l.Master}
	}
	return nil
}

func (o *LinkAdd) Holds(s *snap.Snapshot) bool {
	ns, err := o.find(s)
	if err != nil {
		return false
	}
	l := ns.Link(o.Link.Name)
	if l == nil || l.Kind != o.Link.Kind || o.Up && !l.Up {
		return false
	}
	br := ns.LinkAt(l.Master)
	return o.Master == "" || br != nil && br.Name == o.Master
}

// Places are that of the device, of its peer and of the one below it.
func (o *LinkAdd) Places() []Where {
	out := []Where{o.Where}
	if o.Peer != nil && o.Peer.ID != o.ID {
		out = append(out, o.Peer.Where)
	}
	if o.LowerIn != nil && o.LowerIn.ID != o.ID {
		out = append(out, *o.LowerIn)
	}
	return out
}
