package checks

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// picked says which addresses the u32 filters of a device pick out, and whose they are:
// those that ask for the source or the destination of IPv4, by a prefix (tc-u32(8)).
func picked(in *diag.Input, l *snap.Link) []string {
	var out []string
	for _, f := range l.Filters {
		if f.Kind != "u32" || f.Opaque || len(f.U32) != 1 {
			continue
		}
		k := f.U32[0]
		what := map[int]string{12: "from", 16: "to"}[k.Off] // RFC 791
		length := bits.LeadingZeros32(^k.Mask)
		if what == "" || k.Mask != ^uint32(0)<<(32-length) {
			continue
		}
		a, _ := netip.AddrFromSlice(binary.BigEndian.AppendUint32(nil, k.Val))
		p := netip.PrefixFrom(a, length)
		var who []string
		for i := range in.Snap.Containers {
			c := &in.Snap.Containers[i]
			for _, e := range c.Endpoints {
				if c.Running() && p.Contains(e.IPv4.Addr()) {
					who = append(who, c.Name)
				}
			}
		}
		t := fmt.Sprintf("a filter picks out packets %s %s", what, p)
		if len(who) > 0 {
			t += ": " + strings.Join(who, ", ")
		}
		out = append(out, t)
	}
	return out
}
