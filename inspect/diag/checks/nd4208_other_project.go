package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4208: a service's name leads to another project.
//
// Compose gives each container the name of its service on every network that it is
// on. Where two projects meet on a shared network (that of a reverse proxy), "db" or
// "app" is the name of both. Docker's resolver answers with one network's addresses
// only, the first in the order of the asker's networks (gateway priority, then the
// network's name), and with those of all carriers on it: an app talks to the other
// project's database, always or every other time.
//
// See it by hand:
//
//	docker exec ASKER getent ahosts SERVICE
//	docker network inspect SHARED            who else is on it
//
// So it is for somebody of no project who asks for a name that two projects answer to:
// each look-up may lead to the other one.
//
// Found unasked, and with no setting of the asker that names it, it is a warning: the
// program may never use the name.
//
// Sources: moby daemon/libnetwork/sandbox_dns_unix.go: ResolveName; docs.docker.com,
// compose networking
func nd4208() diag.Check {
	return diag.Check{
		Code: "ND4208", Name: "name-of-other-project", Severity: diag.Error, Since: "0.2",
		Title: "A service's name leads to the container of another compose project",
		After: []diag.Code{"ND4204"},
		Detect: func(in *diag.Input) []diag.Finding {
			out := ofBoth(in)
			for i := range in.Names {
				n := &in.Names[i]
				asker := in.Snap.Container(n.Ask.Container)
				if n.Path == nil || n.Path.Verdict != names.Resolved || asker == nil || asker.Project == "" {
					continue
				}
				var other *snap.Container
				wrong := 0
				for _, a := range n.Path.Answers {
					ip, _ := netip.ParseAddr(a)
					if c := in.Graph.ContainerOfAddr(ip); c != nil && c.Project != "" && c.Project != asker.Project {
						other = c
						wrong++
					}
				}
				if other == nil {
					continue
				}
				meant := in.Meant(n)
				if meant == nil {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("%s, asked by %s, is %s of project %s, not %s of its own project %s", n.Ask.Name, asker.Name, other.Name, other.Project, meant.Name, asker.Project),
					Cause:    fmt.Sprintf("%s carries the name %s on a network of %s, and the resolver answers with the first network's addresses", other.Name, n.Ask.Name, asker.Name),
					Subject:  diag.Subject{Kind: "name", Name: n.Ask.Name, Netns: n.Ask.Netns},
					Evidence: []diag.Evidence{ev(diag.InspectCommand(other), "com.docker.compose.project="+other.Project, snap.RefContainer(other.Ref))},
					Covers:   diag.Cover{Names: []int{i}},
					Advice:   fmt.Sprintf("have %s ask for %s, or take %s off the network that both are on, or give its service another name", asker.Name, meant.NetName(), other.Name),
					Weight:   56,
				}
				if wrong < len(n.Path.Answers) {
					f.Summary += fmt.Sprintf(": %d of %d connections go there", wrong, len(n.Path.Answers))
					f.Cause = fmt.Sprintf("%s and %s carry the name %s on one network, which answers with all of them in random order", other.Name, meant.Name, n.Ask.Name)
				}
				f.Summary += wantedBy(in, n, &f)
				if !n.Asked && n.Wanted == "" {
					f.Severity = diag.Warning
				}
				if k := slices.IndexFunc(out, func(o diag.Finding) bool { return o.Subject == f.Subject }); k >= 0 {
					out[k].Covers.Names = append(out[k].Covers.Names, i) // asked for, and derived
					continue
				}
				out = append(out, f)
			}
			return out
		},
	}
}

// ofBoth are names that lead to containers of several projects, for askers who are of none
// of them: somebody asks for them, or has them in his settings.
func ofBoth(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Names {
		n := &in.Names[i]
		asker := in.Snap.Container(n.Ask.Container)
		if n.Path == nil || n.Path.Verdict != names.Resolved || asker == nil || !n.Asked && n.Wanted == "" {
			continue
		}
		var who, projects []string
		var seen []diag.Evidence
		for _, a := range n.Path.Answers {
			ip, _ := netip.ParseAddr(a)
			c := in.Graph.ContainerOfAddr(ip)
			if c == nil || c.Project == "" || c.Project == asker.Project || slices.Contains(projects, c.Project) {
				continue
			}
			who, projects = append(who, fmt.Sprintf("%s of project %s (%s)", c.Name, c.Project, ip)), append(projects, c.Project)
			seen = append(seen, ev(diag.InspectCommand(c), "com.docker.compose.project="+c.Project, snap.RefContainer(c.Ref)))
		}
		subject := diag.Subject{Kind: "name", Name: n.Ask.Name, Netns: n.Ask.Netns}
		if len(who) < 2 || in.Meant(n) != nil {
			continue
		}
		if k := sameSubject(out, subject); k >= 0 {
			out[k].Covers.Names = append(out[k].Covers.Names, i)
			continue
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s, asked by %s, is the name of several projects' containers, %s: each connection may go to another one", n.Ask.Name, asker.Name, commas(who)),
			Cause:    "they carry one name on one network, which answers with all of them in random order",
			Subject:  subject,
			Evidence: seen,
			Covers:   diag.Cover{Names: []int{i}},
			Advice:   fmt.Sprintf("ask for the container's own name, or give one of them another alias or a network of its own, unless %s is meant to be served by all of them", n.Ask.Name),
			Weight:   56,
		}
		f.Summary += wantedBy(in, n, &f)
		if !n.Asked {
			f.Severity = diag.Warning
		}
		out = append(out, f)
	}
	return out
}
