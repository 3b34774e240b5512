package firewall

// StringMatch is xt_string_info (revision 1): Pattern occurs between From and
// To, counted from the start of the IP header.
type StringMatch struct {
	From, To           uint16
	Algo               string // "bm" or "kmp"
	Pattern            []byte
	Invert, IgnoreCase bool
}

func (d *blob) stringMatch() any {
	d.revs(1, 1)
	d.size(160)
	n := int(d.u8(148))
	f := d.u8(149)
	d.only(uint64(f), 3)
	if n > 128 {
		d.bad = true
		n = 0
	}
	return &StringMatch{
		From: d.u16(0), To: d.u16(2), Algo: d.str(4, 16), Pattern: d.b[20 : 20+n : 20+n], Invert: f&1 != 0, IgnoreCase: f&2 != 0,
	}
}

// U32Match is xt_u32: every test must hold.
type U32Match struct {
	Tests  []U32Test
	Invert bool
}

// U32Test computes a number and looks whether it is in one of the ranges
// (net/netfilter/xt_u32.c:u32_match_it). The first step's Op is not used: its
// Number is the offset that the first 4 bytes are read at.
type U32Test struct {
	Steps  []U32Step
	Ranges []U32Range
}

// U32Step is one operation: Op is "&", "<<", ">>" or "@".
type U32Step struct {
	Number uint32
	Op     string
}

// U32Range is Min to Max, both included.
type U32Range struct{ Min, Max uint32 }

// Sizes of struct xt_u32_test: 11 steps of 8 bytes, 11 ranges of 8, 2 counts.
const (
	u32Steps = 11
	u32Test  = 2*8*u32Steps + 4
)

func (d *blob) u32Match() any {
	d.revs(0, 0)
	d.size(u32Steps*u32Test + 4)
	m := &U32Match{Invert: d.flag(u32Steps*u32Test + 1)}
	n := int(d.u8(u32Steps * u32Test))
	if n > u32Steps {
		d.bad = true
		return m
	}
	for i := range n {
		off := i * u32Test
		nums, values := int(d.u8(off+16*u32Steps)), int(d.u8(off+16*u32Steps+1))
		if nums > u32Steps || values > u32Steps || nums == 0 {
			d.bad = true
			return m
		}
		var t U32Test
		for j := range nums {
			t.Steps = append(t.Steps, U32Step{d.u32(off + 8*j), d.one(uint32(d.u8(off+8*j+4)), "&", "<<", ">>", "@")})
		}
		for j := range values {
			t.Ranges = append(t.Ranges, U32Range{d.u32(off + 8*(u32Steps+j)), d.u32(off + 8*(u32Steps+j) + 4)})
		}
		m.Tests = append(m.Tests, t)
	}
	return m
}

// BPFMatch is xt_bpf_info and _v1: a classic BPF program over the packet from
// its IP header on, or a pinned eBPF program.
type BPFMatch struct {
	Program []BPFInstr
	Path    string // of a pinned program; "" with Program
	Opaque  bool   // given by a file descriptor: it can't be known
}

// BPFInstr is struct sock_filter.
type BPFInstr struct {
	Op     uint16
	Jt, Jf uint8
	K      uint32
}

func (d *blob) bpf() any {
	d.revs(0, 1)
	var n, code int
	if d.rev == 0 {
		d.size(4 + 512 + 8 + 4)
		n, code = int(d.u16(0)), 4
	} else {
		d.size(8 + 512 + 8)
		n, code = int(d.u16(2)), 8
		switch d.u16(0) {
		case 1:
			if p := d.str(8, 512); p != "" {
				return &BPFMatch{Path: p}
			}
			return &BPFMatch{Opaque: true}
		case 2:
			return &BPFMatch{Opaque: true}
		case 0:
		default:
			d.bad = true
		}
	}
	if n > 64 {
		d.bad = true
		return nil
	}
	m := &BPFMatch{}
	for i := range n {
		off := code + 8*i
		m.Program = append(m.Program, BPFInstr{d.u16(off), d.u8(off + 2), d.u8(off + 3), d.u32(off + 4)})
	}
	return m
}
