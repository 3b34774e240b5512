package engine

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Engines write addresses in more than one way: "" and "<nil>" for none, a
// gateway with its prefix length ("fd00::1/64", libnetwork of old). An address
// that is none becomes the zero value; it must not cost the whole answer.

func addrOf(s string) netip.Addr {
	s, _, _ = strings.Cut(s, "/")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

func prefixOf(s string) netip.Prefix {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// withLen joins an address and its prefix length as the API gives them.
func withLen(addr string, bits int) netip.Prefix {
	a := addrOf(addr)
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, bits) // an impossible length makes an invalid prefix
}

// portProto reads "80/tcp"; "80" is TCP.
func portProto(s string) (snap.PortProto, bool) {
	num, proto, ok := strings.Cut(s, "/")
	if !ok {
		proto = "tcp"
	}
	n, err := strconv.ParseUint(num, 10, 16)
	if err != nil || n == 0 {
		return snap.PortProto{}, false
	}
	switch p := snap.Proto(strings.ToLower(proto)); p {
	case snap.TCP, snap.UDP, snap.SCTP:
		return snap.PortProto{Proto: p, Port: uint16(n)}, true
	}
	return snap.PortProto{}, false
}

// portNumber reads a port; 0 when it is none.
func portNumber(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// timeOf reads a time of an engine; the zero time and nonsense become zero.
func timeOf(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t.UTC()
}

// unspecified is the address that means "all": engines write "" for it.
func unspecified(a netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return netip.IPv4Unspecified()
}

// optionBool reads a driver option; engines write true and false, users 1 and 0.
func optionBool(opts map[string]string, key string, def bool) bool {
	v, ok := opts[key]
	if !ok {
		return def
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return def
	}
	return b
}
