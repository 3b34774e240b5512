package probe

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestRouter: of five neighbours of a host without a default route one is a router,
// one sends on to it and says so, one forwards nothing, one leads where no answer
// comes back from, and one is not there.
func TestRouter(t *testing.T) {
	host, sw, gw, server := newRoom(t, "host"), newRoom(t, "switch"), newRoom(t, "gw"), newRoom(t, "server")
	relay, idle, astray := newRoom(t, "relay"), newRoom(t, "idle"), newRoom(t, "astray")
	sw.bridge("br0")
	for i, r := range []*room{host, gw, relay, idle, astray} {
		port := "p" + string(rune('0'+i))
		cable(r, "eth0", sw, port, 1500)
		sw.enslave(port, "br0")
		r.addr("eth0", "192.0.2."+string(rune('1'+i))+"/24")
	}
	cable(gw, "wan", server, "eth0", 1500)
	gw.addr("wan", "198.51.100.254/24")
	server.addr("eth0", "198.51.100.53/24")
	server.route("0.0.0.0/0", "198.51.100.254", unix.RTN_UNICAST)
	relay.route("0.0.0.0/0", "192.0.2.2", unix.RTN_UNICAST)
	idle.route("0.0.0.0/0", "192.0.2.2", unix.RTN_UNICAST)
	astray.route("0.0.0.0/0", "", unix.RTN_BLACKHOLE)
	for _, r := range []*room{gw, relay, astray} {
		r.sysctl("net/ipv4/ip_forward", "1")
	}
	for _, r := range []*room{host, gw, relay, idle, astray, server} {
		r.look()
	}
	var c net.PacketConn
	server.in(func() (err error) {
		c, err = net.ListenPacket("udp4", "198.51.100.53:53")
		return err
	})
	serve(t, c, func() {
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			m := reply(buf[:n])
			if m == nil {
				continue
			}
			b, err := m.Pack()
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.WriteTo(b, from); err != nil {
				return
			}
		}
	})
	p := &Prober{}
	tests := []struct {
		name, via, outcome, by string
	}{
		{"the router", "192.0.2.2", snap.Answered, ""},
		{"one that sends on to it", "192.0.2.3", snap.Rejected, "192.0.2.2"},
		{"one that forwards nothing", "192.0.2.4", snap.TimedOut, ""},
		{"one that leads nowhere", "192.0.2.5", snap.TimedOut, ""},
		{"nobody", "192.0.2.9", snap.TimedOut, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := p.Run(t.Context(), []Question{{Kind: "router", From: host.n, Dst: ap("198.51.100.53:53"), Options: Options{Via: netip.MustParseAddr(tt.via)}}})[0]
			by := ""
			if r.By.IsValid() {
				by = r.By.String()
			}
			if r.Outcome != tt.outcome || by != tt.by || r.Via.String() != tt.via {
				t.Errorf("%s (%s), by %q via %s; want %s by %q", r.Outcome, r.Detail, by, r.Via, tt.outcome, tt.by)
			}
			if mac, err := net.ParseMAC(r.MAC); (err == nil) != (tt.name != "nobody") {
				t.Errorf("the neighbour's MAC is %q (%v, %v)", r.MAC, mac, err)
			}
		})
	}
}
