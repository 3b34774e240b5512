package kernel

import (
	"github.com/cilium/ebpf"
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

// progName asks for the name of a bpf program; "" when it may not be asked or
// has none.
func progName(id uint32) string {
	if id == 0 {
		return ""
	}
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ""
	}
	defer p.Close() //nolint:errcheck // only a descriptor
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}
