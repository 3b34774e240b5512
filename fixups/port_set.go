package fixups

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// PortSet changes settings of a bridge port; nil leaves one as it is.
type PortSet struct {
	Where         `json:"where"`
	Name          string  `json:"name"`
	State         *int    `json:"state,omitempty"` // snap.PortForwarding …
	Hairpin       *bool   `json:"hairpin,omitempty"`
	Isolated      *bool   `json:"isolated,omitempty"`
	Learning      *bool   `json:"learning,omitempty"`
	Flood         *bool   `json:"flood,omitempty"`
	McastFlood    *bool   `json:"mcastFlood,omitempty"`
	BcastFlood    *bool   `json:"bcastFlood,omitempty"`
	NeighSuppress *bool   `json:"neighSuppress,omitempty"`
	ProxyARP      *bool   `json:"proxyArp,omitempty"`
	Guard         *bool   `json:"guard,omitempty"`
	FastLeave     *bool   `json:"fastLeave,omitempty"`
	Locked        *bool   `json:"locked,omitempty"`
	Cost          *uint32 `json:"cost,omitempty"`
	Priority      *uint16 `json:"priority,omitempty"`
	// PVID is the VLAN of untagged frames, which also leave untagged; 0 takes
	// the one that is there away.
	PVID *int `json:"pvid,omitempty"`
}

func (*PortSet) Kind() string { return "port-set" }

// portFlag is one on-off setting: bridge(8)'s word, and where it is.
type portFlag struct {
	word string
	want *bool
	at   func(*snap.BridgePort) *bool
}

