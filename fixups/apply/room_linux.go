package apply

import (
	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
)

// room is a new namespace that no file holds yet, so that it goes with this
// process, and the sockets to work in it.
type room struct {
	h     *ns.Handle
	conns map[int]*conn
	err   error
}

// newRoom also looks up the sysctls that are going to be written there: what the
// kernel makes of a name that was never asked for in a namespace takes longer than
// the writing (fs/proc/proc_sysctl.c: proc_sys_lookup).
func newRoom(sysctls []string) room {
	h, err := ns.New()
	if err != nil {
		return room{err: err}
	}
	r := room{h: h, conns: map[int]*conn{}}
	_ = h.Do(func() error { // one that is missing is asked for again where it is needed
		for _, proto := range []int{unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER} {
			if c, err := dialHere(proto); err == nil {
				r.conns[proto] = c
			}
		}
		for _, key := range sysctls {
			if path, err := sysctlPath(key); err == nil {
				var st unix.Stat_t
				_ = unix.Stat(path, &st) // writing it says what is wrong
			}
		}
		return nil
	})
	return r
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
// closed, or with the process. sysctls are keys that will be set in each.
func (b *Builder) Expect(n int, sysctls ...string) {
	m := b.m
	if n < 2 || m.ahead != nil {
		return
	}
	m.ahead, m.enough = make(chan room, roomsAhead), make(chan struct{})
	go func(rooms chan<- room, enough <-chan struct{}) {
		defer close(rooms)
		for range n {
			r := newRoom(sysctls)
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
func (m *machine) room() (room, error) {
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
