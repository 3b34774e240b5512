package inspect

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Redact gives a copy that may be handed to somebody else: label values,
// images, command lines (but docker-proxy's) and user names in paths are gone;
// names that are none of this host's containers, networks or devices are
// replaced, the same name always by the same pseudonym, label by label, so that
// search lists and ndots still work on them. Environments were never read.
// Addresses, rules with their comments, and sysctls stay: they are the question.
func Redact(in *snap.Snapshot) *snap.Snapshot {
	s := in.Clone()
	r := &redactor{s: s, keep: modelNames(s), fake: map[string]string{}, procs: map[*snap.Process]*snap.Process{}}
	s.Host.Name = r.name(s.Host.Name)
	s.Host.BootID = ""
	for i := range s.Netns {
		n := &s.Netns[i]
		n.Path = r.path(n.Path)
		for j := range n.Sockets {
			n.Sockets[j].Process = r.process(n.Sockets[j].Process)
		}
		for j := range n.Trying {
			n.Trying[j].Process = r.process(n.Trying[j].Process)
		}
		for j := range n.Links {
			n.Links[j].Reader = r.process(n.Links[j].Reader)
		}
		for j := range n.Ruleset.BPF {
			n.Ruleset.BPF[j].Holder = r.process(n.Ruleset.BPF[j].Holder)
		}
		for j := range n.Held {
			n.Held[j].Process = r.process(n.Held[j].Process)
		}
	}
	for i := range s.Engines {
		r.engine(&s.Engines[i])
	}
	for i := range s.Containers {
		r.container(&s.Containers[i])
	}
	for i := range s.Networks {
		n := &s.Networks[i]
		n.Labels = r.values("label", n.Labels, nil)
		n.Options = r.values("option", n.Options, networkOption)
		n.File = r.path(n.File)
	}
	for i := range s.Resolvers {
		r.resolver(&s.Resolvers[i])
	}
	for i := range s.Probes {
		r.probe(&s.Probes[i])
	}
	for i := range s.Gaps {
		s.Gaps[i].Why = r.path(s.Gaps[i].Why)
	}
	s.Redacted = []string{
		"boot id", "command lines", "image names", "label values", "names from outside the network model",
		"network options of unknown drivers", "user names in paths",
	}
	return s
}

// redactor keeps the pseudonyms of one snapshot.
type redactor struct {
	s     *snap.Snapshot
	keep  map[string]bool   // labels that stay
	fake  map[string]string // kind and true text → pseudonym
	procs map[*snap.Process]*snap.Process
	seq   int
}

// pseudonym is the same for the same text.
func (r *redactor) pseudonym(kind, text string) string {
	key := kind + "\x00" + text
	if p, ok := r.fake[key]; ok {
		return p
	}
	r.seq++
	p := fmt.Sprintf("%s-%d", kind, r.seq)
	r.fake[key] = p
	return p
}

// modelNames are the DNS labels of the network model, and those that have a
// meaning of their own (RFC 6761, RFC 6762, RFC 8375 and custom).
func modelNames(s *snap.Snapshot) map[string]bool {
	keep := map[string]bool{}
	add := func(names ...string) {
		for _, n := range names {
			for l := range strings.SplitSeq(strings.ToLower(n), ".") {
				keep[l] = true
			}
		}
	}
	add("localhost", "localdomain", "local", "internal", "arpa", "in-addr", "ip6", "test", "example", "invalid", "onion", "home",
		"host", "docker", "gateway", "containers", "tasks", "dns", "podman", "ip6-localhost", "ip6-loopback",
		"ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters")
	for i := range s.Containers {
		c := &s.Containers[i]
		add(c.Name, c.Hostname, c.Service, c.Project, c.ID[:min(len(c.ID), 12)])
		for _, e := range c.Endpoints {
			add(e.Network)
			add(e.Aliases...)
			add(e.DNSNames...)
			for _, l := range e.Links {
				add(strings.Split(l, ":")...)
			}
		}
		for _, l := range c.Links {
			add(strings.Split(l, ":")...)
		}
	}
	for i := range s.Networks {
		add(s.Networks[i].Name)
	}
	for i := range s.Netns {
		add(s.Netns[i].ID)
		add(s.Netns[i].Names...)
	}
	return keep
}

// name replaces the labels of a name that are not the model's. Digits stay:
// reverse names and numbers are addresses. Case does not make a new name.
func (r *redactor) name(n string) string {
	if _, err := netip.ParseAddr(n); err == nil || n == "" {
		return n
	}
	labels := strings.Split(n, ".")
	for i, l := range labels {
		low := strings.ToLower(l)
		if l != names.ControlLabel && l != "" && !r.keep[low] && strings.Trim(l, "0123456789") != "" {
			labels[i] = r.pseudonym("name", low)
		}
	}
	return strings.Join(labels, ".")
}