// flags lists the on-off settings. The words are bridge(8)'s; proxy ARP is not
// in its reach before iproute2 6.?, and `ip link set type bridge_slave` has it.
func (o *PortSet) flags() []portFlag {
	return []portFlag{
		{"hairpin", o.Hairpin, func(p *snap.BridgePort) *bool { return &p.Hairpin }},
		{"isolated", o.Isolated, func(p *snap.BridgePort) *bool { return &p.Isolated }},
		{"learning", o.Learning, func(p *snap.BridgePort) *bool { return &p.Learning }},
		{"flood", o.Flood, func(p *snap.BridgePort) *bool { return &p.Flood }},
		{"mcast_flood", o.McastFlood, func(p *snap.BridgePort) *bool { return &p.McastFlood }},
		{"bcast_flood", o.BcastFlood, func(p *snap.BridgePort) *bool { return &p.BcastFlood }},
		{"neigh_suppress", o.NeighSuppress, func(p *snap.BridgePort) *bool { return &p.NeighSuppr }},
		{"proxy_arp", o.ProxyARP, func(p *snap.BridgePort) *bool { return &p.ProxyARP }},
		{"guard", o.Guard, func(p *snap.BridgePort) *bool { return &p.Guard }},
		{"fastleave", o.FastLeave, func(p *snap.BridgePort) *bool { return &p.FastLeave }},
		{"locked", o.Locked, func(p *snap.BridgePort) *bool { return &p.Locked }},
	}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// settings are bridge(8)'s words for everything but the PVID.
func (o *PortSet) settings() []string {
	var out []string
	for _, f := range o.flags() {
		if f.want != nil {
			out = append(out, f.word, onOff(*f.want))
		}
	}
	if o.State != nil {
		out = append(out, "state", strconv.Itoa(*o.State))
	}
	if o.Cost != nil {
		out = append(out, "cost", strconv.FormatUint(uint64(*o.Cost), 10))
	}
	if o.Priority != nil {
		out = append(out, "priority", strconv.Itoa(int(*o.Priority)))
	}
	return out
}

func (o *PortSet) Describe() string {
	list := o.settings()
	if o.PVID != nil {
		list = append(list, "pvid", strconv.Itoa(*o.PVID))
	}
	return fmt.Sprintf("set bridge port %s to %s%s", o.Name, strings.Join(list, " "), o.in())
}

func (o *PortSet) Shell() []string {
	out := []string{}
	if list := o.settings(); len(list) > 0 {
		tool := []string{"bridge", "link", "set", "dev", o.Name}
		if o.ProxyARP != nil { // bridge(8) does not have it
			tool = []string{"ip", "link", "set", "dev", o.Name, "type", "bridge_slave"}
		}
		out = append(out, o.line(append(tool, list...)...))
	}
	if o.PVID != nil && *o.PVID != 0 {
		out = append(out, o.line("bridge", "vlan", "add", "dev", o.Name, "vid", strconv.Itoa(*o.PVID), "pvid", "untagged"))
	}
	if o.PVID != nil && *o.PVID == 0 {
		out = append(out, o.line("bridge", "vlan", "del", "dev", o.Name, "vid", "1"))
	}
	return out
}

func (o *PortSet) port(s *snap.Snapshot) (*snap.Netns, *snap.Link, error) {
	ns, l, err := o.link(s, o.Name)
	if err == nil && l.Port == nil {
		err = snap.NotFoundf("%s in %s is no bridge port", o.Name, o.ID)
	}
	return ns, l, err
}

func (o *PortSet) On(s *snap.Snapshot) error {
	ns, l, err := o.port(s)
	if err != nil {
		return err
	}
	p := *l.Port
	for _, f := range o.flags() {
		if f.want != nil {
			*f.at(&p) = *f.want
		}
	}
	if o.State != nil {
		p.State = *o.State
	}
	if o.Cost != nil {
		p.Cost = *o.Cost
	}
	if o.Priority != nil {
		p.Priority = *o.Priority
	}
	l.Port = &p
	if o.PVID != nil {
		setPVID(ns, l.Index, *o.PVID)
	}
	return nil
}

// pvid is a port's PVID, 0 for none.
func pvid(ns *snap.Netns, index int) int {
	for _, v := range ns.Vlans {
		if v.Index == index && v.PVID {
			return v.VID
		}
	}
	return 0
}

// setPVID makes vid the PVID; the old one is taken away.
func setPVID(ns *snap.Netns, index, vid int) {
	ns.Vlans = snap.Without(ns.Vlans, func(v snap.BridgeVlan) bool { return v.Index == index && (v.PVID || v.VID == vid) })
	if vid != 0 {
		ns.Vlans = append(ns.Vlans, snap.BridgeVlan{Index: index, VID: vid, PVID: true, Untagged: true})
	}
}

// portDiff is what makes port a into b, nil when they are equal.
func portDiff(w Where, name string, a, b *snap.BridgePort) Op {
	if a == nil || b == nil {
		return nil
	}
	o := &PortSet{Where: w, Name: name}
	diff := func(dst **bool, x, y bool) {
		if x != y {
			*dst = &y
		}
	}
	diff(&o.Hairpin, a.Hairpin, b.Hairpin)
	diff(&o.Isolated, a.Isolated, b.Isolated)
	diff(&o.Learning, a.Learning, b.Learning)
	diff(&o.Flood, a.Flood, b.Flood)
	diff(&o.McastFlood, a.McastFlood, b.McastFlood)
	diff(&o.BcastFlood, a.BcastFlood, b.BcastFlood)
	diff(&o.NeighSuppress, a.NeighSuppr, b.NeighSuppr)
	diff(&o.ProxyARP, a.ProxyARP, b.ProxyARP)
	diff(&o.Guard, a.Guard, b.Guard)
	diff(&o.FastLeave, a.FastLeave, b.FastLeave)
	diff(&o.Locked, a.Locked, b.Locked)
	if a.State != b.State {
		v := b.State
		o.State = &v
	}
	if a.Cost != b.Cost {
		v := b.Cost
		o.Cost = &v
	}
	if a.Priority != b.Priority {
		v := b.Priority
		o.Priority = &v
	}
	if len(o.settings()) == 0 {
		return nil
	}
	return o
}

func (o *PortSet) Inverse(s *snap.Snapshot) (Op, error) {
	ns, l, err := o.port(s)
	if err != nil {
		return nil, err
	}
	c := s.Clone()
	if err := o.On(c); err != nil {
		return nil, err
	}
	_, cl, err := o.port(c)
	if err != nil {
		return nil, err
	}
	back, _ := portDiff(o.Where, o.Name, cl.Port, l.Port).(*PortSet)
	if was := pvid(ns, l.Index); o.PVID != nil && was != *o.PVID {
		if back == nil {
			back = &PortSet{Where: o.Where, Name: o.Name}
		}
		back.PVID = &was
	}
	if back == nil {
		return nil, nil
	}
	return back, nil
}

func (o *PortSet) Risk() Risk { return RiskMedium }

func (o *PortSet) Holds(s *snap.Snapshot) bool {
	inv, err := o.Inverse(s)
	return err == nil && inv == nil
}

func (o *PortSet) Object(s *snap.Snapshot) any {
	ns, l, err := o.port(s)
	if err != nil {
		return nil
	}
	p := *l.Port
	p.No = 0
	return []any{l.Index, l.Master, p, pvid(ns, l.Index)}
}
