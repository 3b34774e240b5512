package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nf_tables messages (include/uapi/linux/netfilter/nf_tables.h, enum
// nf_tables_msg_types) with their subsystem.
const (
	nftSubsystem    = unix.NFNL_SUBSYS_NFTABLES << 8
	nftGetTable     = nftSubsystem | unix.NFT_MSG_GETTABLE
	nftGetChain     = nftSubsystem | unix.NFT_MSG_GETCHAIN
	nftGetRule      = nftSubsystem | unix.NFT_MSG_GETRULE
	nftGetSet       = nftSubsystem | unix.NFT_MSG_GETSET
	nftGetElement   = nftSubsystem | unix.NFT_MSG_GETSETELEM
	nftGetGen       = nftSubsystem | unix.NFT_MSG_GETGEN
	nftGetObject    = nftSubsystem | unix.NFT_MSG_GETOBJ
	nftGetFlowtable = nftSubsystem | unix.NFT_MSG_GETFLOWTABLE
)

// maxElements is how many elements of one set are kept. A block list can have
// millions; what lies beyond is unknown to the simulator, not absent.
const maxElements = 65536

// rulesetTries is how often a rule set that changes meanwhile is read anew.
const rulesetTries = 4

// ReadRuleset reads every packet filter of a namespace: nf_tables (nft and
// iptables-nft) and iptables-legacy. The gaps say what could not be read, or
// that it changed while it was read; their Netns is left to the caller. A
// kernel without nf_tables, or without iptables-legacy, has no such rules, and
// that is no gap. Nothing is changed: a legacy table that is not registered is
// not asked for, since asking registers it.
func ReadRuleset(ctx context.Context, h *ns.Handle) (snap.Ruleset, []snap.Gap) {
	rs := snap.Ruleset{Tables: []snap.Table{}}
	var gaps []snap.Gap
	err := h.Do(func() error {
		rs, gaps = readRuleset(ctx)
		return nil
	})
	if err != nil {
		gaps = append(gaps, snap.GapOf("ruleset", "", err))
	}
	return rs, gaps
}

// readRuleset is ReadRuleset in the namespace of the calling thread.
func readRuleset(ctx context.Context) (snap.Ruleset, []snap.Gap) {
	var gaps []snap.Gap
	gap := func(err error) {
		if err != nil {
			gaps = append(gaps, snap.GapOf("ruleset", "", err))
		}
	}
	var rs snap.Ruleset
	var err error
	for range rulesetTries {
		if rs, err = readNFT(ctx); !errors.Is(err, snap.ErrTorn) {
			break
		}
	}
	gap(err)
	legacy, errs := readLegacy(ctx)
	rs.Tables = append(rs.Tables, legacy...)
	for _, err := range errs {
		gap(err)
	}
	gap(ebtablesLegacy())
	return rs, gaps
}

// nftReader reads nf_tables once.
type nftReader struct {
	*nfSocket
	ctx    context.Context
	rs     snap.Ruleset
	byName map[tableKey]int
	err    error // the first that made the reading incomplete
}

type tableKey struct {
	family snap.Family
	name   string
}

// readNFT reads nf_tables in the namespace of the calling thread. When the
// rule set changed meanwhile, what was read comes with snap.ErrTorn.
func readNFT(ctx context.Context) (snap.Ruleset, error) {
	r := nftReader{ctx: ctx, rs: snap.Ruleset{Tables: []snap.Table{}}, byName: map[tableKey]int{}}
	s, err := openNF()
	if errors.Is(err, snap.ErrUnsupported) {
		return r.rs, nil // no netfilter netlink at all: no nf_tables
	}
	if err != nil {
		return r.rs, err
	}
	defer s.close()
	r.nfSocket = s
	before, err := r.generation()
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		// nfnetlink has no such subsystem: no nf_tables in this kernel
		// (net/netfilter/nfnetlink.c:nfnetlink_rcv_msg).
		return r.rs, nil
	case err != nil:
		return r.rs, nfError("reading the nf_tables generation", err)
	}
	r.tables()
	r.rs.Generation = before
	if r.err != nil {
		return r.rs, r.err
	}
	after, err := r.generation()
	switch {
	case err != nil:
		return r.rs, nfError("reading the nf_tables generation", err)
	case after != before:
		return r.rs, fmt.Errorf("nf_tables went from generation %d to %d: %w", before, after, snap.ErrTorn)
	}
	return r.rs, nil
}

