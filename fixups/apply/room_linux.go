package apply

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// room is a new namespace that no file holds yet, so that it goes with this
// process, and the sockets to work in it.
type room struct {
	h     *ns.Handle
	conns map[int]*conn
	did   []fixups.Op // what was carried out ahead
	// new6 is what net/ipv6/conf/default/disable_ipv6 was before it was set to 1,
	// so that the first device has no IPv6; "" when it was not set.
	new6 string
	err  error
}

// newRoom also carries out what is going to be asked for in each namespace. What
// does not succeed here is tried again where it belongs, and is an error there.
func newRoom(ahead []fixups.Op) *room {
	h, err := ns.New()
	if err != nil {
		return &room{err: err}
	}
	r := &room{h: h, conns: map[int]*conn{}}
	_ = h.Do(func() error {
		for _, proto := range []int{unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER} {
			if c, err := dialHere(proto); err == nil {
				r.conns[proto] = c
			}
		}
		for _, op := range ahead {
			if r.carryOut(op) == nil {
				r.did = append(r.did, op)
			}
		}
		if len(ahead) > 0 {
			r.new6 = plain6()
		}
		return nil
	})
	return r
}

// carryOut is called in the namespace.
func (r *room) carryOut(op fixups.Op) error {
	switch o := op.(type) {
	case *fixups.SysctlSet:
		return writeSysctl(o)
	case *fixups.LinkSet:
		c := r.conns[unix.NETLINK_ROUTE]
		if c == nil || o.Name != "lo" || !o.Up {
			break
		}
		return c.do(unix.RTM_NEWLINK, 0, ifinfo(unix.AF_UNSPEC, loIndex, unix.IFF_UP, unix.IFF_UP))
	}
	return fmt.Errorf("%s ahead: %w", op.Kind(), snap.ErrUnsupported)
}

// loIndex is lo's in every namespace, as its first device
// (net/core/net_namespace.c, drivers/net/loopback.c).
const loIndex = 1

// has says whether an operation in this namespace was carried out ahead.
func (r *room) has(op fixups.Op) bool {
	return r != nil && slices.ContainsFunc(r.did, func(d fixups.Op) bool {
		switch o := op.(type) {
		case *fixups.SysctlSet:
			was, ok := d.(*fixups.SysctlSet)
			return ok && was.Key == o.Key && was.Value == o.Value
		case *fixups.LinkSet:
			was, ok := d.(*fixups.LinkSet)
			return ok && was.Name == o.Name && was.Up == o.Up
		}
		return false
	})
}

// with6 lets devices have IPv6 as before.
func (r *room) with6() error {
	if r.new6 == "" {
		return nil
	}
	old := r.new6
	r.new6 = ""
	return r.h.Do(func() error { return writeSysctl(&fixups.SysctlSet{Key: newDevices6, Value: old}) })
}

// newDevices6 is what a new device's disable_ipv6 is (net/ipv6/addrconf.c:
// ipv6_add_dev).
const newDevices6 = "net/ipv6/conf/default/disable_ipv6"

// plain6 has new devices of the calling thread's namespace without IPv6, and gives
// what it was before; "" when it was so before, or can't be.
func plain6() string {
	b, err := os.ReadFile("/proc/sys/" + newDevices6)
	old := strings.TrimSpace(string(b))
	if err != nil || old == "1" || writeSysctl(&fixups.SysctlSet{Key: newDevices6, Value: "1"}) != nil {
		return ""
	}
	return old
}

func (r *room) close() {
	for _, c := range r.conns {
		c.close()
	}
	if r.h != nil {
		_ = r.h.Close() // only a descriptor
	}
}

// roomsAhead is how many are kept ready: the kernel takes about as long to make
// one as all the rest of a container, and none is needed before the next.
const roomsAhead = 2

// Expect says how many namespaces are going to be made: they are made beside the
// other work. Those that are not asked for in the end go when the Builder is
// closed, or with the process. ahead are the operations that each begins with,
// whatever else it is for: values of sysctls, and lo that comes up.
func (b *Builder) Expect(n int, ahead ...fixups.Op) {
	m := b.m
	if n < 2 || m.ahead != nil {
		return
	}
	m.ahead, m.enough = make(chan *room, roomsAhead), make(chan struct{})
	go func(rooms chan<- *room, enough <-chan struct{}) {
		defer close(rooms)
		for range n {
			r := newRoom(ahead)
			select {
			case rooms <- r:
			case <-enough:
				r.close()
				return
			}
			if r.err != nil {
				return
			}
		}
	}(m.ahead, m.enough)
}

// room is one that was made ahead, or a new one.
func (m *machine) room() (*room, error) {
	if m.ahead != nil {
		if r, ok := <-m.ahead; ok {
			return r, r.err
		}
		m.ahead = nil // all that were expected were asked for
	}
	r := newRoom(nil)
	return r, r.err
}

// empty lets go of those that nobody asked for.
func (m *machine) empty() {
	if m.ahead == nil {
		return
	}
	close(m.enough)
	for r := range m.ahead {
		r.close()
	}
	m.ahead = nil
}
