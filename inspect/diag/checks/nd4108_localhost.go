package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4108: localhost is somebody else.
//
// Programs of one container that talk to each other, health checks above all, say
// localhost. /etc/hosts is asked first, and the first line of a family wins: one that
// gives the name to another address (an entrypoint that rewrites the file, extra_hosts)
// sends all of them elsewhere. A file without the name, mounted or written anew, leaves
// it to DNS, which need not know it.
//
// See it by hand:
//
//	docker exec NAME cat /etc/hosts
//	docker exec NAME getent ahosts localhost
//
// Sources: RFC 6761 section 6.3; hosts(5)
func nd4108() diag.Check {
	return diag.Check{
		Code: "ND4108", Name: "localhost-astray", Severity: diag.Error, Since: "0.2",
		Title:  "A container's /etc/hosts gives localhost to another address than loopback",
		Detect: detectND4108,
		Fix:    fixLocalhost,
	}
}

func detectND4108(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Resolvers {
		r := &in.Snap.Resolvers[i]
		c := in.Snap.Container(r.Owner)
		l := notLoopback(r)
		if c == nil || !c.Running() || l == nil && !noLocalhost(in, r, c) {
			continue
		}
		if l == nil {
			l = &snap.HostsLine{}
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("localhost in %s is %s: a line of its /etc/hosts says so", c.Name, l.Addr),
			Cause:   fmt.Sprintf("line %d of /etc/hosts in %s comes first for localhost, and programs there that say localhost talk to %s", l.Line, c.Name, l.Addr),
			Subject: diag.Subject{Kind: "resolver", Name: c.Name, Netns: r.Netns},
			Evidence: []diag.Evidence{
				ev(catIn(in, r, "/etc/hosts"), hostsLine(r.HostsRaw, l.Line, l.Addr, "localhost"), snap.RefResolver(r.Owner)),
			},
			Advice: "take localhost out of that line; where it was given by --add-host or extra_hosts, there too",
			Weight: 60,
		}
		if l.Line == 0 {
			f.Severity = diag.Warning // until something asks for it
			f.Summary = fmt.Sprintf("localhost in %s is nobody: its /etc/hosts has no such line", c.Name)
			f.Cause = "every container's file has one when its engine wrote it; without it the name is asked of DNS servers, which need not know it"
			if slices.ContainsFunc(r.Hosts, namesLocalhost) {
				f.Summary = fmt.Sprintf("localhost in %s is ::1 alone by its /etc/hosts, and %s has no IPv6", c.Name, c.Name)
				f.Cause = "whoever asks for both families gets what the file has, and asks no further"
			}
			f.Evidence[0].Text = confLines(r.HostsRaw)
			f.Advice = "put the line 127.0.0.1 localhost back, in the file that is mounted there or in what writes it"
		}
		for k := range in.Names {
			if n := &in.Names[k]; n.Ask.Netns == r.Netns && isLocalhost(n.Ask.Name) {
				f.Severity = diag.Error
				f.Covers.Names = append(f.Covers.Names, k)
			}
		}
		out = append(out, f)
	}
	return out
}

// notLoopback is the line that gives localhost of its family to another address;
// nil when the first of each family is a loopback address.
func notLoopback(r *snap.Resolver) *snap.HostsLine {
	var seen [2]bool
	for i := range r.Hosts {
		l := &r.Hosts[i]
		if !namesLocalhost(*l) {
			continue
		}
		family := 0
		if l.Addr.Is6() {
			family = 1
		}
		if !seen[family] && !l.Addr.IsLoopback() {
			return l
		}
		seen[family] = true
	}
	return nil
}

// namesLocalhost says whether a line gives localhost an address.
func namesLocalhost(l snap.HostsLine) bool { return slices.ContainsFunc(l.Names, isLocalhost) }

// noLocalhost says whether nothing in a container of an engine that writes the file
// makes localhost of an address that it has.
func noLocalhost(in *diag.Input, r *snap.Resolver, c *snap.Container) bool {
	ns := in.Netns(c.Netns)
	if ns == nil {
		return false
	}
	_, six := ns.HasAddr(netip.IPv6Loopback())
	return r.HostsRaw != "" && strings.HasPrefix(r.HostsSource, "root:") && (snap.IsDocker(c.Engine) || c.Engine == "podman") &&
		!slices.Contains(r.NSSwitch, "myhostname") && !slices.Contains(r.NSSwitch, "resolve") &&
		!slices.ContainsFunc(r.Hosts, func(l snap.HostsLine) bool { return namesLocalhost(l) && (l.Addr.Is4() || six) })
}

// fixLocalhost takes the name off that line, and puts the loopback address first
// where no other line gives it.
func fixLocalhost(in *diag.Input, f *diag.Finding) []fixups.Op {
	for i := range in.Snap.Resolvers {
		r := &in.Snap.Resolvers[i]
		c, l := in.Snap.Container(r.Owner), notLoopback(r)
		none := c != nil && l == nil && noLocalhost(in, r, c)
		if c == nil || l == nil && !none || r.Netns != f.Subject.Netns || c.Name != f.Subject.Name || r.HostsRaw == "" || !strings.HasPrefix(r.HostsSource, "root:") {
			continue
		}
		text, ok := r.HostsRaw, none
		if !none {
			text, ok = withoutName(r.HostsRaw, l.Line, l.Addr, "localhost")
		}
		if !ok {
			return nil
		}
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if !none && l.Addr.Is6() {
			loopback = netip.IPv6Loopback()
		}
		if !slices.ContainsFunc(r.Hosts, func(h snap.HostsLine) bool { return h.Addr == loopback && slices.Contains(h.Names, "localhost") }) {
			text = loopback.String() + "\tlocalhost\n" + text
		}
		return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/hosts", File: "hosts", Old: &r.HostsRaw, Content: text}}
	}
	return nil
}
