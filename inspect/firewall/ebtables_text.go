package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ebText writes a rule as ebtables-save does. ok is false when it holds what
// ebtables has no words for.
func ebText(w *line, t *snap.Table, c *snap.Chain, r *snap.Rule) (ok bool) {
	n := ebNative{w: w, table: t}
	var matches, watchers []saverOf
	target := "CONTINUE"
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *snap.EbEntry:
			n.entry = *e
		case *snap.Immediate:
			if e.Verdict == nil {
				return false
			}
			target = ebVerdictText(e.Verdict)
		case *snap.Limit:
			if e.Bytes || e.Over || e.Rate == 0 {
				return false
			}
			matches = append(matches, saverOf{native: &LimitMatch{Avg: uint32(e.Unit * limitScale / e.Rate), Burst: e.Burst}})
		case *snap.Xt:
			v, err := DecodeXt(e, false)
			s, ok := v.(ebSaver)
			switch {
			case err != nil || !ok:
				return false
			case e.Target && (e.Name == "log" || e.Name == "nflog"):
				watchers = append(watchers, saverOf{s, nil})
			case e.Target:
				l := &line{ns: w.ns}
				s.saveEb(l)
				target = e.Name + l.String()
			default:
				matches = append(matches, saverOf{s, nil})
			}
		default:
			if !n.take(e) {
				return false
			}
		}
	}
	if len(r.UserData) > 0 && r.UserData[0] == 1 { // NFTNL_UDATA_EBTABLES_POLICY
		return false
	}
	w.WriteString("-A " + c.Name)
	w.ebEntry(&n.entry)
	for _, m := range append(matches, watchers...) {
		if m.native != nil {
			ebLimit(w, m.native)
			continue
		}
		m.ebSaver.saveEb(w)
	}
	w.WriteString(n.among)
	w.add("-j %s", target)
	return true
}

// ebSaver writes options as ebtables does: "--name ! value".
type ebSaver interface{ saveEb(w *line) }

type saverOf struct {
	ebSaver
	native *LimitMatch
}

func ebLimit(w *line, m *LimitMatch) {
	text, _ := rateText(uint64(m.Avg), limitScale)
	w.add("--limit %s --limit-burst %d", text, m.Burst)
}

func (m *LimitMatch) saveEb(w *line) { ebLimit(w, m) }

func ebVerdictText(v *snap.Verdict) string {
	if v.Chain != "" {
		return v.Chain
	}
	return strings.ToUpper(v.Code)
}

// ebOpt writes " --name [!] value".
func (w *line) ebOpt(invert bool, name, value string) {
	w.add("%s", name)
	if invert {
		w.WriteString(" !")
	}
	w.add("%s", value)
}

// ebEntry writes the fixed part.
func (w *line) ebEntry(e *snap.EbEntry) {
	inv := func(s string) bool { return slices.Contains(e.Inv, s) }
	switch {
	case e.Is8023:
		w.ebOpt(inv("proto"), "-p", "LENGTH")
	case e.EtherType != 0:
		w.ebOpt(inv("proto"), "-p", ebProto(e.EtherType))
	}
	for _, o := range []struct{ name, what, value string }{
		{"-s", "src", ebMAC(e.SrcMAC, e.SrcMask)},
		{"-d", "dst", ebMAC(e.DstMAC, e.DstMask)},
		{"-i", "in", e.In},
		{"--logical-in", "logical-in", e.LogicalIn},
		{"-o", "out", e.Out},
		{"--logical-out", "logical-out", e.LogicalOut},
	} {
		if o.value != "" {
			w.ebOpt(inv(o.what), o.name, o.value)
		}
	}
}

// ebProto is an EtherType as /etc/ethertypes names it.
func ebProto(n uint16) string {
	switch n {
	case 0x0800:
		return "IPv4"
	case 0x0806:
		return "ARP"
	case 0x86dd:
		return "IPv6"
	case 0x8100:
		return "802_1Q"
	case 0x88a8:
		return "802_1ad"
	}
	return fmt.Sprintf("0x%04X", n)
}

// ebMAC writes an address with its mask; some have names.
func ebMAC(addr, mask string) string {
	switch addr + "/" + mask {
	case "/":
		return ""
	case "00:00:00:00:00:00/01:00:00:00:00:00":
		return "Unicast"
	case "01:00:00:00:00:00/01:00:00:00:00:00":
		return "Multicast"
	case "ff:ff:ff:ff:ff:ff/ff:ff:ff:ff:ff:ff":
		return "Broadcast"
	case "01:80:c2:00:00:00/ff:ff:ff:ff:ff:ff":
		return "BGA"
	}
	if mask == "ff:ff:ff:ff:ff:ff" {
		return addr
	}
	return addr + "/" + mask
}

