package testenv

import (
	"context"
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// repair puts back what drifted: devices, addresses and routes one by one; the
// rules all together, since their order counts.
func (u *up) repair(ctx context.Context) error {
	lines, err := u.h.Check(ctx)
	if err != nil || len(lines) == 0 {
		return err
	}
	if u.o.DryRun {
		for _, l := range lines {
			u.did("would mend", l, nil)
		}
		return nil
	}
	var ops, rules []fixups.Op
	e := &u.st.Env.Env
	if u.st.Env.Frame4 {
		ops = append(ops, driver.Frame(e, false)...)
	}
	if u.st.Env.Frame6 {
		ops = append(ops, driver.Frame(e, true)...)
	}
	for i := range u.st.Networks {
		ops = append(ops, driver.Up(e, &u.st.Networks[i])...)
	}
	all := u.st.Containers
	for i := range all {
		u.st.Containers = all[:i+1] // the places of rules count those that came before
		if c := &all[i]; c.Foreign {
			ops = append(ops, u.foreignOps(c)...)
		} else {
			ops = append(ops, u.containerOps(c)...)
		}
	}
	u.st.Containers = all
	for _, op := range fixups.Flat(ops...) {
		if _, ok := refOf(op); ok {
			rules = append(rules, op)
		}
	}
	mended, err := u.b.Mend(ctx, ops...)
	for _, m := range mended {
		u.did("mended", m, nil)
	}
	if err != nil {
		return err
	}
	if err := u.rerule(ctx, lines, rules); err != nil {
		return err
	}
	return u.tell(ctx, "")
}

// rerule writes all our rules anew when some are missing.
func (u *up) rerule(ctx context.Context, lines []string, rules []fixups.Op) error {
	missing := false
	for _, l := range lines {
		for _, w := range []string{"rule is ", "rules of ", "chain ", "table ", "map "} {
			missing = missing || strings.HasPrefix(l, w)
		}
	}
	if !missing {
		return nil
	}
	old, err := u.ourRules(ctx)
	if err != nil {
		return err
	}
	if err := u.b.Unmake(ctx, "rules", old...); err != nil {
		return err
	}
	if err := u.b.Make(ctx, "rules", rules...); err != nil {
		return err
	}
	for _, l := range lines {
		u.did("mended", l, nil)
	}
	return nil
}

// ourRules delete all rules, chains and tables of ours that are there.
func (s *session) ourRules(ctx context.Context) ([]fixups.Op, error) {
	h, err := ns.OpenHost(s.h.HostNS)
	if err != nil {
		return nil, err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	rs, gaps := kernel.ReadRuleset(ctx, h)
	for _, g := range gaps {
		// Our rules are in nf_tables; what may be in tables of the legacy kind is
		// others', and in a user namespace nobody may list them.
		if g.Kind != "unsupported" && g.Kind != "tool" && !strings.Contains(g.Why, "legacy") {
			return nil, snap.Hint(fmt.Errorf("reading the host's rules: %s", g.Why), g.Needs)
		}
	}
	return ourRules(&rs, s.b.Host(), s.st.Env.Env.Mark()), nil
}
