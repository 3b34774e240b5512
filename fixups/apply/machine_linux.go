package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/engine/dockerapi"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// machine is the host that is changed: open namespaces, and what was last known
// of it.
type machine struct {
	a *Applier
	// base is the snapshot that the changes rest upon, kept up to date with what
	// the steps did.
	base    *snap.Snapshot
	host    *ns.Handle
	cookie  uint64                // of the host namespace; 0: not known
	handles map[string]*ns.Handle // by Where.ID
	found   []ns.Found            // every namespace, looked for once
	docker  *dockerapi.Client
	conns   map[connKey]*conn
	rooms   map[string]*room // of namespaces that are new
	born    map[string]bool  // namespace and name of devices that were born without IPv6
	plain   map[string]bool  // namespace and name of devices that get no IPv6
	ahead   chan *room       // namespaces made ahead; nil: none
	enough  chan struct{}    // closed: no more of them
}

// open opens the host. With a snapshot it makes sure that it is of this host.
func (a *Applier) open(s *snap.Snapshot) (*machine, error) {
	h, err := ns.OpenHost(a.HostNS)
	if err != nil {
		return nil, err
	}
	m := &machine{a: a, host: h, cookie: cookieOf(h), handles: map[string]*ns.Handle{}}
	if s == nil {
		m.base = &snap.Snapshot{Host: snap.Host{Netns: "host", BootID: bootID()}, Netns: []snap.Netns{{ID: "host", Inode: h.Inode(), Class: snap.ClassHost}}}
		return m, nil
	}
	m.base = s.Clone()
	host := m.base.HostNs()
	switch {
	case host == nil || host.Inode != h.Inode():
		err = fmt.Errorf("the snapshot is of another host namespace: %w", ErrChanged)
	case s.Host.BootID != "" && s.Host.BootID != bootID():
		err = fmt.Errorf("the snapshot is of another machine, or of before it was started: %w", ErrChanged)
	}
	if err != nil {
		_ = h.Close() // nothing was done with it
		return nil, err
	}
	return m, nil
}

func (m *machine) close() {
	m.empty()
	_ = m.host.Close() // only descriptors
	for _, c := range m.conns {
		c.close()
	}
	for _, h := range m.handles {
		_ = h.Close()
	}
	if m.docker != nil {
		m.docker.Close()
	}
}

// inode is the host namespace's.
func (m *machine) inode() uint64 { return m.host.Inode() }

// key tells the host namespace from others.
func (m *machine) key() hostKey { return hostKey{m.inode(), m.cookie} }

// cookieOf is a namespace's SO_NETNS_COOKIE; 0 where the kernel has none.
func cookieOf(h *ns.Handle) (cookie uint64) {
	err := h.Do(func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }() // nothing was written
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return err
	})
	if err != nil {
		return 0
	}
	return cookie
}

// settle takes what was seen after a step as the new base.
func (m *machine) settle(s *snap.Snapshot) { m.base = s }

// handle opens a namespace, the very one that is meant: where its inode is known
// it must be the same.
func (m *machine) handle(ctx context.Context, w fixups.Where) (*ns.Handle, error) {
	if w.Host || w.ID == m.base.Host.Netns {
		if w.Inode != 0 && w.Inode != m.host.Inode() {
			return nil, fmt.Errorf("host namespace: %w", ErrChanged)
		}
		return m.host, nil
	}
	if h := m.handles[w.ID]; h != nil {
		return h, nil
	}
	h, err := m.find(ctx, w)
	if err != nil {
		return nil, err
	}
	m.handles[w.ID] = h
	return h, nil
}

// find tries the ways that an operation remembers, then looks at all
// namespaces for the inode.
func (m *machine) find(ctx context.Context, w fixups.Where) (*ns.Handle, error) {
	path := w.Path
	if path == "" && w.Inode == 0 && w.Pid == 0 && plainName(w.ID) {
		path = "/run/netns/" + w.ID // one that this transaction has made
	}
	same := func(h *ns.Handle, err error) *ns.Handle {
		if err != nil {
			return nil
		}
		if w.Inode != 0 && h.Inode() != w.Inode {
			_ = h.Close() // it is another one by now
			return nil
		}
		return h
	}
	if path != "" {
		if h := same(ns.Open(path)); h != nil {
			return h, nil
		}
	}
	if w.Pid != 0 && w.Inode != 0 {
		if h := same(ns.OpenPid(w.Pid)); h != nil {
			return h, nil
		}
	}
	if w.Inode != 0 {
		if m.found == nil {
			list, _, err := ns.Discover(ctx, ns.Options{HostNS: m.a.HostNS})
			if err != nil {
				return nil, err
			}
			m.found = list
		}
		for i := range m.found {
			if m.found[i].Inode == w.Inode {
				return m.found[i].Open()
			}
		}
	}
	return nil, fmt.Errorf("namespace %s: %w", w.ID, snap.ErrVanished)
}

func plainName(s string) bool { return s != "" && s != "." && s != ".." && !strings.Contains(s, "/") }

