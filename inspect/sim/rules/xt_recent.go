package rules

import (
	"net/netip"
	"slices"

	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// recentSlackMs is by how much the time of a reading may be off: an age that is so
// near to the limit is on either side of it.
const recentSlackMs = 1000

// recent is net/netfilter/xt_recent.c:recent_mt, with the list as it was read and
// what rules before this one did to it for this very packet.
func recent(m *machine, v *fw.RecentMatch) truth {
	addr, ok := recentAddr(&m.pkt, v)
	if !ok {
		return unsure("the address that the list " + v.Name + " is asked for")
	}
	list := m.env.Recent(v.Name)
	if list == nil {
		if v.Set {
			return is(!v.Invert) // what is not there is added
		}
		return varies("the address is on the list " + v.Name).xor(v.Invert)
	}
	e := &snap.RecentEntry{}
	i := slices.IndexFunc(list.Entries, func(x snap.RecentEntry) bool { return x.Addr == addr })
	known := i >= 0
	if known {
		e = &list.Entries[i]
	}
	ages := e.AgesMs
	for _, t := range m.pkt.Recent {
		if t.List != v.Name || t.Addr != addr {
			continue
		}
		if known = !t.Removed; t.Removed {
			ages = nil
		} else {
			ages = append(slices.Clip(ages), 0)
		}
	}
	if known && v.TTL && e.TTL != 0 {
		return varies("a TTL of " + addr.String() + " as the list " + v.Name + " has it").xor(v.Invert)
	}
	switch {
	case v.Set:
		m.touch(v.Name, addr, false)
		return is(!v.Invert)
	case !known:
		return is(v.Invert)
	case v.Remove:
		m.touch(v.Name, addr, true)
		return is(!v.Invert)
	}
	t := stamped(ages, v)
	if t.is == maybe {
		t = varies(addr.String() + " came often enough for the list " + v.Name)
	}
	if t = t.xor(v.Invert); v.Update && t.is == yes {
		m.touch(v.Name, addr, false)
	}
	return t
}

// stamped counts the packets that are young enough.
func stamped(ages []int64, v *fw.RecentMatch) truth {
	need := max(int(v.HitCount), 1)
	sure, perhaps := 0, 0
	for _, a := range ages {
		limit := int64(v.Seconds) * 1000
		switch {
		case limit == 0 || a < limit-recentSlackMs:
			sure++
		case a <= limit+recentSlackMs:
			perhaps++
		}
	}
	switch {
	case sure >= need:
		return is(true)
	case sure+perhaps < need:
		return is(false)
	}
	return truth{is: maybe}
}

// touched says whether the packet did something to a list or set.
func (m *machine) touched(list string) bool {
	return slices.ContainsFunc(m.pkt.Recent, func(t RecentTouch) bool { return t.List == list })
}

// touch notes what the packet did to a list or set.
//
//go:noinline
func (m *machine) touch(list string, addr netip.Addr, removed bool) {
	m.pkt.Recent = append(slices.Clip(m.pkt.Recent), RecentTouch{list, addr, removed})
}

// recentAddr is the address that is looked for, under the mask.
func recentAddr(p *Packet, v *fw.RecentMatch) (netip.Addr, bool) {
	a := p.Src
	if v.Dst {
		a = p.Dst
	}
	if !a.IsValid() {
		return a, false
	}
	if !v.Mask.IsValid() {
		return a, true
	}
	b, mask := a.AsSlice(), v.Mask.AsSlice()
	for i := range b {
		if i < len(mask) {
			b[i] &= mask[i]
		}
	}
	return netip.AddrFromSlice(b)
}
