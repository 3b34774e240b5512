package testenv

import (
	"context"
	"fmt"
	"slices"
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
	var rules []fixups.Op
	ops := snap.Without(driver.All(&u.st.Env.Env, u.st.Env.Frames(), u.st.Networks, u.st.Containers), func(op fixups.Op) bool {
		_, helper := op.(*fixups.HelperStart)
		return helper // it is told at the end
	})
	for _, op := range fixups.Flat(ops...) {
		if onHost(op) || policy(op, lines) {
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
	if err := u.reruleInside(ctx, lines); err != nil {
		return err
	}
	return u.tell(ctx, "")
}

// reruleInside writes the rules in containers anew that lack some.
func (u *up) reruleInside(ctx context.Context, lines []string) error {
	e := &u.st.Env.Env
	services := driver.ServicesOf(u.st.Networks, u.st.Containers)
	for i := range u.st.Containers {
		c := &u.st.Containers[i]
		line := "rules in " + e.Where(c).ID + " are incomplete"
		if !slices.Contains(lines, line) {
			continue
		}
		ops := driver.DNS(e, c)
		gone := fixups.UnmakeAll(ops...)
		if c.Balanced != "" {
			ops, gone = append(ops, driver.Services(e, c, services)...), append(gone, driver.DropServices(e, c)...)
		}
		if err := u.b.Unmake(ctx, "rules in "+c.Ctr.Name, gone...); err != nil {
			return err
		}
		if err := u.b.Make(ctx, "rules in "+c.Ctr.Name, ops...); err != nil {
			return err
		}
		u.did("mended", line, nil)
	}
	return nil
}

// policy says whether an operation sets the policy of a chain that has to be made
// again. That of one that is there is left as somebody may have chosen it.
func policy(op fixups.Op, lines []string) bool {
	o, ok := op.(*fixups.ChainPolicy)
	return ok && slices.ContainsFunc(lines, func(l string) bool {
		return l == fmt.Sprintf("table %s %s is missing", o.Family, o.Table) || l == fmt.Sprintf("chain %s %s is missing", o.Table, o.Chain)
	})
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