// look gives what is known of the host, with everything that the operation is
// about read anew.
func (m *machine) look(ctx context.Context, op fixups.Op) (*snap.Snapshot, error) {
	s := m.base.Clone()
	s.Host.Netns = m.base.Host.Netns
	if p, ok := op.(fixups.Placed); ok {
		if err := m.lookPlaces(ctx, s, op, p.Places()); err != nil {
			return nil, err
		}
	}
	switch o := op.(type) {
	case *fixups.SysctlSet:
		return s, m.lookSysctl(ctx, s, o)
	case *fixups.RecentDel:
		return s, m.lookRecent(ctx, s, o.Where)
	case *fixups.RecentAdd:
		return s, m.lookRecent(ctx, s, o.Where)
	case *fixups.IPSetMember:
		return s, m.lookIPSets(ctx, s, o.Where)
	case *fixups.FileWrite:
		return s, m.lookFile(s, o)
	case *fixups.ProcessContinue:
		return s, m.lookProc(s, o.Proc)
	case *fixups.ProcessStop:
		return s, m.lookProc(s, o.Proc)
	case *fixups.GroupThaw:
		return s, m.lookFreezer(s, o.Freezer)
	case *fixups.GroupFreeze:
		return s, m.lookFreezer(s, o.Freezer)
	case *fixups.NetnsAdd:
		return s, m.lookNamed(s, o.Name)
	case *fixups.NetnsDel:
		return s, m.lookNamed(s, o.Name)
	case *fixups.SandboxAdd:
		return s, m.lookSandbox(s, o.Where)
	case *fixups.SandboxDel:
		return s, m.lookSandbox(s, o.Where)
	}
	if c, ok := ctrOf(op); ok {
		return s, m.lookContainer(ctx, s, c)
	}
	return s, nil
}

func (m *machine) lookPlaces(ctx context.Context, s *snap.Snapshot, op fixups.Op, places []fixups.Where) error {
	var peers []*ns.Handle
	for _, w := range places {
		h, err := m.handle(ctx, w)
		if err != nil {
			return err
		}
		peers = append(peers, h)
	}
	_, conn := op.(*fixups.ConntrackDelete)
	for i, w := range places {
		id := w.ID
		if w.Host {
			id = s.Host.Netns
		}
		opt := kernel.Options{Peers: append([]*ns.Handle{m.host}, peers...), NoRuleset: !ruleOp(op), NoConntrack: !conn, Host: peers[i] == m.host}
		now, gaps := kernel.ReadNetns(ctx, peers[i], opt)
		if err := blind(op, gaps); err != nil {
			return fmt.Errorf("reading namespace %s: %w", id, err)
		}
		adopt(s, w, id, &now, opt)
	}
	return nil
}

// blind says whether something could not be read that the operation needs.
func blind(op fixups.Op, gaps []snap.Gap) error {
	needed := []string{"namespace", "links", "addresses", "policy rules", "routes", "neighbours", "forwarding entries", "bridge VLANs"}
	switch {
	case ruleOp(op):
		needed = []string{"namespace", "ruleset"}
	case op.Kind() == "conntrack-delete":
		needed = []string{"namespace", "conntrack"}
	case strings.HasPrefix(op.Kind(), "xfrm-"):
		needed = []string{"namespace", "IPsec policies"}
	}
	for _, g := range gaps {
		if !slices.Contains(needed, g.What) || g.Kind == "unsupported" {
			continue
		}
		err := errors.New(g.Why)
		switch g.Kind {
		case "permission":
			err = fmt.Errorf("%s (%w)", g.Why, snap.ErrPermission)
		case "torn":
			err = fmt.Errorf("%s (%w)", g.Why, snap.ErrTorn)
		}
		return snap.Hint(err, g.Needs)
	}
	return nil
}

// adopt puts what was read in the place of what was known, and keeps what only
// a whole reading of the host can tell.
func adopt(s *snap.Snapshot, w fixups.Where, id string, now *snap.Netns, opt kernel.Options) {
	old := s.Ns(id)
	if old == nil {
		s.Netns = append(s.Netns, snap.Netns{ID: id, Class: snap.ClassAttached})
		old = &s.Netns[len(s.Netns)-1]
		if now.Path = w.Path; now.Path == "" && plainName(id) {
			now.Path = "/run/netns/" + id
		}
	} else {
		now.Path = old.Path
	}
	now.ID, now.Class, now.Names, now.Containers, now.Pids = id, old.Class, old.Names, old.Containers, old.Pids
	if opt.NoRuleset {
		now.Ruleset, now.IPSets, now.Recent, now.HashLimits = old.Ruleset, old.IPSets, old.Recent, old.HashLimits
	}
	if opt.NoConntrack {
		now.Conntrack = old.Conntrack
	}
	for k, v := range old.Sysctls { // keys that are only read when asked for
		if _, ok := now.Sysctls[k]; !ok && now.Inode == old.Inode && fixedKey(k) {
			now.Sysctls[k] = v
		}
	}
	ids := map[string]string{}
	for i := range s.Netns {
		ids[kernel.InodeID(s.Netns[i].Inode)] = s.Netns[i].ID
	}
	for n, x := range now.NSIDs {
		now.NSIDs[n] = ids[x]
	}
	for i := range now.Links {
		l := &now.Links[i]
		switch {
		case l.PeerNSID == -1:
			l.PeerNetns = id
		case now.NSIDs[l.PeerNSID] != "":
			l.PeerNetns = now.NSIDs[l.PeerNSID]
		default:
			if o := old.LinkAt(l.Index); o != nil && o.Name == l.Name && o.PeerNSID == l.PeerNSID {
				l.PeerNetns = o.PeerNetns
			}
		}
	}
	*old = *now
}

// fixedKey says whether a sysctl is of the namespace and not of a device, which
// may be gone.
func fixedKey(k string) bool {
	return !strings.Contains(k, "/conf/") || strings.Contains(k, "/conf/all/") || strings.Contains(k, "/conf/default/")
}
