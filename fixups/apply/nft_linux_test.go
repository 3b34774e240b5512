package apply

import (
	"encoding/binary"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestCompatIsToldFromTheRule: a rule with an xt extension is taken by the kernel
// again only with the protocol that it was made with.
func TestCompatIsToldFromTheRule(t *testing.T) {
	t.Parallel()
	xt := &snap.Xt{Name: "arp"}
	for name, tc := range map[string]struct {
		exprs snap.Exprs
		want  [2]uint32
		ok    bool
	}{
		"no extension":         {snap.Exprs{&snap.Meta{Key: "l4proto"}, &snap.Cmp{Op: "==", Data: []byte{6}}}, [2]uint32{6, 0}, false},
		"a protocol":           {snap.Exprs{&snap.Meta{Key: "l4proto"}, &snap.Cmp{Op: "!=", Data: []byte{17}}, xt}, [2]uint32{17, 2}, true},
		"ebtables' EtherType":  {snap.Exprs{&snap.Payload{Base: "ll", Offset: 12, Len: 2}, &snap.Cmp{Op: "==", Data: []byte{8, 6}}, xt}, [2]uint32{nativeOf(8, 6), 0}, true},
		"another of two bytes": {snap.Exprs{&snap.Payload{Base: "ll", Offset: 6, Len: 2}, &snap.Cmp{Op: "==", Data: []byte{8, 6}}, xt}, [2]uint32{0, 0}, true},
	} {
		if got, ok := compat(tc.exprs); got != tc.want || ok != tc.ok {
			t.Errorf("%s: %v %v, want %v %v", name, got, ok, tc.want, tc.ok)
		}
	}
}

// nativeOf is two bytes of a frame as a number of this machine.
func nativeOf(a, b byte) uint32 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return uint32(a) | uint32(b)<<8
	}
	return uint32(a)<<8 | uint32(b)
}
