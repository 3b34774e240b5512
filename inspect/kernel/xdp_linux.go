package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// decodeXDP reads IFLA_XDP; nil when no program is attached. The mode is
// linux/if_link.h: XDP_ATTACHED_*.
func decodeXDP(b []byte) *snap.XDP {
	x := &snap.XDP{}
	for t, v := range rtattrs(b) {
		switch t {
		case unix.IFLA_XDP_ATTACHED:
			switch u8of(v) {
			case 1:
				x.Mode = "driver"
			case 2:
				x.Mode = "generic"
			case 3:
				x.Mode = "offload"
			case 4:
				x.Mode = "several"
			}
		case unix.IFLA_XDP_PROG_ID:
			x.ProgID = u32of(v)
		}
	}
	if x.Mode == "" {
		return nil
	}
	return x
}

// xdpAnswers are the actions of XDP (linux/bpf.h: enum xdp_action).
var xdpAnswers = [...]string{"aborted", "drop", "pass", "tx", "redirect"}

// xdp fills in what the program is and who holds it.
func (rd *reader) xdp(x *snap.XDP, index int) {
	p := readProgram(x.ProgID)
	if x.Name = p.name; p.known {
		x.Always = "aborted" // an answer that is none (net/core/filter.c: bpf_warn_invalid_xdp_action)
		if p.always >= 0 && int(p.always) < len(xdpAnswers) {
			x.Always = xdpAnswers[p.always]
		}
	}
	for _, h := range rd.o.Procs.BPFHolders(x.ProgID) {
		if h.Ifindex != 0 && h.Ifindex != index {
			continue
		}
		x.Link = max(x.Link, h.Link)
		if n := len(x.Holders); n == 0 || x.Holders[n-1].PID != h.Proc.PID { // they come by pid
			x.Holders = append(x.Holders, snap.Process{PID: h.Proc.PID, Name: h.Proc.Name, State: h.Proc.State})
		}
	}
}
