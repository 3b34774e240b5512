package rules

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"slices"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ctl is how an expression ends.
type ctl uint8

const (
	goOn  ctl = iota // NFT_CONTINUE: the next expression
	leave            // NFT_BREAK: the next rule
	judge            // a verdict is in machine.verdict
	end              // the machine has ended: machine.out says how
	split            // the ways on are in machine.alts
)

// op is one compiled expression.
type op interface{ exec(m *machine) ctl }

// opFunc is an op without data of its own.
type opFunc func(m *machine) ctl

func (f opFunc) exec(m *machine) ctl { return f(m) }

// alt is one way on from a split.
type alt struct {
	as  Assumption
	ctl ctl
	set func(*machine) // what this way writes; nil nothing
}

// frame is one chain on the way from the base chain.
type frame struct {
	c      *chain
	idx    int  // of the rule that runs, or that jumped from here
	byGoto bool // entered by a goto
}

// ending is how a machine leaves the chain; the fields are Branch's.
type ending struct {
	Verdict, RejectWith, Unknown string
	Why                          string
	NAT                          *NAT
	FwdTo                        int
	place                        *Place
}

// machine is one packet on one way through a base chain: nf_tables' registers
// (net/netfilter/nf_tables_core.c:nft_do_chain) and the packet as changed so far.
type machine struct {
	pkt  Packet
	env  Env
	base *BaseChain

	regs  [64]byte
	known [64]byte   // bits of regs that are known; the others are 0 in regs
	why   [16]string // why a register has unknown bits
	draw  draw

	frames []frame
	jumps  int // frames entered by a jump
	expr   int

	verdict snap.Verdict
	alts    []alt
	out     ending // set when it has ended

	path    []Step
	notrack bool
	tproxy  tproxyTo
	view    *view // header bytes, made when first needed; nil after a change
	room    *view // for the first of them; nil when it is used up
}

// top is the chain that runs.
func (m *machine) top() *frame { return &m.frames[len(m.frames)-1] }

// rule is the rule that runs.
//
//go:noinline
func (m *machine) rule() *rule {
	f := m.top()
	return &f.c.rules[f.idx]
}

// clone makes a second machine at the same place.
func (m *machine) clone() *machine {
	n := *m
	n.frames = slices.Clone(m.frames)
	n.path = slices.Clip(m.path)
	n.pkt.Assumed = slices.Clip(m.pkt.Assumed)
	n.pkt.Recent, m.pkt.Recent = slices.Clip(m.pkt.Recent), slices.Clip(m.pkt.Recent)
	n.alts, n.room = nil, nil
	m.path = slices.Clip(m.path)
	m.pkt.Assumed = slices.Clip(m.pkt.Assumed)
	return &n
}

// changed must be called when the packet's header fields have changed.
//
//go:noinline
func (m *machine) changed() { m.view = nil }

// assumed says what this way has taken a condition to be.
//
//go:noinline
func (m *machine) assumed(key string) (value, ok bool) {
	for i := range m.pkt.Assumed {
		if m.pkt.Assumed[i].Key == key {
			return m.pkt.Assumed[i].Value, true
		}
	}
	return false, false
}

// key identifies a condition of the running expression. The same rule asked
// about a changed packet, in another hook, is another condition.
func (m *machine) key() string {
	r := m.rule()
	h := fnv.New64a()
	p := &m.pkt
	_, _ = fmt.Fprint(h, p.Src, p.Dst, p.Sport, p.Dport, p.Proto, p.Mark, p.Iif, p.Oif, p.PhysIn, p.PhysOut, p.TTL, p.TOS, p.Len, p.TCPFlags,
		p.ICMPType, p.ICMPCode, p.CT.State, p.CT.Reply, p.CT.Mark, m.base.Chain.Hook)
	return fmt.Sprintf("%s/%s/%s/%s/%d/%d@%x", r.place.System, r.place.Family, r.place.Table, r.place.Chain, r.place.Num, m.expr, h.Sum64())
}

// where says in words which rule runs.
func (m *machine) where() string {
	r := m.rule()
	s := string(r.place.Family) + " " + r.place.Table + " " + r.place.Chain + " rule " + strconv.Itoa(r.place.Num)
	if r.place.Handle != 0 {
		s += " (handle " + strconv.FormatUint(r.place.Handle, 10) + ")"
	}
	return s
}

