package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5106: a container that others count on is not running.
//
// A container that has stopped has no address, and the embedded DNS no longer knows
// its name: programs say "bad address" rather than "connection refused". Found when
// its name or address is asked for, and, unasked, when it was killed or crashed (an
// exit code above 125) while others on its network still run, or said that it can't
// listen at a port that it publishes and nobody else serves. One that a person had
// the engine stop is not missed, though it ends with 137 where its program heeds no
// SIGTERM.
//
// See it by hand:
//
//	docker ps -a                             Exited (137)
//	docker logs --tail 20 NAME
//
// One that ended by itself with exit code 0 soon after its start, that publishes no port
// and is not to be restarted, is taken for a job (a migration, a backup) that has done
// its work: it is not started again unasked, as that would do the work twice.
//
// One that ended before anything that runs now was started went with its engine or its
// host, and nobody has asked for it since.
//
// False positives: a container that was killed by will.
//
// Sources: moby libnetwork/agent.go: records of stopped endpoints are removed; docker-run(1), exit status;
// moby daemon/stop.go: containerStop
func nd5106() diag.Check {
	return diag.Check{
		Code: "ND5106", Name: "container-not-running", Severity: diag.Error, Since: "0.1",
		Title:  "The container that should answer is not running",
		After:  []diag.Code{"ND5113"},
		Detect: detectND5106,
		Fix:    fixStart,
	}
}

func detectND5106(in *diag.Input) []diag.Finding {
	byName := nameGroups(in, names.NotRunning)
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		loops := looping(in, c)
		if !loops && (c.Running() || c.State == snap.Vanished) {
			continue
		}
		f := diag.Finding{
			Cause:    fmt.Sprintf("the container %s is %s, so it has neither address nor name", c.Name, c.State),
			Subject:  diag.Subject{Kind: "container", Name: c.Name},
			Evidence: []diag.Evidence{ev(diag.ListCommand(c), fmt.Sprintf("%s %s (%d)", c.Name, c.State, c.ExitCode), snap.RefContainer(c.Ref))},
			Advice:   restart(c),
			Weight:   62,
		}
		for _, g := range byName {
			if g.problem.Container == c.Ref {
				f.Covers.Names = append(f.Covers.Names, g.names...)
				f.Behind = stillApart(in, c, g.names)
			}
		}
		for k := range in.Flows {
			// Whoever answers in its stead is not it.
			if fc := &in.Flows[k]; fc.Asked && fc.Target == c.Ref && (!fc.Works() || fc.Port != nil && !c.Running()) {
				f.Covers.Traces = append(f.Covers.Traces, k)
			}
		}
		if len(f.Covers.Names)+len(f.Covers.Traces) == 0 && !loops && !missed(in, c) {
			switch f.Asked = in.Sought(c); {
			case f.Asked && job(c):
				f.Severity = diag.Info
			case f.Asked:
			case notConnected(in, c):
				f.Severity = diag.Warning
			default:
				continue
			}
		}
		switch {
		case loops:
			tellLooping(&f, c)
		case c.Error != "" && c.State == "created":
			tellFailed(&f, c)
		default:
			tellStopped(in, &f, c)
		}
		tellComplaint(&f, c)
		out = append(out, f)
	}
	return out
}

// stillApart says that a container that does not run would not have its name where it is asked
// for, either: it is on none of the asker's networks. "" where one of them is on one.
func stillApart(in *diag.Input, c *snap.Container, asked []int) string {
	for _, i := range asked {
		if by := in.Snap.Container(in.Names[i].Ask.Container); by != nil && len(c.Endpoints) > 0 && len(by.Endpoints) > 0 && len(diag.Shared(by, c)) == 0 {
			return fmt.Sprintf("%s can't reach it once it runs: %s is on network %s, %s on %s, and they share none", by.Name, by.Name, networks(by), c.Name, networks(c))
		}
	}
	return ""
}

// notConnected says whether a container failed to start for a matter of the network that
// no other finding names: Docker says so since release 28 (moby daemon/start.go:
// "failed to set up container networking"), and before it in the words of libnetwork.
func notConnected(in *diag.Input, c *snap.Container) bool {
	if c.State != "created" || c.Error == "" || held(in, c) {
		return false
	}
	for _, w := range []string{"network", "endpoint", " address", "iptables"} {
		if strings.Contains(" "+strings.ToLower(c.Error), w) {
			return true
		}
	}
	return false
}

