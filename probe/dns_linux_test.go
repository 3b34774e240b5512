package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// reply makes the honest answer to a query: an address, or NXDOMAIN.
func reply(b []byte) *dns.Msg {
	q := new(dns.Msg)
	if q.Unpack(b) != nil {
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if strings.HasPrefix(q.Question[0].Name, "web.") && q.Question[0].Qtype == dns.TypeA {
		m.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 80),
		}}
	} else {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// liar sends wrong answers before the right one: each kind for its port.
func liar(t *testing.T, other *net.UDPConn, how string) func(*net.UDPConn, netip.AddrPort, []byte) {
	t.Helper()
	send := func(c *net.UDPConn, to netip.AddrPort, m *dns.Msg) {
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.WriteToUDPAddrPort(b, to) // a probe that gave up is no matter
	}
	return func(c *net.UDPConn, from netip.AddrPort, b []byte) {
		m := reply(b)
		evil := m.Copy()
		evil.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(203, 0, 113, 66),
		}}
		switch how {
		case "id":
			evil.Id++
			send(c, from, evil)
		case "question":
			evil.Question[0].Name = "evil.example.org."
			send(c, from, evil)
		case "source":
			send(other, from, evil)
		case "malformed":
			_, _ = c.WriteToUDPAddrPort(append(b[:2:2], 0x80), from)
		case "echo":
			_, _ = c.WriteToUDPAddrPort(b, from)
		case "truncated":
			m.Truncated, m.Answer = true, nil
		case "servfail":
			m.Rcode, m.Answer = dns.RcodeServerFailure, nil
		case "only lies":
			evil.Id++
			send(c, from, evil)
			return
		}
		send(c, from, m)
	}
}

// listenDNSTCP answers over TCP; how "mute" accepts and keeps silent, "slam"
// closes, "drip" announces the longest answer and sends it octet by octet.
func (r *room) listenDNSTCP(addr, how string) {
	r.t.Helper()
	var l net.Listener
	r.in(func() (err error) {
		l, err = net.Listen("tcp4", addr)
		return err
	})
	serve(r.t, l, func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // a fresh connection has one
			var n [2]byte
			if _, err := io.ReadFull(c, n[:]); err == nil && how != "slam" {
				b := make([]byte, binary.BigEndian.Uint16(n[:]))
				_, err := io.ReadFull(c, b)
				if tick := time.NewTicker(20 * time.Millisecond); how == "drip" {
					for ; err == nil; <-tick.C {
						_, err = c.Write([]byte{0xff})
					}
				}
				if err == nil && how == "" {
					out, _ := reply(b).Pack() // reply packs always
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
				}
				_, _ = io.Copy(io.Discard, c) // until the probe is done
			}
			_ = c.Close() // done
		}
	})
}

