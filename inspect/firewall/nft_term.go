package firewall

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// term is what a register holds, in nft's words.
type term struct {
	kind kind
	text string        // of everything but payload and constants
	pay  *snap.Payload // what was loaded from the packet
	data []byte        // of a constant
	// mask and xor were applied to it ((x & mask) ^ xor); nil: none.
	mask, xor []byte
	ops       string // further operations, written behind the name
	// upper is the meta key whose value says what the next header is: "iiftype",
	// "nfproto", "protocol", "l4proto"; "" for others.
	upper string
	// ext is the base of the header that an option belongs to, which makes the
	// test for that header superfluous; 0 none.
	ext int
	// joined: the value is several fields of a map's data.
	joined bool
}

// masked says that the value is not the loaded one.
func (t *term) masked() bool { return t.mask != nil || t.xor != nil || t.ops != "" }

// metaTerm names a meta key.
func metaTerm(key string) *term {
	t := &term{text: "meta " + key}
	switch key {
	case "len":
		t.text, t.kind = "meta length", kind{typeInteger, 4, true}
	case "protocol":
		t.kind, t.upper = kind{typeEtherType, 2, false}, key
	case "nfproto":
		t.kind, t.upper = kind{typeNFProto, 1, false}, key
	case "l4proto":
		t.kind, t.upper = kind{typeInetProto, 1, false}, key
	case "iiftype", "oiftype":
		t.kind = kind{typeARPHRD, 2, true}
		if key == "iiftype" {
			t.upper = key
		}
	case "priority":
		t.kind = kind{typeClassID, 4, true}
	case "mark", "secmark":
		t.kind = kind{typeMark, 4, true}
	case "iif", "oif", "sdif":
		t.kind = kind{typeIfindex, 4, true}
	case "iifname", "oifname", "ibrname", "obrname", "sdifname", "iifkind", "oifkind":
		t.kind = kind{typeIfname, 16, true}
	case "skuid":
		t.kind = kind{typeUID, 4, true}
	case "skgid":
		t.kind = kind{typeGID, 4, true}
	case "rtclassid":
		t.kind = kind{typeRealm, 4, true}
	case "pkttype":
		t.kind = kind{typePktType, 1, false}
	case "iifgroup", "oifgroup":
		t.kind = kind{typeDevGroup, 4, true}
	case "nftrace", "broute":
		t.kind = kind{typeInteger, 1, false}
	case "secpath":
		t.text, t.kind = "meta ipsec", kind{typeBoolean, 1, false}
	case "ibrpvid":
		t.kind = kind{typeInteger, 2, true}
	case "ibrvproto":
		t.kind = kind{typeEtherType, 2, false}
	case "time":
		t.kind = kind{typeTimeDate, 8, true}
	case "day":
		t.kind = kind{typeTimeDay, 1, false}
	case "hour":
		t.kind = kind{typeTimeHour, 4, true}
	case "random":
		t.kind = kind{typeInteger, 4, false}
	default:
		t.kind = kind{typeInteger, 4, true}
	}
	switch key {
	case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup":
		t.text = key
	}
	return t
}

// ctTerm names a ct key.
func ctTerm(e *snap.Ct) *term {
	name, k := e.Key, kind{typeInteger, 4, true}
	switch e.Key {
	case "state":
		k = kind{typeCTState, 4, true}
	case "direction":
		k = kind{typeCTDir, 1, false}
	case "status":
		k = kind{typeCTStatus, 4, true}
	case "mark", "secmark":
		k = kind{typeMark, 4, true}
	case "expiration":
		k = kind{typeTime, 4, true}
	case "helper":
		k = kind{typeString, 16, true}
	case "l3proto":
		k = kind{typeNFProto, 1, false}
	case "proto":
		name, k = "protocol", kind{typeInetProto, 1, false}
	case "proto-src", "proto-dst":
		k = kind{typeInetServ, 2, false}
	case "src":
		name, k = "saddr", kind{typeIPAddr, 4, false}
	case "dst":
		name, k = "daddr", kind{typeIPAddr, 4, false}
	case "src-ip":
		name, k = "ip saddr", kind{typeIPAddr, 4, false}
	case "dst-ip":
		name, k = "ip daddr", kind{typeIPAddr, 4, false}
	case "src-ip6":
		name, k = "ip6 saddr", kind{typeIP6Addr, 16, false}
	case "dst-ip6":
		name, k = "ip6 daddr", kind{typeIP6Addr, 16, false}
	case "label":
		k = kind{typeCTLabel, 16, true}
	case "pkts":
		name, k = "packets", kind{typeInteger, 8, true}
	case "bytes", "avgpkt":
		k = kind{typeInteger, 8, true}
	case "zone":
		k = kind{typeInteger, 2, true}
	case "event":
		k = kind{typeCTEvent, 4, true}
	}
	if e.Dir != "" {
		name = e.Dir + " " + name
	}
	return &term{text: "ct " + name, kind: k}
}

// fibTerm names a fib expression.
func fibTerm(e *snap.Fib) *term {
	text, present := "fib", false
	sep := " "
	for _, f := range e.Flags {
		if f == "present" {
			present = true
			continue
		}
		text += sep + f
		sep = " . "
	}
	k := kind{typeIfindex, 4, true}
	switch {
	case present:
		k = kind{typeBoolean, 4, true}
	case e.Result == "oifname":
		k = kind{typeIfname, 16, true}
	case e.Result == "type":
		k = kind{typeFibAddr, 4, true}
	}
	return &term{text: text + " " + e.Result, kind: k}
}

