package rules

import (
	"net/netip"
	"strconv"
	"strings"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxListDepth bounds list:set members that are lists: ipset allows none.
const maxListDepth = 4

// ipsetName names an ipset among the lists that a packet touched.
func ipsetName(index int) string { return "ipset " + strconv.Itoa(index) }

// setMatch compiles the match on an ipset (net/netfilter/xt_set.c).
func (t *table) setMatch(v *fw.SetMatch) op {
	filled := t.filled[v.Index]
	return matchFunc(func(m *machine) truth {
		s := m.env.IPSetAt(v.Index)
		if s == nil {
			return unsure("ipset " + strconv.Itoa(v.Index) + ", which was not read").xor(v.Invert)
		}
		hit := m.inIPSet(s, v, 0)
		if filled && (hit.is == no || hit.is == yes && m.touched(ipsetName(v.Index))) {
			read := "not in it"
			if hit.is == yes {
				read = "in it"
			}
			hit = varies("the packet is in ipset " + s.Name + ", which rules fill (" + read + " when it was read)")
		}
		if hit.is != no && (v.Packets.Op != "" || v.Bytes.Op != "") {
			hit = hit.and(varies("the counters in ipset " + s.Name))
		}
		return hit.xor(v.Invert)
	})
}

// inIPSet is ip_set_test (net/netfilter/ipset/ip_set_core.c).
func (m *machine) inIPSet(s *snap.IPSet, v *fw.SetMatch, depth int) truth {
	_, dims, ok := strings.Cut(s.Type, ":")
	if !ok || depth > maxListDepth {
		return unsure("ipset " + s.Name + " of type " + s.Type)
	}
	if s.Family != "" && s.Family != m.pkt.Family {
		return is(false)
	}
	parts := strings.Split(dims, ",")
	if len(v.Dirs) < len(parts) {
		return is(false)
	}
	miss := is(false)
	if s.Truncated {
		miss = unsure("ipset " + s.Name + ", of which only a part was read")
	}
	if s.Type == "list:set" {
		for i := range s.Entries {
			member := m.env.IPSet(s.Entries[i].Set)
			if member == nil {
				miss = miss.or(unsure("ipset " + s.Entries[i].Set + ", which was not read"))
				continue
			}
			t := m.inIPSet(member, v, depth+1)
			if t.is == yes {
				return t
			}
			miss = miss.or(t)
		}
		return miss
	}
	key, why := m.setKey(s, parts, v.Dirs)
	switch {
	case why != "":
		return unsure(why)
	case key == nil:
		return is(false)
	}
	// The most specific network decides (ip_set_hash_gen.h:mtype_test_cidrs).
	var best *snap.IPSetEntry
	for i := range s.Entries {
		if e := &s.Entries[i]; key.matches(e, parts) && (best == nil || narrower(e, best)) {
			best = e
		}
	}
	switch {
	case best == nil:
		return miss
	case miss.is != no && strings.Contains(dims, "net"):
		return miss // a narrower one may not have been read
	}
	return is(best.NoMatch == v.ReturnNoMatch)
}

// narrower says whether a is looked up before b.
func narrower(a, b *snap.IPSetEntry) bool {
	if x, y := a.IP.Bits(), b.IP.Bits(); x != y {
		return x > y
	}
	return a.IP2.Bits() > b.IP2.Bits()
}

// setKey is what a packet looks up in a set.
type setKey struct {
	ip, ip2 netip.Addr
	proto   uint8
	port    uint16
	mark    uint32
	mac     string
	iface   string
	physdev string // the bridge port
}

// setKey builds the key; nil when the packet has none (no ports in a
// fragment), why says what is not known of it.
func (m *machine) setKey(s *snap.IPSet, parts, dirs []string) (k *setKey, why string) {
	p := &m.pkt
	k = &setKey{}
	for i, part := range parts {
		src := dirs[i] == "src"
		switch part {
		case "ip", "net":
			a := p.Dst
			if src {
				a = p.Src
			}
			if part == "ip" && s.Netmask > 0 {
				if cut, err := a.Prefix(int(s.Netmask)); err == nil {
					a = cut.Addr()
				}
			}
			if k.ip.IsValid() {
				k.ip2 = a
			} else {
				k.ip = a
			}
		case "port":
			var ok bool
			if k.port, ok = setPort(p, src); !ok {
				return nil, ""
			}
			k.proto = p.Proto
			if s.Type == "bitmap:port" {
				if !p.hasPorts() {
					return nil, ""
				}
				k.proto = 0
			}
		case "mark":
			mask := s.MarkMask
			if mask == 0 {
				mask = ^uint32(0)
			}
			if p.MarkUnknown&mask != 0 {
				return nil, "the packet's mark"
			}
			k.mark = p.Mark & mask
		case "mac":
			k.mac = p.DstMAC
			if src {
				k.mac = p.SrcMAC
			}
			if _, known := parseMAC(k.mac); !known {
				if p.Local != nil {
					return nil, ""
				}
				return nil, "a hardware address that is not known"
			}
		case "iface":
			dev, port := p.Oif, p.PhysOut
			if src {
				dev, port = p.Iif, p.PhysIn
			}
			if dev == 0 {
				return nil, ""
			}
			l := m.env.Link(dev)
			if l == nil {
				return nil, "a device that was not read"
			}
			k.iface = l.Name
			if l := m.env.Link(port); port != 0 && l != nil {
				k.physdev = l.Name
			}
		default:
			return nil, "ipset type " + s.Type
		}
	}
	return k, ""
}

// setPort is net/netfilter/ipset/ip_set_getport.c: for ICMP type and code, for
// protocols without ports 0, and none for a later fragment.
func setPort(p *Packet, src bool) (uint16, bool) {
	switch {
	case p.Frag:
		return 0, false
	case p.hasPorts() && src:
		return p.Sport, true
	case p.hasPorts():
		return p.Dport, true
	case snap.IsICMP(p.Proto):
		return uint16(p.ICMPType)<<8 | uint16(p.ICMPCode), true
	}
	return 0, true
}

// matches says whether an entry holds the key.
func (k *setKey) matches(e *snap.IPSetEntry, parts []string) bool {
	addrs := 0
	for _, part := range parts {
		switch part {
		case "ip", "net":
			addrs++
			switch {
			case addrs == 2:
				if !e.IP2.Contains(k.ip2) {
					return false
				}
			case e.IPTo.IsValid():
				if !between(k.ip, e.IP.Addr(), e.IPTo) {
					return false
				}
			case !e.IP.Contains(k.ip):
				return false
			}
		case "port":
			if e.Proto != k.proto && e.Proto != 0 && k.proto != 0 || k.port < e.Port || k.port > max(e.Port, e.PortTo) {
				return false
			}
		case "mark":
			if e.Mark != k.mark {
				return false
			}
		case "mac":
			if e.MAC != k.mac && e.MAC != "" {
				return false
			}
		case "iface":
			have := k.iface
			if e.PhysDev {
				have = k.physdev
			}
			if have != e.Iface && !(e.Wildcard && strings.HasPrefix(have, e.Iface)) {
				return false
			}
		}
	}
	return true
}
