package render

import (
	"fmt"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// pending is what a dry run says instead of what was done.
var pending = map[string]string{"made": "would make", "removed": "would remove", "mended": "would mend"}

// alike are the names of the things that the first changes are about, as long as
// the same was done to the same kind of thing and nothing more is to be said.
func alike(list []v1.Made) (kind string, names []string) {
	for _, c := range list {
		k, name, ok := strings.Cut(c.What, " ")
		if !ok || len(c.Do) > 0 || strings.Contains(name, " ") || c.Did != list[0].Did || kind != "" && k != kind {
			break
		}
		kind = k
		names = append(names, name)
	}
	return kind, names
}

// setup is the screen of what was built or taken away.
func (p *printer) setup(r *v1.SetupResult) {
	for i := 0; i < len(r.Changes); i++ {
		c := r.Changes[i]
		did := c.Did
		if would := pending[did]; r.DryRun && would != "" {
			did = would
		}
		if kind, names := alike(r.Changes[i:]); len(names) > maxListed && !p.st.Verbose {
			p.line(in(bold, did+" "), s(fmt.Sprintf("%d %ss: %s", len(names), kind, listed(names, false))))
			i += len(names) - 1
			continue
		}
		p.line(in(bold, did+" "), s(c.What))
		for _, l := range c.Do {
			p.line(s("    "), in(cyan, l))
		}
	}
	sign, paint := p.st.sign("ok")
	switch {
	case len(r.Drift) > 0:
		bad, red := p.st.sign("error")
		for _, d := range r.Drift {
			p.line(in(red, bad+" "), s(d))
		}
		p.labelled("", "fix", in(cyan, "netdoctor setup"))
		return
	case r.Action == "check":
		p.line(in(paint, sign+" "), s("everything is as it was set up"))
	case len(r.Changes) == 0 && r.Action == "teardown":
		p.line(in(paint, sign+" "), s("nothing is set up"))
	case len(r.Changes) == 0:
		p.line(in(paint, sign+" "), s("nothing to change"))
	}
	if p.st.Quiet || r.DryRun || r.Action == "teardown" {
		return
	}
	if len(r.Networks) > 0 && r.Action == "setup" {
		p.line()
		var rows [][]span
		for _, n := range r.Networks {
			rows = append(rows, []span{in(bold, n.Name), s(n.Detail), s(strings.Join(n.Addresses, ", ")), s(listed(n.Networks, p.st.Verbose))})
		}
		p.table("", []string{"network", "driver", "subnets", "containers"}, rows)
	}
}
