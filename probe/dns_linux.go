package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DNS asks one server one question: over UDP with a random id and port, over
// TCP when asked for or when the answer was cut short. An answer with a wrong
// id, question or source is noted in Bad and not believed; it goes on waiting.
// Every answer that fits is "answered", SERVFAIL and REFUSED too.
func (p *Prober) DNS(ctx context.Context, from *snap.Netns, server netip.AddrPort, o Options) snap.Probe {
	r := begin("dns", from, server, o)
	d := &snap.DNSProbe{Name: dns.Fqdn(o.Name), Type: o.Type, TCP: o.TCP, EDNS: o.EDNS, Answers: []string{}}
	if d.Type == "" {
		d.Type = "A"
	}
	r.DNS = d
	q, err := query(o)
	if err != nil {
		return fail(r, err)
	}
	if from == nil {
		return fail(r, snap.ErrNotFound)
	}
	end := time.Now().Add(p.timeout(o))
	if o.TCP {
		return p.dnsTCP(ctx, r, from, server, o, q, end)
	}
	ask := func(r snap.Probe) snap.Probe {
		return p.datagrams(ctx, r, from, server, Options{Tries: o.Tries, Src: o.Src, Sport: o.Sport, Device: o.Device, TTL: o.TTL}, end,
			func(src netip.AddrPort, b []byte) bool {
				bad := "source"
				var m *dns.Msg
				if src == plain(server) {
					m, bad = check(q, b)
				}
				if bad != "" {
					if !slices.Contains(d.Bad, bad) {
						d.Bad = append(d.Bad, bad)
					}
					return false
				}
				fill(d, m)
				return true
			}, func() []byte {
				b, _ := q.Pack() // query checked name and type
				return b
			})
	}
	first := r
	if r = ask(r); r.Outcome == snap.Refused && o.Sport == 0 {
		// The port may be one of an earlier probe whose conntrack entry still leads
		// to where a resolver was before its engine was started again: another one.
		sent := r.Sent
		r = ask(first)
		r.Sent += sent
	}
	if r.Outcome != snap.Answered || !d.TC {
		return r
	}
	// Cut short: the rest by TCP (RFC 7766). Without it the short answer stays.
	t := r
	t.DNS = &snap.DNSProbe{Name: d.Name, Type: d.Type, TCP: true, EDNS: d.EDNS, TC: true, Answers: []string{}, Bad: d.Bad}
	t = p.dnsTCP(ctx, t, from, server, o, q, end)
	if t.Outcome != snap.Answered {
		r.Detail = "the answer was cut short, and over TCP: " + t.Outcome
		return r
	}
	t.Sent, t.RTTMs = t.Sent+r.Sent, t.RTTMs+r.RTTMs
	return t
}

// dnsTCP asks over TCP (RFC 1035, 4.2.2: two bytes of length first).
func (p *Prober) dnsTCP(ctx context.Context, r snap.Probe, from *snap.Netns, server netip.AddrPort, o Options, q *dns.Msg, end time.Time) snap.Probe {
	start := time.Now()
	r.Sent, r.Got = 0, 0
	r, s := p.dial(ctx, r, from, server, Options{Src: o.Src, Sport: o.Sport, Device: o.Device, TTL: o.TTL}, end)
	if s == nil {
		return r
	}
	defer s.close()
	r.Got = 0
	defer s.until(ctx, end)()
	b, err := q.Pack()
	if err != nil {
		return fail(r, err)
	}
	if _, err := s.f.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		return streamErr(ctx, r, err)
	}
	for {
		var n [2]byte
		if _, err := io.ReadFull(s.f, n[:]); err != nil {
			return streamErr(ctx, r, err)
		}
		b := make([]byte, binary.BigEndian.Uint16(n[:]))
		if _, err := io.ReadFull(s.f, b); err != nil {
			return streamErr(ctx, r, err)
		}
		m, bad := check(q, b)
		if bad == "" {
			fill(r.DNS, m)
			r.Outcome, r.Got, r.RTTMs = snap.Answered, 1, ms(time.Since(start))
			return r
		}
		if !slices.Contains(r.DNS.Bad, bad) {
			r.DNS.Bad = append(r.DNS.Bad, bad)
		}
	}
}

// streamErr judges a connection that came up but gave no answer.
func streamErr(ctx context.Context, r snap.Probe, err error) snap.Probe {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		r = timedOut(ctx, r)
		if r.Outcome == snap.TimedOut {
			r.Detail = "connected, but no answer came"
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		r.Outcome, r.Errno, r.Detail = snap.Refused, errnoName(err), "the server closed the connection without an answer"
	default:
		r = fail(r, err)
	}
	return r
}
