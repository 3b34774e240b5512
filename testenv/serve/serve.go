// Package serve holds the tiny servers of a practice network: they answer just
// enough for a probe and for a person with curl and dig, and they end when
// their context ends.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Spec is one thing to serve: "tcp:0.0.0.0:80" answers HTTP with a word,
// "udp:0.0.0.0:5000" echoes.
type Spec struct {
	Proto string // "tcp" or "udp"
	Addr  netip.AddrPort
}

// Forever serves what its arguments say, for as long as the process lives; it comes
// back only with an error.
func Forever(args []string) error {
	for _, a := range args {
		sp, err := Parse(a)
		if err != nil {
			return err
		}
		if err := Run(context.Background(), sp, "hello"); err != nil {
			return err
		}
	}
	select {}
}

// Parse reads "tcp:0.0.0.0:80", or "tcp:80" for all IPv4 addresses.
func Parse(s string) (Spec, error) {
	proto, rest, ok := strings.Cut(s, ":")
	if !ok || proto != "tcp" && proto != "udp" {
		return Spec{}, fmt.Errorf("serving %q: want tcp:ADDRESS:PORT or udp:ADDRESS:PORT", s)
	}
	if !strings.Contains(rest, ":") {
		rest = "0.0.0.0:" + rest
	}
	ap, err := netip.ParseAddrPort(rest)
	if err != nil {
		return Spec{}, fmt.Errorf("serving %q: %w", s, err)
	}
	return Spec{proto, ap}, nil
}

// String is what Parse reads.
func (s Spec) String() string { return s.Proto + ":" + s.Addr.String() }

// Run opens the socket and serves until ctx ends. It returns as soon as the
// socket is open; word is what an HTTP client is told.
func Run(ctx context.Context, s Spec, word string) error {
	var lc net.ListenConfig
	if s.Proto == "udp" {
		pc, err := lc.ListenPacket(ctx, "udp", s.Addr.String())
		if err != nil {
			return fmt.Errorf("listening on %s: %w", s, err)
		}
		closeWith(ctx, pc)
		go echo(pc)
		return nil
	}
	l, err := lc.Listen(ctx, "tcp", s.Addr.String())
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s, err)
	}
	closeWith(ctx, l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed with ctx
			}
			go answer(c, word)
		}
	}()
	return nil
}

func closeWith(ctx context.Context, c io.Closer) {
	context.AfterFunc(ctx, func() { _ = c.Close() }) // nothing is left to do with an error
}

// answer speaks as much HTTP as curl needs.
func answer(c net.Conn, word string) {
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return
	}
	buf := make([]byte, 4096)
	if _, err := c.Read(buf); err != nil {
		return // a probe that only connected
	}
	body := word + "\n"
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}

// echo answers each datagram with itself.
func echo(pc net.PacketConn) {
	buf := make([]byte, 65536)
	for {
		n, from, err := pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		_, _ = pc.WriteTo(buf[:n], from) // who does not hear it asks again
	}
}

// Zone is what a name server knows: lower-case names with a final dot.
type Zone map[string][]netip.Addr

// DNS serves a zone over UDP and TCP; names that it does not know are NXDOMAIN,
// or forwarded when upstream is valid.
func DNS(ctx context.Context, addr netip.AddrPort, zone func() Zone, upstream netip.AddrPort) error {
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		defer func() { _ = w.WriteMsg(m) }() // the asker repeats what it did not hear
		if len(q.Question) != 1 {
			m.Rcode = dns.RcodeFormatError
			return
		}
		name := strings.ToLower(q.Question[0].Name)
		addrs, known := zone()[name]
		switch {
		case name == "." && q.Question[0].Qtype == dns.TypeNS && !upstream.IsValid():
			m.Answer = append(m.Answer, &dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "a.root-servers.example."})
		case !known && upstream.IsValid():
			forward(q, m, upstream)
		case !known:
			m.Rcode = dns.RcodeNameError
		}
		for _, a := range addrs {
			hdr := dns.RR_Header{Name: q.Question[0].Name, Class: dns.ClassINET, Ttl: 60}
			switch {
			case a.Is4() && q.Question[0].Qtype == dns.TypeA:
				hdr.Rrtype = dns.TypeA
				m.Answer = append(m.Answer, &dns.A{Hdr: hdr, A: a.AsSlice()})
			case a.Is6() && q.Question[0].Qtype == dns.TypeAAAA:
				hdr.Rrtype = dns.TypeAAAA
				m.Answer = append(m.Answer, &dns.AAAA{Hdr: hdr, AAAA: a.AsSlice()})
			}
		}
	})
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, "udp", addr.String())
	if err != nil {
		return fmt.Errorf("serving DNS on %s: %w", addr, err)
	}
	l, err := lc.Listen(ctx, "tcp", addr.String())
	if err != nil {
		_ = pc.Close() // the error that matters is err
		return fmt.Errorf("serving DNS on %s: %w", addr, err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		context.AfterFunc(ctx, func() { _ = s.Shutdown() }) // ends with its context; an error changes nothing
		go func() { _ = s.ActivateAndServe() }()            // ends by Shutdown
	}
	return nil
}

// forward asks upstream and copies its answer.
func forward(q, m *dns.Msg, upstream netip.AddrPort) {
	c := dns.Client{Timeout: 2 * time.Second}
	r, _, err := c.Exchange(q, upstream.String())
	if err != nil {
		m.Rcode = dns.RcodeServerFailure
		return
	}
	m.Rcode, m.Answer, m.Ns = r.Rcode, r.Answer, r.Ns
}
