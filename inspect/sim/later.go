package sim

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Later is which packets of a TCP connection do not get through although its first
// one and the answer to that do. Trace.Where.Reply says whose they are.
type Later string

const (
	// LaterAll is the ACK that ends the handshake, and all that follows it.
	LaterAll Later = "all"
	// LaterData is packets with data.
	LaterData Later = "data"
	// LaterFull is packets as large as the way takes.
	LaterFull Later = "full"
	// LaterMuch is all that comes once the connection has carried Trace.Size bytes
	// each way.
	LaterMuch Later = "much"
)

// What is said on a connection that is open: a question and an answer of a line, full
// packets, and as much as nobody would limit a connection to who means it to work.
const (
	lineBytes = 64
	muchBytes = 1 << 20
	segment   = 1448 // bytes of data in a packet of Ethernet's size
)

// word is one packet of an open connection.
type word struct {
	reply bool
	flags uint8
	data  int // bytes
	kind  Later
}

// Later follows a TCP flow beyond the answer to its first packet: the ACK that ends
// the handshake, which conntrack calls established in the direction of the question
// (net/netfilter/nf_conntrack_core.c:resolve_normal_ct), then small and full packets
// with data both ways. Rules that let NEW out and ESTABLISHED only in, that look at
// flags, at lengths, or at how much a connection has carried stop it, and with it
// what the connection is for, while both ends of the handshake look well. A proxy's
// second connection counts. t is what Trace gave. The answer has Later set, and is nil
// when the handshake is not certain to succeed, or when what follows it gets through.
func (w *World) Later(t *Trace) *Trace {
	f := t.Flow
	if f.Proto != snap.TCP || !opens(t) {
		return nil
	}
	if l := w.later(f); l != nil {
		return l
	}
	if t.Relay != nil {
		return w.Later(t.Relay)
	}
	if t.Proxy != nil {
		return w.Later(t.Proxy)
	}
	return nil
}

// opens says whether the handshake succeeds as far as this host goes.
func opens(t *Trace) bool {
	return t.Verdict == Delivered || t.Verdict == Unknown && t.LeftHost != "" && t.IfAnswered == Delivered
}

func (w *World) later(f Flow) *Trace {
	r, first := w.open(f)
	defer r.done()
	if first == nil {
		return nil
	}
	if l := r.say(first, word{flags: rules.TCPACK, kind: LaterAll}); l != nil {
		return l
	}
	if !r.looked(first) || r.took.pkt.encap != nil {
		return nil
	}
	out, back := r.room(first)
	for _, s := range []word{
		{flags: rules.TCPPSH | rules.TCPACK, data: lineBytes, kind: LaterData},
		{reply: true, flags: rules.TCPACK, kind: LaterData},
		{reply: true, flags: rules.TCPPSH | rules.TCPACK, data: lineBytes, kind: LaterData},
		{flags: rules.TCPACK, data: out, kind: LaterFull},
		{reply: true, flags: rules.TCPACK, data: back, kind: LaterFull},
	} {
		if l := r.say(first, s); l != nil {
			return l
		}
	}
	return w.much(f)
}

// open walks the handshake; a nil trace when it is not certain to succeed.
func (w *World) open(f Flow) (*run, *Trace) {
	r := newRun(w, nil)
	r.how, r.useSnapConns, r.anew = ways{conns: true}, f.Sport != 0, f.Anew
	first := r.trace(f)
	if !opens(first) || len(r.allAssumed()) > 0 || r.took == nil {
		return r, nil
	}
	return r, first
}

// looked says whether a rule on the way tells the packets of an open connection apart.
func (r *run) looked(t *Trace) bool {
	for _, h := range append(slices.Clone(t.Forward), t.Reply...) {
		if n := r.w.ns[h.Netns]; n != nil && n.program().Looks() {
			return true
		}
	}
	return false
}

// room is how much data fits into one packet each way: as much as all devices on the
// way take, and as the other end has asked for (its MSS, as the rules left it).
func (r *run) room(t *Trace) (out, back int) {
	least := 0
	for _, h := range append(slices.Clone(t.Forward), t.Reply...) {
		n := r.w.ns[h.Netns]
		if n == nil {
			continue
		}
		if l := n.byName[h.Device]; l != nil && l.MTU > 0 && (least == 0 || l.MTU < least) {
			least = l.MTU
		}
	}
	head := headBytes(r.took.pkt.Family)
	fits := func(mss uint16) int { return max(min(int(mss)-stamps, least-head), 0) }
	out, back = fits(r.gave), fits(r.took.pkt.TCPMSS)
	return out, back
}

