package kernel

import (
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// bpf names the programs of XDP, and finds those on tcx hooks, which no
// netlink dump shows. It runs on a thread in the namespace: the kernel looks
// the device up in the caller's (kernel/bpf/tcx.c:tcx_prog_query).
func (rd *reader) bpf() {
	for i := range rd.n.Links {
		l := &rd.n.Links[i]
		if l.XDP != nil {
			l.XDP.Name = progName(l.XDP.ProgID)
		}
	}
	for i := range rd.n.Links {
		l := &rd.n.Links[i]
		for _, hook := range []struct {
			name   string
			attach ebpf.AttachType
		}{{"ingress", ebpf.AttachTCXIngress}, {"egress", ebpf.AttachTCXEgress}} {
			res, err := link.QueryPrograms(link.QueryOptions{Target: l.Index, Attach: hook.attach})
			switch {
			case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EINVAL):
				return // before Linux 6.6 there are none
			case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV):
				continue // nothing attached, or the device has gone
			case err != nil:
				rd.gap("tcx programs", netlinkError("reading tcx programs", err))
				return
			}
			for _, p := range res.Programs {
				l.Filters = append(l.Filters, snap.TCFilter{
					Hook: hook.name, Kind: "tcx", Name: progName(uint32(p.ID)),
					Protocol: unix.ETH_P_ALL, Handle: uint32(p.ID), Actions: []string{"?"}, Opaque: true,
				})
			}
		}
	}
}
