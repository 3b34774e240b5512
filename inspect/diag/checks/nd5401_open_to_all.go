package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5401: a port is published at all addresses, and the world reaches it.
//
// "-p 8080:80" publishes at all addresses of the host. Who really gets there is
// told by the rules, not by the listing: netdoctor follows a packet from the Internet
// and from a neighbour on each uplink. Published ports go around the host's own INPUT
// rules, since they are rewritten before: where ufw or firewalld lets nothing in, and
// the port is open all the same, this is a warning.
//
// What stands before this host (a cloud's security group, a router with NAT) is not
// seen from here.
//
// See it by hand:
//
//	docker port NAME                         0.0.0.0:PORT
//	from another machine: curl http://HOST:PORT
//	iptables -t nat -S DOCKER; iptables -S DOCKER-USER
//
// Sources: docs.docker.com: Packet filtering and firewalls (Docker and ufw); moby#22054
func nd5401() diag.Check {
	return diag.Check{
		Code: "ND5401", Name: "open-to-all", Severity: diag.Info, Since: "0.1", Audit: true,
		Title:  "A published port is open to everybody",
		Detect: detectND5401,
	}
}

// opening is what one kind of sender reaches: each published port of each container.
type opening struct {
	who      string
	closed   *sim.Where // what keeps them from the host itself; nil: nothing
	ports    []string
	subjects []string
	lines    []diag.Evidence
	advice   string
}

func detectND5401(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var open []opening
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		seen := map[string]bool{}
		for j := range c.Ports {
			p := &c.Ports[j]
			name := fmt.Sprintf("%d/%s", p.HostPort, p.Proto)
			if !c.Running() || p.HostPort == 0 || seen[name] || p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
				continue
			}
			for _, up := range diag.Uplinks(in.Snap) {
				ip := p.HostIP
				if !ip.IsValid() {
					ip = netip.IPv4Unspecified()
				}
				who := fromUplink(in, up, ip, p.Proto, p.HostPort)
				if who == "" || seen[name] {
					continue
				}
				seen[name] = true
				w := closedInput(in, up, p.Proto)
				k := slices.IndexFunc(open, func(o opening) bool { return o.who == who && (o.closed == nil) == (w == nil) })
				if k < 0 {
					k, open = len(open), append(open, opening{who: who, closed: w})
				}
				o := &open[k]
				o.ports = append(o.ports, name+" of "+c.Name)
				o.subjects = append(o.subjects, name+"/"+c.Name)
				o.lines = append(o.lines, ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s", p.ContainerPort, p.Proto, netip.AddrPortFrom(ip, p.HostPort)), snap.RefContainer(c.Ref)))
				o.advice = fmt.Sprintf("if it is for this host alone: make %s again with -p 127.0.0.1:%d:%d", c.Name, p.HostPort, p.ContainerPort)
			}
		}
	}
	out := make([]diag.Finding, len(open))
	for i := range open {
		out[i] = open[i].finding(in)
	}
	return out
}

func (o *opening) finding(in *diag.Input) diag.Finding {
	f := diag.Finding{
		Summary:  fmt.Sprintf("%s is open to %s", o.ports[0], o.who),
		Cause:    "it is published at all addresses of this host",
		Subject:  diag.Subject{Kind: "port", Name: strings.Join(o.subjects, ","), Netns: in.Snap.Host.Netns},
		Evidence: o.lines,
		Advice:   o.advice,
	}
	if n := len(o.ports); n > 1 {
		f.Summary = fmt.Sprintf("%d published ports are open to %s: %s", n, o.who, commas(o.ports))
		f.Cause = "they are published at all addresses of this host"
		f.Advice = "those that are for this host alone: make their containers again with -p 127.0.0.1:PORT:PORT"
	}
	if o.closed != nil {
		text, source := in.RuleLine(o.closed)
		f.Severity = diag.Warning
		f.Summary += ", although the host's own firewall lets nothing in there"
		f.Cause = "what comes to a published port is rewritten to the container before the host's INPUT rules are asked"
		f.Evidence = append([]diag.Evidence{ev(source, text, o.closed.Ref)}, f.Evidence...)
		f.Advice += "; or drop what may not come in DOCKER-USER (match -m conntrack --ctorigdstport, as the port is rewritten by then)"
	}
	return f
}

// closedInput is the rule or policy by which the host stops packets from the
// Internet to a port of its own where nothing is expected; nil when they come
// through to its stack.
func closedInput(in *diag.Input, up *snap.Link, proto snap.Proto) *sim.Where {
	host := in.Snap.HostNs()
	for _, a := range host.AddrsOf(up.Index) {
		if !a.Prefix.Addr().Is4() {
			continue
		}
		t := in.World.Trace(sim.Flow{From: host.ID, Iif: up.Name, Src: netip.MustParseAddr("1.1.1.1"), Dst: a.Prefix.Addr(), Proto: proto, Dport: 9, StopOutside: true})
		if w := t.Where; w != nil && !w.Reply && w.Netns == host.ID && (w.Cause == sim.CauseRule || w.Cause == sim.CausePolicy) {
			return w
		}
	}
	return nil
}
