package fixups

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkMAC sets the hardware address of a device.
type LinkMAC struct {
	Where `json:"where"`
	Name  string `json:"name"`
	MAC   string `json:"mac"` // "02:42:ac:1e:01:0b"
}

func (*LinkMAC) Kind() string { return "link-mac" }

func (o *LinkMAC) Describe() string {
	return fmt.Sprintf("set the MAC of %s to %s%s", o.Name, o.MAC, o.in())
}

func (o *LinkMAC) Shell() []string {
	return []string{o.line("ip", "link", "set", "dev", o.Name, "address", o.MAC)}
}

func (o *LinkMAC) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	if !ethernet(o.MAC) {
		return fmt.Errorf("MAC %q of %s: %w", o.MAC, o.Name, snap.ErrUnsupported)
	}
	was := l.MAC
	l.MAC = strings.ToLower(o.MAC)
	for i := range ns.FDB { // net/bridge/br_fdb.c: br_fdb_changeaddr, br_fdb_change_mac_address
		if e := &ns.FDB[i]; e.Index == l.Index && e.Local && e.MAC == was {
			e.MAC = l.MAC
		}
	}
	return nil
}

// ethernet says whether a text is a hardware address of six bytes with colons.
// Package net would tell, too, and this one touches none.
func ethernet(mac string) bool {
	n := 0
	for b := range strings.SplitSeq(mac, ":") {
		if _, err := strconv.ParseUint(b, 16, 8); err != nil || len(b) != 2 {
			return false
		}
		n++
	}
	return n == 6
}

func (o *LinkMAC) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.link(s, o.Name)
	if err != nil || strings.EqualFold(l.MAC, o.MAC) {
		return nil, err
	}
	return &LinkMAC{Where: o.Where, Name: o.Name, MAC: l.MAC}, nil
}

func (o *LinkMAC) Risk() Risk { return RiskMedium }

func (o *LinkMAC) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Kind, l.MAC}
}

func (o *LinkMAC) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Name)
	return err == nil && strings.EqualFold(l.MAC, o.MAC)
}
