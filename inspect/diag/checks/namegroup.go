package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nameGroup is a set of names that fail for one reason at one place.
type nameGroup struct {
	problem *names.Problem
	names   []int // into Input.Names
	first   *diag.NameCase
}

// nameGroups gathers the bad names by kind of problem and what it is about.
// Problems of one asker's own files and rules are told per asker, those of a
// server or a container once.
func nameGroups(in *diag.Input, kinds ...string) []nameGroup {
	var out []nameGroup
	at := map[string]int{}
	for i := range in.Names {
		n := &in.Names[i]
		if !n.Bad() || !slices.Contains(kinds, n.Path.Problem.Kind) {
			continue
		}
		p := n.Path.Problem
		key := p.Kind
		switch p.Kind {
		case names.Unreachable, names.UpstreamDead, names.UpstreamRefuses, names.FirstServerDead, names.HalfSilent:
			key += "|" + p.Server.String() + p.For
		case names.SilentForName:
			key += "|" + p.Server.String() + "|" + n.Ask.Name
		case names.NotRunning, names.NotShared, names.DefaultBridge:
			key += "|" + p.Container + "|" + n.Ask.Netns
		case names.Diverted:
			key += "|" + string(p.By.Ref)
		case names.ForwardLoop:
			key += "|" + p.Server.String()
			if p.Container == "" {
				key += "|" + n.Ask.Netns
			}
		case names.AardvarkDead, names.Port53Taken:
			key += "|" + p.Network
		case names.SocketGone, names.EngineHung:
		case names.NoSuchName:
			key += "|" + n.Ask.Name
		default:
			key += "|" + n.Ask.Netns
		}
		k, ok := at[key]
		if !ok {
			k = len(out)
			at[key] = k
			out = append(out, nameGroup{problem: p, first: n})
		}
		out[k].names = append(out[k].names, i)
	}
	return out
}

// more counts the questions beside the first.
func (g *nameGroup) more() string {
	if n := len(g.names) - 1; n > 0 {
		return fmt.Sprintf(" (and %s)", diag.Count(n, "other question"))
	}
	return ""
}

// reason is why a server does not answer, to follow a clause that names it and who
// asks; "" when nothing but its silence is known.
func (g *nameGroup) reason(in *diag.Input) string {
	p, out := g.problem, ""
	if p.From != "" && p.From != g.first.Ask.Netns {
		out = ", asked from " + in.Who(p.From)
	}
	if p.Why != "" {
		out += ": " + p.Why
	}
	return out
}

// wantedBy tells what in an asker's settings names what it can't resolve, and
// adds it to the evidence; "" when it was not found there.
func wantedBy(in *diag.Input, n *diag.NameCase, f *diag.Finding) string {
	c := in.Snap.Container(n.Ask.Container)
	if n.Wanted != "" && n.From == "host" { // an engine's daemon
		return fmt.Sprintf("; %s names it", n.Wanted)
	}
	if n.Wanted == "" || c == nil {
		return ""
	}
	f.Evidence = append(f.Evidence, ev(diag.InspectCommand(c), n.Wanted+" names "+n.Ask.Name, snap.RefContainer(c.Ref)))
	return fmt.Sprintf("; %s of %s names it", n.Wanted, c.Name)
}

// finding is the common part: subject and summary are the caller's.
func (g *nameGroup) finding(in *diag.Input) diag.Finding {
	f := diag.Finding{
		Cause:   g.problem.Detail,
		Subject: diag.Subject{Kind: "name", Name: g.first.Ask.Name, Netns: g.first.Ask.Netns},
		Covers:  diag.Cover{Names: g.names},
		Weight:  50,
	}
	for _, r := range append([]snap.Ref{g.problem.Ref}, g.problem.Because...) {
		if r != "" && !slices.ContainsFunc(f.Evidence, func(e diag.Evidence) bool { return e.Ref == r }) {
			f.Evidence = append(f.Evidence, ev(sourceOf(in, g.first, r), lineOf(in, r, g.problem.Detail), r))
		}
	}
	if len(f.Evidence) == 0 {
		f.Evidence = append(f.Evidence, ev(resolvConfOf(in, g.first), g.problem.Detail, ""))
	}
	return f
}

