package rules

import "github.com/netdoctor/netdoctor/inspect/snap"

// draw is a number in a register of which only the range is known: of numgen,
// and of hashes that can't be computed.
type draw struct {
	on       bool
	reg      int
	mod, off uint32
	swap     bool // in network byte order
	even     bool // every number is as likely as the others, and drawn anew for each packet
	what     string
}

// maxDraw bounds the numbers that are tried one by one.
const maxDraw = 4096

// value is one of the numbers as the register would hold it.
func (d *draw) value(i uint32) [4]byte {
	var b [4]byte
	put32(b[:], i+d.off)
	if d.swap {
		b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	}
	return b
}

// drawn puts such a number into a register.
func (m *machine) drawn(reg int, mod, off uint32, even bool, what string) ctl {
	if mod == 0 || reg < 0 || reg > 15 {
		return m.unknown(what)
	}
	if mod == 1 {
		m.store32(reg, off)
		return goOn
	}
	var k [4]byte
	if top := uint64(mod-1) + uint64(off); top <= uint64(^uint32(0)) {
		// Bits above the largest number are 0.
		mask := uint32(1)
		for mask-1 < uint32(top) && mask != 0 {
			mask <<= 1
		}
		put32(k[:], ^(mask - 1))
	}
	m.storeMasked(reg, make([]byte, 4), k[:], what)
	m.draw = draw{on: true, reg: reg, mod: mod, off: off, even: even, what: what}
	return goOn
}

// drawOf is the draw that n bytes at a register hold; nil when they don't.
func (m *machine) drawOf(reg, n int) *draw {
	if m.draw.on && m.draw.reg == reg && n == 4 && m.draw.mod <= maxDraw {
		return &m.draw
	}
	return nil
}

// chance refines an undecided condition on a drawn number by trying them all.
func (m *machine) chance(t truth, reg, n int, holds func([]byte) bool) truth {
	d := m.drawOf(reg, n)
	if d == nil {
		return t
	}
	hits := 0
	for i := range d.mod {
		b := d.value(i)
		if holds(b[:]) {
			hits++
		}
	}
	switch hits {
	case 0:
		return is(false)
	case int(d.mod):
		return is(true)
	}
	if d.even {
		t.chance, t.draw = float64(hits)/float64(d.mod), true
	}
	t.state = true
	return t
}

type numgenOp struct{ *snap.Numgen }

// exec draws a number (net/netfilter/nft_numgen.c); the counter of "inc" is
// not known, so that it is as good as random.
func (o numgenOp) exec(m *machine) ctl {
	return m.drawn(o.Dreg, o.Modulus, o.Offset, true, "numgen "+o.Mode)
}

type hashOp struct{ *snap.Hash }

// exec hashes registers as the kernel does (net/netfilter/nft_hash.c). A seed
// that was made up by the kernel is not told, and neither is symhash's.
func (o hashOp) exec(m *machine) ctl {
	if o.Type == "jhash" && o.HasSeed {
		if v, ok := m.loadKnown(o.Sreg, o.Len); ok {
			h := jhash(v, o.Seed)
			m.store32(o.Dreg, uint32(uint64(h)*uint64(o.Modulus)>>32)+o.Offset) // reciprocal_scale
			return goOn
		}
	}
	return m.drawn(o.Dreg, o.Modulus, o.Offset, false, o.Type)
}

// jhash is Bob Jenkins' lookup3 as in include/linux/jhash.h, read in little
// endian.
func jhash(key []byte, seed uint32) uint32 {
	rol := func(x uint32, n uint) uint32 { return x<<n | x>>(32-n) }
	a := 0xdeadbeef + uint32(len(key)) + seed
	b, c := a, a
	for len(key) > 12 {
		a += le32(key)
		b += le32(key[4:])
		c += le32(key[8:])
		a -= c
		a ^= rol(c, 4)
		c += b
		b -= a
		b ^= rol(a, 6)
		a += c
		c -= b
		c ^= rol(b, 8)
		b += a
		a -= c
		a ^= rol(c, 16)
		c += b
		b -= a
		b ^= rol(a, 19)
		a += c
		c -= b
		c ^= rol(b, 4)
		b += a
		key = key[12:]
	}
	if len(key) == 0 {
		return c
	}
	var rest [12]byte
	copy(rest[:], key)
	a += le32(rest[:])
	b += le32(rest[4:])
	c += le32(rest[8:])
	c ^= b
	c -= rol(b, 14)
	a ^= c
	a -= rol(c, 11)
	b ^= a
	b -= rol(a, 25)
	c ^= b
	c -= rol(b, 16)
	a ^= c
	a -= rol(c, 4)
	b ^= a
	b -= rol(a, 14)
	c ^= b
	c -= rol(b, 24)
	return c
}
