package witness

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// attach has a program run at a raw tracepoint until what is returned is closed. It is one
// call of the kernel's (bpf(2), BPF_RAW_TRACEPOINT_OPEN, Linux 4.17; include/uapi/linux/bpf.h:
// union bpf_attr): the library's package for it brings tables of all features with it, which
// are 45 kB of the program.
func attach(name string, prog *ebpf.Program) (io.Closer, error) {
	text, err := unix.BytePtrFromString(name)
	if err != nil {
		return nil, fmt.Errorf("tracepoint %q: %w", name, err)
	}
	var pin runtime.Pinner // the kernel gets its address as a number
	pin.Pin(text)
	defer pin.Unpin()
	attr := struct {
		name uint64
		fd   uint32
		_    uint32
	}{uint64(uintptr(unsafe.Pointer(text))), uint32(prog.FD()), 0} //nolint:gosec // G103: that is how the kernel is told
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_RAW_TRACEPOINT_OPEN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)) //nolint:gosec // G103: as above
	runtime.KeepAlive(prog)
	if errno != 0 {
		return nil, errno
	}
	unix.CloseOnExec(int(fd)) // the kernel sets it, too (kernel/bpf/syscall.c: anon_inode_getfd with O_CLOEXEC)
	return os.NewFile(fd, name), nil
}
