package kernel

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// program is what the kernel tells of a bpf program.
type program struct {
	name string // "" when it may not be asked or has none
	// always is what it returns whatever the packet; known is false when that
	// hangs on the packet, or when its instructions may not be read.
	always int32
	known  bool
	insns  []byte // what it is made of; nil when it is long
}

// maxInsns is how long a program may be that is looked through: those of a constant
// answer have a few instructions, systemd's firewall some 100.
const maxInsns = 256

// progInfo is the head of struct bpf_prog_info (linux/bpf.h).
type progInfo struct {
	kind, id            uint32
	tag                 [8]byte
	jitedLen, xlatedLen uint32
	jited, xlated       unsafe.Pointer
	loaded              uint64
	uid, maps           uint32
	mapIDs              unsafe.Pointer
	name                [16]byte
}

// readProgram asks for a program by its id. Its instructions are those after the
// kernel's own changes, which leave a constant answer as it was.
func readProgram(id uint32) program {
	if id == 0 {
		return program{}
	}
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return program{}
	}
	defer p.Close() //nolint:errcheck // only a descriptor
	var insns [maxInsns * 8]byte
	info := progInfo{xlatedLen: uint32(len(insns)), xlated: unsafe.Pointer(&insns[0])}
	attr := struct { // union bpf_attr: info
		fd, size uint32
		info     unsafe.Pointer
	}{uint32(p.FD()), uint32(unsafe.Sizeof(info)), unsafe.Pointer(&info)}
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
		return program{}
	}
	name, _, _ := bytes.Cut(info.name[:], []byte{0})
	out := program{name: string(name)}
	if info.xlated != nil && info.xlatedLen <= uint32(len(insns)) {
		out.insns = insns[:info.xlatedLen]
		out.always, out.known = constant(out.insns)
	}
	return out
}

// constant is what a program returns that only puts a number into R0; false for any
// other (Documentation/bpf/standardization/instruction-set.rst).
func constant(insns []byte) (r0 int32, known bool) {
	const mov64, mov32, mov64reg, mov32reg, exit = 0xb7, 0xb4, 0xbf, 0xbc, 0x95
	for ; len(insns) >= 8; insns = insns[8:] {
		dst := insns[1] & 0xf
		switch insns[0] {
		case mov64, mov32:
			if dst == 0 {
				r0, known = int32(binary.NativeEndian.Uint32(insns[4:])), true
			}
		case mov64reg, mov32reg:
			known = known && dst != 0
		case exit:
			return r0, known
		default:
			return 0, false
		}
	}
	return 0, false
}
