package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// unmake takes one object away, or those of one batch. What is gone is no error.
func (m *machine) unmake(ctx context.Context, ops []fixups.Op) error {
	if !batched(ops[0]) {
		if len(ops) > 1 {
			return gone(m.sysctls(ctx, ops))
		}
		return gone(m.makeOne(ctx, ops[0]))
	}
	w := refOf(ops[0]).Where
	b, err := m.unmakeBatch(ctx, ops)
	if err != nil || len(b.list) == 0 {
		return gone(err)
	}
	if err := m.commit(ctx, w, b); err == nil || len(ops) == 1 {
		return gone(err)
	}
	// Something of it is gone, or in use by others: one by one, then.
	var first error
	for _, op := range ops {
		one, err := m.unmakeBatch(ctx, []fixups.Op{op})
		if err == nil && len(one.list) > 0 {
			err = m.commit(ctx, w, one)
		}
		if err = gone(err); err != nil && first == nil && !inUse(op, err) {
			first = fmt.Errorf("%s: %w", op.Describe(), err)
		}
	}
	return first
}

// inUse: a table or base chain of iptables' that others use by now stays.
func inUse(op fixups.Op, err error) bool {
	ref := refOf(op)
	if ref.System == snap.NFT || !errors.Is(err, unix.EBUSY) {
		return false
	}
	switch o := op.(type) {
	case *fixups.TableDel:
		return true
	case *fixups.ChainDel:
		return o.Chain == strings.ToUpper(o.Chain) && !strings.Contains(o.Chain, "-")
	}
	return false
}

func gone(err error) error {
	if errors.Is(err, snap.ErrNotFound) || errors.Is(err, snap.ErrVanished) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	return err
}

// unmakeBatch finds the rules that are to go by what they do.
func (m *machine) unmakeBatch(ctx context.Context, ops []fixups.Op) (*batch, error) {
	b := &batch{}
	chains := map[string]*snap.Chain{}
	for _, op := range ops {
		switch o := op.(type) {
		case *fixups.RuleDelete:
			key := tableKeyOf(o.ChainRef) + " " + o.Chain
			ch, read := chains[key]
			if !read {
				var err error
				if ch, err = m.chainNow(ctx, o.ChainRef); err != nil {
					return nil, err
				}
				chains[key] = ch
			}
			if ch == nil {
				continue
			}
			if i := firstLike(ch, &o.Rule); i >= 0 {
				b.deleteRule(o.ChainRef, ch.Rules[i].Handle)
				ch.Rules = append(ch.Rules[:i:i], ch.Rules[i+1:]...)
			}
		case *fixups.TableDel: // never with others' chains in it
			n, err := m.names(ctx, o.Where)
			if err != nil {
				return nil, err
			}
			used := false
			for c := range n.chains {
				used = used || strings.HasPrefix(c, tableKeyOf(o.ChainRef)+" ") && !deletes(ops, c)
			}
			if used {
				continue
			}
			if err := b.add(op, m.base); err != nil {
				return nil, err
			}
		case *fixups.SetElementDel:
			b.elementMessages(unix.NFT_MSG_DELSETELEM, o.ChainRef, o.Set, 0, plainElements(o.Elements))
		default:
			if err := b.add(op, m.base); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// deletes says whether one of the operations deletes the chain.
func deletes(ops []fixups.Op, key string) bool {
	for _, op := range ops {
		if c, ok := op.(*fixups.ChainDel); ok && tableKeyOf(c.ChainRef)+" "+c.Chain == key {
			return true
		}
	}
	return false
}

func firstLike(ch *snap.Chain, r *snap.Rule) int {
	want := fixups.Print(r)
	for i := range ch.Rules {
		if r.Handle != 0 && ch.Rules[i].Handle == r.Handle || r.Handle == 0 && fixups.Print(&ch.Rules[i]) == want {
			return i
		}
	}
	return -1
}

func (b *batch) deleteRule(ref fixups.ChainRef, handle uint64) {
	var a attrs
	a.str(unix.NFTA_RULE_TABLE, ref.Table)
	a.str(unix.NFTA_RULE_CHAIN, ref.Chain)
	a.be64(unix.NFTA_RULE_HANDLE, handle)
	b.put(unix.NFT_MSG_DELRULE, 0, ref.Family, a)
}
