package fixups

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// This file reads the part of nft(8)'s language that fixes write, into the
// expressions that nft makes of it. What is not known is an error.

// nftReader goes through the words of a rule.
type nftReader struct {
	nftProg
	fam     snap.Family
	words   []string
	i       int
	net     snap.Family // IPv4 or IPv6 once the rule has said so
	proto   uint8
	comment string
}

var nftSpaces = strings.NewReplacer("{", " { ", "}", " } ", "\n", " ", "\t", " ")

// compileNFT reads one rule.
func compileNFT(fam snap.Family, text string) (snap.Rule, error) {
	r := &nftReader{fam: fam, words: nftWords(nftSpaces.Replace(text))}
	if fam == snap.IPv4 || fam == snap.IPv6 {
		r.net = fam
	}
	for r.i < len(r.words) {
		if err := r.statement(r.word()); err != nil {
			return snap.Rule{}, err
		}
	}
	if len(r.out) == 0 {
		return snap.Rule{}, fmt.Errorf("a rule without anything: %w", snap.ErrUnsupported)
	}
	rule := snap.Rule{Exprs: r.out, Comment: r.comment}
	if r.comment != "" {
		rule.UserData = append([]byte{0, byte(len(r.comment) + 1)}, append([]byte(r.comment), 0)...)
	}
	return rule, nil
}

// word is the next word, "" at the end.
func (r *nftReader) word() string {
	if r.i >= len(r.words) {
		return ""
	}
	r.i++
	return r.words[r.i-1]
}

// peek says whether the next word is w, and then takes it.
func (r *nftReader) peek(w string) bool {
	if r.i < len(r.words) && r.words[r.i] == w {
		r.i++
		return true
	}
	return false
}

// not takes "!=" or "==".
func (r *nftReader) not() bool {
	if r.peek("!=") {
		return true
	}
	r.peek("==")
	return false
}

func unquote(s string) string { return strings.Trim(s, `"`) }

func (r *nftReader) statement(w string) error {
	switch w {
	case "accept", "drop", "return", "continue":
		r.verdict(&snap.Verdict{Code: w})
	case "jump", "goto":
		r.verdict(&snap.Verdict{Code: w, Chain: r.word()})
	case "counter":
		r.add(&snap.Counter{})
		if r.peek("packets") {
			r.i += 3
		}
	case "comment":
		if r.comment = unquote(r.word()); len(r.comment) > 127 {
			return fmt.Errorf("comment of %d bytes", len(r.comment))
		}
	case "iifname", "oifname":
		return r.device(w)
	case "fib":
		return r.fib()
	case "meta":
		return r.metaWord(r.word())
	case "mark":
		return r.metaWord(w)
	case "ip", "ip6":
		return r.network(w)
	case "tcp", "udp", "sctp":
		return r.transport(w)
	case "icmp", "icmpv6":
		return r.icmp(w)
	case "ct":
		return r.ct()
	case "masquerade":
		r.add(&snap.Masq{ProtoMin: snap.NoReg, ProtoMax: snap.NoReg})
	case "dnat", "snat":
		return r.nat(w)
	case "reject":
		return r.reject()
	default:
		return fmt.Errorf("nft statement %q: %w", w, snap.ErrUnsupported)
	}
	return nil
}

// device compares a name; nft pads it to 16 bytes unless it ends in "*".
func (r *nftReader) device(key string) error {
	if r.peek("vmap") {
		name, ok := strings.CutPrefix(r.word(), "@")
		if !ok {
			return fmt.Errorf("verdict map without a name: %w", snap.ErrUnsupported)
		}
		r.meta(key)
		r.add(&snap.Lookup{Set: name, Sreg: 0, Dreg: snap.VerdictReg})
		return nil
	}
	not := r.not()
	name := unquote(r.word())
	if name != "" && name[0] == '@' {
		r.meta(key)
		r.lookup(not, name)
		return nil
	}
	if name == "" || name == "{" || len(name) > 15 {
		return fmt.Errorf("device %q: %w", name, snap.ErrUnsupported)
	}
	r.meta(key)
	if p, ok := strings.CutSuffix(name, "*"); ok {
		r.cmp(not, []byte(p))
		return nil
	}
	b := make([]byte, 16)
	copy(b, name)
	r.cmp(not, b)
	return nil
}

func (r *nftReader) metaWord(key string) error {
	switch key {
	case "iifname", "oifname":
		return r.device(key)
	case "l4proto":
		not := r.not()
		n, err := protoNumber(r.word())
		if err != nil {
			return err
		}
		r.l4proto(not, n)
		if !not {
			r.proto = n
		}
		return nil
	case "mark":
		return r.mark()
	case "nftrace":
		return r.nftrace()
	case "nfproto":
		not := r.not()
		fam := map[string]snap.Family{"ipv4": snap.IPv4, "ipv6": snap.IPv6}[r.word()]
		if fam == "" {
			return fmt.Errorf("nfproto: %w", snap.ErrUnsupported)
		}
		r.meta("nfproto")
		r.cmp(not, []byte{nfproto(fam)})
		if !not {
			r.net = fam
		}
		return nil
	}
	return fmt.Errorf("nft meta %q: %w", key, snap.ErrUnsupported)
}

func nfproto(f snap.Family) byte {
	if f == snap.IPv6 {
		return 10
	}
	return 2
}