// rtTerm names an rt key.
func rtTerm(e *snap.Rt) *term {
	switch e.Key {
	case "classid":
		return &term{text: "rt classid", kind: kind{typeRealm, 4, true}}
	case "nexthop4":
		return &term{text: "rt ip nexthop", kind: kind{typeIPAddr, 4, false}}
	case "nexthop6":
		return &term{text: "rt ip6 nexthop", kind: kind{typeIP6Addr, 16, false}}
	case "tcpmss":
		return &term{text: "rt mtu", kind: kind{typeInteger, 2, true}}
	}
	return &term{text: "rt ipsec", kind: kind{typeBoolean, 1, false}}
}

// socketTerm names a socket key.
func socketTerm(e *snap.SocketExpr) *term {
	switch e.Key {
	case "mark":
		return &term{text: "socket mark", kind: kind{typeMark, 4, true}}
	case "cgroupv2":
		return &term{text: fmt.Sprintf("socket cgroupv2 level %d", e.Level), kind: kind{typeCgroupV2, 8, true}}
	}
	return &term{text: "socket " + e.Key, kind: kind{typeInteger, 1, false}}
}

// numgenTerm names a number generator.
func numgenTerm(e *snap.Numgen) *term {
	text := fmt.Sprintf("numgen %s mod %d", e.Mode, e.Modulus)
	if e.Offset != 0 {
		text += fmt.Sprintf(" offset %d", e.Offset)
	}
	return &term{text: text, kind: kind{typeInteger, 4, true}}
}

// exthdrTerm names a header option or extension header (nftables: tcpopt.c,
// ipopt.c, exthdr.c).
func exthdrTerm(e *snap.Exthdr) *term {
	t := &term{kind: kind{typeInteger, e.Len, false}}
	var name, part string
	switch e.Op {
	case "tcpopt":
		t.ext = baseTH
		name, part = tcpOption(e)
		name = "tcp option " + name
	case "ipv6":
		t.ext = baseNH
		name, part = extensionHeader(e)
	case "ipv4":
		t.ext = baseNH
		name, part = ipOption(e)
		name = "ip option " + name
	case "sctp":
		names := []string{
			"data", "init", "init-ack", "sack", "heartbeat", "heartbeat-ack", "abort", "shutdown", "shutdown-ack", "error",
			"cookie-echo", "cookie-ack", "ecne", "cwr", "shutdown-complete",
		}
		name = fmt.Sprintf("sctp chunk %d", e.Type)
		if int(e.Type) < len(names) {
			name = "sctp chunk " + names[e.Type]
		}
	default:
		name = fmt.Sprintf("%s option %d", e.Op, e.Type)
	}
	if e.Present {
		t.kind = kind{typeBoolean, 1, false}
		t.text = name
		if e.Op == "ipv6" {
			t.text = "exthdr " + name
		}
		return t
	}
	if part == "" {
		part = fmt.Sprintf("@%d,%d", e.Offset*8, e.Len*8)
	}
	if part == "nexthdr" {
		t.kind.typ = typeInetProto
	}
	t.text = name + " " + part
	return t
}

// named gives part the name of the field that an expression loads, when it is
// told of that field.
func named(e *snap.Exthdr, part *string) func(off, n int, name string) {
	return func(off, n int, name string) {
		if e.Offset == off && e.Len == n {
			*part = name
		}
	}
}

func tcpOption(e *snap.Exthdr) (name, part string) {
	at := named(e, &part)
	switch e.Type {
	case 0:
		return "eol", ""
	case 1:
		return "nop", ""
	case 2:
		name = "maxseg"
		at(2, 2, "size")
	case 3:
		name = "window"
		at(2, 1, "count")
	case 4:
		name = "sack-perm"
	case 5:
		name = "sack"
		at(2, 4, "left")
		at(6, 4, "right")
	case 8:
		name = "timestamp"
		at(2, 4, "tsval")
		at(6, 4, "tsecr")
	case 30:
		name = "mptcp"
	default:
		name = fmt.Sprint(e.Type)
	}
	at(0, 1, "kind")
	at(1, 1, "length")
	return name, part
}

func extensionHeader(e *snap.Exthdr) (name, part string) {
	at := named(e, &part)
	switch e.Type {
	case 0:
		name = "hbh"
	case 43:
		name = "rt"
		at(2, 1, "type")
		at(3, 1, "seg-left")
	case 44:
		name = "frag"
		at(4, 4, "id")
		at(1, 1, "reserved")
	case 60:
		name = "dst"
	case 135:
		name = "mh"
		at(2, 1, "type")
	default:
		name = fmt.Sprint(e.Type)
	}
	at(0, 1, "nexthdr")
	if e.Type != 44 {
		at(1, 1, "hdrlength")
	}
	return name, part
}

func ipOption(e *snap.Exthdr) (name, part string) {
	at := named(e, &part)
	switch e.Type {
	case 131:
		name = "lsrr"
	case 7:
		name = "rr"
	case 137:
		name = "ssrr"
	case 148:
		name = "ra"
		at(2, 2, "value")
	default:
		name = fmt.Sprint(e.Type)
	}
	at(0, 1, "type")
	at(1, 1, "length")
	if e.Type != 148 {
		at(2, 1, "ptr")
		at(3, 4, "addr")
	}
	return name, part
}
