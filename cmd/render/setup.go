package render

import (
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// pending is what a dry run says instead of what was done.
var pending = map[string]string{"made": "would make", "removed": "would remove", "mended": "would mend"}

// setup is the screen of what was built or taken away.
func (p *printer) setup(r *v1.SetupResult) {
	for _, c := range r.Changes {
		did := c.Did
		if would := pending[did]; r.DryRun && would != "" {
			did = would
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
			rows = append(rows, []span{in(bold, n.Name), s(n.Detail), s(strings.Join(n.Addresses, ", ")), s(strings.Join(n.Networks, ", "))})
		}
		p.table("", []string{"network", "driver", "subnets", "containers"}, rows)
	}
}
