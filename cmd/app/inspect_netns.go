package app

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/inspect/walk"
)

// netnsFacts are the namespace, its devices, routes, listeners and rule sets.
func netnsFacts(ns *snap.Netns) []v1.Section {
	f := facts{v1.Section{Title: "netns " + ns.ID}}
	f.add("class", "%s", ns.Class)
	f.add("inode", "%d", ns.Inode)
	f.add("path", "%s", ns.Path)
	f.add("names", "%s", strings.Join(ns.Names, " "))
	f.add("containers", "%s", strings.Join(ns.Containers, " "))
	for _, t := range ns.Ruleset.Tables {
		rules := 0
		for i := range t.Chains {
			rules += len(t.Chains[i].Rules)
		}
		f.add("rules", "%s %s %s: %s, %s", t.System, t.Family, t.Name, diag.Count(len(t.Chains), "chain"), diag.Count(rules, "rule"))
	}
	if ns.ConntrackMax > 0 {
		f.add("conntrack", "%d of %d", ns.ConntrackCount, ns.ConntrackMax)
	}
	return []v1.Section{f.sec, linkFacts(ns), routeFacts(ns), socketFacts(ns)}
}

func linkFacts(ns *snap.Netns) v1.Section {
	f := facts{v1.Section{Title: "devices"}}
	for i := range ns.Links {
		l := &ns.Links[i]
		state := "down"
		if l.Up {
			state = "up"
		}
		if l.Up && !l.LowerUp {
			state = "up, no carrier"
		}
		var addrs []string
		for _, a := range ns.AddrsOf(l.Index) {
			addrs = append(addrs, a.Prefix.String())
		}
		on := ""
		if m := ns.LinkAt(l.Master); m != nil {
			on = "on " + m.Name
		}
		peer := ""
		if l.Kind == "veth" && l.PeerNetns != "" {
			peer = "peer in " + l.PeerNetns
		}
		if p := l.Reader; p != nil {
			peer = "read by " + p.Who()
		}
		f.add(l.Name, "%s", diag.Joined(", ", l.Kind, state, fmt.Sprintf("mtu %d", l.MTU), on, peer, strings.Join(addrs, " ")))
	}
	return f.sec
}

func routeFacts(ns *snap.Netns) v1.Section {
	f := facts{v1.Section{Title: "routes"}}
	for _, r := range ns.Routes {
		if r.Table == snap.TableLocal || r.Type == "multicast" || r.Dst.Addr().IsLinkLocalUnicast() {
			continue
		}
		via, dev := "", ""
		if r.Gateway.IsValid() {
			via = "via " + r.Gateway.String()
		}
		if l := ns.LinkAt(r.Oif); l != nil {
			dev = "dev " + l.Name
		}
		table := ""
		if r.Table != snap.TableMain {
			table = fmt.Sprintf("table %d", r.Table)
		}
		typ := r.Type
		if typ == "unicast" {
			typ = ""
		}
		f.add(r.Dst.String(), "%s", diag.Joined(" ", typ, via, dev, table, strings.Join(r.Flags, " ")))
	}
	return f.sec
}

func socketFacts(ns *snap.Netns) v1.Section {
	f := facts{v1.Section{Title: "listeners"}}
	for i := range ns.Sockets {
		k := &ns.Sockets[i]
		f.add(k.Local.String(), "%s", diag.Joined(" ", string(k.Proto), k.Holder("")))
	}
	return f.sec
}

// resolverFacts are the name service files of an owner.
func resolverFacts(s *snap.Snapshot, owner string) []v1.Section {
	r := s.Resolver(owner)
	if r == nil {
		return nil
	}
	f := facts{v1.Section{Title: "names"}}
	f.add("file", "%s", r.Source)
	for _, a := range r.ResolvConf.Nameservers {
		f.add("nameserver", "%s", a)
	}
	f.add("search", "%s", strings.Join(r.ResolvConf.Search, " "))
	f.add("options", "%s", strings.Join(r.ResolvConf.Options, " "))
	f.add("nsswitch", "%s", strings.Join(r.NSSwitch, " "))
	f.add("libc", "%s", r.Libc)
	for _, h := range r.Hosts {
		f.add("hosts", "%s %s", h.Addr, strings.Join(h.Names, " "))
	}
	return []v1.Section{f.sec}
}

// addressFacts tell whose an address is.
func (a *App) addressFacts(s *snap.Snapshot, t Target) v1.Section {
	g := walk.New(s)
	f := facts{v1.Section{Title: "address " + t.Addr.String()}}
	for _, e := range g.Owners(t.Addr) {
		f.add("held by", "%s in %s", e.Link.Name, e.Netns.ID)
	}
	if c := g.ContainerOfAddr(t.Addr); c != nil {
		f.add("given to", "%s", c.Ref)
	}
	if n := g.NetworkOfAddr(t.Addr); n != nil {
		f.add("in the subnet of", "net:%s", n.Name)
	}
	for i := range s.Netns {
		ns := &s.Netns[i]
		for _, nb := range ns.Neighs {
			if nb.IP == t.Addr && ns.Class.Ours() {
				dev := ""
				if l := ns.LinkAt(nb.Index); l != nil {
					dev = l.Name
				}
				f.add("neighbour of "+ns.ID, "%s", diag.Joined(" ", nb.MAC, nb.State, dev))
			}
		}
	}
	if host := s.HostNs(); host != nil {
		tr := &tracer{a: a, s: s}
		f.add("way from the host", "%s", tr.back(t.Addr))
	}
	if !slices.ContainsFunc(f.sec.Facts, func(v v1.Fact) bool { return v.Name == "held by" }) {
		f.add("held by", "nobody on this host")
	}
	return f.sec
}
