package inspect

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Options say what Read reads. The zero value reads everything of the host
// that this process runs on.
type Options struct {
	// HostNS says which namespace is "the host": a path, or a pid in decimal;
	// "": the one this process is in.
	HostNS string
	// Engine says where engines are; HostNetns and Named are filled in here.
	Engine engine.Options
	// NoEngines leaves containers and networks out: plain namespaces only.
	NoEngines bool
	// Tool is written into the snapshot: name and version of the program.
	Tool string
}

// parallel is how many namespaces are read at once: more than eight readers only
// wait for the kernel's rtnl lock.
func parallel() int { return min(8, 2*runtime.NumCPU()) }

// Read reads the host. What can't be read is a Gap of the snapshot; an error
// means that there is no snapshot at all, because the host's own namespace
// can't be opened or ctx ended.
func Read(ctx context.Context, o Options) (*snap.Snapshot, error) {
	return settled(func() (*snap.Snapshot, error) { return read(ctx, o) })
}

// settled reads once more when a veth pair was caught while it was made or taken
// away: a container that starts or ends then looks like a broken one. What is in
// motion even then stays a gap.
func settled(read func() (*snap.Snapshot, error)) (*snap.Snapshot, error) {
	first, err := read()
	if err != nil || !slices.ContainsFunc(first.Gaps, tornLink) {
		return first, err
	}
	second, err := read()
	if err != nil {
		return first, nil //nolint:nilerr // there was no time for another; the first one says what is torn
	}
	second.Taken.Torn += first.Taken.Torn + 1
	return second, nil
}

func tornLink(g snap.Gap) bool { return g.What == "link" && g.Kind == snap.Kind(snap.ErrTorn) }

func read(ctx context.Context, o Options) (*snap.Snapshot, error) {
	s := &snap.Snapshot{
		Schema: snap.Schema, Tool: o.Tool, Taken: snap.Window{Start: time.Now().UTC()},
		Redacted: []string{}, Netns: []snap.Netns{}, Engines: []snap.Engine{}, Containers: []snap.Container{},
		Networks: []snap.Network{}, Resolvers: []snap.Resolver{}, Probes: []snap.Probe{}, Gaps: []snap.Gap{},
	}
	host, err := ns.OpenHost(o.HostNS)
	if err != nil {
		return nil, err
	}
	defer host.Close() //nolint:errcheck // only a descriptor

	// The engines take longest; they and the kernel are read at the same time.
	o.Engine.HostNetns = host.Inode()
	engines := make(chan engine.Result, 1)
	go func() {
		if o.NoEngines {
			engines <- engine.Result{}
			return
		}
		engines <- engine.Read(ctx, o.Engine)
	}()

	var torn atomic.Int64
	c := &collector{ctx: ctx, o: o, torn: &torn}
	err = c.find()
	var res engine.Result
	if err == nil {
		defer c.close()
		c.connected()
		c.again()
		res = <-engines
		c.started(res.Containers, s.Taken.Start)
		c.containers(res.Containers)
		c.rest()
	} else {
		<-engines
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading this host: %w", snap.ErrTimeout)
	}
	if err != nil {
		return nil, err
	}

	s.Engines = append(s.Engines, res.Engines...)
	s.Containers = append(s.Containers, res.Containers...)
	s.Networks = append(s.Networks, res.Networks...)
	c.fill(s)
	c.readers(s)
	c.held(s)
	c.hookPrograms(s)
	limits(s, c.procs)
	c.cgroups(s)
	join(s, c.inodes)
	strangers(s)
	s.Gaps = append(s.Gaps, res.Gaps...)
	hostInfo(s, c)
	resolvers(ctx, s, o)
	for _, i := range Departed(s) {
		s.Containers[i].State = snap.Vanished
	}
	s.ShareSysctls()
	s.Taken.Torn = int(torn.Load())
	s.Taken.End = time.Now().UTC()
	return s, nil
}
