package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// attrType takes NLA_F_NESTED and NLA_F_NET_BYTEORDER off an attribute's type.
const attrType = 0x3fff

// rtattrs walks the attributes of a netlink message (linux/netlink.h: struct
// nlattr). Walking ends at the first that does not fit.
func rtattrs(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(binary.NativeEndian.Uint16(b))
			if n < 4 || n > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&attrType, b[4:n]) {
				return
			}
			if n = (n + 3) &^ 3; n > len(b) {
				return
			}
			b = b[n:]
		}
	}
}

// The number readers give 0 for an attribute that is too short: the kernel
// never sends such, and a forged file is no worse than one without it.

func u8of(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

func u16of(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(b)
}

func u32of(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func u64of(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(b)
}

func intOf(b []byte) int { return int(int32(u32of(b))) }

func be16of(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func be32of(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func flagOf(b []byte) bool { return u8of(b) != 0 }

// strOf reads a C string.
func strOf(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// ipOf reads an address of 4 or 16 bytes; zero for another length.
func ipOf(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// prefixOf reads an address with a prefix length; zero when they don't fit.
func prefixOf(b []byte, bits uint8) netip.Prefix {
	a := ipOf(b)
	if !a.IsValid() || int(bits) > a.BitLen() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, int(bits))
}

// macOf prints a hardware address, "" for none.
func macOf(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	var s strings.Builder
	for i, c := range b {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", c)
	}
	return s.String()
}

// bitNames names the bits that are set, in the order of the list.
func bitNames[T uint8 | uint16 | uint32](v T, names []bitName[T]) []string {
	var out []string
	for _, n := range names {
		if v&n.bit != 0 {
			out = append(out, n.name)
		}
	}
	return out
}

type bitName[T uint8 | uint16 | uint32] struct {
	bit  T
	name string
}
