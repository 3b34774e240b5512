package diag

import (
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// clashes: a service's name that containers of another compose project carry, too, on a
// network of somebody who means his own project's.
func (e *expecter) clashes() {
	carried := map[*snap.Network]map[string]string{} // name: its project, "" of several
	var services [][2]string                         // project, service
	had := map[[2]string]bool{}
	of := map[string][]member{}
	where := map[*snap.Container][]*snap.Network{}
	for n, ms := range e.named() {
		byName := map[string]string{}
		for _, m := range ms {
			where[m.c] = append(where[m.c], n)
			if m.c.Project == "" {
				continue
			}
			of[m.c.Project] = append(of[m.c.Project], m)
			if k := [2]string{m.c.Project, strings.ToLower(m.c.Service)}; k[1] != "" && !had[k] {
				had[k], services = true, append(services, k)
			}
			for _, a := range m.e.Aliases {
				a = strings.ToLower(a)
				if p, ok := byName[a]; ok && p != m.c.Project {
					byName[a] = ""
				} else {
					byName[a] = m.c.Project
				}
			}
		}
		carried[n] = byName
	}
	for _, s := range services {
		for _, m := range of[s[0]] {
			for _, n := range where[m.c] {
				if p, ok := carried[n][s[1]]; ok && p != s[0] && !strings.EqualFold(m.c.Service, s[1]) {
					e.name(m, s[1], n)
				}
			}
		}
	}
}

// Meant is the container that somebody means by the name of a service of his own compose
// project, on a network that he is on; nil when there is none.
func (in *Input) Meant(n *NameCase) *snap.Container {
	c := in.Snap.Container(n.Ask.Container)
	if c == nil || c.Project == "" {
		return nil
	}
	for i := range in.Snap.Containers {
		o := &in.Snap.Containers[i]
		if o == c || o.Project != c.Project || o.Engine != c.Engine || o.State != "running" || strings.EqualFold(o.Service, c.Service) ||
			!strings.EqualFold(o.Service, strings.TrimSuffix(n.Ask.Name, ".")) {
			continue
		}
		for k := range o.Endpoints {
			for j := range c.Endpoints {
				if a := in.Snap.NetworkOf(o.Engine, &o.Endpoints[k]); a != nil && a.DNS && a == in.Snap.NetworkOf(c.Engine, &c.Endpoints[j]) {
					return o
				}
			}
		}
	}
	return nil
}
