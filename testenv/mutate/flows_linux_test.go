package mutate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/probe"
)

// flow is something that people expect of a host: a connection, a full-sized
// packet, a name. Whether it works is found out by doing it.
type flow struct {
	text string
	from *snap.Netns
	to   netip.AddrPort // TCP; port 0: ICMP of a full Ethernet frame
	name string         // to be resolved in the mount namespace of pid
	pid  int
	want netip.Addr // what it must resolve to; not valid: anything
	img  bool       // the container has files of its own: its resolver is its own program
	// sender and target are what a person asks for who misses it: "client", "web:80".
	sender, target string
}

// The world of the practice hosts, and of the fault lab, which serves the second
// port nowhere: what fails while the host is well is not expected.
var (
	worldTLS  = netip.MustParseAddrPort("198.51.100.20:443")
	worldWeb  = netip.MustParseAddrPort("198.51.100.20:80")
	worldName = map[bool]string{false: "www.example.org", true: "www.example.test"}
)

// flows are those of a host: members among themselves and across networks, the
// world, published ports from three sides, loopbacks, names. What does not work
// while the host is well is not expected.
func flows(s *snap.Snapshot) []flow {
	var out []flow
	host := s.HostNs()
	docker := s.Engine("docker") != nil
	called := map[netip.Addr]string{}
	for i := range s.Containers {
		for _, e := range s.Containers[i].Endpoints {
			called[e.IPv4.Addr()] = s.Containers[i].Name
		}
	}
	tcp := func(from *snap.Netns, who string, a netip.Addr, port uint16) {
		f := flow{text: fmt.Sprintf("%s -> %s:%d", who, a, port), from: from, to: netip.AddrPortFrom(a, port), sender: who}
		f.target = cmp.Or(called[a], a.String()) + ":" + fmt.Sprint(port)
		if from.Class == snap.ClassOutside {
			for _, x := range from.Addrs {
				if ip := x.Prefix.Addr(); ip.Is4() && !ip.IsLoopback() {
					f.sender = ip.String()
				}
			}
		}
		out = append(out, f)
	}
	big := func(from *snap.Netns, who string, a netip.Addr) {
		out = append(out, flow{text: fmt.Sprintf("%s -> %s (1500 bytes)", who, a), from: from, to: netip.AddrPortFrom(a, 0), sender: who, target: cmp.Or(called[a], a.String())})
	}
	var outside []*snap.Netns
	for i := range s.Netns {
		if n := &s.Netns[i]; n.Class == snap.ClassOutside && (n.ID == "internet" || n.ID == "router" || strings.HasSuffix(n.ID, "-lan")) {
			outside = append(outside, n)
		}
	}
	up := netip.Addr{}
	for i := range host.Addrs {
		if a := &host.Addrs[i]; a.Prefix.Addr().Is4() && host.LinkAt(a.Index).Name == "eth0" {
			up = a.Prefix.Addr()
		}
	}
	world := func(from *snap.Netns, who string) {
		for _, w := range []netip.AddrPort{worldWeb, worldTLS} {
			tcp(from, who, w.Addr(), w.Port())
		}
	}
	world(host, "host")
	big(host, "host", worldWeb.Addr())
	out = append(out, flow{text: "host ? " + worldName[docker], name: worldName[docker], from: host, sender: "host"})
	for i := range s.Containers {
		c := &s.Containers[i]
		from := s.Ns(c.Netns)
		if from == nil || from == host || !c.Running() {
			continue
		}
		world(from, c.Name)
		big(from, c.Name, worldWeb.Addr())
		out = append(out, flow{text: c.Name + " ? " + worldName[docker], name: worldName[docker], pid: c.PID, img: docker, from: from, sender: c.Name})
		for _, port := range listening(from) {
			tcp(from, c.Name, netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		}
		for j := range s.Containers {
			o := &s.Containers[j]
			to := s.Ns(o.Netns)
			if o == c || to == nil || to == host || len(o.Endpoints) == 0 || !o.Endpoints[0].IPv4.IsValid() {
				continue
			}
			a := o.Endpoints[0].IPv4.Addr()
			for _, port := range listening(to) {
				tcp(from, c.Name, a, port)
			}
			if len(c.Endpoints) > 0 && c.Endpoints[0].Network == o.Endpoints[0].Network {
				big(from, c.Name, a)
				if s.NetworkOf(c.Engine, &c.Endpoints[0]).DNS {
					out = append(out, flow{text: c.Name + " ? " + o.Name, name: o.Name, want: a, pid: c.PID, img: docker, from: from, sender: c.Name})
				}
			}
		}
		for j := range c.Ports {
			p := &c.Ports[j]
			if p.Proto != snap.TCP || p.HostPort == 0 || p.HostIP.Is6() {
				continue
			}
			at := p.HostIP
			if !at.IsValid() || at.IsUnspecified() {
				at = up
				tcp(host, "host", netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.HostPort)
			}
			tcp(host, "host", at, p.HostPort)
			for _, n := range outside {
				tcp(n, n.ID, at, p.HostPort)
			}
		}
	}
	return out
}

// listening are the ports on which a namespace takes connections at all of its
// addresses.
func listening(n *snap.Netns) []uint16 {
	var out []uint16
	for i := range n.Sockets {
		s := &n.Sockets[i]
		if s.Proto == snap.TCP && !s.Remote.IsValid() && s.Local.Addr().IsUnspecified() && len(out) < 2 {
			out = append(out, s.Local.Port())
		}
	}
	return out
}

// measure does all of it at once, and what failed once more: true works.
func measure(ctx context.Context, list []flow) map[string]bool {
	out := map[string]bool{}
	for range 2 {
		works := make([]bool, len(list))
		var wg sync.WaitGroup
		slots := make(chan struct{}, 24)
		for i, f := range list {
			if out[f.text] {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				works[i] = f.works(ctx)
				<-slots
			})
		}
		wg.Wait()
		for i, f := range list {
			out[f.text] = out[f.text] || works[i]
		}
	}
	return out
}

