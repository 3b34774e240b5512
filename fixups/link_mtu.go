package fixups

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// LinkMTU sets the MTU of a device.
type LinkMTU struct {
	Where `json:"where"`
	Name  string `json:"name"`
	MTU   int    `json:"mtu"` // bytes
}

func (*LinkMTU) Kind() string { return "link-mtu" }

func (o *LinkMTU) Describe() string {
	return fmt.Sprintf("set the MTU of %s to %d%s", o.Name, o.MTU, o.in())
}

func (o *LinkMTU) Shell() []string {
	return []string{o.line("ip", "link", "set", "dev", o.Name, "mtu", strconv.Itoa(o.MTU))}
}

func (o *LinkMTU) On(s *snap.Snapshot) error {
	ns, l, err := o.link(s, o.Name)
	if err != nil {
		return err
	}
	if o.MTU < 68 || o.MTU > 65535 {
		return fmt.Errorf("MTU %d of %s: %w", o.MTU, o.Name, snap.ErrLimit)
	}
	if below, p := peerOf(s, ns, l); below != nil && p != nil && l.Kind == "vlan" && o.MTU > p.MTU {
		return fmt.Errorf("MTU %d of %s is above that of %s: %w", o.MTU, o.Name, p.Name, snap.ErrLimit)
	}
	br := ns.LinkAt(l.Master)
	follows := br != nil && br.Bridge != nil && br.MTU == lowestPort(ns, br)
	setMTU(ns, l, o.MTU)
	if follows {
		setMTU(ns, br, lowestPort(ns, br))
	}
	return nil
}

func setMTU(ns *snap.Netns, l *snap.Link, mtu int) {
	l.MTU = mtu
	// IPv6's own follows (net/ipv6/addrconf.c: addrconf_notify, NETDEV_CHANGEMTU).
	if key := "net/ipv6/conf/" + l.Name + "/mtu"; ns.Sysctls[key] != "" {
		ns.OwnSysctls()[key] = strconv.Itoa(mtu)
	}
}

// lowestPort is the MTU that a bridge has unless somebody set one: the lowest of
// its ports' (net/bridge/br_if.c: br_mtu_auto_adjust). The kernel does not tell
// whether one was set; a bridge that has that of its lowest port is taken to follow
// it. 0: it has no port.
func lowestPort(ns *snap.Netns, br *snap.Link) int {
	low := 0
	for i := range ns.Links {
		if p := &ns.Links[i]; p.Master == br.Index && (low == 0 || p.MTU < low) {
			low = p.MTU
		}
	}
	return low
}

func (o *LinkMTU) Inverse(s *snap.Snapshot) (Op, error) {
	_, l, err := o.link(s, o.Name)
	if err != nil || l.MTU == o.MTU {
		return nil, err
	}
	return &LinkMTU{Where: o.Where, Name: o.Name, MTU: l.MTU}, nil
}

func (o *LinkMTU) Risk() Risk { return RiskMedium }

func (o *LinkMTU) Object(s *snap.Snapshot) any {
	_, l, err := o.link(s, o.Name)
	if err != nil {
		return nil
	}
	return []any{l.Index, l.Kind, l.MTU}
}

func (o *LinkMTU) Holds(s *snap.Snapshot) bool {
	_, l, err := o.link(s, o.Name)
	return err == nil && l.MTU == o.MTU
}
