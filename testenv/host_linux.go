package testenv

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/resolv"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
	"github.com/netdoctor/netdoctor/testenv/store"
)

// defaultDir is where state is kept: where inspect/engine looks for it.
const defaultDir = "/run/netdoctor/env"

// Host is a host on which networks are built. The zero value is this one.
type Host struct {
	Dir    store.Dir // "": defaultDir
	HostNS string    // path or pid of the namespace that is "the host"; "" our own
	// Failpoint is apply.Applier's, with further places: "process started",
	// "process noted".
	Failpoint func(name string) error
	Log       *slog.Logger  // nil: nobody is told
	LockWait  time.Duration // for another run to end; 0: 30 s
	// NoProcess leaves out containers' processes: their namespaces are there all
	// the same.
	NoProcess bool
	// Local takes the helper's place, in this process.
	Local *Helper
}

func (h *Host) dir() store.Dir {
	if h.Dir == "" {
		return defaultDir
	}
	return h.Dir
}

func (h *Host) failpoint(name string) error {
	if h.Failpoint == nil {
		return nil
	}
	return h.Failpoint(name)
}

// session is one run that changes something: the lock is held until close.
type session struct {
	*chooser
	h *Host
	b *apply.Builder
	// running is the first process of a container that was started in the
	// foreground.
	running *exec.Cmd
	awake   bool // the helper runs
	// births are containers whose processes were begun, the oldest first.
	births []*birth
}

// Options say how the environment is begun; they are only looked at by the first
// set-up.
type Options struct {
	Like     driver.Generation // "": told by the host's own Docker, else nftables
	Firewall string            // "iptables", "nftables"; "" as Like says
	NoProxy  bool
	any      bool // whatever there is: for taking it away
}

// open takes the lock and reads the state. Without begin there must be one.
func (h *Host) open(ctx context.Context, begin *Options) (*session, error) {
	wait := h.LockWait
	if wait == 0 {
		wait = 30 * time.Second
	}
	dir := h.dir()
	if begin == nil {
		if _, err := os.Stat(dir.Path("env.json")); err != nil {
			if _, err := os.Stat(dir.Path("journal")); err != nil {
				return nil, nothing()
			}
		}
	}
	a := &apply.Applier{Dir: dir.Path("journal"), Root: string(dir), HostNS: h.HostNS, Failpoint: h.Failpoint, Log: h.Log, LockWait: wait}
	b, err := a.Builder(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{h: h, b: b, chooser: &chooser{dir: dir}}
	if err := s.load(ctx, begin); err != nil {
		b.Close()
		return nil, err
	}
	return s, nil
}

func nothing() error {
	return snap.Hint(snap.NotFoundf("nothing is set up here"), "netdoctor setup")
}

func (s *session) close() { s.b.Close() }

func (s *session) load(ctx context.Context, begin *Options) error {
	st, err := s.dir.Load()
	switch {
	case err != nil:
		return err
	case st == nil && begin == nil:
		return nothing()
	case st == nil:
		if st, err = s.begin(ctx, begin); err != nil {
			return err
		}
	case begin != nil && begin.Like != "" && begin.Like != st.Env.Env.Gen && len(st.Networks) > 0 && !begin.any:
		return snap.Hint(fmt.Errorf("it is set up like Docker %s, not %s", st.Env.Env.Gen, begin.Like), "netdoctor teardown")
	default:
		st.Env.Env.Host = s.b.Host()
	}
	s.st = st
	s.sur.resolv, err = readResolv()
	return err
}

// begin makes the first state, in memory.
func (s *session) begin(ctx context.Context, o *Options) (*store.State, error) {
	gen := o.Like
	if gen == "" {
		g, err := s.likeDocker(ctx)
		if err != nil {
			return nil, err
		}
		gen = g
	}
	if !slices.Contains(driver.Generations(), gen) {
		return nil, fmt.Errorf("rules like those of %q: %w", gen, snap.ErrUnsupported)
	}
	switch {
	case o.Firewall == "iptables" && gen == driver.Docker29n:
		gen = driver.Docker29i
	case o.Firewall == "nftables":
		gen = driver.Docker29n
	}
	e := driver.Env{Name: "default", Gen: gen, Dir: string(s.dir), Host: s.b.Host(), Proxy: !o.NoProxy, Rootless: !initialUser()}
	return &store.State{Env: store.Env{Env: e, Engine: snap.Engine{
		Name: driver.Engine, Version: "1", Reachable: true, Rules: "netdoctor", UserlandProxy: e.Proxy, ExecRoot: string(s.dir), Rootless: e.Rootless,
	}}}, nil
}

// initialUser says whether this process lives in the machine's first user
// namespace (user_namespaces(7)).
func initialUser() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(b)), " ") == "0 0 4294967295"
}

