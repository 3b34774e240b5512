package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// dumpBuffers are taken by turns: a thousand namespaces need no more of them than
// are read at a time. What is decoded copies what it keeps.
var dumpBuffers = sync.Pool{New: func() any { return new([dumpBuffer]byte) }}

// ReadNetns reads one namespace. It never fails as a whole: what could not be
// read is a Gap, and the field keeps what was read of it. Fields that need
// knowledge of other namespaces are left for the caller: ID, Path, Names,
// Containers, Pids, Class and Link.PeerNetns; NSIDs maps to "ns:INODE", or to
// "" for a namespace that none of Options.Peers is. Gaps have no Netns yet.
func ReadNetns(ctx context.Context, h *ns.Handle, o Options) (snap.Netns, []snap.Gap) {
	n := snap.Netns{
		Inode: h.Inode(), Names: []string{}, Containers: []string{}, Pids: []int{},
		Links: []snap.Link{}, Addrs: []snap.Addr{}, Rules: []snap.PolicyRule{}, Routes: []snap.Route{},
		Neighs: []snap.Neigh{}, FDB: []snap.FDBEntry{}, Sysctls: map[string]string{}, Sockets: []snap.Socket{},
		Ruleset: snap.Ruleset{Tables: []snap.Table{}}, Light: o.Light,
	}
	buf := dumpBuffers.Get().(*[dumpBuffer]byte) //nolint:forcetypeassert // nothing else is put there
	defer dumpBuffers.Put(buf)
	rd := reader{ctx: ctx, o: o, n: &n, buf: buf[:]}
	if err := h.Do(rd.inside); err != nil {
		rd.gap("namespace", err)
		return n, rd.gaps
	}
	if o.Light {
		return n, rd.gaps
	}
	rd.owners()
	return n, rd.gaps
}

// reader collects one namespace.
type reader struct {
	ctx  context.Context
	o    Options
	n    *snap.Netns
	gaps []snap.Gap
	buf  []byte // of all its sockets, one after the other
}

// gap notes an error; nil is none, and what the kernel does not have at all is
// no gap: then there is nothing to read.
func (rd *reader) gap(what string, err error) {
	if err == nil || errors.Is(err, snap.ErrUnsupported) {
		return
	}
	rd.gaps = append(rd.gaps, snap.GapOf(what, "", err))
}

// inside does everything that must happen on a thread in the namespace, and
// everything that one route socket can tell.
func (rd *reader) inside() error {
	r, err := dial(unix.NETLINK_ROUTE, rd.buf)
	if err != nil {
		return err
	}
	defer func() {
		rd.torn(r)
		r.close()
	}()
	n, ctx := rd.n, rd.ctx
	n.Cookie = r.cookie()
	devs, err := r.readLinks(ctx)
	rd.gap("links", err)
	n.Links, n.Sysctls = orEmpty(devs.list), devs.sysctls
	addrs, err := r.readAddrs(ctx)
	rd.gap("addresses", err)
	n.Addrs = orEmpty(addrs)
	// After the links: dumping them is what gives a peer's namespace an id
	// (net/core/rtnetlink.c:rtnl_fill_link_netnsid).
	ids, err := r.readNSIDs(ctx, n.Links, rd.o.Peers)
	rd.gap("netns ids", err)
	rd.nsids(ids)
	if rd.o.Light {
		n.Sysctls = map[string]string{}
		return nil
	}
	rd.routing(r)
	rd.trafficControl(r)
	rd.bpf()
	rd.gap("offload features", rd.offloads())
	bridges := slices.ContainsFunc(n.Links, func(l snap.Link) bool { return l.Bridge != nil })
	rd.gap("sysctls", readSysctls(ctx, n.Sysctls, rd.o.Host, bridges))
	if rd.o.Host {
		n.RPFiltered = readRPFiltered()
	}
	rd.sockets()
	n.NFQueues, err = readNFQueues()
	rd.gap("netfilter queues", err)
	rd.conntrack()
	ipvs, err := readIPVS(ctx)
	rd.gap("IPVS services", err)
	n.IPVS = ipvs
	n.Xfrm, err = rd.readXfrm(ctx)
	rd.gap("IPsec policies", err)
	if !rd.o.NoRuleset {
		rd.filters()
	}
	return nil
}

func (rd *reader) filters() {
	rules, gaps := readRuleset(rd.ctx)
	rules.Tables = orEmpty(rules.Tables)
	rd.n.Ruleset = rules
	rd.gaps = append(rd.gaps, gaps...)
	sets, err := readIPSets(rd.ctx)
	rd.n.IPSets = sets
	rd.gap("ipsets", err)
	rd.n.Recent, err = readRecent()
	rd.gap("xt_recent lists", err)
	rd.n.HashLimits, err = readHashLimits()
	rd.gap("hashlimit tables", err)
}

