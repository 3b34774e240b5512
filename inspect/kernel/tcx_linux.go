package kernel

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/bpf.h: enum bpf_attach_type.
const (
	tcxIngress = 46 // BPF_TCX_INGRESS
	tcxEgress  = 47 // BPF_TCX_EGRESS
	// maxTCX is BPF_MPROG_MAX (linux/bpf_mprog.h): more can't hang on a hook.
	maxTCX = 64
)

// tcxAnswers are linux/bpf.h: enum tcx_action_base.
var tcxAnswers = map[int32]string{-1: "continue", 0: "ok", 2: "drop"}

// bpf names the programs of XDP, and finds those on tcx hooks, which no
// netlink dump shows. It runs on a thread in the namespace: the kernel looks
// the device up in the caller's (kernel/bpf/tcx.c:tcx_prog_query).
func (rd *reader) bpf() {
	for i := range rd.n.Links {
		if x := rd.n.Links[i].XDP; x != nil {
			rd.xdp(x, rd.n.Links[i].Index)
		}
	}
	for i := range rd.n.Links {
		l := &rd.n.Links[i]
		for _, hook := range []struct {
			name   string
			attach uint32
		}{{"ingress", tcxIngress}, {"egress", tcxEgress}} {
			ids, err := queryPrograms(l.Index, hook.attach, 0)
			switch {
			case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
				return // before Linux 6.6 there are none
			case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOENT):
				continue // the device has gone
			case err != nil:
				rd.gap("tcx programs", NetlinkError("reading tcx programs", err))
				return
			}
			for _, id := range ids {
				p := readProgram(id)
				f := snap.TCFilter{Hook: hook.name, Kind: "tcx", Name: p.name, Protocol: unix.ETH_P_ALL, Handle: id, Actions: []string{"?"}, Opaque: true}
				if answer, ok := tcxAnswers[p.always]; ok && p.known {
					f.Actions, f.Opaque = []string{answer}, false
				}
				l.Filters = append(l.Filters, f)
			}
		}
	}
}

// queryPrograms is BPF_PROG_QUERY for one hook of a device, or of the control
// group with that descriptor. The library asks the kernel whether it has that
// command first, and takes a refusal for "no".
func queryPrograms(target int, attach, flags uint32) ([]uint32, error) {
	ids := make([]uint32, maxTCX)
	attr := struct { // union bpf_attr: query
		target, attachType, queryFlags, attachFlags uint32
		ids                                         unsafe.Pointer
		count, _                                    uint32
		_, _, _                                     unsafe.Pointer // flags of programs, ids and flags of links
		revision                                    uint64
	}{target: uint32(target), attachType: attach, queryFlags: flags, ids: unsafe.Pointer(&ids[0]), count: maxTCX}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_QUERY, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return nil, errno
	}
	return ids[:min(attr.count, maxTCX)], nil
}
