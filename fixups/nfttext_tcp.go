package fixups

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// tcpMaxseg is the kind of the option that says the largest segment (RFC 9293, section 3.2).
const tcpMaxseg = 2

// tcp reads "tcp flags syn", which holds for what answers a connection, too, and "tcp
// option maxseg size set rt mtu", which writes what fits the packet's route
// (nftables: src/netlink_linearize.c, netlink_gen_exthdr_stmt).
func (r *nftReader) tcp(field string) error {
	const flags, syn = 13, 2 // the byte of the flags in the header
	if field == "flags" {
		if !r.peek("syn") {
			return fmt.Errorf("nft tcp flags: %w", snap.ErrUnsupported)
		}
		r.payload("th", flags, 1)
		r.mask([]byte{syn})
		r.cmp(true, []byte{0})
		return nil
	}
	for _, w := range []string{"maxseg", "size", "set", "rt", "mtu"} {
		if !r.peek(w) {
			return fmt.Errorf("nft tcp option without %q: %w", w, snap.ErrUnsupported)
		}
	}
	r.add(&snap.Rt{Key: "tcpmss", Dreg: 0})
	r.add(&snap.Byteorder{Sreg: 0, Dreg: 0, Op: "hton", Len: 2, Size: 2})
	r.add(&snap.Exthdr{Op: "tcpopt", Type: tcpMaxseg, Offset: 2, Len: 2, Dreg: snap.NoReg, Sreg: 0})
	return nil
}