// tellFailed makes the finding one of a container that its engine could not start.
func tellFailed(f *diag.Finding, c *snap.Container) {
	said := strings.TrimSpace(c.Error)
	short := said[strings.LastIndex(said, "): ")+1:] // behind the endpoint's name and its long ID
	f.Summary = fmt.Sprintf("%s was never started: %s", c.Name, strings.TrimPrefix(short, ": "))
	f.Cause = fmt.Sprintf("the engine could not start %s, and nobody has started it since", c.Name)
	f.Evidence = []diag.Evidence{ev(diag.InspectCommand(c), said, snap.RefContainer(c.Ref))}
	f.Advice = "mend what it says, then " + diag.EngineCommand(c, "start")
}

const unprivilegedPort = "net/ipv4/ip_unprivileged_port_start"

// privileged is a port that a container of a user's own engine publishes and that its
// user may not listen on; 0 for none.
func privileged(in *diag.Input, c *snap.Container) uint16 {
	e, host := in.Snap.Engine(c.Engine), in.Snap.HostNs()
	if e == nil || !e.Rootless || host == nil {
		return 0
	}
	first, err := strconv.ParseUint(strings.TrimSpace(host.Sysctls[unprivilegedPort]), 10, 16)
	for _, p := range c.Ports {
		if err == nil && p.HostPort != 0 && uint64(p.HostPort) < first {
			return p.HostPort
		}
	}
	return 0
}

// tellLooping makes the finding one of a container that is started again and again.
func tellLooping(f *diag.Finding, c *snap.Container) {
	last := ""
	if c.State == "restarting" { // a running one's code is 0, whatever it ended with
		last = fmt.Sprintf(", last exit code %d", c.ExitCode)
	}
	f.Summary = fmt.Sprintf("%s restarts again and again (%s%s): its name and its address on network %s come and go", c.Name, diag.Count(c.Restarts, "restart"), last, networks(c))
	said := fmt.Sprintf("RestartCount %d", c.Restarts)
	if c.State != snap.Vanished { // which is no engine's word
		said += ", Status " + c.State
	}
	f.Evidence = []diag.Evidence{ev(diag.InspectCommand(c), said, snap.RefContainer(c.Ref))}
	ends := "ends"
	switch {
	case c.OOMKilled:
		ends = "is killed for want of memory"
	case c.State == "restarting" && c.ExitCode == 137:
		ends = "is killed (mostly for more memory than it is given: docker run -m)"
	}
	f.Cause = fmt.Sprintf("the program in %s %s soon after each start, and its restart policy %q starts it again", c.Name, ends, c.RestartPolicy)
	if f.Advice = "the program's own words say why"; diag.LogCommand(c) != "" {
		f.Advice += ": " + diag.LogCommand(c)
	}
}

// tellStopped makes the finding one of a container that is not running.
func tellStopped(in *diag.Input, f *diag.Finding, c *snap.Container) {
	why := fmt.Sprintf("exit code %d", c.ExitCode)
	if c.Engine == ownEngine {
		why = "its process is gone"
		f.Advice = "make it again: netdoctor setup, with the file that it was made from"
	}
	switch {
	case c.Error != "":
		why = c.Error
	case c.State == "created" && privileged(in, c) != 0:
		host := in.Snap.HostNs()
		why = "never started"
		f.Cause = fmt.Sprintf("its user may not listen on port %d: net.ipv4.ip_unprivileged_port_start=%s, and without root nothing below that is his", privileged(in, c), host.Sysctls[unprivilegedPort])
		f.Evidence = append(f.Evidence, ev("sysctl net.ipv4.ip_unprivileged_port_start", host.Sysctls[unprivilegedPort], snap.RefSysctl(host.ID, unprivilegedPort)))
		f.Advice = fmt.Sprintf("publish a higher port, or let every user have this one: sysctl -w net.ipv4.ip_unprivileged_port_start=%d; then %s", privileged(in, c), diag.EngineCommand(c, "start"))
	case job(c):
		why = "ended by itself with exit code 0"
		f.Advice = "a job that has done its work? Then nothing is wrong with it, and it need not answer. If it is to answer: " + f.Advice
	case c.OOMKilled:
		why = "killed for want of memory"
	case c.ExitCode == 137:
		why = "exit code 137: killed"
	}
	f.Summary = fmt.Sprintf("%s is not running (%s, %s)", c.Name, c.State, why)
	if len(c.Endpoints) > 0 {
		f.Summary += fmt.Sprintf(": its name and its address on network %s are gone", networks(c))
	}
	if ports := publishes(c); ports != "" {
		f.Summary += ", and nobody serves its published " + ports
	}
}

// tellComplaint adds what the program said before it ended.
func tellComplaint(f *diag.Finding, c *snap.Container) {
	if c.Complaint == "" {
		return
	}
	f.Evidence = append(f.Evidence, ev(diag.LogCommand(c), c.Complaint, snap.RefContainer(c.Ref)))
	f.Cause += fmt.Sprintf("; the last that its program said is %q", c.Complaint)
	if forbidden(c) {
		f.Advice = "its user may not listen on that port: have it listen on one above 1023, or make it anew with --sysctl net.ipv4.ip_unprivileged_port_start=0 (or --cap-add NET_BIND_SERVICE)"
	}
}