// ebNative turns nf_tables' expressions of ebtables-nft back.
type ebNative struct {
	w     *line
	table *snap.Table
	entry snap.EbEntry
	load  snap.Expr
	mask  []byte
	loads []snap.Expr // since the last comparison
	among string
}

func (n *ebNative) take(e snap.Expr) bool {
	switch e := e.(type) {
	case *snap.Counter:
		return true
	case *snap.Meta:
		n.load, n.mask, n.loads = e, nil, append(n.loads, e)
		return e.Dreg != snap.NoReg
	case *snap.Payload:
		n.load, n.mask, n.loads = e, nil, append(n.loads, e)
		return e.Dreg != snap.NoReg
	case *snap.Bitwise:
		n.mask = e.Mask
		return e.Op == "mask-xor" && !hasBits(e.Xor)
	case *snap.Cmp:
		n.loads = nil
		return (e.Op == "==" || e.Op == "!=") && n.compare(e.Op == "!=", e.Data)
	case *snap.Lookup:
		return n.lookup(e)
	}
	return false
}

func (n *ebNative) inv(what string, invert bool) {
	if invert {
		n.entry.Inv = append(n.entry.Inv, what)
	}
}

func (n *ebNative) compare(invert bool, data []byte) bool {
	e := &n.entry
	switch l := n.load.(type) {
	case *snap.Meta:
		name := cstring(data)
		if len(name) == len(data) && len(data) < 16 {
			name += "+"
		}
		switch l.Key {
		case "iifname":
			e.In = name
			n.inv("in", invert)
		case "oifname":
			e.Out = name
			n.inv("out", invert)
		case "ibrname":
			e.LogicalIn = name
			n.inv("logical-in", invert)
		case "obrname":
			e.LogicalOut = name
			n.inv("logical-out", invert)
		case "protocol": // implied by among's IPv4 addresses
			return !invert && bytes.Equal(data, []byte{8, 0})
		default:
			return false
		}
		return true
	case *snap.Payload:
		if l.Base != "ll" {
			return false
		}
		addr, mask := make([]byte, 6), bytes.Repeat([]byte{0xff}, 6)
		copy(addr, data)
		if n.mask != nil {
			mask = append(slices.Clone(n.mask), make([]byte, 6)...)[:6]
		} else {
			clear(mask[min(len(data), 6):])
		}
		switch {
		case l.Offset == 0 && l.Len <= 6:
			e.DstMAC, e.DstMask = mac(addr), mac(mask)
			n.inv("dst", invert)
		case l.Offset == 6 && l.Len <= 6:
			e.SrcMAC, e.SrcMask = mac(addr), mac(mask)
			n.inv("src", invert)
		case l.Offset == 12 && l.Len == 2 && len(data) == 2:
			e.EtherType = binary.BigEndian.Uint16(data)
			n.inv("proto", invert)
		default:
			return false
		}
		return true
	}
	return false
}

// lookup: among is a set of addresses, by themselves or with IPv4 addresses.
func (n *ebNative) lookup(e *snap.Lookup) bool {
	loads := n.loads
	n.loads = nil
	s := n.table.Set(e.Set)
	if len(loads) == 0 || s == nil || e.Dreg != snap.NoReg {
		return false
	}
	l, ok := loads[0].(*snap.Payload)
	if !ok || l.Base != "ll" || l.Len != 6 || l.Offset != 0 && l.Offset != 6 {
		return false
	}
	var list []string
	members := slices.Clone(s.Elements)
	snap.Sort(members, func(a, b snap.Element) int { return bytes.Compare(a.Key, b.Key) })
	for _, m := range members {
		if len(m.Key) < 6 {
			return false
		}
		var parts []string
		for _, b := range m.Key[:6] {
			parts = append(parts, strconv.FormatUint(uint64(b), 16))
		}
		text := strings.Join(parts, ":")
		if len(m.Key) >= 12 && (m.KeyEnd == nil || bytes.Equal(m.Key[8:12], m.KeyEnd[8:12])) {
			text += "=" + kindOfType(typeIPAddr, 4).value(nil, m.Key[8:12])
		}
		list = append(list, text)
	}
	name := "--among-dst"
	if l.Offset == 6 {
		name = "--among-src"
	}
	if e.Invert {
		name += " !"
	}
	n.among += " " + name + " " + strings.Join(list, ",")
	return true
}
