package testenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// Down takes everything away that was set up. It goes by the owner marks of what
// is there, and so works without the state, too; what only the state knows is
// then left and said: whether forwarding was off before.
func (h *Host) Down(ctx context.Context, dry bool) (Report, error) {
	s, err := h.open(ctx, &Options{Like: driver.Docker29n, any: true})
	if err != nil {
		// A state that can't be read is no reason to leave everything.
		if s, err = h.openBlind(ctx, err); err != nil {
			return Report{}, err
		}
	}
	defer s.close()
	_, statErr := os.Stat(s.dir.Path("env.json"))
	lost := statErr != nil
	ops, err := s.ours(ctx)
	if err != nil {
		return Report{}, err
	}
	r := Report{Warnings: s.warnings, State: s.st, Changes: []Change{{Did: "removed", What: "everything that was set up", Ops: ops}}}
	if len(ops) == 0 && lost {
		r.Changes = nil
		return r, s.clean()
	}
	if dry {
		return r, nil
	}
	if lost && len(ops) > 0 {
		r.Warnings = append(r.Warnings, "the state was lost: whether net.ipv4.ip_forward was off before is not known, and it stays as it is")
	}
	if err := s.endAll(ctx); err != nil {
		return r, err
	}
	if err := s.b.Unmake(ctx, "teardown", ops...); err != nil {
		return r, err
	}
	return r, s.clean()
}

// openBlind opens without a state.
func (h *Host) openBlind(ctx context.Context, why error) (*session, error) {
	s, err := h.open(ctx, &Options{Like: driver.Docker29n, any: true})
	if err == nil {
		return s, nil
	}
	dir := h.dir()
	env := dir.Path("env.json")
	if _, e := os.Stat(env); e != nil || errors.Is(why, snap.ErrPermission) {
		return nil, why
	}
	if e := os.Rename(env, env+".unreadable"); e != nil {
		return nil, errors.Join(why, e)
	}
	return h.open(ctx, &Options{Like: driver.Docker29n, any: true})
}

// endAll ends the helper and all containers' processes: those that the state
// knows, and those that carry our mark in their environment.
func (s *session) endAll(ctx context.Context) error {
	errs := []error{kill(ctx, s.st.Env.Helper.PID, s.st.Env.Helper.Start)}
	for i := range s.st.Containers {
		if c := &s.st.Containers[i]; !c.Foreign {
			errs = append(errs, kill(ctx, c.Ctr.PID, c.Start))
		}
	}
	for _, pid := range marked(s.mark()) {
		p, err := ns.ReadProc(pid)
		if err == nil {
			errs = append(errs, kill(ctx, pid, p.Start))
		}
	}
	return errors.Join(errs...)
}

// markEnv marks processes of ours in their first environment: with the directory
// and the host namespace, as other hosts on this machine may have a directory of
// the same name.
const markEnv = "NETDOCTOR_MARK"

func (s *session) mark() string {
	return markEnv + "=" + string(s.dir) + "@" + strconv.FormatUint(s.b.Host().Inode, 10)
}

// marked are the pids of processes with that mark (proc_pid_environ(5)).
func marked(mark string) []int {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, n := range names {
		pid, err := strconv.Atoi(n.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		b, err := os.ReadFile("/proc/" + n.Name() + "/environ")
		if err == nil && len(b) < 1<<20 && slices.Contains(strings.Split(string(b), "\x00"), mark) {
			out = append(out, pid)
		}
	}
	return out
}

// ours are the operations that take away what carries our marks.
func (s *session) ours(ctx context.Context) ([]fixups.Op, error) {
	h, err := ns.OpenHost(s.h.HostNS)
	if err != nil {
		return nil, err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	host := s.b.Host()
	ops, err := s.ourRules(ctx)
	if err != nil {
		return nil, err
	}
	ops = append(ops, s.st.Env.Undo...)
	n, gaps := kernel.ReadNetns(ctx, h, kernel.Options{NoRuleset: true, NoConntrack: true, Host: true})
	for _, g := range gaps {
		if g.What == "links" || g.What == "namespace" {
			return nil, snap.Hint(fmt.Errorf("reading the host's devices: %s", g.Why), g.Needs)
		}
	}
	if slices.ContainsFunc(n.Links, func(l snap.Link) bool { return l.Group == driver.Group }) {
		ops = append(ops, &fixups.LinkGroupDel{Where: host, Group: driver.Group})
	}
	for i := range s.st.Containers {
		c := &s.st.Containers[i]
		if c.Foreign {
			ops = append(ops, fixups.UnmakeAll(s.foreignOps(c)...)...)
			continue
		}
		for _, op := range s.foreignOps(c) { // the kernel ends namespaces later; until then their parent is taken
			if l, ok := op.(*fixups.LinkAdd); ok && l.LowerIn != nil {
				ops = append(ops, fixups.Unmake(l))
			}
		}
	}
	names, err := os.ReadDir(s.dir.Path("netns"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading our namespaces: %w", err)
	}
	for _, n := range names {
		w := fixups.Where{ID: n.Name(), Path: s.dir.Path("netns", n.Name())}
		if strings.HasPrefix(n.Name(), "1-") { // an overlay's: its VNI is the host's
			ops = append(ops, &fixups.LinkDel{Where: w, Name: "vxlan0"})
		}
		ops = append(ops, &fixups.SandboxDel{Where: w})
	}
	return ops, nil
}

// ourRules delete tables, chains and rules that are ours.
func ourRules(rs *snap.Ruleset, host fixups.Where, mark string) []fixups.Op {
	var tables, rules, chains []fixups.Op
	for i := range rs.Tables {
		t := &rs.Tables[i]
		at := func(chain string) fixups.ChainRef {
			return fixups.ChainRef{Where: host, System: t.System, Family: t.Family, Table: t.Name, Chain: chain}
		}
		if t.System == snap.NFT && strings.HasPrefix(t.Name, "netdoctor-") {
			tables = append(tables, &fixups.TableDrop{ChainRef: at("")})
			continue
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			own := strings.HasPrefix(c.Name, "NETDOCTOR")
			for k := range c.Rules {
				if r := &c.Rules[k]; own || r.Comment == mark || jumps(r) {
					rules = append(rules, &fixups.RuleDelete{ChainRef: at(c.Name), Rule: *r})
				}
			}
			if own {
				chains = append(chains, &fixups.ChainDel{ChainRef: at(c.Name)})
			}
		}
	}
	return slices.Concat(tables, rules, chains)
}

// jumps says whether a rule leads to a chain of ours.
func jumps(r *snap.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(e snap.Expr) bool {
		im, ok := e.(*snap.Immediate)
		return ok && im.Verdict != nil && strings.HasPrefix(im.Verdict.Chain, "NETDOCTOR")
	})
}

// clean removes the directory. The lock in its journal is held until the end: it
// goes last.
func (s *session) clean() error {
	dir := string(s.dir)
	if !filepath.IsAbs(dir) || dir == "/" {
		return fmt.Errorf("removing %q: %w", dir, snap.ErrUnsupported)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("removing the state: %w", err)
	}
	for _, n := range names {
		path := filepath.Join(dir, n.Name())
		if n.Name() == "netns" {
			// Never into a namespace's file that is still mounted.
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
				return fmt.Errorf("removing the state: %w", err)
			}
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the state: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return fmt.Errorf("removing the state: %w", err)
	}
	if dir == defaultDir {
		_ = os.Remove(filepath.Dir(dir)) // it stays when something else is in it
	}
	return nil
}
