package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

func port(p uint16) string { return strconv.Itoa(int(p)) }

// fixResolvConf writes a container's resolv.conf as its engine does.
func fixResolvConf(in *diag.Input, f *diag.Finding) []fixups.Op {
	if len(f.Covers.Names) == 0 {
		return nil
	}
	ask := in.Names[f.Covers.Names[0]].Ask
	c := in.Snap.Container(ask.Container)
	r := in.Snap.Resolver(ask.Container)
	if r != nil && r.ResolvConf.Denied != "" {
		return nil // what is in it is as it should be
	}
	if c == nil {
		f.Advice = "start the resolver that should listen there (systemd-resolved, dnsmasq, unbound), or name a server that answers in /etc/resolv.conf"
		if good := workingServers(in, ask.Netns); len(good) > 0 {
			f.Advice += ": " + good[0].String() + " does, here"
		}
		return nil
	}
	if text, ok := ownServers(in, c, r); ok && f.Code == "ND4103" {
		return resolvWrite(c, r, text)
	}
	if r == nil || !snap.IsDocker(c.Engine) {
		f.Advice = "write the servers into /etc/resolv.conf again"
		return nil
	}
	text := engineResolvConf(in, c)
	if f.Code != "ND4106" && f.Code != "ND4107" { // whose fault is the search list
		text = withServersOf(r.ResolvConf.Raw, text)
	}
	if text == r.ResolvConf.Raw {
		return nil // the file is as it should be: what is wrong lies behind it
	}
	if text == "" {
		f.Advice = "give it servers: docker run --dns, or \"dns\" in daemon.json, and recreate it"
		return nil
	}
	if !answersThen(in, f, c, text) {
		f.Advice = "name a server in /etc/resolv.conf that answers for " + ask.Name + ": those that the engine would write are not known to"
		return nil
	}
	return resolvWrite(c, r, text)
}

// resolvWrite writes a container's resolv.conf.
func resolvWrite(c *snap.Container, r *snap.Resolver, text string) []fixups.Op {
	return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/resolv.conf", File: "resolv.conf", Old: &r.ResolvConf.Raw, Content: text}}
}

// withServersOf is a resolv.conf with the servers of the one that an engine would write, and
// everything else that somebody put into it: search, options, remarks. What it says
// nothing of comes from the engine's. "" where that is.
func withServersOf(raw, engine string) string {
	var servers, rest strings.Builder
	has := map[string]bool{}
	for l := range strings.Lines(raw) {
		if w := strings.Fields(l); len(w) > 0 {
			has[w[0]] = true
		}
	}
	if delete(has, "nameserver"); len(has) == 0 || engine == "" {
		return engine
	}
	for l := range strings.Lines(engine) {
		switch w := strings.Fields(l); {
		case len(w) > 1 && w[0] == "nameserver":
			servers.WriteString(l)
		case len(w) > 1 && (w[0] == "options" || w[0] == "search" && !has["domain"]) && !has[w[0]]:
			rest.WriteString(l)
		}
	}
	var b strings.Builder
	put := false
	for l := range strings.Lines(raw) {
		if w := strings.Fields(l); len(w) == 0 || w[0] != "nameserver" {
			b.WriteString(strings.TrimRight(l, "\r\n") + "\n")
			continue
		}
		if !put {
			b.WriteString(servers.String())
		}
		put = true
	}
	if !put {
		b.WriteString(servers.String())
	}
	return b.String() + rest.String()
}

// answersThen says whether what somebody asked for is known to resolve with another
// resolv.conf: by the engine's own records, or as one of the servers in it said so.
func answersThen(in *diag.Input, f *diag.Finding, c *snap.Container, text string) bool {
	for _, i := range f.Covers.Names {
		n := &in.Names[i]
		if !n.Asked || n.World || n.Ask.Container != c.Ref {
			continue
		}
		s := in.Snap.Clone()
		if resolvWrite(c, in.Snap.Resolver(c.Ref), text)[0].On(s) != nil {
			return false
		}
		p := names.Resolve(names.Input{Snap: s, Netns: n.Ask.Netns, Container: c.Ref, Name: n.Ask.Name, Type: n.Ask.Type})
		if p.Verdict == names.Resolved {
			continue
		}
		if p.Verdict != names.Unknown || !slices.ContainsFunc(in.Snap.Probes, func(x snap.Probe) bool {
			return x.DNS != nil && names.Same(x.DNS.Name, n.Ask.Name) && x.DNS.Type == p.Type && len(addressesIn(&x)) > 0 &&
				slices.ContainsFunc(p.Servers, func(s names.Server) bool { return s.Addr == x.Dst })
		}) {
			return false
		}
	}
	return true
}

