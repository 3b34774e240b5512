package apply

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// xdpModes are linux/if_link.h: XDP_FLAGS_*_MODE.
var xdpModes = map[string]uint32{"generic": 1 << 1, "driver": 1 << 2, "offload": 1 << 3}

func (m *machine) xdpSet(ctx context.Context, o *fixups.XDPSet, now *snap.Snapshot) error {
	if o.Link != 0 && o.Prog == 0 {
		return detachLink(o.Link)
	}
	fd := int32(-1)
	if o.Prog != 0 {
		p, err := ebpf.NewProgramFromID(ebpf.ProgramID(o.Prog))
		if err != nil {
			return fmt.Errorf("XDP program %d: %w", o.Prog, err)
		}
		defer p.Close() //nolint:errcheck // only a descriptor
		fd = int32(p.FD())
	}
	return m.linkChange(ctx, o.Where, o.Name, now, 0, 0, func(a *attrs) {
		a.nested(unix.IFLA_XDP, func(a *attrs) {
			a.u32(unix.IFLA_XDP_FD, uint32(fd))
			a.u32(unix.IFLA_XDP_FLAGS, xdpModes[o.Mode])
		})
	})
}

// detachLink is BPF_LINK_DETACH: the link stays with whoever has it open, and does
// nothing any more.
func detachLink(id uint32) error {
	get := struct{ id, next, flags uint32 }{id: id} // union bpf_attr: *_by_id
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_GET_FD_BY_ID, uintptr(unsafe.Pointer(&get)), unsafe.Sizeof(get))
	if errno != 0 {
		return fmt.Errorf("bpf link %d: %w", id, errno)
	}
	defer unix.Close(int(fd))
	detach := struct{ fd uint32 }{uint32(fd)} // union bpf_attr: link_detach
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_DETACH, uintptr(unsafe.Pointer(&detach)), unsafe.Sizeof(detach)); errno != 0 {
		return fmt.Errorf("detaching bpf link %d: %w", id, errno)
	}
	return nil
}