// ask decides a condition: it goes on when it holds, leaves the rule when it
// does not, and splits when it can't be told.
func (m *machine) ask(t truth) ctl {
	switch t.is {
	case yes:
		return goOn
	case no:
		return leave
	}
	key := m.key()
	if t.draw {
		key = m.fresh(key)
	} else if v, ok := m.assumed(key); ok {
		if v {
			return goOn
		}
		return leave
	}
	a := Assumption{Key: key, What: t.why + " in " + m.where(), Value: true, Chance: t.chance, StateDependent: t.state}
	b := a
	b.Value = false
	if t.chance > 0 {
		b.Chance = 1 - t.chance
	}
	m.alts = append(m.alts[:0], alt{as: a, ctl: goOn}, alt{as: b, ctl: leave})
	return split
}

// fresh makes a key for a condition that is drawn anew each time.
func (m *machine) fresh(key string) string {
	k := key
	for n := 2; ; n++ {
		if _, ok := m.assumed(k); !ok {
			return k
		}
		k = key + "#" + strconv.Itoa(n)
	}
}

// unknown ends the machine without a verdict.
func (m *machine) unknown(why string) ctl {
	m.out = ending{Verdict: "unknown", Unknown: why + " in " + m.where(), place: &m.rule().place}
	return end
}

// passed notes a rule that matched.
//
//go:noinline
func (m *machine) passed(p *Place) { m.path = append(m.path, Step{Place: p}) }

// finish ends the machine at the running rule.
//
//go:noinline
func (m *machine) finish(e ending) ctl {
	e.place = &m.rule().place
	m.passed(e.place)
	m.out = e
	return end
}

// load copies n bytes of registers, with their masks; ok is false when the
// register number makes no sense.
func (m *machine) load(reg, n int) (v, k []byte, ok bool) {
	o := reg * 4
	if reg < 0 || n < 0 || o+n > len(m.regs) {
		return nil, nil, false
	}
	return m.regs[o : o+n], m.known[o : o+n], true
}

// loadKnown gives n bytes of registers when all of them are known.
//
//go:noinline
func (m *machine) loadKnown(reg, n int) ([]byte, bool) {
	v, k, ok := m.load(reg, n)
	return v, ok && allKnown(k)
}

// whyReg says why one of the registers is unknown.
//
//go:noinline
func (m *machine) whyReg(reg, n int) string {
	if reg < 0 {
		return "an unknown register"
	}
	for i := reg; i < len(m.why) && i*4 < reg*4+n; i++ {
		if !allKnown(m.known[i*4:i*4+4]) && m.why[i] != "" {
			return m.why[i]
		}
	}
	return "a value that is not known"
}

// store writes known bytes; the rest of the last register becomes 0, as
// nft_data_copy and nft_reg_store8 do.
func (m *machine) store(reg int, v []byte) {
	m.storeMasked(reg, v, nil, "")
}

// storeMasked writes bytes of which the bits in k are known (nil: all).
//
//go:noinline
func (m *machine) storeMasked(reg int, v, k []byte, why string) {
	o := reg * 4
	if reg < 0 {
		return
	}
	full := (len(v) + 3) &^ 3
	for i := 0; i < full && o+i < len(m.regs); i++ {
		switch {
		case i >= len(v):
			m.regs[o+i], m.known[o+i] = 0, 0xff
		case k == nil:
			m.regs[o+i], m.known[o+i] = v[i], 0xff
		default:
			m.regs[o+i], m.known[o+i] = v[i]&k[i], k[i]
		}
		if i%4 == 0 && (o+i)/4 < len(m.why) {
			m.why[(o+i)/4] = why
		}
	}
	if m.draw.on && m.draw.reg < reg+(full+3)/4 && reg <= m.draw.reg {
		m.draw.on = false
	}
}

// forget makes n bytes of registers unknown.
func (m *machine) forget(reg, n int, why string) {
	var zero [64]byte
	if n <= 0 || n > len(zero) {
		n = len(zero)
	}
	m.storeMasked(reg, zero[:n], zero[:n], why)
}

// store32 writes a number in the host's byte order (taken to be little endian,
// as on every platform that this program is built for).
func (m *machine) store32(reg int, v uint32) {
	m.store(reg, []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)})
}

func (m *machine) store8(reg int, v uint8) { m.store(reg, []byte{v}) }

func (m *machine) storeBE16(reg int, v uint16) { m.store(reg, []byte{byte(v >> 8), byte(v)}) }

// load32 is a register as a number, with the bits that are not known.
func (m *machine) load32(reg int) (v, unknown uint32, ok bool) {
	b, k, ok := m.load(reg, 4)
	if !ok {
		return 0, ^uint32(0), false
	}
	return le32(b), ^le32(k), true
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

//go:noinline
func put32(b []byte, v uint32) {
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

func be32(b []byte) uint32 { return bits.ReverseBytes32(le32(b)) }

//go:noinline
func allKnown(k []byte) bool {
	for _, b := range k {
		if b != 0xff {
			return false
		}
	}
	return true
}