// couldNotListen says whether a program ended because it could not listen where it was to.
func couldNotListen(c *snap.Container) bool {
	for _, w := range []string{"in use", "eaddrinuse", "assign requested address", "address not available", "eaddrnotavail"} {
		if strings.Contains(strings.ToLower(c.Complaint), w) {
			return true
		}
	}
	return forbidden(c)
}

// forbidden says whether a program may not listen where it was to (bind(2), EACCES).
func forbidden(c *snap.Container) bool {
	said := strings.ToLower(c.Complaint)
	denied := strings.Contains(said, "permission denied") || strings.Contains(said, "eacces")
	return denied && (strings.Contains(said, "bind") || strings.Contains(said, "listen"))
}

// publishes are the ports of the host that a container publishes, in words.
func publishes(c *snap.Container) string {
	var out []string
	for _, p := range c.Ports {
		if t := fmt.Sprintf("%d/%s", p.HostPort, p.Proto); p.HostPort != 0 && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	switch len(out) {
	case 0:
		return ""
	case 1:
		return "port " + out[0]
	}
	return "ports " + commas(out)
}

// crashTime is how long a container must run for its engine to take its start
// for a success (moby restartmanager: the delay is reset after 10 s).
const crashTime = 10 * time.Second

// looping says whether an engine starts a container again and again because it
// ends each time.
func looping(in *diag.Input, c *snap.Container) bool {
	if c.RestartPolicy == "" || c.RestartPolicy == "no" || c.Restarts < 2 {
		return false
	}
	return c.State == "restarting" || (c.State == "running" || c.State == snap.Vanished) && in.Snap.Taken.Start.Sub(c.Started) < crashTime
}

// jobTime is how long a program that does its work and ends may take: a server that
// ends without an error has mostly run for longer.
const jobTime = 10 * time.Minute

// job says whether a container looks like one that has done its work, and must not do
// it twice: its program ended by itself, content, and nobody meant it to go on.
func job(c *snap.Container) bool {
	return c.State == "exited" && c.ExitCode == 0 && !c.Stopped && !c.OOMKilled && c.Engine != ownEngine && c.Error == "" &&
		(c.RestartPolicy == "" || c.RestartPolicy == "no") && publishes(c) == "" && c.Finished.Sub(c.Started) < jobTime
}

// missed says whether a container that nobody asked for was killed or crashed
// while others on its network go on.
func missed(in *diag.Input, c *snap.Container) bool {
	outlived := func(o snap.Container) bool { // else it went with its engine or its host, and nobody asked for it again
		return o.Running() && o.Engine == c.Engine && (o.Restarts > 0 || !o.Started.After(c.Finished))
	}
	if c.Engine != ownEngine && !c.OOMKilled && !c.Finished.IsZero() && !slices.ContainsFunc(in.Snap.Containers, outlived) || c.Stopped || c.State != "exited" && c.State != "dead" && c.State != "restarting" {
		return false
	}
	published := slices.ContainsFunc(c.Ports, func(p snap.Port) bool {
		at := p.HostIP
		if !at.IsValid() {
			at = netip.IPv4Unspecified()
		}
		other, _, taken := in.PublishedAt(at, p.HostPort, p.Proto)
		return p.HostPort != 0 && (other == nil || !taken)
	})
	if c.Engine == ownEngine {
		return published // its exit code is not known; whoever takes it away takes its ports, too
	}
	if published && couldNotListen(c) {
		return true
	}
	if !c.OOMKilled && c.State != "restarting" && (c.ExitCode <= 125 || c.ExitCode == 130 || c.ExitCode == 143) {
		return false
	}
	if published && c.State != "restarting" {
		return true
	}
	for _, e := range c.Endpoints {
		if n := in.Snap.NetworkOf(c.Engine, &e); n == nil || !n.DNS || !inUse(in, n) {
			continue
		}
		return slices.ContainsFunc(in.Snap.Containers, func(o snap.Container) bool { return o.Running() && len(diag.Shared(&o, c)) > 0 })
	}
	return false
}

// restart is what a person does about a container that does not run.
func restart(c *snap.Container) string {
	t := "start " + c.Name
	if snap.IsDocker(c.Engine) || snap.IsPodman(c.Engine) {
		t = diag.EngineCommand(c, "start")
	}
	if log := diag.LogCommand(c); log != "" {
		t += "; why it stopped: " + log
	}
	return t
}