// sourceOf is the command that shows what a reference points at.
func sourceOf(in *diag.Input, n *diag.NameCase, r snap.Ref) string {
	switch v, err := in.Snap.At(r); x := v.(type) {
	case *snap.Resolver:
		return catIn(in, x, "/etc/resolv.conf")
	case *snap.Container:
		return diag.InspectCommand(x)
	case *snap.Network:
		return diag.NetworkCommand(x)
	case *snap.Probe:
		if x.DNS != nil {
			return in.IPCommand(x.From, fmt.Sprintf("dig @%s %s %s", x.Dst.Addr(), x.DNS.Name, x.DNS.Type))
		}
		return "probe"
	case *snap.Chain, *snap.Rule, *snap.Table:
		return in.IPCommand(r.Netns(), "iptables -t nat -S; "+in.IPCommand(r.Netns(), "nft list ruleset"))
	case *snap.Socket:
		return in.IPCommand(r.Netns(), "ss -lntup")
	default:
		if err != nil {
			return string(r)
		}
	}
	return resolvConfOf(in, n)
}

// resolverOf are the files which an asker reads; nil when they were not read.
func resolverOf(in *diag.Input, n *diag.NameCase) *snap.Resolver {
	for _, owner := range []string{n.Ask.Container, n.Ask.Netns, "host"} {
		if r := in.Snap.Resolver(owner); r != nil {
			return r
		}
	}
	return nil
}

// resolvConfOf is the command that shows the resolv.conf which an asker reads.
func resolvConfOf(in *diag.Input, n *diag.NameCase) string {
	if r := resolverOf(in, n); r != nil {
		return catIn(in, r, "/etc/resolv.conf")
	}
	return "cat /etc/resolv.conf"
}

// catIn is the command that shows a name service file as its owner sees it.
func catIn(in *diag.Input, r *snap.Resolver, path string) string {
	if c := in.Snap.Container(r.Owner); c != nil {
		return in.ExecCommand(c, "cat "+path)
	}
	if dir, ok := strings.CutSuffix(r.Source, "/resolv.conf"); ok && strings.HasPrefix(dir, "/") {
		return "cat " + dir + strings.TrimPrefix(path, "/etc")
	}
	return "cat " + path
}

// confLines are the lines of a resolv.conf that say something, on one line.
func confLines(raw string) string {
	var out []string
	for l := range strings.Lines(raw) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' && l[0] != ';' {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return "(empty)"
	}
	return strings.Join(out, "; ")
}

// lineOf is the literal line behind a reference, or the detail where there is
// no single one.
func lineOf(in *diag.Input, r snap.Ref, detail string) string {
	v, err := in.Snap.At(r)
	if err != nil {
		return detail
	}
	switch x := v.(type) {
	case *snap.Resolver:
		return confLines(x.ResolvConf.Raw)
	case *snap.Socket:
		line := fmt.Sprintf("%s %s", x.Proto, x.Local)
		if p := x.Process; p != nil {
			line += fmt.Sprintf(" users:((%q,pid=%d))", p.Name, p.PID)
		}
		return line
	case *snap.Network:
		names := "no names by DNS"
		if x.DNS {
			names = "names by DNS"
		}
		return fmt.Sprintf("%s: driver %s, %s", x.Name, x.Driver, names)
	case *snap.Container:
		ended := ""
		if !x.Running() {
			ended = fmt.Sprintf(", exit code %d", x.ExitCode)
		}
		return fmt.Sprintf("%s: %s%s, networks %s", x.Name, x.State, ended, networks(x))
	case *snap.Probe:
		if x.DNS != nil {
			return fmt.Sprintf("%s %s asked of %s from %s: %s %s", x.DNS.Name, x.DNS.Type, x.Dst, in.Who(x.From), x.Outcome, x.DNS.RCode)
		}
	}
	return detail
}

// ofName is the weight of a finding about a name of a container's that its asker can't
// learn from any server: where it alone was asked for, the servers' own troubles come
// second.
func ofName(in *diag.Input, n *diag.NameCase) int {
	if n.Asked && !slices.ContainsFunc(in.Flows, func(f diag.FlowCase) bool { return f.Asked }) {
		return 84
	}
	return 60
}

// sayMulticast says of a name like printer.local that it is one of multicast DNS, which is
// asked on the wire, and not of servers (RFC 6762, section 3). Longer ones are somebody's
// zone, such as a cluster's.
func sayMulticast(g *nameGroup, f *diag.Finding) {
	name := strings.ToLower(strings.TrimSuffix(g.first.Ask.Name, "."))
	if host, ok := strings.CutSuffix(name, ".local"); !ok || strings.Contains(host, ".") {
		return
	}
	f.Summary += "; names like that are of multicast DNS, which containers do not speak"
	f.Advice = fmt.Sprintf("give it to the container: --add-host %s:ADDRESS, or ask a DNS server that has it; on the host avahi or systemd-resolved ask the wire for it", name)
}
