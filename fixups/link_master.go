package fixups

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkMaster puts a device on a bridge, or takes it off.
type LinkMaster struct {
	Where  `json:"where"`
	Name   string `json:"name"`
	Master string `json:"master"` // name of the bridge; "" for none
}

func (*LinkMaster) Kind() string { return "link-master" }

func (o *LinkMaster) Describe() string {
	if o.Master == "" {
		return fmt.Sprintf("take %s off its bridge%s", o.Name, o.in())
	}
	return fmt.Sprintf("put %s on bridge %s%s", o.Name, o.Master, o.in())
}

func (o *LinkMaster) Shell() []string {
	if o.Master == "" {
		return []string{o.line("ip", "link", "set", "dev", o.Name, "nomaster")}
	}
	return []string{o.line("ip", "link", "set", "dev", o.Name, "master", o.Master)}
}

func (o *LinkMaster) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	var br *snap.Link
	if o.Master != "" {
		if br = ns.Link(o.Master); br == nil {
			return snap.NotFoundf("no device %s in %s", o.Master, o.ID)
		}
		if br.Index == l.Master {
			return nil
		}
		if l.Loopback || l.Bridge != nil || br.Bridge == nil {
			return fmt.Errorf("%s can't be a port of %s: %w", l.Name, br.Name, snap.ErrUnsupported)
		}
	}
	leave(s, ns, l)
	if br != nil {
		join(s, ns, l, br)
	}
	return nil
}

// leave takes a device off its master with all that the bridge knew of it.
func leave(s *snap.Snapshot, ns *snap.Netns, l *snap.Link) {
	old := ns.LinkAt(l.Master)
	if old != nil && ownMAC(ns, old) {
		defer takeMAC(ns, old)
	}
	l.Master, l.Port = 0, nil
	ns.FDB = snap.Without(ns.FDB, func(f snap.FDBEntry) bool { return f.Index == l.Index && f.Master != 0 })
	ns.Vlans = snap.Without(ns.Vlans, func(v snap.BridgeVlan) bool { return v.Index == l.Index })
	if old != nil {
		settle(s, ns, old, 0)
	}
}

// join makes a device a port with the settings that the kernel gives a new one
// (net/bridge/br_if.c:new_nbp).
func join(s *snap.Snapshot, ns *snap.Netns, l, br *snap.Link) {
	if ownMAC(ns, br) {
		defer takeMAC(ns, br)
	}
	l.Master = br.Index
	no := uint16(1)
	for {
		taken := slices.ContainsFunc(ns.Links, func(o snap.Link) bool { return o.Master == br.Index && o.Port != nil && o.Port.No == no })
		if !taken {
			break
		}
		no++
	}
	l.Port = &snap.BridgePort{Learning: true, Flood: true, McastFlood: true, BcastFlood: true, Priority: 32, Cost: 2, No: no}
	setPortState(ns, l)
	if br.Bridge.DefaultPVID != 0 && slices.ContainsFunc(ns.Vlans, func(v snap.BridgeVlan) bool { return v.Index == br.Index }) {
		ns.Vlans = append(ns.Vlans, snap.BridgeVlan{Index: l.Index, VID: br.Bridge.DefaultPVID, PVID: true, Untagged: true})
	}
	if br.Up {
		settle(s, ns, br, 0)
	}
}

// ownMAC says whether the bridge takes its MAC from its ports, as one does that
// nobody gave another. rtnetlink does not tell addr_assign_type: what tells is
// that the bridge has its ports' lowest MAC, or neither ports nor MAC.
func ownMAC(ns *snap.Netns, br *snap.Link) bool {
	low := lowestMAC(ns, br)
	return br.Bridge != nil && (br.MAC == low || low == "" && br.MAC == noMAC)
}

// takeMAC is net/bridge/br_stp_if.c:br_stp_recalculate_bridge_id.
func takeMAC(ns *snap.Netns, br *snap.Link) {
	if br.MAC = lowestMAC(ns, br); br.MAC == "" {
		br.MAC = noMAC
	}
}

const noMAC = "00:00:00:00:00:00"

// lowestMAC is the lowest MAC of a bridge's ports, "" without ports.
func lowestMAC(ns *snap.Netns, br *snap.Link) string {
	low := ""
	for i := range ns.Links {
		if l := &ns.Links[i]; l.Master == br.Index && l.Port != nil && (low == "" || l.MAC < low) {
			low = l.MAC
		}
	}
	return low
}

// Inverse gives the port the settings back that it had.
func (o *LinkMaster) Inverse(s *snap.Snapshot) (Op, error) {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return nil, err
	}
	was := ns.LinkAt(l.Master)
	switch {
	case was == nil && o.Master == "", was != nil && was.Name == o.Master:
		return nil, nil
	case was == nil:
		return &LinkMaster{Where: o.Where, Name: o.Name}, nil
	}
	back := []Op{&LinkMaster{Where: o.Where, Name: o.Name, Master: was.Name}}
	c := s.Clone()
	if err := seq(o, back[0]).On(c); err != nil {
		return nil, err
	}
	cns, cl, err := o.link(c, o.Name)
	if err != nil {
		return nil, err
	}
	if p := portDiff(o.Where, o.Name, cl.Port, l.Port); p != nil {
		back = append(back, p)
	}
	for _, f := range ns.FDB {
		if f.Index == l.Index && f.Master != 0 && !f.Local && (f.State == "permanent" || f.State == "static") {
			back = append(back, &FDBSet{Where: o.Where, Dev: l.Name, Entry: f})
		}
	}
	back = append(back, amends(o.Where, ns, cns)...)
	return seq(back...), nil
}

func (o *LinkMaster) Risk() Risk { return RiskMedium }

func (o *LinkMaster) Object(s *snap.Snapshot) any {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	m := ""
	if br := ns.LinkAt(l.Master); br != nil {
		m = br.Name
	}
	return []any{l.Index, l.Kind, m}
}

func (o *LinkMaster) Holds(s *snap.Snapshot) bool {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return false
	}
	if o.Master == "" {
		return l.Master == 0
	}
	br := ns.LinkAt(l.Master)
	return br != nil && br.Name == o.Master
}
