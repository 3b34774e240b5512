package fixups

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// BridgeSet changes settings of a bridge; nil leaves one as it is.
type BridgeSet struct {
	Where           `json:"where"`
	Name            string `json:"name"`
	STP             *bool  `json:"stp,omitempty"`
	VlanFiltering   *bool  `json:"vlanFiltering,omitempty"`
	McastSnooping   *bool  `json:"mcastSnooping,omitempty"`
	NFCallIPTables  *bool  `json:"nfCallIptables,omitempty"`
	NFCallIP6Tables *bool  `json:"nfCallIp6tables,omitempty"`
	ForwardDelayMs  *int64 `json:"forwardDelayMs,omitempty"` // rounded to 10 ms by the kernel
	AgeingMs        *int64 `json:"ageingMs,omitempty"`
}

func (*BridgeSet) Kind() string { return "bridge-set" }

type bridgeFlag struct {
	word string
	want *bool
	at   func(*snap.Bridge) *bool
}

func (o *BridgeSet) flags() []bridgeFlag {
	return []bridgeFlag{
		{"stp_state", o.STP, func(b *snap.Bridge) *bool { return &b.STP }},
		{"vlan_filtering", o.VlanFiltering, func(b *snap.Bridge) *bool { return &b.VlanFiltering }},
		{"mcast_snooping", o.McastSnooping, func(b *snap.Bridge) *bool { return &b.McastSnooping }},
		{"nf_call_iptables", o.NFCallIPTables, func(b *snap.Bridge) *bool { return &b.NFCallIPTables }},
		{"nf_call_ip6tables", o.NFCallIP6Tables, func(b *snap.Bridge) *bool { return &b.NFCallIP6Tables }},
	}
}

// settings are ip-link(8)'s words; times are in hundredths of a second there.
func (o *BridgeSet) settings() []string {
	var out []string
	for _, f := range o.flags() {
		if f.want != nil {
			v := "0"
			if *f.want {
				v = "1"
			}
			out = append(out, f.word, v)
		}
	}
	if o.ForwardDelayMs != nil {
		out = append(out, "forward_delay", strconv.FormatInt(*o.ForwardDelayMs/10, 10))
	}
	if o.AgeingMs != nil {
		out = append(out, "ageing_time", strconv.FormatInt(*o.AgeingMs/10, 10))
	}
	return out
}

func (o *BridgeSet) Describe() string {
	return fmt.Sprintf("set bridge %s to %s%s", o.Name, strings.Join(o.settings(), " "), o.in())
}

func (o *BridgeSet) Shell() []string {
	return []string{o.line(append([]string{"ip", "link", "set", "dev", o.Name, "type", "bridge"}, o.settings()...)...)}
}

func (o *BridgeSet) bridge(s *snap.Snapshot) (*snap.Netns, *snap.Link, error) {
	ns, l, err := o.link(s, o.Name)
	if err == nil && l.Bridge == nil {
		err = snap.NotFoundf("%s in %s is no bridge", o.Name, o.ID)
	}
	return ns, l, err
}

// On lets ports that wait for STP forward when it goes off
// (net/bridge/br_stp_if.c:br_stp_stop).
func (o *BridgeSet) On(s *snap.Snapshot) error {
	ns, l, err := o.bridge(s)
	if err != nil {
		return err
	}
	b := *l.Bridge
	for _, f := range o.flags() {
		if f.want != nil {
			*f.at(&b) = *f.want
		}
	}
	if o.ForwardDelayMs != nil {
		b.ForwardDelayMs = *o.ForwardDelayMs
	}
	if o.AgeingMs != nil {
		b.AgeingMs = *o.AgeingMs
	}
	stopped := l.Bridge.STP && !b.STP
	l.Bridge = &b
	for i := range ns.Links {
		p := &ns.Links[i]
		if p.Master != l.Index || p.Port == nil || !stopped {
			continue
		}
		if st := p.Port.State; st == snap.PortListening || st == snap.PortLearning || st == snap.PortBlocking {
			port := *p.Port
			port.State = snap.PortForwarding
			p.Port = &port
		}
	}
	return nil
}

func (o *BridgeSet) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.bridge(s)
	if err != nil {
		return nil, err
	}
	back := &BridgeSet{Where: o.Where, Name: o.Name}
	for i, f := range o.flags() {
		was := *f.at(l.Bridge)
		if f.want == nil || *f.want == was {
			continue
		}
		*[]**bool{&back.STP, &back.VlanFiltering, &back.McastSnooping, &back.NFCallIPTables, &back.NFCallIP6Tables}[i] = &was
	}
	if d := l.Bridge.ForwardDelayMs; o.ForwardDelayMs != nil && *o.ForwardDelayMs != d {
		back.ForwardDelayMs = &d
	}
	if d := l.Bridge.AgeingMs; o.AgeingMs != nil && *o.AgeingMs != d {
		back.AgeingMs = &d
	}
	if len(back.settings()) == 0 {
		return nil, nil
	}
	return back, nil
}

func (o *BridgeSet) Risk() Risk { return RiskMedium }

func (o *BridgeSet) Object(s *snap.Snapshot) any {
	_, l, err := o.bridge(s)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Bridge}
}

func (o *BridgeSet) Holds(s *snap.Snapshot) bool {
	inv, err := o.Inverse(s)
	return err == nil && inv == nil
}
