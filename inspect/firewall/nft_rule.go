package firewall

import (
	"encoding/hex"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nftRule turns a rule's program back into nft's words: what the registers
// hold, which headers are known to be there, and which statements are implied
// by later ones and therefore not written (nftables: netlink_delinearize.c).
type nftRule struct {
	ns    *snap.Netns
	table *snap.Table
	regs  [16]*term
	stmts []statement
	// l2, l3 and l4 are the headers that the rule has tested for; "" unknown.
	l2, l3, l4 string
	icmp       int // the ICMP type tested for, plus one; 0 none
	// deps are, by base, the statements that a later use of that header makes
	// superfluous: index into stmts plus one.
	deps [baseInner + 1]int
	// depth is how many inline chains the rule is in.
	depth int
}

// statement is one statement of the text.
type statement struct {
	text string
	dead bool
	// rel is set for comparisons, to join ">= a" and "<= b".
	rel *relation
	// what it tests, for deps
	upper  string // meta key or "HEADER FIELD"
	base   int    // of the header it reads; baseNone for meta
	value  uint64
	header string
}

type relation struct {
	left  *term
	name  string
	op    string
	value string
	kind  kind
	data  []byte
}

// nftText writes a rule of a native table.
func nftText(ns *snap.Netns, t *snap.Table, r *snap.Rule) string {
	x := nftRule{ns: ns, table: t}
	return x.text(r)
}

func (x *nftRule) text(r *snap.Rule) string {
	switch x.table.Family {
	case snap.IPv4:
		x.l3 = "ip"
	case snap.IPv6:
		x.l3 = "ip6"
	case snap.ARP:
		x.l3 = "arp"
	case snap.BridgeFamily, snap.Netdev:
		x.l2 = "ether"
	}
	for _, e := range r.Exprs {
		x.expr(e)
	}
	var list []string
	for _, s := range x.stmts {
		if !s.dead && s.text != "" {
			list = append(list, s.text)
		}
	}
	if r.Comment != "" && r.UserData != nil {
		list = append(list, `comment "`+r.Comment+`"`)
	}
	return strings.Join(list, " ")
}

// say adds a statement that is no match: what was tested before stays.
func (x *nftRule) say(text string) {
	x.stmts = append(x.stmts, statement{text: text})
	x.deps = [baseInner + 1]int{}
}

// set puts a term into a register of that many bytes.
func (x *nftRule) set(reg, size int, t *term) {
	for i := reg; i < reg+(size+3)/4 && i < len(x.regs); i++ {
		if i >= 0 {
			x.regs[i] = nil
		}
	}
	if reg >= 0 && reg < len(x.regs) {
		x.regs[reg] = t
	}
}

// get is what a register holds; never nil.
func (x *nftRule) get(reg int) *term {
	if reg >= 0 && reg < len(x.regs) && x.regs[reg] != nil {
		return x.regs[reg]
	}
	return &term{text: "[register]", kind: kind{typeInteger, 4, false}}
}

// unknown is an expression that has no words here.
func unknown(name string, raw []byte) string {
	if len(raw) == 0 {
		return "[" + name + "]"
	}
	return "[" + name + " " + hex.EncodeToString(raw) + "]"
}

// expr handles one expression: loads, comparisons, look-ups, statements.
func (x *nftRule) expr(e snap.Expr) {
	if !x.load(e) && !x.match(e) && !x.act(e) && !x.hold(e) {
		x.say(unknown(e.Kind(), nil))
	}
}

// load handles expressions that fill a register.
func (x *nftRule) load(e snap.Expr) bool {
	var t *term
	var reg int
	switch e := e.(type) {
	case *snap.Immediate:
		if e.Verdict != nil {
			x.verdict(e.Verdict)
			return true
		}
		t, reg = &term{data: e.Data, kind: kind{typeInteger, len(e.Data), false}}, e.Dreg
	case *snap.Payload:
		if e.Dreg == snap.NoReg {
			return false
		}
		t, reg = &term{pay: e, kind: kind{typeInteger, e.Len, false}}, e.Dreg
	case *snap.Meta:
		if e.Dreg == snap.NoReg {
			return false
		}
		t, reg = metaTerm(e.Key), e.Dreg
	case *snap.Ct:
		if e.Dreg == snap.NoReg {
			return false
		}
		t, reg = ctTerm(e), e.Dreg
	case *snap.Fib:
		t, reg = fibTerm(e), e.Dreg
	case *snap.Rt:
		t, reg = rtTerm(e), e.Dreg
	case *snap.SocketExpr:
		t, reg = socketTerm(e), e.Dreg
	case *snap.Numgen:
		t, reg = numgenTerm(e), e.Dreg
	case *snap.Hash:
		t, reg = x.hashTerm(e), e.Dreg
	case *snap.Exthdr:
		if e.Dreg == snap.NoReg {
			return false
		}
		t, reg = exthdrTerm(e), e.Dreg
	case *snap.Bitwise:
		t, reg = x.bitwise(e), e.Dreg
	case *snap.Byteorder:
		c := *x.get(e.Sreg)
		c.kind.host = !c.kind.host
		t, reg = &c, e.Dreg
	default:
		return false
	}
	x.set(reg, t.kind.size, t)
	return true
}

// bitwise applies an operation to a register.
func (x *nftRule) bitwise(e *snap.Bitwise) *term {
	c := *x.get(e.Sreg)
	if e.Op == "mask-xor" && !c.masked() {
		c.mask, c.xor = e.Mask, nil
		if hasBits(e.Xor) {
			c.xor = e.Xor
		}
		return &c
	}
	var right string
	switch {
	case e.Op == "mask-xor":
		c.ops += maskOps(c.kind, e.Mask, e.Xor)
		return &c
	case e.Sreg2 != snap.NoReg:
		right, _ = x.name(x.get(e.Sreg2))
	case e.Op == "<<" || e.Op == ">>":
		right = number(e.Data, true).String()
	default:
		right = c.kind.value(x.ns, e.Data)
	}
	c.ops += " " + e.Op + " " + right
	return &c
}

// maskOps writes (x & mask) ^ xor with the fewest operators
// (nftables: netlink_parse_bitwise_mask_xor).
func maskOps(k kind, mask, xor []byte) string {
	m, y, o := make([]byte, len(mask)), make([]byte, len(mask)), make([]byte, len(mask))
	full := true
	for i := range mask {
		v := byte(0)
		if i < len(xor) {
			v = xor[i]
		}
		o[i] = v &^ mask[i] // bits that are set whatever they were
		y[i] = v & mask[i]  // bits that are flipped
		m[i] = mask[i] | o[i]
		full = full && m[i] == 0xff
	}
	s := ""
	if !full {
		s += " & " + k.hex(m)
	}
	if hasBits(y) {
		s += " ^ " + k.hex(y)
	}
	if hasBits(o) {
		s += " | " + k.hex(o)
	}
	return s
}

// hex writes a mask: marks with all their digits.
func (k kind) hex(b []byte) string {
	if k.typ == typeMark {
		return k.value(nil, b)
	}
	return "0x" + number(b, k.host).Text(16)
}

func (x *nftRule) hashTerm(e *snap.Hash) *term {
	text := "symhash"
	if e.Type == "jhash" {
		names, _ := x.names(e.Sreg, e.Len)
		text = "jhash " + names
	}
	text += " mod " + itoa(e.Modulus)
	if e.HasSeed {
		text += " seed 0x" + hexText(e.Seed)
	}
	if e.Offset != 0 {
		text += " offset " + itoa(e.Offset)
	}
	return &term{text: text, kind: kind{typeInteger, 4, true}}
}
