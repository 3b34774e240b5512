package diag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxTracked bounds what conntrack is asked for; some 10 µs each.
const maxTracked = 256

// TrackQuestions are the flows that conntrack is to be asked for when the probes
// are over: those of the probes, as they were where they came by, and the old
// entries that seem to lead astray.
func (in *Input) TrackQuestions() []snap.Tracked {
	var out []snap.Tracked
	add := func(netns string, proto uint8, t snap.Tuple) {
		q := snap.Tracked{Netns: netns, Proto: proto, Asked: t}
		n := in.Snap.Ns(netns)
		if n == nil || n.Light || n.Path == "" || t.Src.Port() == 0 || t.Dst.Port() == 0 || len(out) >= maxTracked || slices.Contains(out, q) {
			return
		}
		out = append(out, q)
	}
	for _, s := range in.StaleConns() {
		add(in.Snap.Host.Netns, s.Conn.Proto, s.Conn.Orig)
	}
	for i := range in.Flows {
		f := &in.Flows[i]
		if p := f.Probe; p != nil && (f.Asked || f.Broken()) {
			proto := f.Flow.Proto.Number()
			for _, s := range p.Seen {
				if !s.Answer && s.ICMP == nil {
					add(s.Netns, proto, snap.Tuple{Src: s.Src, Dst: s.Dst})
				}
			}
			add(in.Snap.Host.Netns, proto, snap.Tuple{Src: p.Src, Dst: p.Dst})
		}
	}
	return out
}

// TrackedOf are the entries of conntrack that a probe led to.
func (in *Input) TrackedOf(p *snap.Probe) []snap.Tracked {
	if p == nil || p.Src.Port() == 0 {
		return nil
	}
	var out []snap.Tracked
	for _, t := range in.Snap.Tracked {
		if t.Conn != nil && t.Asked.Src.Port() == p.Src.Port() && (t.Asked == snap.Tuple{Src: p.Src, Dst: p.Dst} || slices.ContainsFunc(p.Seen, func(s snap.Seen) bool {
			return s.Netns == t.Netns && s.Src == t.Asked.Src && s.Dst == t.Asked.Dst
		})) {
			out = append(out, t)
		}
	}
	return out
}

// TrackText is an entry in words: where its packets are led, what their answers
// are taken for, and whether one was seen.
func TrackText(c *snap.Conn) string {
	t := []string{fmt.Sprintf("%s → %s", c.Orig.Src, c.Orig.Dst)}
	if c.Reply.Src != c.Orig.Dst {
		t = append(t, fmt.Sprintf("sent on to %s", c.Reply.Src))
	}
	if c.Reply.Dst != c.Orig.Src {
		t = append(t, fmt.Sprintf("as from %s", c.Reply.Dst))
	}
	if c.TCPState != "" {
		t = append(t, c.TCPState)
	}
	if slices.Contains(c.Status, "seen-reply") {
		t = append(t, "an answer was seen")
	} else {
		t = append(t, "[UNREPLIED]")
	}
	return strings.Join(t, ", ")
}

// tracked says what conntrack has of a probe that got no answer.
func (in *Input) tracked(p *snap.Probe) string {
	if p.Outcome != snap.TimedOut {
		return ""
	}
	var t string
	for _, x := range in.TrackedOf(p) {
		t += "; conntrack of " + x.Netns + ": " + TrackText(x.Conn)
	}
	return t
}

// Tracks is the entry that conntrack has of a flow now; nil when it was not asked,
// or has none.
func (in *Input) Tracks(netns string, proto uint8, t snap.Tuple) *snap.Conn {
	for i := range in.Snap.Tracked {
		if x := &in.Snap.Tracked[i]; x.Netns == netns && x.Proto == proto && x.Asked == t {
			return x.Conn
		}
	}
	return nil
}
