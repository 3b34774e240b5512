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

// nd6201: the engine's daemon is dead or hangs while its containers run.
//
// With live-restore (and with crashes) containers outlive their daemon. Addresses
// still work, but the embedded DNS at 127.0.0.11 is the daemon itself: its sockets
// in the containers' namespaces are gone, and no name resolves. Published ports that
// need docker-proxy, restart policies and health checks stand still, too.
//
// See it by hand:
//
//	docker version                           Cannot connect to the Docker daemon
//	nsenter -t PID -n ss -lnu                nothing on 127.0.0.11
//	systemctl status docker; journalctl -u docker
//
// A daemon that holds the resolvers' sockets still runs and serves names: what does
// not answer is its API alone, or DOCKER_HOST or --docker-host names another socket
// than its own.
//
// Sources: docs.docker.com, live restore; moby libnetwork/resolver.go
func nd6201() diag.Check {
	return diag.Check{
		Code: "ND6201", Name: "engine-dead", Severity: diag.Error, Since: "0.1",
		Title: "The engine's daemon does not run, and its embedded DNS went with it",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Snap.Engines {
				e := &in.Snap.Engines[i]
				if e.Reachable || e.Remote || !e.Offline || closed(in.Snap, e.Name) {
					continue
				}
				if e.Rootless { // nobody else knows its containers
					out = append(out, diag.Finding{
						Summary:  fmt.Sprintf("the dockerd of %s (pid %d) does not answer: %s; the names of its containers do not resolve", strings.TrimPrefix(e.Name, "docker@"), e.PID, e.Error),
						Cause:    "the process is stopped or hangs, and its embedded DNS (127.0.0.11) with it",
						Subject:  diag.Subject{Kind: "engine", Name: e.Name},
						Evidence: []diag.Evidence{ev(diag.ToolOf(e.Name, "")+" version", e.Error, snap.RefEngine(e.Name))},
						Advice:   fmt.Sprintf("look at its state (ps -o pid,stat,args -p %d): kill -CONT %[1]d, where that is T; else have its user restart it (systemctl --user restart docker)", e.PID),
						Weight:   96,
					})
					continue
				}
				running := 0
				for k := range in.Snap.Containers {
					if c := &in.Snap.Containers[k]; c.Engine == e.Name && c.Running() {
						running++
					}
				}
				if running == 0 {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("%s does not answer while %s still run: %s; container names do not resolve", daemon(e.Name), diag.Count(running, "container"), e.Error),
					Cause:    fmt.Sprintf("the daemon of %s is dead or hangs; its embedded DNS (127.0.0.11) went with it", e.Name),
					Subject:  diag.Subject{Kind: "engine", Name: e.Name},
					Evidence: []diag.Evidence{ev(e.Name+" version", e.Error, snap.RefEngine(e.Name))},
					Advice:   fmt.Sprintf("start the daemon again (systemctl start %s) and read why it ended (journalctl -u %s)", e.Name, e.Name) + liveRestore(e),
					Weight:   96,
				}
				if p := servingDaemon(in); p != nil {
					f.Severity = diag.Warning
					f.Summary = fmt.Sprintf("the API of %s does not answer: %s; it runs (pid %d) and serves names to containers", daemon(e.Name), e.Error, p.PID)
					f.Cause = "it serves its API at another address than the one that was asked, or not any more"
					f.Advice = fmt.Sprintf("look where it listens (ss -lxp | grep pid=%d) and ask there: --docker-host, DOCKER_HOST; where it listens nowhere, restart it: systemctl restart %s", p.PID, e.Name)
				}
				if p := stoppedDaemon(in); p != nil {
					f.Advice = fmt.Sprintf("its process is stopped by a signal or a debugger (state T): kill -CONT %d; find out who stopped it", p.PID)
				}
				f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool {
					k := n.Path.Problem.Kind
					return k == names.SocketGone || k == names.EngineHung || k == names.DNATDeadPort
				})
				// The proxies are its children, and end with it (moby
				// libnetwork/portmapper/proxy_linux.go: Pdeathsig).
				for _, x := range atHost(in, func(x *diag.FlowCase) *diag.Finding {
					if c, _ := byProxy(in, x); c == nil || c.Engine != e.Name {
						return nil
					}
					return &diag.Finding{}
				}) {
					f.Covers.Traces = append(f.Covers.Traces, x.Covers.Traces...)
				}
				out = append(out, f)
			}
			return out
		},
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			if f.Subject.Name != "docker" {
				return nil
			}
			p := stoppedDaemon(in)
			if p == nil || p.State != "T" { // "t": a debugger holds it
				return nil
			}
			return []fixups.Op{&fixups.ProcessContinue{Proc: fixups.Proc{PID: p.PID, Name: p.Name}}}
		},
	}
}

// liveRestore says what becomes of the containers when their daemon is started again: without
// live-restore it ends them first (moby daemon/daemon.go: restore), and starts those again
// that have a restart policy.
func liveRestore(e *snap.Engine) string {
	switch {
	case !snap.IsDocker(e.Name):
		return ""
	case e.LiveRestore:
		return "; live-restore is on: the containers go on running meanwhile"
	}
	return "; live-restore is off here: the start ends the containers, and starts again those with a restart policy"
}

// closed says whether the engine could not be asked for want of permission:
// nothing is known about its health then.
func closed(s *snap.Snapshot, engine string) bool {
	return slices.ContainsFunc(s.Gaps, func(g snap.Gap) bool { return g.What == engine && g.Kind == "permission" })
}

// daemon is the name of an engine's daemon.
func daemon(engine string) string {
	if snap.IsDocker(engine) {
		return "dockerd"
	}
	return engine
}

// stoppedDaemon is the process of an engine's daemon that holds a resolver's
// socket and is stopped; nil for none.
func stoppedDaemon(in *diag.Input) *snap.Process { return daemonWith(in, true) }

// servingDaemon is one that is not stopped.
func servingDaemon(in *diag.Input) *snap.Process { return daemonWith(in, false) }

func daemonWith(in *diag.Input, stopped bool) *snap.Process {
	for i := range in.Snap.Netns {
		for k := range in.Snap.Netns[i].Sockets {
			s := &in.Snap.Netns[i].Sockets[k]
			if p := s.Process; p != nil && p.Name == "dockerd" && (p.State == "T" || p.State == "t") == stopped && s.Local.Addr() == snap.DockerResolver() {
				return p
			}
		}
	}
	return nil
}
