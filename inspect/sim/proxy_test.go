package sim

import (
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TestProxyLeg is about what a client learns of the way behind docker-proxy.
func TestProxyLeg(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		proto snap.Proto
		port  string // of the container, as the proxy was told
		want  Verdict
	}{
		{"TCP", snap.TCP, "80", Delivered},
		{"TCP, and nobody listens behind it", snap.TCP, "81", Refused},
		{"UDP", snap.UDP, "53", Delivered},
		{"UDP, and nobody listens behind it: the proxy does not tell", snap.UDP, "81", Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := docker(t)
			m.listen("host", string(c.proto)+" 0.0.0.0:8080")
			s := &m.ns["host"].Sockets[len(m.ns["host"].Sockets)-1]
			s.Process = &snap.Process{PID: 7, Name: "docker-proxy", Args: []string{"docker-proxy", "-proto", string(c.proto), "-container-ip", "172.18.0.2", "-container-port", c.port}}
			got := m.world().Trace(Flow{From: "host", Dst: ip("127.0.0.1"), Proto: c.proto, Dport: 8080})
			if got.Verdict != c.want || got.Proxy == nil || got.Verdict != Delivered && (got.Where == nil || got.Where.Netns != "web" || got.Where.Cause != CauseNoListener) {
				t.Errorf("%s, %+v, behind the proxy %v; want %s", got.Verdict, got.Where, got.Proxy != nil, c.want)
			}
		})
	}
}
