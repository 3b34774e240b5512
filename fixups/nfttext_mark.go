package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// mark reads a test of the packet's mark, "meta mark & MASK == VALUE" as well, and
// what sets it: "meta mark set VALUE", "meta mark set meta mark | VALUE"
// (nftables: src/netlink_linearize.c, netlink_gen_bitwise).
func (r *nftReader) mark() error {
	if r.peek("set") {
		return r.setMark("meta")
	}
	var mask uint32
	if r.peek("&") {
		m, err := markOf(r.word(), false)
		if err != nil {
			return err
		}
		mask = m.mark
	}
	not := r.not()
	m, err := markOf(r.word(), not)
	if err != nil {
		return err
	}
	r.meta("mark")
	if mask != 0 {
		r.mask(native.AppendUint32(nil, mask))
	}
	r.cmp(not, native.AppendUint32(nil, m.mark))
	return nil
}

// setMark reads what stands behind "set": a value, or the packet's mark with bits
// added. of is whose mark is set, "meta" or "ct".
func (r *nftReader) setMark(of string) error {
	or := false
	if r.peek("meta") {
		if or = r.peek("mark") && r.peek("|"); !or {
			return fmt.Errorf("nft %s mark set: %w", of, snap.ErrUnsupported)
		}
	}
	m, err := markOf(r.word(), false)
	if err != nil {
		return err
	}
	value := native.AppendUint32(nil, m.mark)
	if or {
		r.meta("mark")
		r.add(&snap.Bitwise{Sreg: 0, Sreg2: snap.NoReg, Dreg: 0, Len: 4, Op: "mask-xor", Mask: native.AppendUint32(nil, ^m.mark), Xor: value})
	} else {
		r.add(&snap.Immediate{Dreg: 0, Data: value})
	}
	if of == "ct" {
		r.add(&snap.Ct{Key: "mark", Dreg: snap.NoReg, Sreg: 0})
	} else {
		r.add(&snap.Meta{Key: "mark", Dreg: snap.NoReg, Sreg: 0})
	}
	return nil
}