// network tests what only one family has; in tables of both nft puts a test of
// the family before it, on bridges one of the ethertype.
func (r *nftReader) needs(f snap.Family) error {
	if r.net == f {
		return nil
	}
	if r.net != "" {
		return fmt.Errorf("%s in a rule for %s", f, r.net)
	}
	switch r.fam {
	case snap.Inet:
		r.meta("nfproto")
		r.cmp(false, []byte{nfproto(f)})
	case snap.BridgeFamily, snap.Netdev:
		r.meta("protocol")
		et := uint16(0x0800)
		if f == snap.IPv6 {
			et = 0x86dd
		}
		r.cmp(false, binary.BigEndian.AppendUint16(nil, et))
	default:
		return fmt.Errorf("%s in a table of %s", f, r.fam)
	}
	r.net = f
	return nil
}

func (r *nftReader) network(w string) error {
	fam, v6 := snap.IPv4, false
	if w == "ip6" {
		fam, v6 = snap.IPv6, true
	}
	if err := r.needs(fam); err != nil {
		return err
	}
	src, dst := srcDst(v6)
	field := r.word()
	not := r.not()
	val := r.word()
	switch field {
	case "saddr", "daddr":
		off := src
		if field == "daddr" {
			off = dst
		}
		if val != "" && val[0] == '@' {
			r.payload("nh", off, map[bool]int{false: 4, true: 16}[v6])
			r.lookup(not, val)
			return nil
		}
		pre, err := (&ipRule{v6: v6}).prefix(val)
		if err != nil {
			return fmt.Errorf("%w (%w)", err, snap.ErrUnsupported)
		}
		r.prefix(off, not, pre)
		return nil
	case "protocol", "nexthdr":
		n, err := protoNumber(val)
		if err != nil {
			return err
		}
		off := 9
		if v6 {
			off = 6
		}
		r.payload("nh", off, 1)
		r.cmp(not, []byte{n})
		if !not {
			r.proto = n
		}
		return nil
	}
	return fmt.Errorf("nft %s %s: %w", w, field, snap.ErrUnsupported)
}

// needsProto puts the test of the protocol before one of its header.
func (r *nftReader) needsProto(n uint8) {
	if r.proto != n {
		r.l4proto(false, n)
		r.proto = n
	}
}

func (r *nftReader) transport(w string) error {
	n, err := protoNumber(w)
	if err != nil {
		return err
	}
	r.needsProto(n)
	off := map[string]int{"sport": 0, "dport": 2}
	field := r.word()
	if n == snap.IPProtoTCP && (field == "flags" || field == "option") {
		return r.tcp(field)
	}
	at, ok := off[field]
	if !ok {
		return fmt.Errorf("nft %s %s: %w", w, field, snap.ErrUnsupported)
	}
	not, val := r.not(), r.word()
	if val != "" && val[0] == '@' {
		r.payload("th", at, 2)
		r.lookup(not, val)
		return nil
	}
	p, err := ports(strings.ReplaceAll(val, "-", ":"))
	if err != nil {
		return err
	}
	r.portTest(at, not, p)
	return nil
}

// nat reads "to ADDR", "to ADDR:PORT", "to :PORT" with an optional family word.
func (r *nftReader) nat(w string) error {
	fam := r.net
	if r.peek("ip") {
		fam = snap.IPv4
	} else if r.peek("ip6") {
		fam = snap.IPv6
	}
	if !r.peek("to") || fam == "" {
		return fmt.Errorf("nft %s: %w", w, snap.ErrUnsupported)
	}
	to := r.word()
	if to == "numgen" {
		return r.natMap(w, fam)
	}
	n, err := natRead(to, fam == snap.IPv6)
	if err != nil {
		return err
	}
	e := &snap.Nat{Type: w, Family: fam, AddrMin: snap.NoReg, AddrMax: snap.NoReg, ProtoMin: snap.NoReg, ProtoMax: snap.NoReg}
	reg := 0
	put := func(b []byte) int {
		r.add(&snap.Immediate{Dreg: reg, Data: b})
		reg += 4
		return reg - 4
	}
	if n.min.IsValid() {
		e.AddrMin = put(n.min.AsSlice())
		if n.max != n.min {
			e.AddrMax = put(n.max.AsSlice())
		}
		e.Flags = append(e.Flags, "map-ips")
	}
	if n.flags&natProtoSpec != 0 {
		e.ProtoMin = put(binary.BigEndian.AppendUint16(nil, n.lo))
		if n.hi != n.lo {
			e.ProtoMax = put(binary.BigEndian.AppendUint16(nil, n.hi))
		}
		e.Flags = append(e.Flags, "proto-specified")
	}
	r.add(e)
	return nil
}

// reject without more answers "port unreachable" (nftables: src/evaluate.c,
// stmt_evaluate_reject).
func (r *nftReader) reject() error {
	if r.i < len(r.words) && r.words[r.i] == "with" {
		r.i++
		if w := r.word() + " " + r.word(); w != "tcp reset" {
			return fmt.Errorf("nft reject with %s: %w", w, snap.ErrUnsupported)
		}
		r.needsProto(snap.IPProtoTCP)
		r.add(&snap.Reject{Type: "tcp-reset"})
		return nil
	}
	switch r.net {
	case snap.IPv4:
		r.add(&snap.Reject{Type: "icmp", Code: 3})
	case snap.IPv6:
		r.add(&snap.Reject{Type: "icmp", Code: 4})
	default:
		r.add(&snap.Reject{Type: "icmpx", Code: 1})
	}
	return nil
}
