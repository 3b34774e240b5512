package testenv_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// ask opens a connection, puts a question and says what became of it: "ok" when
// the answer came.
func ask(at *ns.Handle, to string) string {
	var err error
	doErr := at.Do(func() error {
		d := net.Dialer{Timeout: 400 * time.Millisecond}
		var c net.Conn
		if c, err = d.Dial("tcp", to); err != nil {
			return nil
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if _, err = fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n"); err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		return nil
	})
	var t interface{ Timeout() bool }
	switch {
	case doErr != nil:
		return doErr.Error()
	case err == nil:
		return "ok"
	case errors.Is(err, unix.ECONNREFUSED):
		return "refused"
	case errors.Is(err, unix.ENETUNREACH):
		return "unreachable"
	case errors.As(err, &t) && t.Timeout():
		return "timeout"
	}
	return err.Error()
}

// lan makes a neighbour of the host with a route to its containers.
func lan(t *testing.T) *ns.Handle {
	t.Helper()
	sh(t, `mkdir -p /run/netns; ip netns add lan; ip link set lo up; ip link add eth0 type veth peer name eth0 netns lan
ip addr add 198.51.100.1/24 dev eth0; ip link set eth0 up; ip route add default via 198.51.100.2
ip -n lan addr add 198.51.100.2/24 dev eth0; ip -n lan link set eth0 up; ip -n lan link set lo up; ip -n lan route add default via 198.51.100.1`)
	t.Cleanup(func() { sh(t, "ip link del eth0; ip netns del lan; ip link set lo down") })
	h, err := ns.Open("/run/netns/lan")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// oracle is what was measured on three real daemons: a server on the default
// bridge published at 8080, one on a custom network published at
// 127.0.0.1:5432, a client there, one on an internal network.
var oracle = []struct {
	row, from, to string
	want          [3]string // 20.10, 29-iptables, 29-nftables
}{
	{"A", "lan", "198.51.100.1:8080", [3]string{"ok", "ok", "ok"}},
	{"B", "host", "127.0.0.1:8080", [3]string{"ok", "ok", "ok"}},
	{"C", "host", "WEB:80", [3]string{"ok", "ok", "ok"}},
	{"D", "web", "198.51.100.1:8080", [3]string{"ok", "ok", "ok"}},
	{"E", "client", "198.51.100.1:8080", [3]string{"ok", "ok", "ok"}},
	{"E gateway", "client", "GATEWAY:8080", [3]string{"ok", "ok", "ok"}},
	{"F", "client", "WEB:80", [3]string{"timeout", "timeout", "timeout"}},
	{"G", "web", "198.51.100.1:5432", [3]string{"refused", "refused", "refused"}},
	{"host to 127.0.0.1:5432", "host", "127.0.0.1:5432", [3]string{"ok", "ok", "ok"}},
	{"H", "lan", "WEB:80", [3]string{"ok", "timeout", "timeout"}},
	{"I", "lan", "WEB:81", [3]string{"timeout", "timeout", "timeout"}},
	{"K", "iso", "198.51.100.1:8080", [3]string{"timeout", "unreachable", "unreachable"}},
	{"L", "iso", "ISOGW:8080", [3]string{"timeout", "timeout", "ok"}},
	{"members", "client", "DB:5432", [3]string{"ok", "ok", "ok"}},
	{"out of iso", "iso", "198.51.100.2:80", [3]string{"timeout", "unreachable", "unreachable"}},
	{"into iso", "lan", "ISO:80", [3]string{"timeout", "timeout", "timeout"}},
}

func TestReachabilityIsThatOfDocker(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := lan(t)
	host, err := ns.Self()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
services:
  web: {network_mode: bridge, ports: ["8080:80"], command: [%[1]q, serve, "tcp:80", "tcp:81"]}
  db: {networks: [app], ports: ["127.0.0.1:5432:5432"], command: [%[1]q, serve, "tcp:5432"]}
  client: {networks: [app]}
  iso: {networks: [closed], command: [%[1]q, serve, "tcp:80"]}
networks:
  app: {}
  closed: {internal: true}
`, self)
	for i, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			h := raised(t, parse(t, text), gen)
			st, err := h.Status()
			if err != nil {
				t.Fatal(err)
			}
			places := map[string]*ns.Handle{"lan": out, "host": host}
			names := map[string]string{}
			for _, c := range []string{"web", "db", "client", "iso"} {
				n, err := ns.Open(st.Container(c).Ctr.SandboxKey)
				if err != nil {
					t.Fatal(err)
				}
				defer n.Close()
				places[c] = n
			}
			ip := func(c string) string { return st.Container(c).Ctr.Endpoints[0].IPv4.Addr().String() }
			names["WEB"], names["DB"], names["ISO"] = ip("web"), ip("db"), ip("iso")
			names["GATEWAY"], names["ISOGW"] = st.Container("web").Ctr.Endpoints[0].Gateway4.String(), st.Container("iso").Ctr.Endpoints[0].Gateway4.String()
			until(t, "the servers listen", func() bool {
				return ask(host, names["WEB"]+":80") == "ok" && ask(host, names["DB"]+":5432") == "ok" && ask(host, names["ISO"]+":80") == "ok"
			})
			for _, row := range oracle {
				name, port, _ := net.SplitHostPort(row.to)
				if a, ok := names[name]; ok {
					name = a
				}
				if got := ask(places[row.from], net.JoinHostPort(name, port)); got != row.want[i] {
					t.Errorf("%s: %s → %s: %s, want %s", row.row, row.from, row.to, got, row.want[i])
				}
			}
		})
	}
}

// until waits for something, bounded.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
