package kernel

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of linux/bpf.h.
const (
	bpfLinkGetFD      = 30 // BPF_LINK_GET_FD_BY_ID
	bpfLinkGetNext    = 31 // BPF_LINK_GET_NEXT_ID
	bpfLinkTypeFilter = 10 // BPF_LINK_TYPE_NETFILTER, from Linux 6.4 on
	// maxLinks is how many links of any type are looked at.
	maxLinks = 4096
)

var nfHooks = [...]string{"prerouting", "input", "forward", "output", "postrouting"}

// HookPrograms are the bpf programs on netfilter's hooks of all namespaces. Which
// namespace one is in, the kernel does not tell of a link
// (net/netfilter/nf_bpf_link.c: bpf_nf_link_fill_link_info).
func HookPrograms() (out []snap.HookProgram, err error) {
	for id, n := uint32(0), 0; n < maxLinks; n++ {
		attr := struct{ id, next, flags uint32 }{id: id}
		_, _, errno := unix.Syscall(unix.SYS_BPF, bpfLinkGetNext, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		switch {
		case errno == unix.ENOENT, errno == unix.EINVAL, errno == unix.ENOSYS: // no more, or a kernel before 5.8
			return out, nil
		case errno != 0:
			return out, NetlinkError("listing bpf links", errno)
		}
		id = attr.next
		p, err := hookProgram(id)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAGAIN) { // ended by now, or not begun (bpf_link_by_id)
			return out, NetlinkError("reading a bpf link", err)
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, fmt.Errorf("%d bpf links were looked at: %w", maxLinks, snap.ErrLimit)
}

// hookProgram is a link as it stands on a hook of netfilter; nil for any other.
func hookProgram(id uint32) (*snap.HookProgram, error) {
	get := struct{ id, next, flags uint32 }{id: id}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, bpfLinkGetFD, uintptr(unsafe.Pointer(&get)), unsafe.Sizeof(get))
	if errno != 0 {
		return nil, errno
	}
	defer unix.Close(int(fd))
	var info struct { // struct bpf_link_info
		kind, id, prog, _ uint32
		family, hook      uint32
		priority          int32
		flags             uint32
		_                 [64]byte // of other types
	}
	attr := struct {
		fd, size uint32
		info     unsafe.Pointer
	}{uint32(fd), uint32(unsafe.Sizeof(info)), unsafe.Pointer(&info)}
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
		return nil, errno
	}
	fam, ok := ipFamily(uint8(info.family))
	if info.kind != bpfLinkTypeFilter || !ok || int(info.hook) >= len(nfHooks) {
		return nil, nil
	}
	p := readProgram(info.prog)
	out := &snap.HookProgram{Family: fam, Hook: nfHooks[info.hook], Priority: info.priority, Link: id, Program: info.prog, Name: p.name}
	out.Accepts = p.known && p.always == 1 // NF_ACCEPT
	return out, nil
}
