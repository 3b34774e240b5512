package labtest

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// State is the configuration of a host's namespaces in lines: what a person
// set, without what moves by itself or is numbered by the kernel.
func State(t testing.TB, s *snap.Snapshot) []string {
	t.Helper()
	var out []string
	line := func(ns, what string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ns+" "+what+" "+string(b))
	}
	for i := range s.Netns {
		n := &s.Netns[i]
		if !n.Class.Ours() {
			continue
		}
		for _, l := range n.Links {
			master := ""
			if m := n.LinkAt(l.Master); m != nil {
				master = m.Name
			}
			queues := []string{}
			for _, q := range l.Qdiscs {
				queues = append(queues, q.Kind)
			}
			line(n.ID, "link", []any{l.Name, l.Up, l.MTU, l.MAC, master, queues, l.Bridge != nil && l.Bridge.VlanFiltering})
			if p := l.Port; p != nil {
				line(n.ID, "port", []any{l.Name, p.Hairpin, p.Learning, p.Flood, p.BcastFlood, p.Isolated, p.Locked, p.Guard})
			}
		}
		for _, x := range n.Addrs {
			if a := x.Prefix.Addr(); !a.IsLinkLocalUnicast() && a != netip.IPv6Loopback() { // the kernel makes them when a link comes up
				line(n.ID, "addr", []any{n.LinkAt(x.Index).Name, x.Prefix, x.Label})
			}
		}
		for _, x := range n.Routes {
			if x.Family == snap.IPv4 {
				x.Flags = nil // linkdown: the carrier's
				line(n.ID, "route", x)
			}
		}
		for _, x := range n.Rules {
			line(n.ID, "rule", x)
		}
		for _, x := range n.Neighs {
			if x.State == "permanent" {
				line(n.ID, "neigh", []any{x.IP, x.MAC})
			}
		}
		for k, v := range n.Sysctls {
			if !strings.Contains(k, "conntrack") {
				line(n.ID, "sysctl", []any{k, v})
			}
		}
		slices.Sort(out)
		for _, tb := range n.Ruleset.Tables {
			for _, c := range tb.Chains {
				line(n.ID, "chain", []any{tb.System, tb.Family, tb.Name, c.Name, c.Hook, c.Priority, c.Policy})
				for k := range c.Rules {
					out = append(out, n.ID+" rule "+tb.Name+" "+c.Name+" "+fixups.Print(&c.Rules[k]))
				}
			}
		}
	}
	for _, r := range s.Resolvers {
		line(r.Owner, "resolv.conf", r.ResolvConf.Raw)
		line(r.Owner, "hosts", r.HostsRaw)
	}
	return out
}
