package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// planned gives the steps with what undoes each of them. What is there already
// is skipped where it may be shared with others: tables, base chains, values of
// sysctls; a device or namespace that is there already is an error later.
func (m *machine) planned(ctx context.Context, ops []fixups.Op) ([]*step, error) {
	made := map[string]bool{} // namespaces that these operations make
	have := map[string]*nftNames{}
	var out []*step
	for _, op := range ops {
		st := &step{Op: fixups.Ops{op}, Text: op.Describe(), State: stepPlanned}
		var undo fixups.Op
		if !made[op.Netns()] && !fixups.Within(op, ops) {
			undo = fixups.Unmake(op)
		}
		switch o := op.(type) {
		case *fixups.SandboxAdd:
			if _, err := os.Lstat(o.Path); err == nil {
				return nil, fmt.Errorf("%s: %s is there already", op.Describe(), o.Path)
			}
			made[o.ID] = true
		case *fixups.LinkAdd:
			if made[o.ID] {
				break
			}
			// Undoing must never hit a device that was there before.
			if err := m.know(ctx, o.Where, o.Link.Name); err == nil {
				return nil, fmt.Errorf("%s: there is a device of that name already", op.Describe())
			} else if !errors.Is(err, snap.ErrNotFound) {
				return nil, err
			}
		case *fixups.RouteAdd:
			if made[o.ID] || undo == nil {
				break
			}
			now, err := m.look(ctx, op)
			if err != nil {
				return nil, err
			}
			if fixups.Holds(op, now) {
				continue
			}
		case *fixups.SysctlSet:
			if made[o.ID] {
				break
			}
			old, err := m.sysctlNow(ctx, o)
			if err != nil {
				if sysctlOfNewDevice(o, ops) {
					break // it goes with the device
				}
				return nil, err
			}
			if old == o.Value {
				continue
			}
			undo = &fixups.SysctlSet{Where: o.Where, Key: o.Key, Value: old}
		case *fixups.FilePut:
			old, err := m.getFile(o)
			if err != nil {
				return nil, err
			}
			if old != nil && o.Content != nil && *old == *o.Content {
				continue
			}
			c := *o
			c.Old = old
			st.Op[0] = &c
			undo = &fixups.FilePut{Path: o.Path, Content: old, InPlace: o.InPlace, Open: o.Open}
		case *fixups.TableAdd, *fixups.ChainAdd, *fixups.ChainPolicy:
			ref := refOf(op)
			if ref.System == snap.IPTablesLegacy {
				break
			}
			if have[ref.ID] == nil {
				n := &nftNames{tables: map[string]bool{}, chains: map[string]string{}}
				if !made[ref.ID] {
					var err error
					if n, err = m.names(ctx, ref.Where); err != nil {
						return nil, err
					}
				}
				have[ref.ID] = n
			}
			var skip bool
			if undo, skip = have[ref.ID].plan(op, undo); skip {
				continue
			}
		}
		if undo != nil && !made[undo.Netns()] || isSandbox(undo) {
			st.Undo = fixups.Ops{undo}
		}
		out = append(out, st)
	}
	return out, nil
}

func isSandbox(op fixups.Op) bool { _, ok := op.(*fixups.SandboxDel); return ok }

// sysctlOfNewDevice says whether a key is of a device that these operations make.
func sysctlOfNewDevice(o *fixups.SysctlSet, ops []fixups.Op) bool {
	of := func(ns, dev string) bool { return ns == o.ID && strings.Contains(o.Key, "/"+dev+"/") }
	for _, op := range ops {
		if l, ok := op.(*fixups.LinkAdd); ok && (of(l.ID, l.Link.Name) || l.Peer != nil && of(l.Peer.ID, l.Peer.Name)) {
			return true
		}
	}
	return false
}

func (m *machine) sysctlNow(ctx context.Context, o *fixups.SysctlSet) (v string, err error) {
	path, err := sysctlPath(o.Key)
	if err != nil {
		return "", err
	}
	h, err := m.handle(ctx, o.Where)
	if err != nil {
		return "", err
	}
	err = h.Do(func() error {
		b, err := os.ReadFile(path)
		v = strings.Join(strings.Fields(string(b)), " ")
		return kind("reading "+o.Key, err)
	})
	return v, err
}

// nftNames are the tables and chains of a namespace, and the chains' policies.
type nftNames struct {
	tables map[string]bool
	chains map[string]string
}

func tableKeyOf(r fixups.ChainRef) string { return string(r.Family) + " " + r.Table }

func (n *nftNames) plan(op, undo fixups.Op) (fixups.Op, bool) {
	ref := refOf(op)
	t := tableKeyOf(ref)
	c := t + " " + ref.Chain
	switch o := op.(type) {
	case *fixups.TableAdd:
		if n.tables[t] {
			return nil, true
		}
		n.tables[t] = true
		if undo == nil && ref.System != snap.NFT { // a table of iptables': it goes when it is empty again
			undo = &fixups.TableDel{ChainRef: ref}
		}
	case *fixups.ChainAdd:
		if _, there := n.chains[c]; there {
			return nil, true
		}
		n.chains[c] = "accept"
		if undo == nil && ref.System != snap.NFT {
			undo = &fixups.ChainDel{ChainRef: ref}
		}
	case *fixups.ChainPolicy:
		old, there := n.chains[c]
		if there && old == o.Policy {
			return nil, true
		}
		n.chains[c] = o.Policy
		return &fixups.ChainPolicy{ChainRef: ref, Policy: old}, false
	}
	return undo, false
}

// names lists tables and chains.
func (m *machine) names(ctx context.Context, w fixups.Where) (*nftNames, error) {
	n := &nftNames{tables: map[string]bool{}, chains: map[string]string{}}
	c, err := m.conn(ctx, w, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	err = c.dump(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE, nfgen(0, 0), func(b []byte) {
		if t, err := firewall.DecodeTable(b[0], b[4:]); err == nil {
			n.tables[string(t.Family)+" "+t.Name] = true
		}
	})
	if err == nil {
		err = c.dump(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN, nfgen(0, 0), func(b []byte) {
			if t, err := firewall.DecodeChain(b[0], b[4:]); err == nil {
				n.chains[string(firewall.FamilyOf(b[0]))+" "+t.Table+" "+t.Chain.Name] = t.Chain.Policy
			}
		})
	}
	return n, kernel.NetlinkError("reading chains of "+w.ID, err)
}

// chainNow reads the rules of one chain; nil when it is not there.
func (m *machine) chainNow(ctx context.Context, ref fixups.ChainRef) (*snap.Chain, error) {
	c, err := m.conn(ctx, ref.Where, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	var a attrs
	a.str(ruleTable, ref.Table)
	a.str(ruleChain, ref.Chain)
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
		if len(steps) > 1 {
			return m.sysctls(ctx, opsOf(steps))
		}
		return m.makeOne(ctx, steps[0].Op[0])
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
	last.attrs.be32(ruleID, b.ruleID)
	i := o.Position - 1
	if o.Position == 0 || i >= len(at.list) {
		at.list = append(at.list, -int64(b.ruleID))
		return nil
	}
	last.flags = unix.NLM_F_CREATE
	if before := at.list[i]; before > 0 {
		last.attrs.be64(rulePosition, uint64(before)) // #nosec G115 -- a handle
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
