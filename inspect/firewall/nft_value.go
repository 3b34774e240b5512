package firewall

import (
	"bytes"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// kind is how values of an expression are written.
type kind struct {
	typ  uint32 // nft's datatype
	size int    // bytes
	host bool   // in the machine's byte order
}

func kindOfType(typ uint32, size int) kind { return kind{typ, size, hostOrder(typ)} }

// number is a value as a number, from either byte order.
func number(b []byte, host bool) *big.Int {
	if host && native.Uint16([]byte{1, 0}) == 1 {
		b = slices.Clone(b)
		slices.Reverse(b)
	}
	return new(big.Int).SetBytes(b)
}

// value writes one value.
func (k kind) value(ns *snap.Netns, b []byte) string {
	switch k.typ {
	case typeIPAddr, typeIP6Addr:
		if a, ok := netip.AddrFromSlice(b); ok {
			return a.String()
		}
	case typeEtherAddr, typeLLAddr:
		return mac(b)
	case typeIfname:
		return ifnameText(b, len(b) < 16)
	case typeString:
		return `"` + cstring(b) + `"`
	case typeVerdict:
		return "[verdict]"
	case typeCTLabel:
		return labels(number(b, k.host))
	}
	n := number(b, k.host)
	if names := bitNames(k.typ); names != nil {
		if n.Sign() == 0 || !n.IsUint64() {
			return fmt.Sprintf("0x%x", n)
		}
		if s, ok := bitsText(n.Uint64(), names, ","); ok {
			return s
		}
		return fmt.Sprintf("0x%x", n)
	}
	if n.IsUint64() {
		if s, ok := symbols(k.typ)[n.Uint64()]; ok {
			return s
		}
	}
	return k.plain(ns, n)
}

// plain writes a number that has no word of its own.
func (k kind) plain(ns *snap.Netns, n *big.Int) string {
	if !n.IsUint64() {
		return n.String()
	}
	v := n.Uint64()
	switch k.typ {
	case typeMark:
		return fmt.Sprintf("0x%08x", v)
	case typeEtherType:
		return fmt.Sprintf("0x%04x", v)
	case typeDSCP:
		return fmt.Sprintf("0x%02x", v)
	case typeInetProto:
		return protoName(uint16(min(v, 0xffff)))
	case typeBitmask:
		return fmt.Sprintf("0x%x", v)
	case typeIfindex:
		if ns != nil && v <= 1<<31-1 {
			if l := ns.LinkAt(int(v)); l != nil {
				return `"` + l.Name + `"`
			}
		}
	case typeClassID:
		return classText(v)
	case typeTime:
		return durationText(time.Duration(v) * time.Millisecond)
	case typeTimeHour:
		// Seconds since midnight UTC; nft shows them in the zone of whoever looks.
		if v%60 == 0 {
			return fmt.Sprintf(`"%02d:%02d"`, v/3600, v/60%60)
		}
		return fmt.Sprintf(`"%02d:%02d:%02d"`, v/3600, v/60%60, v%60)
	case typeTimeDate:
		return `"` + time.Unix(0, int64(min(v, 1<<62))).UTC().Format("2006-01-02 15:04:05") + `"`
	}
	return strconv.FormatUint(v, 10)
}

// classText is a tc handle (nftables: meta.c, tchandle_type_print).
func classText(v uint64) string {
	switch {
	case v == 0xffffffff:
		return "root"
	case v == 0:
		return "none"
	case v>>16 == 0:
		return fmt.Sprintf(":%x", v)
	case v&0xffff == 0:
		return fmt.Sprintf("%x:", v>>16)
	}
	return fmt.Sprintf("%x:%x", v>>16, v&0xffff)
}

// labels are connection labels by number: their names are in a file of the
// host.
func labels(n *big.Int) string {
	var list []string
	for i := range n.BitLen() {
		if n.Bit(i) == 1 {
			list = append(list, strconv.Itoa(i))
		}
	}
	if list == nil {
		return "0x0"
	}
	return strings.Join(list, ",")
}

// bitsText lists the names of bits; ok is false when one has none.
func bitsText(v uint64, names []string, sep string) (string, bool) {
	var list []string
	for i := range 64 {
		if v&(1<<i) == 0 {
			continue
		}
		if i >= len(names) || names[i] == "" {
			return "", false
		}
		list = append(list, names[i])
	}
	return strings.Join(list, sep), true
}

// ifnameText is an interface name in quotes; a prefix gets a "*". A real "*"
// at the end is escaped.
func ifnameText(b []byte, partial bool) string {
	name := cstring(b)
	if partial && len(name) == len(b) {
		return `"` + name + `*"`
	}
	if strings.HasSuffix(name, "*") {
		name = name[:len(name)-1] + `\*`
	}
	return `"` + name + `"`
}

// durationText is a time as nft writes it: "1d2h3m4s", with "5ms" below a second.
func durationText(d time.Duration) string {
	ms := d.Milliseconds()
	var b strings.Builder
	for _, u := range []struct {
		name string
		ms   int64
	}{{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}} {
		if n := ms / u.ms; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			ms %= u.ms
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// span writes a range; one that is a network is written as a prefix.
func (k kind) span(ns *snap.Netns, from, to []byte) string {
	if to == nil || bytes.Equal(from, to) {
		return k.value(ns, from)
	}
	if k.typ == typeIPAddr || k.typ == typeIP6Addr {
		if n, ok := prefixOf(from, to); ok {
			return k.value(ns, from) + "/" + strconv.Itoa(n)
		}
	}
	if k.typ == typeIfname {
		if name, ok := wildcard(from, to); ok {
			return `"` + name + `*"`
		}
	}
	return k.between(ns, from, to)
}

// between writes a range; nft writes its ends as numbers, without words
// (nftables: expression.c, range_expr_print).
func (k kind) between(ns *snap.Netns, from, to []byte) string {
	return k.end(ns, from) + "-" + k.end(ns, to)
}

func (k kind) end(ns *snap.Netns, b []byte) string {
	switch {
	case k.typ == typeInetProto:
		k.typ = typeInteger
	case k.typ == typeTime:
		return itoa(number(b, k.host).Uint64()/1000) + "s"
	case k.typ == typeTimeDay, k.typ == typeIfindex:
	case symbols(k.typ) != nil:
		return k.plain(ns, number(b, k.host))
	}
	return k.value(ns, b)
}

// prefixOf says whether the range between two values is a network, and its prefix
// length.
func prefixOf(from, to []byte) (int, bool) {
	if len(from) != len(to) {
		return 0, false
	}
	mask := make([]byte, len(from))
	for i := range from {
		mask[i] = ^(from[i] ^ to[i])
		if from[i]&^mask[i] != 0 {
			return 0, false
		}
	}
	return ones(mask)
}

// wildcard says whether a range of names is all that begin with one.
func wildcard(from, to []byte) (string, bool) {
	n := 0
	for n < len(from) && n < len(to) && from[n] == to[n] {
		n++
	}
	rest := len(bytes.TrimLeft(from[n:], "\x00")) + len(bytes.TrimLeft(to[n:], "\xff"))
	return string(from[:n]), rest == 0
}
