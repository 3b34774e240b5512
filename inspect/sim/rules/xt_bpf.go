package rules

import fw "github.com/netdoctor/netdoctor/inspect/firewall"

// reg is a register of the classic BPF machine, with the bits that are known.
type reg struct{ v, k uint32 }

//go:noinline
func exactly(v uint32) reg { return reg{v, ^uint32(0)} }

//go:noinline
func (r reg) exact() bool { return r.k == ^uint32(0) }

// Opcodes of include/uapi/linux/bpf_common.h.
const (
	bpfClass = 0x07
	bpfLD    = 0x00
	bpfLDX   = 0x01
	bpfST    = 0x02
	bpfSTX   = 0x03
	bpfALU   = 0x04
	bpfJMP   = 0x05
	bpfRET   = 0x06
	bpfMISC  = 0x07
)

// bpf runs a classic BPF program over the packet from its network header on:
// it matches when the program returns anything but 0 (net/netfilter/xt_bpf.c).
// Jumps are forward only, so it ends.
func bpf(v *view, prog []fw.BPFInstr) truth {
	vague := unsure("bytes of the packet")
	var a, x reg
	var mem [16]reg
	a, x = exactly(0), exactly(0)
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		src := exactly(in.K)
		if in.Op&0x08 != 0 { // BPF_X
			src = x
		}
		switch in.Op & bpfClass {
		case bpfLD, bpfLDX:
			r, end, t := bpfLoad(v, in, x, &mem)
			if end {
				return t
			}
			if in.Op&bpfClass == bpfLD {
				a = r
			} else {
				x = r
			}
		case bpfST:
			mem[in.K%16] = a
		case bpfSTX:
			mem[in.K%16] = x
		case bpfALU:
			r, ok := bpfALUOp(in.Op&0xf0, a, src)
			if !ok {
				return is(false) // division by zero ends the program with 0
			}
			a = r
		case bpfJMP:
			if in.Op&0xf0 == 0 {
				pc += int(in.K)
				continue
			}
			t := bpfTest(in.Op&0xf0, a, src)
			switch t {
			case yes:
				pc += int(in.Jt)
			case no:
				pc += int(in.Jf)
			default:
				return vague
			}
		case bpfRET:
			r := exactly(in.K)
			if in.Op&0x18 == 0x10 { // BPF_A
				r = a
			}
			switch {
			case r.v != 0:
				return is(true)
			case r.exact():
				return is(false)
			}
			return vague
		case bpfMISC:
			if in.Op&0xf8 == 0x80 { // TXA
				a = x
			} else {
				x = a
			}
		}
	}
	return vague
}

// bpfLoad is a load into A or X; end says that the program ends with t.
func bpfLoad(v *view, in fw.BPFInstr, x reg, mem *[16]reg) (r reg, end bool, t truth) {
	n := 4
	switch in.Op & 0x18 {
	case 0x08:
		n = 2
	case 0x10:
		n = 1
	}
	off := in.K
	switch in.Op & 0xe0 {
	case 0x00: // IMM
		return exactly(in.K), false, t
	case 0x60: // MEM
		return mem[in.K%16], false, t
	case 0x80: // LEN
		if v.total == 0 {
			return reg{}, false, t
		}
		return exactly(uint32(v.total)), false, t
	case 0x40: // IND
		if !x.exact() {
			return reg{}, true, unsure("bytes of the packet")
		}
		off += x.v
	case 0xa0: // MSH: 4*([k]&0xf)
		n = 1
	}
	if int32(off) < 0 { // SKF_AD_OFF and others: not bytes of the packet
		return reg{}, false, t
	}
	val, known, inside, sure := v.word(off, n)
	switch {
	case !inside && sure:
		return reg{}, true, is(false)
	case !sure:
		return reg{}, true, unsure("whether the packet is long enough")
	}
	if in.Op&0xe0 == 0xa0 {
		val, known = val&0xf<<2, (known|^uint32(0xf))<<2|3
	}
	return reg{val & known, known}, false, t
}

// bpfALUOp computes with what is known; ok is false for a division by zero.
func bpfALUOp(op uint16, a, b reg) (r reg, ok bool) {
	switch op {
	case 0x50: // AND
		return reg{a.v & b.v, a.k&b.k | a.k&^a.v | b.k&^b.v}, true
	case 0x40: // OR
		return reg{a.v | b.v, a.k&b.k | a.v | b.v}, true
	case 0xa0: // XOR
		k := a.k & b.k
		return reg{(a.v ^ b.v) & k, k}, true
	}
	if !b.exact() {
		return reg{}, true
	}
	switch op {
	case 0x60: // LSH
		return reg{a.v << b.v, a.k<<b.v | (1<<b.v - 1)}, true
	case 0x70: // RSH
		return reg{a.v >> b.v, a.k>>b.v | ^(^uint32(0) >> b.v)}, true
	}
	if (op == 0x30 || op == 0x90) && b.v == 0 {
		return reg{}, false
	}
	if !a.exact() {
		return reg{}, true
	}
	switch op {
	case 0x00:
		return exactly(a.v + b.v), true
	case 0x10:
		return exactly(a.v - b.v), true
	case 0x20:
		return exactly(a.v * b.v), true
	case 0x30:
		return exactly(a.v / b.v), true
	case 0x90:
		return exactly(a.v % b.v), true
	case 0x80:
		return exactly(-a.v), true
	}
	return reg{}, true
}

// bpfTest is a conditional jump's condition.
func bpfTest(op uint16, a, b reg) is3 {
	if !b.exact() {
		return maybe
	}
	lo, hi := a.v, a.v|^a.k
	decide := func(holds, fails bool) is3 {
		switch {
		case holds:
			return yes
		case fails:
			return no
		}
		return maybe
	}
	switch op {
	case 0x10: // JEQ
		return decide(a.exact() && a.v == b.v, (a.v^b.v)&a.k != 0)
	case 0x20: // JGT
		return decide(lo > b.v, hi <= b.v)
	case 0x30: // JGE
		return decide(lo >= b.v, hi < b.v)
	case 0x40: // JSET
		return decide(a.v&b.v != 0, hi&b.v == 0)
	}
	return maybe
}
