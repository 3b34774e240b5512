package fixups

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// fib reads "fib saddr|daddr type local": what sort of address the host's
// routing tables take it for (nftables: src/fib.c).
func (r *nftReader) fib() error {
	flag := r.word()
	if flag != "saddr" && flag != "daddr" || !r.peek("type") {
		return fmt.Errorf("nft fib %s: %w", flag, snap.ErrUnsupported)
	}
	not := r.not()
	n, ok := map[string]uint32{"unicast": 1, "local": 2, "broadcast": 3, "multicast": 5, "blackhole": 6, "unreachable": 7, "prohibit": 8}[r.word()]
	if !ok { // RTN_* of include/uapi/linux/rtnetlink.h
		return fmt.Errorf("nft fib type: %w", snap.ErrUnsupported)
	}
	r.add(&snap.Fib{Result: "type", Flags: []string{flag}, Dreg: 0})
	r.cmp(not, native.AppendUint32(nil, n))
	return nil
}

// natMap reads "numgen inc|random mod N map @NAME" behind "to": a target by
// turns (nftables: src/numgen.c).
func (r *nftReader) natMap(w string, fam snap.Family) error {
	mode := map[string]string{"inc": "inc", "random": "random"}[r.word()]
	if mode == "" || !r.peek("mod") {
		return fmt.Errorf("nft numgen: %w", snap.ErrUnsupported)
	}
	mod, err := strconv.ParseUint(r.word(), 10, 32)
	if err != nil || mod == 0 || !r.peek("map") {
		return fmt.Errorf("nft numgen: %w", snap.ErrUnsupported)
	}
	name, ok := strings.CutPrefix(r.word(), "@")
	if !ok {
		return fmt.Errorf("nft map without a name: %w", snap.ErrUnsupported)
	}
	r.add(
		&snap.Numgen{Mode: mode, Modulus: uint32(mod), Dreg: 0},
		&snap.Lookup{Set: name, Sreg: 0, Dreg: 0},
		&snap.Nat{Type: w, Family: fam, AddrMin: 0, AddrMax: snap.NoReg, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg},
	)
	return nil
}
