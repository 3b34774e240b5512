package testenv_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// TestUDPClientsFollowTheContainer has a neighbour send from one and the same
// port while a container that publishes UDP comes, changes its address, and goes:
// a tracked connection would keep its packets where they went before.
func TestUDPClientsFollowTheContainer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := lan(t)
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			h := &testenv.Host{}
			ctx := context.Background()
			up := func(ip string) {
				t.Helper()
				text := fmt.Sprintf("services:\n  a: {networks: {app: {ipv4_address: %s}}, ports: [\"5353:53/udp\"], command: [%q, serve, \"udp:53\"]}\nnetworks:\n  app: {ipam: {config: [{subnet: 10.7.0.0/24}]}}\n", ip, self)
				if _, err := h.Up(ctx, parse(t, text), testenv.UpOptions{Options: testenv.Options{Like: gen, NoProxy: true}}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := h.Up(ctx, parse(t, "networks:\n  app: {ipam: {config: [{subnet: 10.7.0.0/24}]}}\n"), testenv.UpOptions{Options: testenv.Options{Like: gen, NoProxy: true}}); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if _, err := h.Down(ctx, false); err != nil {
					t.Error(err)
				}
			}()
			c := sender(t, out)
			if answered(c) {
				t.Error("answered before anything was published")
			}
			for _, ip := range []string{"10.7.0.10", "10.7.0.20"} {
				up(ip)
				until(t, "the answer of "+ip+" comes to a client that has sent all the time", func() bool { return answered(c) })
			}
		})
	}
}

// sender is a UDP socket in a namespace, bound to one port, that takes answers
// of the host's published port.
func sender(t *testing.T, at *ns.Handle) net.Conn {
	t.Helper()
	var c net.Conn
	if err := at.Do(func() (err error) {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(198, 51, 100, 2), Port: 40053}}
		c, err = d.Dial("udp4", "198.51.100.1:5353")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answered sends a datagram and says whether one comes back soon. An error that
// is told (the port is unreachable) is no answer.
func answered(c net.Conn) bool {
	_ = c.SetDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := c.Write([]byte("hello")); err != nil {
		return false
	}
	n, err := c.Read(make([]byte, 100))
	return err == nil && n > 0
}

// TestUDPByTheProxyAnswersFromTheAddressAsked has a container ask a published UDP
// port by an address of the host that is not its gateway's: no rule leads it, the
// helper does, and the answer must come from the address that was asked.
func TestUDPByTheProxyAnswersFromTheAddressAsked(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	lan(t)
	for _, gen := range driver.Generations() {
		t.Run(string(gen), func(t *testing.T) {
			h := &testenv.Host{}
			ctx := context.Background()
			text := fmt.Sprintf("services:\n  a: {networks: [app], ports: [\"5353:53/udp\"], command: [%q, serve, \"udp:53\"]}\n  b: {networks: [app]}\nnetworks:\n  app: {}\n", self)
			if _, err := h.Up(ctx, parse(t, text), testenv.UpOptions{Options: testenv.Options{Like: gen}}); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if _, err := h.Down(ctx, false); err != nil {
					t.Error(err)
				}
			}()
			place, err := nsOf(t, h, "b")
			if err != nil {
				t.Fatal(err)
			}
			defer place.Close()
			var c net.Conn
			if err := place.Do(func() (err error) {
				c, err = net.Dial("udp4", "198.51.100.1:5353")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			until(t, "the answer comes from the address that was asked", func() bool { return answered(c) })
		})
	}
}