// likeDocker tells the generation of the host's own Docker by its chains.
func (s *session) likeDocker(ctx context.Context) (driver.Generation, error) {
	h, err := ns.OpenHost(s.h.HostNS)
	if err != nil {
		return "", err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	rs, _ := kernel.ReadRuleset(ctx, h)
	for i := range rs.Tables {
		t := &rs.Tables[i]
		switch {
		case t.Name == "docker-bridges":
			return driver.Docker29n, nil
		case t.Chain("DOCKER-FORWARD") != nil:
			return driver.Docker29i, nil
		case t.Chain("DOCKER-ISOLATION-STAGE-1") != nil:
			return driver.Docker20, nil
		}
	}
	return driver.Docker29n, nil
}

// look reads the host's routes, once, for choosing subnets.
func (s *session) look(ctx context.Context) error {
	if s.sur.reserved != nil {
		return nil
	}
	h, err := ns.OpenHost(s.h.HostNS)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	n, gaps := kernel.ReadNetns(ctx, h, kernel.Options{NoRuleset: true, NoConntrack: true, Host: true})
	for _, g := range gaps {
		if g.What == "routes" || g.What == "namespace" {
			return snap.Hint(fmt.Errorf("reading the host's routes: %s", g.Why), g.Needs)
		}
	}
	own := map[string]bool{}
	for i := range s.st.Networks {
		own[s.st.Networks[i].Net.Bridge] = true
	}
	s.sur.devices = map[string]bool{}
	for i := range n.Links {
		if l := &n.Links[i]; !own[l.Name] {
			s.sur.devices[l.Name] = true
		}
	}
	var onLink []netip.Prefix
	for _, r := range n.Routes {
		l := n.LinkAt(r.Oif)
		if r.Type != "unicast" || r.Dst.Bits() == 0 || l != nil && own[l.Name] {
			continue
		}
		if r.Gateway.IsValid() || len(r.Nexthops) > 0 || r.Via.IsValid() {
			s.sur.routed = append(s.sur.routed, r.Dst)
		} else if r.Scope == "link" {
			onLink = append(onLink, r.Dst)
		}
	}
	s.sur.reserved = reserved(s.sur.resolv.Conf.Nameservers, onLink)
	return nil
}

// resolvedConf is the file with the servers behind systemd-resolved
// (moby internal/resolvconf/resolvconf_path.go).
const resolvedConf = "/run/systemd/resolve/resolv.conf"

// maxResolv bounds the host's file.
const maxResolv = 1 << 20

func readResolv() (hostResolv, error) {
	h := hostResolv{Path: "/etc/resolv.conf", Conf: resolv.NoResolvConf()}
	b, err := os.ReadFile(h.Path)
	if os.IsNotExist(err) {
		return h, nil
	}
	if err != nil || len(b) > maxResolv {
		return h, fmt.Errorf("reading the host's resolv.conf: %w", err)
	}
	h.Conf = resolv.ParseResolvConf(b)
	if ns := h.Conf.Nameservers; len(ns) == 1 && ns[0] == netip.AddrFrom4([4]byte{127, 0, 0, 53}) {
		if b, err := os.ReadFile(resolvedConf); err == nil && len(b) <= maxResolv {
			h.Path, h.Conf = resolvedConf, resolv.ParseResolvConf(b)
		}
	}
	return h, nil
}

// shared says whether what undoes an operation is about things that others use,
// too, and so has to be kept.
func shared(op fixups.Op) bool {
	switch o := op.(type) {
	case *fixups.ChainPolicy, *fixups.TableDel:
		return true
	case *fixups.ChainDel:
		return !strings.Contains(o.Chain, "NETDOCTOR")
	case *fixups.SysctlSet:
		return o.Host && (strings.HasSuffix(o.Key, "/ip_forward") || strings.Contains(o.Key, "/all/") || strings.Contains(o.Key, "/default/"))
	}
	return false
}

// keep notes what the environment is, and what undoes the shared part of it.
func (s *session) keep(undo []fixups.Op) []fixups.Op {
	var kept fixups.Ops
	for _, op := range undo {
		if shared(op) {
			kept = append(kept, op)
		}
	}
	s.st.Env.Undo = append(kept, s.st.Env.Undo...) // the newest first
	return []fixups.Op{s.dir.PutEnv(s.st.Env)}
}
