package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkSet sets a device up or down.
type LinkSet struct {
	Where `json:"where"`
	Name  string `json:"name"`
	Up    bool   `json:"up"`
}

func (*LinkSet) Kind() string { return "link-set" }

func (o *LinkSet) Describe() string {
	return fmt.Sprintf("set %s %s%s", o.Name, upDown(o.Up), o.in())
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func (o *LinkSet) Shell() []string {
	return []string{o.line("ip", "link", "set", "dev", o.Name, upDown(o.Up))}
}

func (o *LinkSet) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	if o.Up {
		raise(s, ns, l)
	} else {
		drop(s, ns, l)
	}
	return nil
}

// Inverse brings back the routes and addresses that the device loses, too.
func (o *LinkSet) Inverse(s *snap.Snapshot) (Op, error) {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return nil, err
	}
	if l.Up == o.Up {
		return nil, nil
	}
	return backWith(s, ns.ID, o, o.Where, &LinkSet{Where: o.Where, Name: o.Name, Up: l.Up})
}

// backWith adds to the operations that undo o whatever else o takes away.
func backWith(s *snap.Snapshot, id string, o Op, w Where, back ...Op) (Op, error) {
	c := s.Clone()
	if err := o.On(c); err != nil {
		return nil, err
	}
	for _, b := range back {
		if err := b.On(c); err != nil {
			return nil, err
		}
	}
	return seq(append(back, amends(w, s.Ns(id), c.Ns(id))...)...), nil
}

func (o *LinkSet) Risk() Risk {
	if o.Up {
		return RiskLow
	}
	return RiskHigh
}

func (o *LinkSet) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Kind, l.Up}
}

func (o *LinkSet) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Name)
	return err == nil && l.Up == o.Up
}
