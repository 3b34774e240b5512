package firewall

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// verdictText writes a verdict.
func verdictText(v *snap.Verdict) string {
	if v.Chain != "" {
		return v.Code + " " + v.Chain
	}
	return v.Code
}

func (x *nftRule) verdict(v *snap.Verdict) {
	if strings.HasPrefix(v.Chain, "__chain") { // written inline: NFT_CHAIN_BINDING
		if text, ok := x.inline(v.Chain); ok {
			x.say(v.Code + " " + text)
			return
		}
	}
	x.say(verdictText(v))
}

// maxInline bounds chains inside rules inside chains; nft's parser allows 16.
const maxInline = 16

// inline writes the rules of an anonymous chain in braces.
func (x *nftRule) inline(name string) (string, bool) {
	c := x.table.Chain(name)
	if c == nil || x.depth >= maxInline {
		return "", false
	}
	var list []string
	for i := range c.Rules {
		in := nftRule{ns: x.ns, table: x.table, depth: x.depth + 1}
		list = append(list, in.text(&c.Rules[i]))
	}
	return "{ " + strings.Join(list, "; ") + " }", true
}

// act handles statements that change or send the packet.
func (x *nftRule) act(e snap.Expr) bool {
	switch e := e.(type) {
	case *snap.Meta:
		t := metaTerm(e.Key)
		x.say(t.text + " set " + x.source(e.Sreg, t.kind))
	case *snap.Ct:
		t := ctTerm(&snap.Ct{Key: e.Key, Dir: e.Dir})
		x.say(t.text + " set " + x.source(e.Sreg, t.kind))
	case *snap.Payload:
		x.write(e)
	case *snap.Exthdr:
		t := exthdrTerm(e)
		if e.Sreg == snap.NoReg {
			x.implied(t.ext)
			name := strings.TrimPrefix(t.text, "tcp option ")
			name, _, _ = strings.Cut(name, " ")
			x.say("reset tcp option " + name)
			return true
		}
		name, k := x.name(t)
		x.say(name + " set " + x.source(e.Sreg, k))
	case *snap.Nat:
		x.nat(e)
	case *snap.Masq:
		x.say("masquerade" + x.ports(e.ProtoMin, e.ProtoMax, " to :") + flagsText(e.Flags))
	case *snap.Redir:
		x.say("redirect" + x.ports(e.ProtoMin, e.ProtoMax, " to :") + flagsText(e.Flags))
	case *snap.Tproxy:
		x.tproxy(e)
	case *snap.Reject:
		x.reject(e)
	case *snap.Queue:
		x.queue(e)
	case *snap.Dup:
		x.dup(e)
	case *snap.Fwd:
		x.fwd(e)
	case *snap.Notrack:
		x.say("notrack")
	case *snap.FlowOffload:
		x.say("flow add @" + e.Table)
	case *snap.Synproxy:
		x.say(synproxyText(e))
	default:
		return false
	}
	return true
}

// source writes what a register holds, as a value of that kind.
func (x *nftRule) source(reg int, k kind) string {
	t := x.get(reg)
	if t.data != nil {
		return k.value(x.ns, t.data)
	}
	name, _ := x.name(t)
	return name
}

// write is a payload statement. nft loads whole bytes, changes bits and writes
// them back where a field is not made of whole bytes.
func (x *nftRule) write(e *snap.Payload) {
	offset := e.Offset * 8
	h := x.headerFor(e.Base, offset)
	t := x.get(e.Sreg)
	if f := h.at(offset, e.Len*8, x.icmp); f != nil {
		x.use(h, f)
		x.say(h.name + " " + f.name + " set " + x.source(e.Sreg, kind{f.typ, e.Len, false}))
		return
	}
	if t.pay != nil && t.pay.Offset == e.Offset && t.pay.Len == e.Len && t.mask != nil && t.ops == "" {
		keep := make([]byte, len(t.mask)) // what the statement replaces
		for i, b := range t.mask {
			keep[i] = ^b
		}
		v := t.xor
		if v == nil {
			v = make([]byte, len(keep))
		}
		if f, shift := x.subfield(&term{pay: t.pay, mask: keep}); f != nil {
			x.use(h, f)
			k := kind{f.typ, (f.size + 7) / 8, false}
			x.say(h.name + " " + f.name + " set " + k.value(x.ns, shifted(v, shift)))
			return
		}
	}
	x.useRaw(e)
	x.say(rawPayload(e.Base, offset, e.Len*8) + " set " + x.source(e.Sreg, kind{typeBitmask, e.Len, false}))
}

// ports writes a port or a range of two registers; "" without.
func (x *nftRule) ports(from, to int, lead string) string {
	if from == snap.NoReg {
		return ""
	}
	k := kind{typeInetServ, 2, false}
	x.deps = [baseInner + 1]int{}
	text := lead + x.source(from, k)
	if to != snap.NoReg && to != from {
		text += "-" + x.source(to, k)
	}
	return text
}

// flagsText writes the flags of a mapping.
func flagsText(flags []string) string {
	s := ""
	for _, f := range []string{"random", "fully-random", "persistent"} {
		if slices.Contains(flags, f) {
			if s == "" {
				s = " "
			} else {
				s += ","
			}
			s += f
		}
	}
	return s
}

