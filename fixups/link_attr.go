package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkAttr gives a device a word for one of ip-link(8)'s settings that hold it back:
// "protodown" (on, off), "mode" (default, dormant), "macvlan" (the mode of one).
type LinkAttr struct {
	Where `json:"where"`
	Name  string `json:"name"`
	Attr  string `json:"attr"`
	Value string `json:"value"`
}

func (*LinkAttr) Kind() string { return "link-attr" }

func (o *LinkAttr) Describe() string {
	return fmt.Sprintf("set %s of %s to %s%s", o.Attr, o.Name, o.Value, o.in())
}

func (o *LinkAttr) Shell() []string {
	if o.Attr == "macvlan" {
		return []string{o.line("ip", "link", "set", "dev", o.Name, "type", "macvlan", "mode", o.Value)}
	}
	out := []string{o.line("ip", "link", "set", "dev", o.Name, o.Attr, o.Value)}
	if o.Attr == "mode" { // the mode alone changes nothing before the carrier does
		out = append(out, o.line("ip", "link", "set", "dev", o.Name, "state", o.state()))
	}
	return out
}

// state is the operational state that goes with a link mode
// (net/core/rtnetlink.c: set_operstate).
func (o *LinkAttr) state() string {
	if o.Value == "dormant" {
		return "dormant"
	}
	return "up"
}

// value is what a device has now; "" when it is not of that kind.
func (o *LinkAttr) value(l *snap.Link) string {
	switch {
	case o.Attr == "protodown":
		return onOff(l.ProtoDown)
	case o.Attr == "mode" && l.Dormant:
		return "dormant"
	case o.Attr == "mode":
		return "default"
	case l.Macvlan != nil:
		return l.Macvlan.Mode
	}
	return ""
}

func (o *LinkAttr) On(s *snap.Snapshot) error {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	state := snap.PortDisabled
	switch o.Attr {
	case "macvlan":
		if l.Macvlan == nil {
			return snap.NotFoundf("%s in %s is no macvlan", o.Name, o.ID)
		}
		m := *l.Macvlan
		m.Mode = o.Value
		l.Macvlan = &m
		return nil
	case "protodown":
		l.ProtoDown = o.Value == "on"
		l.LowerUp, l.OperState = l.Up && !l.ProtoDown, upDown(l.Up && !l.ProtoDown)
	case "mode":
		l.Dormant, l.OperState = o.Value == "dormant", o.state()
	}
	if l.LowerUp && l.OperState == "up" {
		state = snap.PortForwarding
	}
	if l.Port != nil { // net/bridge/br_if.c: br_port_carrier_check
		p := *l.Port
		p.State = state
		l.Port = &p
	}
	return nil
}

func (o *LinkAttr) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.link(s, o.Name)
	if err != nil || o.value(l) == o.Value {
		return nil, err
	}
	return &LinkAttr{Where: o.Where, Name: o.Name, Attr: o.Attr, Value: o.value(l)}, nil
}

func (o *LinkAttr) Risk() Risk { return RiskLow }

func (o *LinkAttr) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Kind, o.value(l)}
}

func (o *LinkAttr) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Name)
	return err == nil && o.value(l) == o.Value
}
