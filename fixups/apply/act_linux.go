package apply

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// act carries out one operation. now is the host as it was looked at for it.
func (m *machine) act(ctx context.Context, op fixups.Op, now *snap.Snapshot) error {
	switch o := op.(type) {
	case *fixups.LinkSet, *fixups.LinkMTU, *fixups.LinkARP, *fixups.LinkAttr, *fixups.LinkMAC, *fixups.LinkMaster, *fixups.PortSet, *fixups.BridgeSet, *fixups.LinkDel, *fixups.LinkAdd, *fixups.XDPSet:
		return m.actLink(ctx, op, now)
	case *fixups.LinkGroupDel:
		if o.Group == 0 {
			return fmt.Errorf("deleting the devices of everybody's group: %w", snap.ErrUnsupported)
		}
		body := attrs(ifinfo(0, 0, 0, 0))
		body.u32(unix.IFLA_GROUP, o.Group)
		return m.route(ctx, o.Where, unix.RTM_DELLINK, 0, body)
	case *fixups.AddrAdd:
		return m.addrAdd(ctx, o, now)
	case *fixups.AddrDel:
		return m.addrDel(ctx, o, now)
	case *fixups.RouteAdd:
		return m.routeChange(ctx, o.Where, "add", o.Devs, o.Route, now)
	case *fixups.RouteReplace:
		return m.routeChange(ctx, o.Where, "replace", o.Devs, o.Route, now)
	case *fixups.RouteDel:
		return m.routeChange(ctx, o.Where, "del", o.Devs, o.Route, now)
	case *fixups.PolicyRuleAdd:
		return m.policy(ctx, o.Where, true, o.Rule)
	case *fixups.PolicyRuleDel:
		return m.policy(ctx, o.Where, false, o.Rule)
	case *fixups.XfrmPolicyAdd:
		return m.xfrm(ctx, o.Where, true, &o.Policy)
	case *fixups.XfrmPolicyDel:
		return m.xfrm(ctx, o.Where, false, &o.Policy)
	case *fixups.NeighSet:
		return m.neighSet(ctx, o, now)
	case *fixups.NeighDel:
		return m.neighDel(ctx, o, now)
	case *fixups.FDBSet:
		return m.fdb(ctx, o.Where, o.Dev, true, o.Entry, now)
	case *fixups.FDBDel:
		return m.fdb(ctx, o.Where, o.Dev, false, o.Entry, now)
	case *fixups.QdiscDel:
		return m.qdiscDel(ctx, o, now)
	case *fixups.QdiscAdd:
		return m.qdiscAdd(ctx, o, now)
	case *fixups.QdiscBurst:
		return m.qdiscBurst(ctx, o, now)
	case *fixups.SysctlSet:
		return m.sysctl(ctx, o)
	case *fixups.ConntrackDelete:
		return m.conntrack(ctx, o)
	case *fixups.RecentDel:
		return m.recent(ctx, o, o.Text(), 1)
	case *fixups.RecentAdd:
		return m.recent(ctx, &o.RecentDel, o.Text(), max(o.Hits, 1))
	case *fixups.IPSetMember:
		return m.ipset(ctx, o)
	case *fixups.FileWrite:
		return m.file(o)
	case *fixups.FilePut:
		return m.putFile(o)
	case *fixups.SandboxAdd:
		return m.sandboxAdd(o)
	case *fixups.SandboxDel:
		return m.sandboxDel(o)
	case *fixups.ProcessContinue:
		return m.signal(o.Proc, true)
	case *fixups.ProcessStop:
		return m.signal(o.Proc, false)
	case *fixups.GroupThaw:
		return m.freezer(ctx, o.Freezer, false)
	case *fixups.GroupFreeze:
		return m.freezer(ctx, o.Freezer, true)
	case *fixups.HelperStart:
		return m.a.Helper(ctx, o.Dir, true)
	case *fixups.HelperStop:
		return m.a.Helper(ctx, o.Dir, false)
	case *fixups.AardvarkStart:
		return m.aardvarkStart(ctx, o)
	case *fixups.AardvarkStop:
		return m.aardvarkStop(ctx, o)
	case *fixups.NetnsAdd:
		return m.netns(ctx, "add", o.Name)
	case *fixups.NetnsDel:
		return m.netns(ctx, "del", o.Name)
	}
	if ruleOp(op) {
		return m.rules(ctx, op, now)
	}
	if c, ok := ctrOf(op); ok {
		return m.engine(ctx, op, c)
	}
	return fmt.Errorf("operation %s: %w", op.Kind(), snap.ErrUnsupported)
}