func (x *nftRule) nat(e *snap.Nat) {
	text := e.Type
	joined := e.AddrMin != snap.NoReg && x.get(e.AddrMin).joined && e.ProtoMin == e.AddrMin+1
	if (x.manyFamilies() || joined) && e.Family != "" && e.AddrMin != snap.NoReg {
		text += " " + e.Family.NFT()
	}
	netmap := slices.Contains(e.Flags, "netmap")
	if netmap {
		text += " prefix"
	}
	if e.AddrMin != snap.NoReg || e.ProtoMin != snap.NoReg {
		text += " to "
	}
	if e.AddrMin != snap.NoReg {
		t := x.get(e.AddrMin)
		text += x.addrs(e, t, netmap)
	}
	if !joined {
		text += x.ports(e.ProtoMin, e.ProtoMax, ":")
	}
	x.say(text + flagsText(e.Flags))
}

// addrs writes the new address of a nat statement, or a range.
func (x *nftRule) addrs(e *snap.Nat, t *term, netmap bool) string {
	k := kind{typeIPAddr, 4, false}
	if e.Family == snap.IPv6 {
		k = kind{typeIP6Addr, 16, false}
	}
	if t.data == nil {
		name, _ := x.name(t)
		return name
	}
	last := t.data
	if e.AddrMax != snap.NoReg && e.AddrMax != e.AddrMin {
		if m := x.get(e.AddrMax); m.data != nil {
			last = m.data
		}
	}
	text := k.value(x.ns, t.data)
	switch n, ok := prefixOf(t.data, last); {
	case slices.Equal(t.data, last):
		if k.typ == typeIP6Addr && e.ProtoMin != snap.NoReg {
			return "[" + text + "]"
		}
		return text
	case ok && netmap:
		return text + "/" + itoa(n)
	}
	if k.typ == typeIP6Addr && e.ProtoMin != snap.NoReg {
		return "[" + text + "]-[" + k.value(x.ns, last) + "]"
	}
	return text + "-" + k.value(x.ns, last)
}

func (x *nftRule) tproxy(e *snap.Tproxy) {
	text := "tproxy"
	k := kind{typeIPAddr, 4, false}
	if e.Family == snap.IPv6 || x.table.Family == snap.IPv6 {
		k = kind{typeIP6Addr, 16, false}
	}
	if x.manyFamilies() && e.Family != "" {
		text += " " + e.Family.NFT()
	}
	text += " to"
	if e.Addr != snap.NoReg {
		a := x.source(e.Addr, k)
		if k.typ == typeIP6Addr && x.get(e.Addr).data != nil {
			a = "[" + a + "]"
		}
		text += " " + a
	}
	if e.Port != snap.NoReg {
		if e.Addr == snap.NoReg {
			text += " "
		}
		text += ":" + x.source(e.Port, kind{typeInetServ, 2, false})
	}
	x.say(text)
}

func (x *nftRule) reject(e *snap.Reject) {
	text := "reject"
	typ, word, plain := uint32(typeICMPXCode), "icmpx", uint8(1)
	if e.Type == "icmp" {
		typ, word, plain = typeICMPCode, "icmp", 3
		if x.table.Family == snap.IPv6 || x.l3 == "ip6" {
			typ, word, plain = typeICMP6Code, "icmpv6", 4
		}
		if x.manyFamilies() {
			plain = 255 // nft always writes it in full
		}
	}
	if e.Type == "tcp-reset" {
		text += " with tcp reset"
		if !x.manyFamilies() {
			x.implied(baseTH)
		}
	} else if e.Code != plain {
		text += " with " + word + " " + kindOfType(typ, 1).value(nil, []byte{e.Code})
	}
	if x.manyFamilies() && e.Type != "icmpx" {
		x.implied(baseNH)
	}
	x.say(text)
}

func (x *nftRule) queue(e *snap.Queue) {
	var flags []string
	if e.Bypass {
		flags = append(flags, "bypass")
	}
	if e.Fanout {
		flags = append(flags, "fanout")
	}
	text := "queue"
	if flags != nil {
		text += " flags " + strings.Join(flags, ",")
	}
	text += " to "
	switch {
	case e.Sreg != snap.NoReg:
		text += x.source(e.Sreg, kind{typeInteger, 2, true})
	case e.Total > 1:
		text += fmt.Sprintf("%d-%d", e.Num, e.Num+e.Total-1)
	default:
		text += itoa(e.Num)
	}
	x.say(text)
}

func (x *nftRule) dup(e *snap.Dup) {
	text := "dup to"
	if e.Addr != snap.NoReg {
		k := kind{typeIPAddr, 4, false}
		if x.table.Family == snap.IPv6 {
			k = kind{typeIP6Addr, 16, false}
		}
		text += " " + x.source(e.Addr, k)
	}
	if e.Dev != snap.NoReg {
		if e.Addr != snap.NoReg {
			text += " device"
		}
		text += " " + x.source(e.Dev, kind{typeIfindex, 4, true})
	}
	x.say(text)
}

func (x *nftRule) fwd(e *snap.Fwd) {
	dev := x.source(e.Dev, kind{typeIfindex, 4, true})
	if e.Addr == snap.NoReg {
		x.say("fwd to " + dev)
		return
	}
	k := kind{typeIPAddr, 4, false}
	if e.Family == snap.IPv6 {
		k = kind{typeIP6Addr, 16, false}
	}
	x.say("fwd " + e.Family.NFT() + " to " + x.source(e.Addr, k) + " device " + dev)
}

// synproxyText: NF_SYNPROXY_OPT_* are mss 1, wscale 2, sack-perm 4, timestamp 8.
func synproxyText(e *snap.Synproxy) string {
	text := "synproxy"
	if e.Flags&1 != 0 {
		text += " mss " + itoa(e.MSS)
	}
	if e.Flags&2 != 0 {
		text += " wscale " + itoa(e.WScale)
	}
	if e.Flags&8 != 0 {
		text += " timestamp"
	}
	if e.Flags&4 != 0 {
		text += " sack-perm"
	}
	return text
}
