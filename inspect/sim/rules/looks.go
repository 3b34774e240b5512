package rules

import (
	fw "github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Looks says whether a rule of the set looks at what differs between the packets of
// one TCP connection once it is open: their flags, their length, how much there has
// been. Without one, all of them fare as the first ones do.
func (p *Program) Looks() bool { return p.looks }

// openFlags are those by which the packets of an open connection differ: FIN, PSH,
// ACK, URG. SYN tells the first ones from the others.
const openFlags = 1 | 8 | 16 | 32

// looks says so of a match of iptables.
func looks(v any) bool {
	switch v := v.(type) {
	case *fw.TCPMatch:
		return v.FlagMask&openFlags != 0
	case *fw.LengthMatch, *fw.ConnbytesMatch:
		return true
	}
	return false
}

// looksAt says so of an expression of nftables.
func looksAt(e snap.Expr) bool {
	const flagsAt, lengthAt4, lengthAt6 = 13, 2, 4 // of TCP, of IPv4, of IPv6 (linux/tcp.h, ip.h, ipv6.h)
	switch e := e.(type) {
	case *snap.Payload:
		at := func(o int) bool { return e.Offset <= o && o < e.Offset+e.Len }
		return e.Base == "th" && at(flagsAt) || e.Base == "nh" && (at(lengthAt4) || at(lengthAt6))
	case *snap.Meta:
		return e.Key == "len"
	case *snap.Ct:
		return e.Key == "bytes" || e.Key == "pkts" || e.Key == "avgpkt"
	}
	return false
}