func TestDNS(t *testing.T) {
	w := newWorld(t)
	s := w.server
	other := s.listenUDP("udp4", "198.51.100.2:53", func(*net.UDPConn, netip.AddrPort, []byte) {})
	ports := map[string]string{}
	for i, how := range []string{"", "id", "question", "source", "malformed", "echo", "truncated", "servfail", "only lies", "truncated, no TCP", "drip"} {
		ports[how] = "198.51.100.1:" + strconv.Itoa(530+i)
		s.listenUDP("udp4", ports[how], liar(t, other, strings.TrimSuffix(how, ", no TCP")))
	}
	s.listenDNSTCP(ports["truncated"], "")
	s.listenDNSTCP(ports["id"], "mute")
	s.listenDNSTCP(ports["question"], "slam")
	s.listenDNSTCP(ports["drip"], "drip")

	web := []string{"A 192.0.2.80"}
	good := snap.DNSProbe{Name: "web.example.org.", Type: "A", RCode: "NOERROR", RA: true, TTL: 60, Answers: web}
	with := func(f func(*snap.DNSProbe)) *snap.DNSProbe {
		d := good
		f(&d)
		return &d
	}
	empty := func(d *snap.DNSProbe) { d.RCode, d.RA, d.TTL, d.Answers = "", false, 0, []string{} }
	tests := []struct {
		name, port string
		o          Options
		want       snap.Probe
	}{
		{"an honest server", "", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: &good}},
		{"with EDNS", "", Options{Name: "web.example.org", EDNS: true}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.EDNS = true })}},
		{"a name that is not there", "", Options{Name: "nobody.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) {
			d.Name, d.RCode, d.TTL, d.Answers = "nobody.example.org.", "NXDOMAIN", 0, []string{}
		})}},
		{"a wrong id first", "id", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.Bad = []string{"id"} })}},
		{"a wrong question first", "question", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.Bad = []string{"question"} })}},
		{"a wrong source first", "source", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.Bad = []string{"source"} })}},
		{"garbage first", "malformed", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.Bad = []string{"malformed"} })}},
		{"its own question first", "echo", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.Bad = []string{"malformed"} })}},
		{"cut short, then TCP", "truncated", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) { d.TCP, d.TC = true, true })}},
		{"cut short, and no TCP", "truncated, no TCP", Options{Name: "web.example.org"}, snap.Probe{
			Outcome: snap.Answered, Got: 1, Detail: "the answer was cut short, and over TCP: refused",
			DNS: with(func(d *snap.DNSProbe) { d.TC, d.TTL, d.Answers = true, 0, []string{} }),
		}},
		{"SERVFAIL is an answer", "servfail", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.Answered, Got: 1, DNS: with(func(d *snap.DNSProbe) {
			d.RCode, d.TTL, d.Answers = "SERVFAIL", 0, []string{}
		})}},
		{"nothing but lies", "only lies", Options{Name: "web.example.org"}, snap.Probe{Outcome: snap.TimedOut, DNS: with(func(d *snap.DNSProbe) { empty(d); d.Bad = []string{"id"} })}},
		{"over TCP to a mute server", "id", Options{Name: "web.example.org", TCP: true}, snap.Probe{
			Outcome: snap.TimedOut, Detail: "connected, but no answer came", DNS: with(func(d *snap.DNSProbe) { empty(d); d.TCP = true }),
		}},
		{"over TCP to a server that hangs up", "question", Options{Name: "web.example.org", TCP: true}, snap.Probe{
			Outcome: snap.Refused, Detail: "the server closed the connection without an answer", DNS: with(func(d *snap.DNSProbe) { empty(d); d.TCP = true }),
		}},
		{"over TCP to a server that drips", "drip", Options{Name: "web.example.org", TCP: true}, snap.Probe{
			Outcome: snap.TimedOut, Detail: "connected, but no answer came", DNS: with(func(d *snap.DNSProbe) { empty(d); d.TCP = true }),
		}},
		{"over TCP to a closed port", "", Options{Name: "web.example.org", TCP: true}, snap.Probe{
			Outcome: snap.Refused, Got: 0, Errno: "ECONNREFUSED", DNS: with(func(d *snap.DNSProbe) { empty(d); d.TCP = true }),
		}},
	}
	var qs []Question
	for _, tt := range tests {
		qs = append(qs, Question{Kind: "dns", From: w.client.n, Dst: ap(ports[tt.port]), Options: tt.o})
	}
	got := (&Prober{Timeout: 500 * time.Millisecond}).Run(t.Context(), qs)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Kind, tt.want.Dst, tt.want.From = "dns", qs[i].Dst, "client"
			if diff := cmp.Diff(tt.want, got[i], stable(), cmpopts.IgnoreFields(snap.Probe{}, "Errno", "Got")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// watcher is an observer that sees nothing: what it follows is over at its end.
type watcher struct{}

type watched struct {
	dead context.Context
	end  func()
}

func (watcher) Follow(Identity) Follower {
	ctx, end := context.WithCancel(context.Background())
	return &watched{ctx, end}
}
func (w *watched) Dead() context.Context { return w.dead }
func (w *watched) End(*snap.Probe)       { w.end() }

// The observer's part ends when the connection is up; what is asked on it goes
// on. A probe gave up there, "connected, but no answer came".
func TestDNSOverTCPThatIsWatched(t *testing.T) {
	w := newWorld(t)
	w.server.listenUDP("udp4", "198.51.100.1:53", liar(t, nil, "truncated"))
	w.server.listenDNSTCP("198.51.100.1:53", "")
	p := &Prober{Timeout: 5 * time.Second, Observer: watcher{}}
	for _, tcp := range []bool{true, false} {
		for range 20 {
			got := p.DNS(t.Context(), w.client.n, ap("198.51.100.1:53"), Options{Name: "web.example.org", TCP: tcp})
			if got.Outcome != snap.Answered || got.DNS.RCode != "NOERROR" || !got.DNS.TCP || len(got.DNS.Answers) != 1 {
				t.Fatalf("tcp %t: %s %s %+v", tcp, got.Outcome, got.Detail, got.DNS)
			}
		}
	}
}

// The port of the first question is refused, as by a conntrack entry that leads to
// a socket which is gone; others are answered. Where all are refused, so is the
// probe.
func TestDNSRefusedOnOnePort(t *testing.T) {
	w := newWorld(t)
	refuse := func(to netip.AddrPort) {
		udp := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, to.Port()), 53)
		udp = append(udp, 0, 8, 0, 0)
		quoted := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0}, to.Addr().AsSlice()...)
		quoted = append(append(quoted, 198, 51, 100, 1), udp...)
		icmp := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, quoted...)
		sum := uint32(0)
		for i := 0; i < len(icmp); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(icmp[i:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(icmp[2:], ^uint16(sum))
		w.server.in(func() error {
			c, err := net.Dial("ip4:icmp", to.Addr().String())
			if err != nil {
				return err
			}
			_, err = c.Write(icmp)
			return errors.Join(err, c.Close())
		})
	}
	for _, all := range []bool{false, true} {
		asked := 0
		c := w.server.listenUDP("udp4", "198.51.100.1:53", func(c *net.UDPConn, from netip.AddrPort, b []byte) {
			if asked++; all || asked == 1 {
				refuse(from)
				return
			}
			out, _ := reply(b).Pack()              // reply packs always
			_, _ = c.WriteToUDPAddrPort(out, from) // a probe that gave up is no matter
		})
		p := &Prober{Timeout: 5 * time.Second}
		want := snap.Answered
		if all {
			want = snap.Refused
		}
		if got := p.DNS(t.Context(), w.client.n, ap("198.51.100.1:53"), Options{Name: "web.example.org"}); got.Outcome != want || got.Sent != 2 {
			t.Errorf("all refused %t: %s after %d questions %s, want %s after 2", all, got.Outcome, got.Sent, got.Detail, want)
		}
		_ = c.Close() // for the next one
	}
}
