package firewall

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// saver writes the options of a match or target as iptables-save does (the
// save functions of iptables 1.8.9's extensions). Each option begins with a
// space.
type saver interface{ save(w *line) }

// line is a rule's text in the making, and what is needed to write names.
type line struct {
	strings.Builder
	ns *snap.Netns // may be nil
	v6 bool
}

// add writes " text".
func (w *line) add(format string, args ...any) {
	w.WriteByte(' ')
	fmt.Fprintf(w, format, args...) //nolint:errcheck // a buffer takes everything
}

// opt writes " text", or " ! text" when it is negated.
func (w *line) opt(invert bool, format string, args ...any) {
	if invert {
		w.WriteString(" !")
	}
	w.add(format, args...)
}

// flag writes the option when it is on.
func (w *line) flag(on bool, name string) {
	if on {
		w.WriteByte(' ')
		w.WriteString(name)
	}
}

// span is a port, or two with a separator.
func (p PortRange) span(sep string) string {
	if p.Min == p.Max {
		return strconv.Itoa(int(p.Min))
	}
	return strconv.Itoa(int(p.Min)) + sep + strconv.Itoa(int(p.Max))
}

// all says that the range does not restrict anything.
func (p PortRange) all() bool { return p.Min == 0 && p.Max == 0xffff }

// quoted writes a string as xtables_save_string does: bare when it is made of
// letters, digits, "_" and "-" only, else in double quotes.
func quoted(s string) string {
	bare := true
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			bare = false
		}
		if c == '"' || c == '\\' || c == '\'' {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	if bare {
		return s
	}
	return `"` + b.String() + `"`
}

// valueMask is a number with its mask, which is left out when it is all ones.
func valueMask(v, mask uint32) string {
	if mask == 0xffffffff {
		return fmt.Sprintf("0x%x", v)
	}
	return fmt.Sprintf("0x%x/0x%x", v, mask)
}

// maskedText is an address with its mask: as a prefix where it is one, without
// it for a whole address.
func maskedText(m Masked) string {
	p, ok := m.Prefix()
	switch {
	case !ok:
		return m.Addr.String() + "/" + m.Mask.String()
	case p.Bits() == p.Addr().BitLen():
		return m.Addr.String()
	}
	return p.String()
}

// xtText writes a match or target behind "-m " or "-j ". One that can't be
// decoded is named with its revision, so that it is never taken for one
// without options.
func (w *line) xtText(x *snap.Xt) {
	lead := "-m"
	if x.Target {
		lead = "-j"
	}
	v, err := DecodeXt(x, w.v6)
	s, ok := v.(saver)
	if err != nil || !ok {
		w.add("%s %s [unsupported revision %d]", lead, x.Name, x.Rev)
		return
	}
	name := x.Name
	if a, ok := v.(interface{ alias() string }); ok && a.alias() != "" {
		name = a.alias()
	}
	w.add("%s %s", lead, name)
	s.save(w)
}

// protoName is a protocol as getprotobynumber(3) names it with Debian's
// /etc/protocols, else its number.
func protoName(n uint16) string {
	switch n {
	case 1:
		return "icmp"
	case 2:
		return "igmp"
	case 4:
		return "ipencap"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 33:
		return "dccp"
	case 41:
		return "ipv6"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 58:
		return "ipv6-icmp"
	case 89:
		return "ospf"
	case 103:
		return "pim"
	case 108:
		return "ipcomp"
	case 112:
		return "vrrp"
	case 115:
		return "l2tp"
	case 132:
		return "sctp"
	case 135:
		return "mobility-header"
	case 136:
		return "udplite"
	}
	return strconv.Itoa(int(n))
}

// setName is the name of an ipset.
func (w *line) setName(index int) string {
	if w.ns != nil {
		if s := w.ns.IPSetAt(index); s != nil {
			return s.Name
		}
	}
	return "[set " + strconv.Itoa(index) + "]"
}

// cidr is the number of ones of a mask.
func cidr(mask netip.Addr) int {
	n, _ := ones(mask.AsSlice())
	return n
}
