package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4104: Docker chose 8.8.8.8 by itself, and it does not answer here.
//
// When the host's resolv.conf names only loopback servers (a local dnsmasq,
// unbound or systemd-resolved's stub), Docker can't hand it to a container and
// silently writes 8.8.8.8 and 8.8.4.4 instead. Where outside DNS is blocked, the
// host resolves and the container does not; where it is not, company names are
// asked of Google. The remedy is to tell Docker the real servers, and to make the
// container again; until then its resolv.conf can name a server that is known to
// answer containers of this host.
//
// See it by hand:
//
//	cat /etc/resolv.conf                     nameserver 127.0.0.1 only
//	docker exec NAME cat /etc/resolv.conf    nameserver 8.8.8.8
//	cat /etc/docker/daemon.json              no "dns"
//
// Sources: moby daemon/libnetwork/internal/resolvconf: defaultIPv4NSs
func nd4104() diag.Check {
	return diag.Check{
		Code: "ND4104", Name: "google-dns-fallback", Severity: diag.Error, Since: "0.1",
		Title: "Docker fell back to 8.8.8.8, which does not answer here",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, g := range nameGroups(in, names.GoogleFallback) {
				f := g.finding(in)
				who := in.Who(g.first.Ask.Netns)
				f.Summary = fmt.Sprintf("%s asks %s for outside names, which does not answer here: %s", who, g.problem.Server.Addr(), g.problem.Detail)
				f.Subject = diag.Subject{Kind: "resolver", Name: who, Netns: g.first.Ask.Netns}
				f.Advice = `tell Docker the servers: "dns": ["SERVER"] in /etc/docker/daemon.json and systemctl restart docker, then make the container again; or docker run --dns SERVER`
				if good := workingServers(in, g.first.Ask.Netns); len(good) > 0 {
					f.Advice = strings.ReplaceAll(f.Advice, "SERVER", good[0].String())
				}
				f.Weight = 68
				out = append(out, f)
			}
			return out
		},
		Fix: fixFallback,
	}
}

// fixFallback names servers in the container's resolv.conf that answer other
// containers of this host.
func fixFallback(in *diag.Input, f *diag.Finding) []fixups.Op {
	ask := in.Names[f.Covers.Names[0]].Ask
	c, r := in.Snap.Container(ask.Container), in.Snap.Resolver(ask.Container)
	good := workingServers(in, ask.Netns)
	if c == nil || r == nil || len(good) == 0 || slices.Contains(r.ResolvConf.Nameservers, snap.DockerResolver()) {
		return nil
	}
	var b strings.Builder
	for l := range strings.Lines(r.ResolvConf.Raw) {
		if w := strings.Fields(l); len(w) > 0 && w[0] == "nameserver" || len(w) == 0 && b.Len() == 0 {
			continue
		}
		b.WriteString(l)
	}
	for _, a := range good[:min(len(good), 3)] {
		fmt.Fprintf(&b, "nameserver %s\n", a)
	}
	if !answersThen(in, f, c, b.String()) {
		return nil
	}
	return resolvWrite(c, r, b.String())
}

// workingServers are outside name servers that are in use on this host and
// answered a live question, and that the namespace reaches, too.
func workingServers(in *diag.Input, netns string) []netip.Addr {
	var out []netip.Addr
	for i := range in.Names {
		n := &in.Names[i]
		if n.Path == nil {
			continue
		}
		for _, s := range n.Path.Servers {
			a := s.Addr.Addr()
			if a.IsLoopback() || s.Addr.Port() != 53 || s.Probe == nil || s.Probe.Outcome != snap.Answered || slices.Contains(out, a) {
				continue
			}
			if in.Reaches(netns, s.Addr) {
				out = append(out, a)
			}
		}
	}
	return out
}
