package fixups

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// lookup asks whether a named set, "@NAME", has what register 0 holds.
func (r *nftReader) lookup(not bool, name string) {
	r.add(&snap.Lookup{Set: name[1:], Sreg: 0, Dreg: snap.NoReg, Invert: not})
}

// ct tests state or status: any of several bits. The connection's mark is set only.
func (r *nftReader) ct() error {
	key := r.word()
	if key == "original" || key == "reply" {
		return r.ctPort(key, r.word())
	}
	if key == "mark" && r.peek("set") {
		return r.setMark("ct")
	}
	not := r.not()
	names := map[string]uint32{"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
	switch key {
	case "state":
	case "status": // enum ip_conntrack_status
		names = map[string]uint32{"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512}
	default:
		return fmt.Errorf("nft ct %s: %w", key, snap.ErrUnsupported)
	}
	var bits uint32
	for _, w := range strings.Split(r.word(), ",") {
		b, ok := names[strings.TrimSpace(w)]
		if !ok {
			return fmt.Errorf("nft ct %s %q: %w", key, w, snap.ErrUnsupported)
		}
		bits |= b
	}
	r.add(&snap.Ct{Key: key, Dreg: 0, Sreg: snap.NoReg})
	r.mask(native.AppendUint32(nil, bits))
	r.cmp(!not, make([]byte, 4))
	return nil
}

// ctPort tests a port of the connection as it was in one direction, before NAT.
func (r *nftReader) ctPort(dir, key string) error {
	if key != "proto-dst" && key != "proto-src" {
		return fmt.Errorf("nft ct %s %s: %w", dir, key, snap.ErrUnsupported)
	}
	not := r.not()
	n, err := strconv.ParseUint(r.word(), 10, 16)
	if err != nil {
		return fmt.Errorf("nft ct %s %s: %w (%w)", dir, key, err, snap.ErrUnsupported)
	}
	r.add(&snap.Ct{Key: key, Dir: dir, Dreg: 0, Sreg: snap.NoReg})
	r.cmp(not, binary.BigEndian.AppendUint16(nil, uint16(n)))
	return nil
}