func (rd *reader) routing(r *requester) {
	n, ctx := rd.n, rd.ctx
	rules, err := r.readRules(ctx)
	rd.gap("policy rules", err)
	n.Rules = orEmpty(rules)
	hops, err := r.readNexthops(ctx)
	rd.gap("nexthops", err)
	n.Nexthops = hops
	routes, err := r.readRoutes(ctx, hops)
	rd.gap("routes", err)
	n.Routes = orEmpty(routes)
	learned, err := r.readExceptions(ctx)
	rd.gap("route exceptions", err)
	n.Learned = learned
	neighs, err := r.readNeighs(ctx)
	rd.gap("neighbours", err)
	rd.gap("neighbour parameters", r.readAskers(ctx, n.Links, n.Sysctls))
	n.Neighs = orEmpty(neighs)
	fdb, err := r.readFDB(ctx, n.Links)
	rd.gap("forwarding entries", err)
	n.FDB = orEmpty(fdb)
	n.Groups = readGroups()
	if slices.ContainsFunc(n.Links, func(l snap.Link) bool { return l.Bridge != nil && (l.Bridge.Querier4 || l.Bridge.Querier6) }) {
		mdb, err := r.readMDB(ctx)
		rd.gap("multicast groups of bridges", err)
		n.MDB = mdb
	}
	vlans, err := r.readVlans(ctx, n.Links)
	rd.gap("bridge VLANs", err)
	n.Vlans = vlans
}

func (rd *reader) trafficControl(r *requester) {
	qs, err := r.readQdiscs(rd.ctx)
	if err == nil {
		err = r.readClasses(rd.ctx, qs)
	}
	rd.gap("queueing disciplines", err)
	filters, err := r.readFilters(rd.ctx, filterSpots(qs))
	rd.gap("traffic control filters", err)
	attachFilters(rd.n.Links, qs, filters)
}

func (rd *reader) offloads() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return NetlinkError("opening a socket", err)
	}
	defer unix.Close(fd)
	return readOffloads(fd, rd.n.Links)
}

func (rd *reader) sockets() {
	r, err := dial(unix.NETLINK_SOCK_DIAG, rd.buf)
	if err != nil {
		rd.gap("sockets", err)
		return
	}
	defer r.close()
	all, err := r.readSockets(rd.ctx)
	if err == nil {
		err = r.readWaiting(rd.ctx, all.receive)
	}
	rd.gap("sockets", err)
	rd.n.Sockets, rd.n.Trying, rd.n.Estab = orEmpty(all.receive), all.trying, all.estab
	rd.torn(r)
}

// conntrack reads the table only when it is in use: a dump visits every bucket
// of the whole machine.
func (rd *reader) conntrack() {
	n := rd.n
	n.ConntrackMax = rd.number("net/netfilter/nf_conntrack_max")
	n.ConntrackCount = rd.number("net/netfilter/nf_conntrack_count")
	if n.ConntrackCount == 0 || rd.o.NoConntrack {
		return
	}
	r, err := dial(unix.NETLINK_NETFILTER, rd.buf)
	if err != nil {
		rd.gap("conntrack", err)
		return
	}
	defer r.close()
	list, more, err := r.readConntrack(rd.ctx, maxConntrack)
	if errors.Is(err, snap.ErrTorn) && list != nil {
		err = nil // connections come and go: the table is never still
	}
	rd.gap("conntrack", err)
	if more {
		rd.gap("conntrack", fmt.Errorf("%d of %d conntrack entries were kept: %w", maxConntrack, n.ConntrackCount, snap.ErrLimit))
	}
	n.Conntrack = list
}

func (rd *reader) number(key string) int {
	v, err := strconv.Atoi(rd.n.Sysctls[key])
	if err != nil {
		return 0
	}
	return v
}

func (rd *reader) nsids(ids map[int]uint64) {
	if len(ids) == 0 {
		return
	}
	rd.n.NSIDs = make(map[int]string, len(ids))
	for _, id := range sortedIDs(ids) {
		rd.n.NSIDs[id] = ""
		if inode := ids[id]; inode != 0 {
			rd.n.NSIDs[id] = InodeID(inode)
		}
	}
}

// owners fills in the processes of sockets, as far as they could be seen.
func (rd *reader) owners() {
	found := map[int]*snap.Process{}
	own := func(s *snap.Socket) {
		p := rd.o.Procs.SocketOwner(s.Inode)
		if p == nil {
			return
		}
		if found[p.PID] == nil {
			by := rd.o.Procs.FrozenBy(p.PID)
			x := &snap.Process{PID: p.PID, Name: p.Name, State: p.State, Frozen: len(by) > 0, FrozenBy: by, Args: rd.o.Procs.Args(p.PID)}
			if p.Netns != 0 {
				x.Netns = InodeID(p.Netns)
			}
			found[p.PID] = x
		}
		s.Process = found[p.PID]
		if s.Queue > 0 && s.Process.FilesMax == 0 {
			s.Process.Files, s.Process.FilesMax = rd.o.Procs.Files(p.PID)
		}
	}
	for i := range rd.n.Sockets {
		own(&rd.n.Sockets[i])
	}
	for i := range rd.n.Trying {
		own(&rd.n.Trying[i])
	}
}

func (rd *reader) torn(r *requester) {
	if rd.o.Torn != nil && r.torn > 0 {
		rd.o.Torn.Add(int64(r.torn))
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