// can refuses what could not be done for want of a program, an engine or a
// right.
func (m *machine) can(ctx context.Context, op fixups.Op) error {
	if p, ok := op.(fixups.Placed); ok {
		for _, w := range p.Places() {
			if _, err := m.handle(ctx, w); err != nil && w.Inode != 0 {
				return err
			}
		}
	}
	switch o := op.(type) {
	case *fixups.NetnsAdd, *fixups.NetnsDel:
		_, err := ns.Look("ip")
		return snap.Hint(err, "install iproute2")
	case *fixups.HelperStart, *fixups.HelperStop:
		if m.a.Helper == nil {
			return fmt.Errorf("netdoctor's helper can't be reached from here: %w", snap.ErrUnsupported)
		}
	case *fixups.AardvarkStart:
		path, err := ns.Aardvark()
		if err == nil && path != o.Program {
			err = fmt.Errorf("podman's resolver is %s now: %w", path, ErrChanged)
		}
		return err
	case *fixups.QdiscAdd:
		if o.Raw == nil {
			return fmt.Errorf("a discipline whose settings were not kept: %w", snap.ErrUnsupported)
		}
	}
	if ruleOp(op) {
		return m.canRule(op)
	}
	if c, ok := ctrOf(op); ok {
		return m.canEngine(ctx, c)
	}
	return nil
}

// prepare completes an operation with what is only known now, and gives what
// undoes it; nil when nothing can or need be put back.
func (m *machine) prepare(ctx context.Context, op fixups.Op, now *snap.Snapshot) (fixups.Op, fixups.Op, error) {
	switch o := op.(type) {
	case *fixups.FileWrite:
		old, err := m.readFile(o)
		if err != nil {
			return nil, nil, err
		}
		if o.Old != nil && *o.Old != string(old) {
			return nil, nil, fmt.Errorf("contents of %s: %w", o.Path, ErrChanged)
		}
		c, text := *o, string(old)
		c.Old = &text
		op = &c
	case *fixups.FilePut:
		c := *o
		old, err := m.getFile(o)
		if err != nil {
			return nil, nil, err
		}
		c.Old = old
		op = &c
	case *fixups.QdiscDel:
		raw, err := m.qdiscRaw(ctx, o, now)
		if err != nil {
			return nil, nil, err
		}
		under, err := m.qdiscUnder(ctx, o, now)
		if err != nil {
			return nil, nil, err
		}
		c := *o
		c.Raw, c.Under = raw, under
		op = &c
	case *fixups.QdiscBurst:
		if o.Back {
			break
		}
		c := *o
		var err error
		if c.Raw, err = m.qdiscRaw(ctx, &fixups.QdiscDel{Where: o.Where, Dev: o.Dev, Qdisc: o.Qdisc}, now); err != nil {
			return nil, nil, err
		}
		op = &c
	case *fixups.RuleDelete:
		op = m.withText(o, now)
	case *fixups.ProcessContinue:
		c := *o
		now, err := sameProc(o.Proc)
		if err != nil {
			return nil, nil, err
		}
		c.Start = now.Start
		op = &c
	case *fixups.GroupThaw:
		c := fixups.GroupThaw{Freezer: fixups.Freezer{File: o.File}}
		for _, p := range o.Procs {
			now, err := sameProc(p)
			if err != nil {
				return nil, nil, err
			}
			p.Start = now.Start
			c.Procs = append(c.Procs, p)
		}
		op = &c
	}
	undo, err := op.Inverse(now)
	if err != nil {
		return nil, nil, err
	}
	return op, undo, nil
}
