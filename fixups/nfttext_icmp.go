package fixups

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

func (r *nftReader) icmp(w string) error {
	fam, n := snap.IPv4, uint8(1)
	name := "icmp"
	if w == "icmpv6" {
		fam, n, name = snap.IPv6, 58, "icmp6"
	}
	if r.fam == snap.Inet && r.net == "" { // nft orders it so
		if err := r.needs(fam); err != nil {
			return err
		}
	}
	r.needsProto(n)
	switch f := r.word(); f {
	case "type":
	case "id": // of an echo, whose type a test before this one tells
		not := r.not()
		n, err := strconv.ParseUint(r.word(), 10, 16)
		if err != nil {
			return fmt.Errorf("nft %s id: %w", w, snap.ErrUnsupported)
		}
		r.payload("th", 4, 2)
		r.cmp(not, binary.BigEndian.AppendUint16(nil, uint16(n)))
		return nil
	default:
		return fmt.Errorf("nft %s %s: %w", w, f, snap.ErrUnsupported)
	}
	not := r.not()
	x, err := icmpBlob(name, r.word(), false)
	if err != nil {
		return err
	}
	r.payload("th", 0, 1)
	r.cmp(not, x.Info[:1])
	return nil
}

// nftrace reads "set 1": the packet is told of from here on
// (nf_tables_core.c:nft_do_chain, nft_trace_init).
func (r *nftReader) nftrace() error {
	if !r.peek("set") || !r.peek("1") {
		return fmt.Errorf("nft meta nftrace: %w", snap.ErrUnsupported)
	}
	r.add(&snap.Immediate{Dreg: 0, Data: []byte{1}}, &snap.Meta{Key: "nftrace", Dreg: snap.NoReg, Sreg: 0})
	return nil
}
