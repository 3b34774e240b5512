package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// chainNow reads the rules of one chain; nil when it is not there.
func (m *machine) chainNow(ctx context.Context, ref fixups.ChainRef) (*snap.Chain, error) {
	c, err := m.conn(ctx, ref.Where, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	var a attrs
	a.str(unix.NFTA_RULE_TABLE, ref.Table)
	a.str(unix.NFTA_RULE_CHAIN, ref.Chain)
	out := &snap.Chain{Name: ref.Chain}
	var bad error
	err = c.dump(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, append(nfgen(firewall.NFProto(ref.Family), 0), a...), func(b []byte) {
		// A rule points into its message, and the buffer is the next answer's.
		r, err := firewall.DecodeRule(ref.Table, ref.Chain, bytes.Clone(b[4:]))
		if err != nil {
			bad = err
			return
		}
		r.Rule.Num = len(out.Rules) + 1
		out.Rules = append(out.Rules, r.Rule)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	return out, errors.Join(kernel.NetlinkError("reading "+ref.String(), err), bad)
}

// make carries out one operation, or one batch of nf_tables.
func (m *machine) make(ctx context.Context, steps []*step) error {
	if !batched(steps[0].Op[0]) {
		switch todo := slices.DeleteFunc(opsOf(steps), m.already); len(todo) {
		case 0:
			return nil
		case 1:
			return m.makeOne(ctx, todo[0])
		default:
			return m.sysctls(ctx, todo)
		}
	}
	b := &batch{}
	orders, err := m.orders(ctx, steps)
	if err != nil {
		return err
	}
	for _, st := range steps {
		op := st.Op[0]
		var err error
		switch o := op.(type) {
		case *fixups.RuleInsert:
			err = b.newRuleOf(o, orders[chainKeyOf(o.ChainRef)])
		case *fixups.SetElementAdd:
			b.elementMessages(unix.NFT_MSG_NEWSETELEM, o.ChainRef, o.Set, 0, plainElements(o.Elements))
		default:
			err = b.add(op, m.base)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", st.Text, err)
		}
	}
	return m.commit(ctx, refOf(steps[0].Op[0]).Where, b)
}

// sysctls writes several values of one namespace on one visit.
func (m *machine) sysctls(ctx context.Context, ops []fixups.Op) error {
	first, ok := ops[0].(*fixups.SysctlSet)
	if !ok {
		return fmt.Errorf("%s: %w", ops[0].Describe(), snap.ErrUnsupported)
	}
	h, err := m.handle(ctx, first.Where)
	if err != nil {
		return err
	}
	return h.Do(func() error {
		for _, op := range ops {
			if o, ok := op.(*fixups.SysctlSet); ok {
				if err := writeSysctl(o); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// plainElements are elements of a set without ranges.
func plainElements(list []snap.Element) []rawElement {
	out := make([]rawElement, len(list))
	for i, e := range list {
		out[i] = rawElement{Element: e}
	}
	return out
}

// order is a chain as a batch leaves it: handles of rules that are there, and
// the batch's own numbers of those that it makes, below zero.
type order struct{ list []int64 }

func chainKeyOf(r fixups.ChainRef) string { return tableKeyOf(r) + " " + r.Chain }

// orders reads the chains into whose middle something is inserted.
func (m *machine) orders(ctx context.Context, steps []*step) (map[string]*order, error) {
	out := map[string]*order{}
	for _, st := range steps {
		o, ok := st.Op[0].(*fixups.RuleInsert)
		if !ok || o.Position <= 1 || out[chainKeyOf(o.ChainRef)] != nil {
			continue
		}
		ch, err := m.chainNow(ctx, o.ChainRef)
		if err != nil {
			return nil, err
		}
		now := &order{}
		if ch != nil { // else this very batch makes it
			for i := range ch.Rules {
				now.list = append(now.list, int64(ch.Rules[i].Handle)) // #nosec G115 -- handles count from 1
			}
		}
		out[chainKeyOf(o.ChainRef)] = now
	}
	return out, nil
}

// newRuleOf adds a rule at its place: at the head, at the end, or before the
// rule that is there when those before it in the batch are.
func (b *batch) newRuleOf(o *fixups.RuleInsert, at *order) error {
	r, err := o.Compile()
	if err != nil {
		return err
	}
	exprs, err := encode(r.Exprs)
	if err != nil {
		return err
	}
	b.newRule(o.ChainRef, nil, 0, exprs, &r)
	last := &b.list[len(b.list)-1]
	if at == nil {
		if o.Position == 1 {
			last.flags = unix.NLM_F_CREATE // without NLM_F_APPEND: at the head
		}
		return nil
	}
	b.ruleID++
	last.attrs.be32(unix.NFTA_RULE_ID, b.ruleID)
	i := o.Position - 1
	if o.Position == 0 || i >= len(at.list) {
		at.list = append(at.list, -int64(b.ruleID))
		return nil
	}
	last.flags = unix.NLM_F_CREATE
	if before := at.list[i]; before > 0 {
		last.attrs.be64(unix.NFTA_RULE_POSITION, uint64(before)) // #nosec G115 -- a handle
	} else {
		last.attrs.be32(rulePositionID, uint32(-before)) // #nosec G115 -- a number of this batch
	}
	at.list = slices.Insert(at.list, i, -int64(b.ruleID))
	return nil
}

// makeOne carries out one operation without reading its namespace.
func (m *machine) makeOne(ctx context.Context, op fixups.Op) error {
	if ruleOp(op) { // iptables-legacy, by its own program
		now, err := m.look(ctx, op)
		if err != nil || fixups.Holds(op, now) {
			return err
		}
		return m.act(ctx, op, now)
	}
	for _, d := range devices(op) {
		if m.known(d.Where, d.Name) {
			continue
		}
		if err := m.know(ctx, d.Where, d.Name); err != nil {
			return err
		}
	}
	if d, ok := op.(*fixups.LinkDel); ok {
		err := m.act(ctx, op, m.base)
		m.forget(d.Where, d.Name)
		return err
	}
	return m.act(ctx, op, m.base)
}
