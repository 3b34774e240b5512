package dns_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/netdoctor/netdoctor/testenv/dns"
)

func TestWhatIsNoQuestion(t *testing.T) {
	r := run(t, &dns.Server{Records: records(small())}, dns.Container{})
	packed := func(edit func(m *mdns.Msg)) []byte {
		m := new(mdns.Msg)
		m.SetQuestion("web.", mdns.TypeA)
		m.Id = 7
		edit(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := packed(func(*mdns.Msg) {})
	for _, c := range []struct {
		name string
		msg  []byte
		want int // rcode, -1: silence
	}{
		{"an answer", packed(func(m *mdns.Msg) { m.Response = true }), -1},
		{"eleven octets", good[:11], -1},
		{"nothing", nil, -1},
		{"a NOTIFY", packed(func(m *mdns.Msg) { m.Opcode = mdns.OpcodeNotify }), mdns.RcodeNotImplemented},
		{"an UPDATE of a name of ours", packed(func(m *mdns.Msg) { m.Opcode = mdns.OpcodeUpdate }), mdns.RcodeNotImplemented},
		{"only a header", good[:12], mdns.RcodeFormatError},
		{"half a name", good[:15], mdns.RcodeFormatError},
		{"half a type", good[:len(good)-3], mdns.RcodeFormatError},
		{"no question", packed(func(m *mdns.Msg) { m.Question = nil }), mdns.RcodeFormatError},
		{"two questions", packed(func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) }), mdns.RcodeFormatError},
		{"a name that points at itself", append(append([]byte{}, good[:12]...), 0xc0, 12, 0, 1, 0, 1), mdns.RcodeFormatError},
		{"a record that is missing", append(append([]byte{}, good[:10]...), append([]byte{0, 1}, good[12:]...)...), mdns.RcodeFormatError},
		{"EDNS 1", packed(func(m *mdns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }), mdns.RcodeBadVers},
		{"cut", packed(func(m *mdns.Msg) { m.Truncated = true }), mdns.RcodeFormatError},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("udp4", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			for _, b := range [][]byte{c.msg, good} { // the sound one is answered after it, so silence is known at once
				if _, err := conn.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 512)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			var m mdns.Msg
			if err := m.Unpack(buf[:n]); err != nil {
				t.Fatal(err)
			}
			got := m.Rcode
			if got == mdns.RcodeSuccess && len(m.Answer) == 1 {
				got = -1
			}
			if got != c.want {
				t.Errorf("got %s", seen(&m))
			}
		})
	}
}

func TestOnlyClientsAreAnswered(t *testing.T) {
	needLab(t)
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Records: records(small())}
	if err := s.Serve(context.Background(), dns.Container{UDP: udp}); !errors.Is(err, dns.ErrOpen) {
		t.Errorf("a socket open to the world: %v", err)
	}
	r := run(t, s, dns.Container{Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}})
	for src, want := range map[string]bool{"127.0.0.3": true, "127.0.0.4": false} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(src)}}
		c := mdns.Client{Net: "tcp", Dialer: &d, Timeout: 5 * time.Second}
		m := new(mdns.Msg)
		m.SetQuestion("web.", mdns.TypeA)
		if _, _, err := c.Exchange(m, r.addr); (err == nil) != want {
			t.Errorf("from %s: %v", src, err)
		}
	}
}

func TestIdleTCPClientsMakeRoom(t *testing.T) {
	r := run(t, &dns.Server{Records: records(small()), Limits: dns.Limits{TCP: 10}}, dns.Container{})
	var idle []net.Conn
	for range 50 {
		c, err := net.Dial("tcp4", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		idle = append(idle, c)
	}
	if got := seen(r.ask(t, "tcp", "web.", mdns.TypeA, nil)); got != "NOERROR 172.20.0.12" {
		t.Error(got)
	}
	if err := idle[0].SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := idle[0].Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Errorf("the one idle longest was not ended: %v", err)
	}
}

func TestASlowTCPClientIsEnded(t *testing.T) {
	r := run(t, &dns.Server{Records: records(small()), Limits: dns.Limits{Message: 200 * time.Millisecond, Idle: 200 * time.Millisecond}}, dns.Container{})
	for name, first := range map[string][]byte{"silent": nil, "dripping": {0}, "huge": {0xff, 0xff}} {
		c, err := net.Dial("tcp4", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write(first); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !isReset(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func TestOneConnectionIsAnsweredOutOfOrder(t *testing.T) {
	up := world(t, nil)
	r := run(t, &dns.Server{Records: records(small()), Limits: dns.Limits{Upstream: 500 * time.Millisecond}}, dns.Container{Upstreams: []dns.Upstream{{Addr: up.addr}}})
	c, err := net.Dial("tcp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	var both []byte
	for i, name := range []string{"www.example.org.", "web."} {
		m := new(mdns.Msg)
		m.SetQuestion(name, mdns.TypeA)
		m.Id = uint16(i)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		both = append(binary.BigEndian.AppendUint16(both, uint16(len(b))), b...)
	}
	if _, err := c.Write(both); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn := &mdns.Conn{Conn: c}
	for i, want := range []string{"NOERROR 172.20.0.12", "SERVFAIL"} {
		m, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if seen(m) != want {
			t.Errorf("answer %d: %s, want %s", i+1, seen(m), want)
		}
	}
}