// patience bounds one try: all ways lie within this machine.
const patience = 900 * time.Millisecond

func (f *flow) works(ctx context.Context) bool {
	switch {
	case f.name != "":
		return f.resolves(ctx)
	case f.to.Port() == 0:
		p := &probe.Prober{Timeout: patience}
		return p.ICMP(ctx, f.from, f.to.Addr(), probe.Options{Size: 1472}).Outcome == snap.Answered
	}
	h, err := ns.Open(f.from.Path)
	if err != nil {
		return false
	}
	defer func() { _ = h.Close() }() // only entered
	var got error
	err = h.Do(func() error { got = ask(f.to.String()); return nil })
	return err == nil && got == nil
}

// ask opens a connection and puts a question; a server that says nothing to it
// is as good as one that answers, one that hangs up at once is not.
func ask(to string) error {
	d := net.Dialer{Timeout: patience}
	c, err := d.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // it was read
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err = fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n"); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if t := net.Error(nil); errors.As(err, &t) && t.Timeout() || errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("no answer: %w", err)
	}
	return err
}

// resolves asks as a program there does: through its own C library, or through
// the image's own tool.
func (f *flow) resolves(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	args := []string{"getent", "ahostsv4", f.name}
	switch {
	case f.img:
		args = []string{"nsenter", "-t", strconv.Itoa(f.pid), "-n", "-m", "-u", "--", "/bin/labsvc", "resolve", f.name}
	case f.pid != 0:
		args = append([]string{"nsenter", "-t", strconv.Itoa(f.pid), "-n", "-m", "--"}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(cmd.Environ(), "RES_OPTIONS=timeout:1 attempts:2")
	start := time.Now()
	out, err := cmd.Output()
	// A server that has to be waited for is a symptom, too: its time-out is 1 s here.
	if f.want.IsValid() && !holds(string(out), f.want.String()) {
		return false // somebody else's address is no answer
	}
	return err == nil && len(out) > 0 && time.Since(start) < time.Second
}