func (r *nftReader) generation() (id uint32, err error) {
	err = r.ask(r.ctx, nftGetGen, unix.AF_UNSPEC, 0, nil, func(m nfMessage) error {
		id, err = firewall.DecodeGeneration(m.attrs)
		return err
	})
	return id, err
}

// dump asks for all of a kind of object, and keeps the error in r.err.
func (r *nftReader) dump(what string, typ uint16, family uint8, attrs []byte, f func(nfMessage) error) error {
	err := r.query(what, typ, family, attrs, f)
	if err != nil && (r.err == nil || errors.Is(err, snap.ErrTorn)) {
		r.err = err
	}
	return err
}

// query asks for all of a kind of object.
func (r *nftReader) query(what string, typ uint16, family uint8, attrs []byte, f func(nfMessage) error) error {
	err := r.ask(r.ctx, typ, family, unix.NLM_F_DUMP, attrs, f)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		// It was in the list just before.
		return snap.As(snap.ErrTorn, "reading "+what, err)
	}
	return nfError("reading "+what, err)
}

// newer is dump for what old kernels don't have: that they refuse is no error.
func (r *nftReader) newer(what string, typ uint16, f func(nfMessage) error) {
	err := r.query(what, typ, unix.AF_UNSPEC, nil, f)
	if err != nil && r.err == nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
		r.err = err
	}
}

// tables reads everything, outer things first.
func (r *nftReader) tables() {
	if r.dump("nf_tables tables", nftGetTable, unix.AF_UNSPEC, nil, func(m nfMessage) error {
		t, err := firewall.DecodeTable(m.family, m.attrs)
		if err == nil {
			t.Chains = []snap.Chain{}
			r.byName[tableKey{t.Family, t.Name}] = len(r.rs.Tables)
			r.rs.Tables = append(r.rs.Tables, t)
		}
		return err
	}) != nil || len(r.rs.Tables) == 0 {
		return
	}
	use := r.chains()
	r.sets()
	r.objects()
	for i := range r.rs.Tables {
		t := &r.rs.Tables[i]
		for j := range t.Chains {
			if use[chainKey{i, j}] > 0 {
				r.rules(t, &t.Chains[j])
			}
		}
		t.System = firewall.Classify(t)
	}
}

// table finds the table of an object; nil when it is gone already.
func (r *nftReader) table(family uint8, name string) *snap.Table {
	i, ok := r.byName[tableKey{firewall.FamilyOf(family), name}]
	if !ok {
		return nil
	}
	return &r.rs.Tables[i]
}

type chainKey struct{ table, chain int }

// chains reads the chains of all tables, and how often each is used.
func (r *nftReader) chains() map[chainKey]uint32 {
	use := map[chainKey]uint32{}
	seq := 0
	// dump keeps the error.
	_ = r.dump("nf_tables chains", nftGetChain, unix.AF_UNSPEC, nil, func(m nfMessage) error {
		c, err := firewall.DecodeChain(m.family, m.attrs)
		if err != nil {
			return err
		}
		i, ok := r.byName[tableKey{firewall.FamilyOf(m.family), c.Table}]
		if !ok {
			return fmt.Errorf("chain %s of table %s, which was not there before: %w", c.Chain.Name, c.Table, snap.ErrTorn)
		}
		if c.Chain.Base() {
			seq++
			c.Chain.Seq = seq
		}
		c.Chain.Rules = []snap.Rule{}
		t := &r.rs.Tables[i]
		use[chainKey{i, len(t.Chains)}] = c.Use
		t.Chains = append(t.Chains, c.Chain)
		return nil
	}) // kept in r.err
	return use
}

