package fixups

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ConntrackDelete forgets one connection, so that its next packet is looked at
// by NAT and filters as a first one.
type ConntrackDelete struct {
	Where
	Conn snap.Conn `json:"conn"`
}

func (*ConntrackDelete) Kind() string { return "conntrack-delete" }

func (o *ConntrackDelete) Describe() string {
	return fmt.Sprintf("forget connection %s → %s (protocol %d)%s", o.Conn.Orig.Src, o.Conn.Orig.Dst, o.Conn.Proto, o.in())
}

func (o *ConntrackDelete) Shell() []string {
	c := o.Conn
	args := []string{"conntrack", "-D"}
	if c.Family == snap.IPv6 {
		args = append(args, "-f", "ipv6")
	}
	args = append(args, "-p", protoName(c.Proto), "-s", c.Orig.Src.Addr().String(), "-d", c.Orig.Dst.Addr().String())
	if c.Proto == snap.IPProtoTCP || c.Proto == snap.IPProtoUDP || c.Proto == snap.IPProtoSCTP {
		args = append(args, "--sport", strconv.Itoa(int(c.Orig.Src.Port())), "--dport", strconv.Itoa(int(c.Orig.Dst.Port())))
	}
	if c.Zone != 0 {
		args = append(args, "--zone", strconv.Itoa(int(c.Zone)))
	}
	return []string{o.line(args...)}
}

func (o *ConntrackDelete) at(ns *snap.Netns) int {
	return slices.IndexFunc(ns.Conntrack, func(c snap.Conn) bool {
		return c.Family == o.Conn.Family && c.Proto == o.Conn.Proto && c.Orig == o.Conn.Orig && c.Zone == o.Conn.Zone
	})
}

func (o *ConntrackDelete) On(s *snap.Snapshot) error {
	ns, err := o.find(s)
	if err != nil {
		return err
	}
	i := o.at(ns)
	if i < 0 {
		return snap.NotFoundf("%s has no such connection", o.ID)
	}
	ns.Conntrack = slices.Delete(ns.Conntrack, i, i+1)
	return nil
}

// Inverse is nil: a connection is not configuration, and the next packet makes
// a new entry by the rules of then.
func (o *ConntrackDelete) Inverse(*snap.Snapshot) (Op, error) { return nil, nil }

func (o *ConntrackDelete) Risk() Risk { return RiskLow }

// Object is the pair of tuples.
func (o *ConntrackDelete) Object(s *snap.Snapshot) any {
	ns, err := o.find(s)
	if err != nil {
		return nil
	}
	if i := o.at(ns); i >= 0 {
		return []any{ns.Conntrack[i].Orig, ns.Conntrack[i].Reply}
	}
	return nil
}

func (o *ConntrackDelete) Holds(s *snap.Snapshot) bool {
	ns, err := o.find(s)
	return err == nil && o.at(ns) < 0
}

// protoName is what iptables(8) and conntrack(8) call a protocol.
func protoName(n uint8) string {
	for name, num := range protoNumbers() {
		if num == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

// protoNumbers are the names that people write; one name a number.
func protoNumbers() map[string]uint8 {
	return map[string]uint8{
		"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ospf": 89, "sctp": 132, "udplite": 136, "vrrp": 112,
	}
}
