package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The groups of notifications that tell of what a Snapshot has
// (linux/rtnetlink.h: enum rtnetlink_groups; nfnetlink.h: enum nfnetlink_groups).
// NETCONF tells of forwarding and rp_filter. Of legacy tables, of the other
// sysctls and of sockets the kernel tells nobody.
const (
	grpNetconf4 = 24
	grpNetconf6 = 25
	grpNSID     = 28
	grpNexthop  = 32
	grpNFTables = 7
)

func routeGroups() []int {
	return []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_TC, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		grpNetconf4, grpNetconf6, grpNSID, grpNexthop,
	}
}

// Notifier says that something changed in a set of namespaces, as soon as the
// kernel tells of it. It costs nothing while nothing changes.
type Notifier struct {
	changed chan struct{}

	mu     sync.Mutex
	socks  map[uint64][]*os.File // by the namespace's inode
	closed bool
	wait   sync.WaitGroup
}

// NewNotifier listens in the namespaces of this host that the snapshot has.
func NewNotifier(s *snap.Snapshot) (*Notifier, error) {
	n := &Notifier{changed: make(chan struct{}, 1), socks: map[uint64][]*os.File{}}
	if err := n.Watch(s); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Changed gets a value after a change, one for all that came before it was taken.
func (n *Notifier) Changed() <-chan struct{} { return n.changed }

// Watch listens in the namespaces of this snapshot from now on. One that can't be
// listened in is an error only when it is the host's. Where it begins to listen, what
// changed just before may have been missed: that counts as a change.
func (n *Notifier) Watch(s *snap.Snapshot) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := map[uint64]bool{}
	var failed error
	for i := range s.Netns {
		x := &s.Netns[i]
		if !x.Class.Ours() || x.Light || x.Path == "" || x.Inode == 0 || n.closed {
			continue
		}
		now[x.Inode] = true
		if n.socks[x.Inode] != nil {
			continue
		}
		list, err := listen(x)
		if err != nil {
			if x.ID == s.Host.Netns {
				failed = err
			}
			continue // it ended meanwhile, or is only looked at from time to time
		}
		n.socks[x.Inode] = list
		n.tell()
		for _, f := range list {
			n.wait.Add(1)
			go n.read(f)
		}
	}
	for inode, list := range n.socks {
		if !now[inode] {
			closeAll(list)
			delete(n.socks, inode)
		}
	}
	return failed
}

// Close stops listening.
func (n *Notifier) Close() error {
	n.mu.Lock()
	n.closed = true
	for inode, list := range n.socks {
		closeAll(list)
		delete(n.socks, inode)
	}
	n.mu.Unlock()
	n.wait.Wait()
	return nil
}

func closeAll(list []*os.File) {
	for _, f := range list {
		_ = f.Close() // only read
	}
}

// listen opens the sockets of one namespace: they keep it, whoever uses them.
func listen(x *snap.Netns) ([]*os.File, error) {
	h, err := ns.Open(x.Path)
	if err != nil {
		return nil, err
	}
	defer h.Close() //nolint:errcheck // only entered
	if h.Inode() != x.Inode {
		return nil, fmt.Errorf("namespace %s is another one by now: %w", x.ID, snap.ErrVanished)
	}
	var out []*os.File
	err = h.Do(func() error {
		for _, k := range []struct {
			proto  int
			groups []int
		}{{unix.NETLINK_ROUTE, routeGroups()}, {unix.NETLINK_NETFILTER, []int{grpNFTables}}} {
			f, err := subscribe(k.proto, k.groups)
			if err != nil {
				return NetlinkError("listening for changes in "+x.ID, err)
			}
			out = append(out, f)
		}
		return nil
	})
	if err != nil {
		closeAll(out)
		return nil, err
	}
	return out, nil
}

// subscribe opens one socket. A kernel without a group tells the others all the same.
func subscribe(proto int, groups []int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd) // the error that matters is err
		return nil, err
	}
	joined := 0
	for _, g := range groups {
		if err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err == nil {
			joined++
		}
	}
	if joined == 0 {
		_ = unix.Close(fd) // the error that matters is err
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// read takes in notifications until the socket is closed.
func (n *Notifier) read(f *os.File) {
	defer n.wait.Done()
	buf := make([]byte, 32<<10)
	for {
		k, err := f.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS): // so much changed that the kernel threw some of it away
		case err != nil:
			return
		case !matters(buf[:k]):
			continue
		}
		n.tell()
	}
}

// tell says that something changed.
func (n *Notifier) tell() {
	select {
	case n.changed <- struct{}{}:
	default: // it is said already
	}
}

// matters says whether some message tells of more than the daily life of neighbour
// entries and of routes that the kernel remembers.
func matters(b []byte) bool {
	for len(b) >= nlmsgHdrLen {
		size := int(binary.NativeEndian.Uint32(b))
		if size < nlmsgHdrLen || size > len(b) {
			return true
		}
		typ, data := binary.NativeEndian.Uint16(b[4:]), b[nlmsgHdrLen:size]
		switch typ {
		case unix.NLMSG_NOOP, unix.NLMSG_DONE:
		case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
			// struct ndmsg: family, 3 bytes of padding, ifindex, state
			if len(data) >= 10 && binary.NativeEndian.Uint16(data[8:])&unix.NUD_PERMANENT != 0 && data[0] != unix.AF_BRIDGE {
				return true
			}
		default:
			return true
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return false
}
