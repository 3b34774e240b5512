package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5108: the process that listens is stopped.
//
// The process that owns the listening socket is in state T: stopped by SIGSTOP, or
// by a debugger that holds it. Or its control group is frozen, which ps does not show
// and an engine need not know of. The kernel completes the handshake for it, so the
// connection is accepted, and then no data ever comes back. The network is fine.
//
// See it by hand:
//
//	ps -o pid,stat,comm -p PID               STAT shows T
//	kill -CONT PID
//	cat /proc/PID/cgroup                     then GROUP/cgroup.events: frozen 1
//
// False positives: a process that is being debugged.
//
// Sources: signal(7); proc(5), /proc/PID/stat; net/ipv4/tcp_minisocks.c: tcp_check_req
func nd5108() diag.Check {
	return diag.Check{
		Code: "ND5108", Name: "process-stopped", Severity: diag.Error, Since: "0.1",
		Title: "The process that listens on the port is stopped",
		After: []diag.Code{"ND5107", "ND5121"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, s := range seats(in) {
				p := s.socket.Process
				if p == nil || p.State != "T" && p.State != "t" && (!p.Frozen || paused(in, s.ns)) {
					continue
				}
				f := diag.Finding{
					Summary: fmt.Sprintf("%s (pid %d) in %s is stopped (state %s): connections to port %d are accepted and never answered", p.Name, p.PID, s.who, p.State, s.socket.Local.Port()),
					Cause:   fmt.Sprintf("the process that listens on %s is in state %s, so the kernel takes connections and nobody reads them", s.socket.Local, p.State),
					Subject: diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s", s.socket.Local.Port(), s.who), Netns: s.ns.ID},
					Evidence: []diag.Evidence{
						ev(fmt.Sprintf("ps -o pid,stat,comm -p %d", p.PID), fmt.Sprintf("%d %s %s", p.PID, p.State, p.Name), s.ref),
					},
					Covers: coverSocket(in, s),
					Advice: fmt.Sprintf("find out who stopped it, then: kill -CONT %d", p.PID),
					Weight: 66,
				}
				if p.Frozen {
					f.Summary = fmt.Sprintf("%s (pid %d) in %s is frozen by its control group: connections to port %d are accepted and never answered", p.Name, p.PID, s.who, s.socket.Local.Port())
					f.Cause = fmt.Sprintf("the control group of the process that listens on %s is frozen, so the kernel takes connections and nobody reads them", s.socket.Local)
					f.Evidence = []diag.Evidence{ev(fmt.Sprintf("cat /proc/%d/cgroup; cat GROUP/cgroup.events (or freezer.state)", p.PID), "frozen 1", s.ref)}
					f.Advice = fmt.Sprintf("find out who froze the group (the 0:: or freezer: line of /proc/%d/cgroup), then: echo 0 > GROUP/cgroup.freeze (or THAWED > GROUP/freezer.state)", p.PID)
					var lines []string
					for _, by := range p.FrozenBy {
						lines = append(lines, fixups.NewGroupThaw(in.Snap, by).Shell()...)
					}
					if len(lines) > 0 {
						f.Evidence = []diag.Evidence{ev(fmt.Sprintf("cat /proc/%d/cgroup; cat %s", p.PID, p.FrozenBy[0]), "frozen by "+strings.Join(p.FrozenBy, ", "), s.ref)}
						f.Advice = "find out who froze the group (systemctl freeze, an engine that died half-way), then: " + strings.Join(lines, "; ")
					}
				}
				out = append(out, unneeded(in, s, f))
			}
			return append(out, stoppedResolvers(in)...)
		},
		Fix: goOn,
	}
}

// goOn lets a program go on that flows of this run need: by its control group, or by
// SIGCONT where a signal stopped it. One that a debugger holds stays, and so does one
// that nobody asks for.
func goOn(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Traces)+len(f.Covers.Names) == 0 {
		return nil
	}
	v, err := in.Snap.At(f.Evidence[0].Ref)
	s, ok := v.(*snap.Socket)
	if err != nil || !ok || s.Process == nil {
		return nil
	}
	p := s.Process
	var ops []fixups.Op
	for _, by := range p.FrozenBy {
		ops = append(ops, fixups.NewGroupThaw(in.Snap, by))
	}
	if len(ops) > 0 {
		f.Advice = "find out who froze the group: it may do so again"
	}
	if p.State == "T" {
		ops = append(ops, &fixups.ProcessContinue{Proc: fixups.Proc{PID: p.PID, Name: p.Name}})
		f.Advice = "find out who stopped it: it may do so again"
	}
	return ops
}