// ownServers is a resolv.conf with the servers of the container's network in the
// place of those that it names; false when its network has none of its own.
func ownServers(in *diag.Input, c *snap.Container, r *snap.Resolver) (string, bool) {
	if r == nil || snap.IsDocker(c.Engine) || len(c.Endpoints) != 1 {
		return "", false
	}
	n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[0])
	if n == nil || len(n.DNSServers) == 0 {
		return "", false
	}
	var b strings.Builder
	done := false
	for l := range strings.Lines(r.ResolvConf.Raw) {
		if w := strings.Fields(l); len(w) == 0 || w[0] != "nameserver" {
			b.WriteString(l)
			continue
		}
		for _, a := range n.DNSServers {
			if !done {
				fmt.Fprintf(&b, "nameserver %s\n", a)
			}
		}
		done = true
	}
	return b.String(), done
}

// engineResolvConf is the file that Docker would write for the container
// (moby daemon/libnetwork/internal/resolvconf): 127.0.0.11 on networks with names, else the host's servers
// without loopback ones. "" when there are none to write.
func engineResolvConf(in *diag.Input, c *snap.Container) string {
	host := in.Snap.Resolver("host")
	embedded := false
	for i := range c.Endpoints {
		if n := in.Snap.NetworkOf(c.Engine, &c.Endpoints[i]); n != nil && n.DNS {
			embedded = true
		}
	}
	if text := likeResolvConf(in, c, embedded); text != "" {
		return text
	}
	var b strings.Builder
	search, options := c.DNSSearch, c.DNSOptions
	if host != nil {
		if len(search) == 0 {
			search = host.ResolvConf.Search
		}
		if len(options) == 0 {
			options = host.ResolvConf.Options
		}
	}
	if embedded {
		if len(search) > 0 {
			fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
		}
		b.WriteString("nameserver 127.0.0.11\n")
		if !strings.Contains(strings.Join(options, " "), "ndots:") {
			options = append(append([]string{}, options...), "ndots:0")
		}
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
		return b.String()
	}
	if len(c.DNS) == 0 && host != nil && !hasLoopback(host.ResolvConf) && len(host.ResolvConf.Nameservers) > 0 {
		return host.ResolvConf.Raw // a plain copy, as Docker makes it
	}
	servers := c.DNS
	if len(servers) == 0 && host != nil {
		for _, s := range host.ResolvConf.Nameservers {
			if !s.IsLoopback() {
				servers = append(servers, s.String())
			}
		}
	}
	if len(servers) == 0 {
		return ""
	}
	if len(search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
	}
	return b.String()
}

// likeResolvConf is the file that the engine wrote for another container with
// the same settings: Docker 25 and later write remarks into it, which say where
// outside names are asked. "" when there is none that is as it was written.
func likeResolvConf(in *diag.Input, c *snap.Container, embedded bool) string {
	host := in.Snap.Resolver("host")
	for i := range in.Snap.Containers {
		o := &in.Snap.Containers[i]
		r := in.Snap.Resolver(o.Ref)
		if o == c || o.Engine != c.Engine || r == nil || r.ResolvConf.BasedOn == "" || r.ResolvConf.Internal != embedded || host == nil ||
			!slices.Equal(o.DNS, c.DNS) || !slices.Equal(o.DNSSearch, c.DNSSearch) || !slices.Equal(o.DNSOptions, c.DNSOptions) {
			continue
		}
		got, want := r.ResolvConf.Nameservers, []netip.Addr{snap.DockerResolver()}
		if !embedded {
			want = slices.DeleteFunc(slices.Clone(host.ResolvConf.Nameservers), netip.Addr.IsLoopback)
			if len(c.DNS) > 0 {
				want = want[:0]
			}
			for _, s := range c.DNS {
				if a, err := netip.ParseAddr(s); err == nil {
					want = append(want, a)
				}
			}
		}
		if slices.Equal(got, want) {
			return r.ResolvConf.Raw
		}
	}
	return ""
}

func hasLoopback(r snap.ResolvConf) bool {
	for _, s := range r.Nameservers {
		if s.IsLoopback() {
			return true
		}
	}
	return false
}