func (r *redactor) names(list []string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = r.name(n)
	}
	return out
}

// path replaces the user's name in paths to home directories.
func (r *redactor) path(p string) string {
	for _, home := range []string{"/home/", "/Users/"} {
		var out strings.Builder
		rest := p
		for {
			before, after, found := strings.Cut(rest, home)
			out.WriteString(before)
			if !found {
				break
			}
			end := strings.IndexAny(after, "/ :\"'")
			if end < 0 {
				end = len(after)
			}
			out.WriteString(home + r.pseudonym("user", after[:end]))
			rest = after[end:]
		}
		p = out.String()
	}
	return p
}

// values replaces the values of a map, but those whose keys keep allows.
func (r *redactor) values(kind string, m map[string]string, keep func(key string) bool) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) { // in order: pseudonyms are numbered
		out[k] = m[k]
		if m[k] != "" && (keep == nil || !keep(k)) {
			out[k] = r.pseudonym(kind, m[k])
		}
	}
	return out
}

// networkOption says whether an option is of a driver that is known to put
// nothing private into it.
func networkOption(key string) bool {
	switch key {
	case "parent", "mode", "mtu", "vlan", "isolate", "metric", "no_default_route", "vrf", "bclim", "host_interface_name",
		"macvlan_mode", "ipvlan_mode", "ipvlan_flag", "bridge", "isGateway", "ipMasq", "hairpinMode", "promiscMode", "encrypted":
		return true
	}
	return strings.HasPrefix(key, "com.docker.network.") || strings.HasPrefix(key, "netdoctor.")
}

// process leaves the command line out; docker-proxy's is nothing but ports, and those of
// user-mode NAT are how they lead.
func (r *redactor) process(p *snap.Process) *snap.Process {
	if p == nil || p.Args == nil || p.Name == "docker-proxy" || p.UserNAT() {
		return p
	}
	if r.procs[p] == nil {
		q := *p
		q.Args = nil
		r.procs[p] = &q
	}
	return r.procs[p]
}

func (r *redactor) engine(e *snap.Engine) {
	e.Endpoint, e.DataRoot, e.ExecRoot = r.path(e.Endpoint), r.path(e.DataRoot), r.path(e.ExecRoot)
	e.ConfigFile, e.Error = r.path(e.ConfigFile), r.path(e.Error)
	e.Hosts = slices.Clone(e.Hosts)
	for i, h := range e.Hosts {
		e.Hosts[i] = r.path(h)
	}
	e.Proxies = r.proxies(e.Proxies)
	if e.Own != nil {
		own := *e.Own
		own.Dir = r.path(own.Dir)
		e.Own = &own
	}
	if e.Remote {
		e.Endpoint = r.pseudonym("endpoint", e.Endpoint)
	}
}

func (r *redactor) proxies(list []snap.Proxy) []snap.Proxy {
	list = slices.Clone(list)
	for i := range list {
		list[i].Host = r.name(list[i].Host)
	}
	return list
}

func (r *redactor) container(c *snap.Container) {
	c.Labels = r.values("label", c.Labels, nil)
	c.Wants = slices.Clone(c.Wants) // names of the model's; which variable says so is left out
	for i := range c.Wants {
		c.Wants[i].By = "its environment or command line"
	}
	c.Proxies, c.NoProxy = r.proxies(c.Proxies), r.names(c.NoProxy)
	if c.Image != "" {
		c.Image = r.pseudonym("image", c.Image)
	}
	c.Process = r.process(c.Process)
	c.Error, c.Complaint = r.path(c.Error), "" // a program's words hold what it likes
	c.Sockets = slices.Clone(c.Sockets)
	for i, s := range c.Sockets {
		c.Sockets[i].Socket, c.Sockets[i].At = r.path(s.Socket), r.path(s.At)
	}
	c.DNSSearch = r.names(c.DNSSearch)
	c.SandboxKey, c.ResolvConfPath = r.path(c.SandboxKey), r.path(c.ResolvConfPath)
	c.HostsPath, c.HostnamePath = r.path(c.HostsPath), r.path(c.HostnamePath)
	c.ExtraHosts = slices.Clone(c.ExtraHosts)
	for i, h := range c.ExtraHosts {
		if name, ip, ok := strings.Cut(h, ":"); ok {
			c.ExtraHosts[i] = r.name(name) + ":" + ip
		}
	}
}

func (r *redactor) probe(p *snap.Probe) {
	if p.DNS == nil {
		return
	}
	d := *p.DNS
	d.Name = r.name(d.Name)
	d.Answers = slices.Clone(d.Answers)
	for i, a := range d.Answers {
		f := strings.Fields(a)
		if len(f) > 1 {
			d.Answers[i] = f[0] + " " + strings.Join(r.names(f[1:]), " ")
		}
	}
	p.DNS = &d
}
