package sim

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// xdp is the program of the device on its way in (net/core/dev.c: do_xdp_generic,
// or the driver's own call); nil lets the packet go on. What a program does with
// which packets is not modelled: only one that does the same with all is followed.
func (r *run) xdp(n *netns, dev *snap.Link, k *skb) *fate {
	x := dev.XDP
	if x == nil || x.Always == "pass" {
		return nil
	}
	w := Where{Layer: "xdp", Cause: CauseXDP, Ref: snap.RefLink(n.n.ID, dev.Name)}
	what := strings.TrimSpace(fmt.Sprintf("XDP program %d %s", x.ProgID, x.Name)) + " on " + dev.Name
	switch x.Always {
	case "drop", "aborted":
		w.Detail = what + " drops all that it receives"
		return r.drop(n, dev, k, w)
	case "tx":
		w.Detail = what + " sends back all that it receives"
		return r.drop(n, dev, k, w)
	}
	w.Detail = what + " may do anything with it"
	return r.unknown(n, dev, k, w)
}