// stamps are the timestamps that every packet of a connection carries after its SYNs
// (RFC 7323, section 3.2), padded.
const stamps = 12

// headBytes are the headers of a packet of an open connection.
func headBytes(fam snap.Family) int {
	if fam == snap.IPv6 {
		return 40 + 20 + stamps
	}
	return 20 + 20 + stamps
}

// say sends one more packet of the connection; nil when it gets through, or that is
// not certain. What is too large for the way is another matter than what rules drop.
func (r *run) say(first *Trace, s word) *Trace {
	end := r.more(first, s)
	if end == nil || end.kind != fateDropped || len(r.allAssumed()) > 0 {
		return nil
	}
	if s.kind != LaterAll && end.where.Cause != CauseRule && end.where.Cause != CausePolicy {
		return nil
	}
	where := end.where
	switch s.kind {
	case LaterFull:
		where.Detail += ", as a full packet of an open connection"
	case LaterMuch:
		where.Detail += ", once the connection has carried much"
	default:
		where.Detail += ", once the connection is open"
	}
	l := &Trace{Flow: first.Flow, Verdict: Dropped, Where: &where, NATed: r.nats, Later: s.kind, Size: s.data}
	if s.reply {
		l.Forward, l.Reply = first.Forward, r.walked()
	} else {
		l.Forward = r.walked()
	}
	return l
}

// more walks one more packet of the connection.
func (r *run) more(first *Trace, s word) *fate {
	f := first.Flow
	if s.reply {
		a := r.answerAgain(first)
		a.TCPFlags, a.TCPMSS, a.Len = s.flags, 0, headBytes(a.Family)+s.data
		r.turn()
		if r.took.kind == fateOutside {
			return r.receive(r.took.ns, r.took.dev, a)
		}
		return r.send(r.took.ns, a, r.took.ns.answering(a, &r.took.pkt, r.took.dev))
	}
	n, k := r.w.ns[f.From], r.newPacket(f)
	k.Src, k.Sport, k.Dst, k.Dport = r.sent.src, r.sent.sport, r.sent.dst, r.sent.dport
	k.TCPFlags, k.TCPMSS, k.Len = s.flags, 0, headBytes(k.Family)+s.data
	r.again()
	if f.Iif != "" {
		return r.arrive(n, f, k)
	}
	r.hop(n, nil, "send", string(f.Proto)+" to "+k.dest().String(), "ok", k)
	k.group = r.group
	q := k.lookup()
	q.uid = k.Local.UID
	return r.send(n, k, q)
}

// answerAgain is another packet of who took the first one.
func (r *run) answerAgain(first *Trace) *skb {
	if r.took.kind == fateOutside {
		return r.outsideTo(&r.took.pkt)
	}
	return r.answerOf(r.took.ns, &r.took.pkt, first.Socket)
}

// much finds after how many bytes each way rules end a connection; nil when they
// leave it a megabyte.
func (w *World) much(f Flow) *Trace {
	after := func(n int) *Trace {
		r, first := w.open(f)
		defer r.done()
		if first == nil {
			return nil
		}
		for _, c := range r.conns {
			for d := range c.bytes {
				c.bytes[d] += uint64(n)
				c.packets[d] += uint64((n + segment - 1) / segment)
			}
		}
		for _, reply := range []bool{false, true} {
			if l := r.say(first, word{reply: reply, flags: rules.TCPPSH | rules.TCPACK, data: lineBytes, kind: LaterMuch}); l != nil {
				l.Size = n
				return l
			}
		}
		return nil
	}
	l := after(muchBytes)
	if l == nil {
		return nil
	}
	least, most := 0, muchBytes // passes, is dropped
	for most-least > 1 {
		mid := least + (most-least)/2
		if x := after(mid); x != nil {
			most, l = mid, x
		} else {
			least = mid
		}
	}
	return l
}

// Tells says in a clause what gets through of a connection whose later packets are
// dropped, and what does not. "" when none are.
func (t *Trace) Tells() string {
	whose := "what the client sends"
	if t.Where != nil && t.Where.Reply {
		whose = "what the server sends"
	}
	switch t.Later {
	case LaterAll:
		return "the connection opens, as its first packet and the answer get through, and nothing more does"
	case LaterData:
		return "the connection opens, and " + whose + " on it does not get through"
	case LaterFull:
		return fmt.Sprintf("the connection opens and small packets get through, full ones (%d bytes of data) of %s do not", t.Size, whose)
	case LaterMuch:
		return fmt.Sprintf("the connection opens and works until it has carried about %d bytes each way, then nothing gets through", t.Size)
	}
	return ""
}