// rules reads one chain. One dump for each, as a dump of everything starts
// again from the first rule for each answer, which is quadratic.
func (r *nftReader) rules(t *snap.Table, c *snap.Chain) {
	attrs := appendString(nil, unix.NFTA_RULE_TABLE, t.Name)
	attrs = appendString(attrs, unix.NFTA_RULE_CHAIN, c.Name)
	err := r.dump("the rules of "+t.Name+" "+c.Name, nftGetRule, firewall.NFProto(t.Family), attrs, func(m nfMessage) error {
		rule, err := firewall.DecodeRule(t.Name, c.Name, m.attrs)
		if err != nil {
			return err
		}
		if rule.Table == t.Name && rule.Chain == c.Name { // Linux before 4.9 gives all chains
			rule.Rule.Num = len(c.Rules) + 1
			c.Rules = append(c.Rules, rule.Rule)
		}
		return nil
	})
	if err != nil {
		c.Rules, c.Unread = []snap.Rule{}, err.Error()
	}
}

// sets reads the sets of all tables with their elements.
func (r *nftReader) sets() {
	type place struct{ table, set int }
	var list []place
	// dump keeps the error.
	_ = r.dump("nf_tables sets", nftGetSet, unix.AF_UNSPEC, nil, func(m nfMessage) error {
		name, s, err := firewall.DecodeSet(m.attrs)
		if err != nil {
			return err
		}
		i, ok := r.byName[tableKey{firewall.FamilyOf(m.family), name}]
		if !ok {
			return fmt.Errorf("set %s of table %s, which was not there before: %w", s.Name, name, snap.ErrTorn)
		}
		t := &r.rs.Tables[i]
		list = append(list, place{i, len(t.Sets)})
		t.Sets = append(t.Sets, s)
		return nil
	}) // kept in r.err
	for _, p := range list {
		t := &r.rs.Tables[p.table]
		r.elements(t, &t.Sets[p.set])
	}
}

func (r *nftReader) elements(t *snap.Table, s *snap.Set) {
	attrs := appendString(nil, unix.NFTA_SET_ELEM_LIST_TABLE, t.Name)
	attrs = appendString(attrs, unix.NFTA_SET_ELEM_LIST_SET, s.Name)
	limit := maxElements
	if s.Interval {
		limit *= 2 // a start and an end each
	}
	var raw []firewall.RawElement
	err := r.dump("the elements of "+t.Name+" "+s.Name, nftGetElement, firewall.NFProto(t.Family), attrs, func(m nfMessage) error {
		list, err := firewall.DecodeElements(s, m.attrs)
		if err != nil {
			return err
		}
		raw = append(raw, list...)
		if len(raw) > limit {
			raw, s.Truncated = raw[:limit], true
			return errEnough
		}
		return nil
	})
	s.Elements = firewall.Join(s, raw)
	if err != nil {
		s.Elements, s.Unread = []snap.Element{}, err.Error()
	}
}

// objects reads stateful objects and flowtables. Kernels before 4.10 have no
// objects, those before 4.16 no flowtables.
func (r *nftReader) objects() {
	r.newer("nf_tables objects", nftGetObject, func(m nfMessage) error {
		name, o, err := firewall.DecodeObject(m.attrs)
		if t := r.table(m.family, name); err == nil && t != nil {
			t.Objects = append(t.Objects, o)
		}
		return err
	})
	r.newer("nf_tables flowtables", nftGetFlowtable, func(m nfMessage) error {
		name, f, err := firewall.DecodeFlowtable(m.attrs)
		if t := r.table(m.family, name); err == nil && t != nil {
			t.Flowtables = append(t.Flowtables, f)
		}
		return err
	})
}
