package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	p := &planner{m: m, ops: ops, made: map[string]bool{}, have: map[string]*nftNames{}}
	var out []*step
	for _, op := range ops {
		st, err := p.step(ctx, op)
		if err != nil {
			return nil, err
		}
		if st != nil {
			out = append(out, st)
		}
	}
	return out, nil
}

// planner makes steps of operations, in their order.
type planner struct {
	m    *machine
	ops  []fixups.Op
	made map[string]bool      // namespaces that the operations so far make
	have map[string]*nftNames // what a namespace will have, by its ID
}

// step is that of one operation; nil where its end is reached already.
func (p *planner) step(ctx context.Context, op fixups.Op) (*step, error) {
	st := &step{Op: fixups.Ops{op}, Text: op.Describe(), State: stepPlanned}
	var undo fixups.Op
	if !p.made[op.Netns()] && !fixups.Within(op, p.ops) {
		undo = fixups.Unmake(op)
	}
	var there bool
	var err error
	switch o := op.(type) {
	case *fixups.SandboxAdd:
		err = p.sandbox(o)
	case *fixups.LinkAdd:
		err = p.link(ctx, o)
	case *fixups.RouteAdd:
		if undo != nil {
			there, err = p.route(ctx, o)
		}
	case *fixups.SysctlSet:
		undo, there, err = p.sysctl(ctx, o, undo)
	case *fixups.FilePut:
		st.Op[0], undo, there, err = p.file(o)
	case *fixups.TableAdd, *fixups.ChainAdd, *fixups.ChainPolicy:
		undo, there, err = p.table(ctx, op, undo)
	}
	if err != nil || there {
		return nil, err
	}
	if undo != nil && !p.made[undo.Netns()] || isSandbox(undo) {
		st.Undo = fixups.Ops{undo}
	}
	return st, nil
}

func (p *planner) sandbox(o *fixups.SandboxAdd) error {
	if _, err := os.Lstat(o.Path); err == nil {
		return fmt.Errorf("%s: %s is there already", o.Describe(), o.Path)
	}
	p.made[o.ID] = true
	return nil
}

// link makes sure that undoing never hits a device that was there before.
func (p *planner) link(ctx context.Context, o *fixups.LinkAdd) error {
	if p.made[o.ID] {
		return nil
	}
	err := p.m.know(ctx, o.Where, o.Link.Name)
	switch {
	case err == nil:
		return fmt.Errorf("%s: there is a device of that name already", o.Describe())
	case errors.Is(err, snap.ErrNotFound):
		return nil
	}
	return err
}

func (p *planner) route(ctx context.Context, o *fixups.RouteAdd) (there bool, err error) {
	if p.made[o.ID] {
		return false, nil
	}
	now, err := p.m.look(ctx, o)
	return err == nil && fixups.Holds(o, now), err
}

// sysctl is undone by the value that is there now, but where that goes with its
// device.
func (p *planner) sysctl(ctx context.Context, o *fixups.SysctlSet, gone fixups.Op) (undo fixups.Op, there bool, err error) {
	if p.made[o.ID] {
		return gone, false, nil
	}
	old, err := p.m.sysctlNow(ctx, o)
	switch {
	case err != nil && sysctlOfNewDevice(o, p.ops):
		return gone, false, nil
	case err != nil:
		return nil, false, err
	}
	return &fixups.SysctlSet{Where: o.Where, Key: o.Key, Value: old}, old == o.Value, nil
}

// file notes what a file holds now, in the operation and in what undoes it.
func (p *planner) file(o *fixups.FilePut) (op, undo fixups.Op, there bool, err error) {
	old, err := p.m.getFile(o)
	if err != nil {
		return nil, nil, false, err
	}
	c := *o
	c.Old = old
	undo = &fixups.FilePut{Path: o.Path, Content: old, InPlace: o.InPlace, Open: o.Open}
	return &c, undo, old != nil && o.Content != nil && *old == *o.Content, nil
}

// table plans tables and chains of nf_tables, of which the namespace's names are
// read once.
func (p *planner) table(ctx context.Context, op, gone fixups.Op) (undo fixups.Op, there bool, err error) {
	ref := refOf(op)
	if ref.System == snap.IPTablesLegacy {
		return gone, false, nil
	}
	n := p.have[ref.ID]
	if n == nil {
		n = &nftNames{tables: map[string]bool{}, chains: map[string]string{}}
		if !p.made[ref.ID] {
			if n, err = p.m.names(ctx, ref.Where); err != nil {
				return nil, false, err
			}
		}
		p.have[ref.ID] = n
	}
	undo, there = n.plan(op, gone)
	return undo, there, nil
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

// plan notes what an operation makes, and gives what undoes it; there says that it is
// there already.
func (n *nftNames) plan(op, undo fixups.Op) (_ fixups.Op, there bool) {
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