// stoppedResolvers are the resolvers of engines, Podman's aardvark-dns, that are
// stopped while somebody asks them; a daemon that is one itself is ND6201's.
func stoppedResolvers(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	at := map[int]int{} // by pid, into out
	for i := range in.Names {
		n := &in.Names[i]
		if !n.Bad() || n.Path.Problem.Kind != names.EngineHung && n.Path.Problem.Kind != names.FirstServerDead {
			continue
		}
		ref := n.Path.Problem.Ref
		v, err := in.Snap.At(ref)
		s, ok := v.(*snap.Socket)
		if err != nil || !ok || s.Process == nil || s.Process.Name == "dockerd" || !strings.EqualFold(s.Process.State, "T") {
			continue
		}
		p := s.Process
		k, ok := at[p.PID]
		if !ok {
			k = len(out)
			at[p.PID] = k
			out = append(out, diag.Finding{
				Summary:  fmt.Sprintf("%s (pid %d) in %s is stopped (state %s): questions to %s are never answered", p.Name, p.PID, in.Who(ref.Netns()), p.State, s.Local),
				Cause:    fmt.Sprintf("the process that answers names at %s is in state %s: the kernel takes the questions and nobody reads them", s.Local, p.State),
				Subject:  diag.Subject{Kind: "resolver", Name: p.Name, Netns: ref.Netns()},
				Evidence: []diag.Evidence{ev(fmt.Sprintf("ps -o pid,stat,comm -p %d", p.PID), fmt.Sprintf("%d %s %s", p.PID, p.State, p.Name), ref)},
				Advice:   fmt.Sprintf("find out who stopped it, then: kill -CONT %d", p.PID),
				Weight:   72,
			})
		}
		out[k].Covers.Names = append(out[k].Covers.Names, i)
	}
	return out
}

// paused says whether an engine says that it froze the containers of a namespace
// itself, which ND5107 tells of.
func paused(in *diag.Input, ns *snap.Netns) bool {
	return slices.ContainsFunc(in.Snap.Containers, func(c snap.Container) bool { return c.Netns == ns.ID && c.State == "paused" })
}

// unneeded makes less of a program that serves nobody, where no flow of this run ends
// at it: of the host's own, as somebody's at the keyboard, it is a remark.
func unneeded(in *diag.Input, s listening, f diag.Finding) diag.Finding {
	switch {
	case len(f.Covers.Traces) > 0:
	case s.ns.ID == in.Snap.Host.Netns:
		f.Severity = diag.Info
	default:
		f.Severity = diag.Warning
	}
	return f
}

// listening is a socket that takes connections, and where it is.
type listening struct {
	ns     *snap.Netns
	who    string
	socket *snap.Socket
	ref    snap.Ref
}

// seats are the listening TCP and bound UDP sockets of this host's namespaces,
// engines' own left out; of several on one port of one process the one for which
// most connections wait.
func seats(in *diag.Input) []listening {
	type key struct {
		ns    string
		proto snap.Proto
		port  uint16
		pid   int
	}
	seen := map[key]int{} // into out, from 1
	var out []listening
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		if !ns.Class.Ours() || ns.Light {
			continue
		}
		for j := range ns.Sockets {
			s := &ns.Sockets[j]
			if s.Remote.IsValid() || engineSocket(s) || s.Process == nil {
				continue
			}
			k := key{ns.ID, s.Proto, s.Local.Port(), s.Process.PID}
			at := listening{ns, in.Who(ns.ID), s, snap.RefItem(ns.ID, "socket", j)}
			switch was := seen[k]; {
			case was == 0:
				out = append(out, at)
				seen[k] = len(out)
			case out[was-1].socket.Queue < s.Queue:
				out[was-1] = at
			}
		}
	}
	return out
}

// coverSocket covers the flows that end at a socket's port, or go through it where it is
// an engine's proxy.
func coverSocket(in *diag.Input, s listening) diag.Cover {
	var c diag.Cover
	for i := range in.Flows {
		for t := in.Flows[i].Trace; t != nil; t = t.Proxy {
			takes := t.Arrived == s.ns.ID && t.ArrivedAs.Port() == s.socket.Local.Port() && in.Flows[i].Flow.Proto == s.socket.Proto
			if takes && (t.Proxy == nil || t.Socket == s.socket) {
				c.Traces = append(c.Traces, i)
				break
			}
		}
	}
	return c
}
