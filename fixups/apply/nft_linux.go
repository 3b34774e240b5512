package apply

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// batch is one transaction of nf_tables.
type batch struct {
	generation uint32 // 0: whatever there is
	list       []nftMessage
	setID      uint32
	ruleID     uint32 // of the last rule that others of the batch may be put before
}

type nftMessage struct {
	typ    uint16
	flags  uint16
	family uint8
	attrs  attrs
}

func (b *batch) put(typ uint16, flags uint16, fam snap.Family, a attrs) {
	b.list = append(b.list, nftMessage{typ, flags, firewall.NFProto(fam), a})
}

// commit sends a batch: all of it happens, or nothing, and nothing if the rule
// set is not of the generation any more (NFNL_BATCH_GENID).
func (m *machine) commit(ctx context.Context, w fixups.Where, b *batch) error {
	c, err := m.conn(ctx, w, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	first := c.seq + 1
	var gen attrs
	if b.generation != 0 {
		const batchGenID = 1 // NFNL_BATCH_GENID
		gen.be32(batchGenID, b.generation)
	}
	out := c.message(unix.NFNL_MSG_BATCH_BEGIN, 0, append(nfgen(0, unix.NFNL_SUBSYS_NFTABLES), gen...))
	for _, x := range b.list {
		out = append(out, c.message(unix.NFNL_SUBSYS_NFTABLES<<8|x.typ, x.flags|unix.NLM_F_ACK, append(nfgen(x.family, 0), x.attrs...))...)
	}
	out = append(out, c.message(unix.NFNL_MSG_BATCH_END, 0, nfgen(0, unix.NFNL_SUBSYS_NFTABLES))...)
	if err := c.send(out); err != nil {
		return kernel.NetlinkError("changing nf_tables of "+w.ID, err)
	}
	err = c.acks(first, len(b.list), nil)
	if errors.Is(err, unix.ERESTART) {
		return fmt.Errorf("rule set of %s: %w", w.ID, ErrChanged)
	}
	return kernel.NetlinkError("changing nf_tables of "+w.ID, err)
}

// nfgen is struct nfgenmsg.
func nfgen(family uint8, res uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, 0}, res)
}

// Attributes of include/uapi/linux/netfilter/nf_tables.h that package unix has not.
const (
	hookDevs       = 4  // NFTA_HOOK_DEVS
	deviceName     = 1  // NFTA_DEVICE_NAME
	rulePositionID = 10 // NFTA_RULE_POSITION_ID
	setDescConcat  = 2  // NFTA_SET_DESC_CONCAT
	setFieldLen    = 1  // NFTA_SET_FIELD_LEN
	elemKeyEnd     = 10 // NFTA_SET_ELEM_KEY_END
)

func (b *batch) add(op fixups.Op, now *snap.Snapshot) error {
	ref := refOf(op)
	var a attrs
	switch o := op.(type) {
	case *fixups.RuleDelete:
		ch := chainOf(now, ref)
		if ch == nil {
			return fmt.Errorf("chain %s: %w", ref, snap.ErrNotFound)
		}
		i := fixups.FindRule(ch, &o.Rule)
		if i < 0 {
			return fmt.Errorf("rule %d of %s: %w", o.Rule.Num, ref, snap.ErrNotFound)
		}
		a.str(unix.NFTA_RULE_TABLE, ref.Table)
		a.str(unix.NFTA_RULE_CHAIN, ref.Chain)
		a.be64(unix.NFTA_RULE_HANDLE, ch.Rules[i].Handle)
		b.put(unix.NFT_MSG_DELRULE, 0, ref.Family, a)
	case *fixups.RuleRestore:
		return b.restore(o, now)
	case *fixups.ChainPolicy:
		a.str(unix.NFTA_CHAIN_TABLE, ref.Table)
		a.str(unix.NFTA_CHAIN_NAME, ref.Chain)
		a.be32(unix.NFTA_CHAIN_POLICY, policyNumber(o.Policy))
		b.put(unix.NFT_MSG_NEWCHAIN, 0, ref.Family, a)
	case *fixups.ChainAdd:
		return b.chain(o)
	case *fixups.ChainDel:
		a.str(unix.NFTA_CHAIN_TABLE, ref.Table)
		a.str(unix.NFTA_CHAIN_NAME, ref.Chain)
		b.put(unix.NFT_MSG_DELCHAIN, 0, ref.Family, a)
	case *fixups.TableAdd:
		a.str(unix.NFTA_TABLE_NAME, ref.Table)
		b.put(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, ref.Family, a)
	case *fixups.TableDel:
		a.str(unix.NFTA_TABLE_NAME, ref.Table)
		b.put(unix.NFT_MSG_DELTABLE, 0, ref.Family, a)
	case *fixups.TableDrop: // nf_tables_api.c:nf_tables_deltable takes everything in it along
		a.str(unix.NFTA_TABLE_NAME, ref.Table)
		b.put(unix.NFT_MSG_DELTABLE, 0, ref.Family, a)
	case *fixups.SetAdd:
		b.namedSet(ref, &o.Set)
	case *fixups.SetDel:
		a.str(unix.NFTA_SET_TABLE, ref.Table)
		a.str(unix.NFTA_SET_NAME, o.Set)
		b.put(unix.NFT_MSG_DELSET, 0, ref.Family, a)
	case *fixups.SetElementAdd:
		return b.elements(unix.NFT_MSG_NEWSETELEM, ref, o.Set, o.Elements, now)
	case *fixups.SetElementDel:
		return b.elements(unix.NFT_MSG_DELSETELEM, ref, o.Set, o.Elements, now)
	default:
		return fmt.Errorf("%s in nf_tables: %w", op.Kind(), snap.ErrUnsupported)
	}
	return nil
}

func policyNumber(p string) uint32 {
	if p == "drop" {
		return 0
	}
	return 1
}

// chain makes a chain.
func (b *batch) chain(o *fixups.ChainAdd) error {
	var a attrs
	a.str(unix.NFTA_CHAIN_TABLE, o.Table)
	a.str(unix.NFTA_CHAIN_NAME, o.Chain)
	if o.Hook != "" {
		num, ok := hookNumber(o.Family, o.Hook)
		if !ok {
			return fmt.Errorf("hook %q of %s: %w", o.Hook, o.Family, snap.ErrUnsupported)
		}
		a.nested(unix.NFTA_CHAIN_HOOK, func(h *attrs) {
			h.be32(unix.NFTA_HOOK_HOOKNUM, num)
			h.be32(unix.NFTA_HOOK_PRIORITY, uint32(o.Priority))
			switch {
			case len(o.Devices) == 1:
				h.str(unix.NFTA_HOOK_DEV, o.Devices[0])
			case len(o.Devices) > 1:
				h.nested(hookDevs, func(d *attrs) {
					for _, name := range o.Devices {
						d.str(deviceName, name)
					}
				})
			}
		})
		a.be32(unix.NFTA_CHAIN_POLICY, policyNumber(o.Policy))
		a.str(unix.NFTA_CHAIN_TYPE, o.Type)
	}
	b.put(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE|unix.NLM_F_EXCL, o.Family, a)
	return nil
}

// hookNumber is NF_INET_*, NF_BR_*, NF_ARP_* or NF_NETDEV_*.
func hookNumber(f snap.Family, hook string) (uint32, bool) {
	list := []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	switch f {
	case snap.ARP:
		list = []string{"input", "output", "forward"}
	case snap.Netdev:
		list = []string{"ingress", "egress"}
	case snap.IPv4, snap.IPv6, snap.Inet, snap.BridgeFamily:
	}
	for i, name := range list {
		if name == hook {
			return uint32(i), true
		}
	}
	return 0, false
}

// newRule makes a rule before the one at index at, or at the end.
func (b *batch) newRule(ref fixups.ChainRef, ch *snap.Chain, at int, exprs []byte, r *snap.Rule) {
	var a attrs
	a.str(unix.NFTA_RULE_TABLE, ref.Table)
	a.str(unix.NFTA_RULE_CHAIN, ref.Chain)
	a.bytes(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, exprs)
	if c, ok := compat(r.Exprs); ok {
		a.nested(unix.NFTA_RULE_COMPAT, func(n *attrs) {
			n.be32(unix.NFTA_RULE_COMPAT_PROTO, c[0])
			n.be32(unix.NFTA_RULE_COMPAT_FLAGS, c[1])
		})
	}
	flags := uint16(unix.NLM_F_CREATE | unix.NLM_F_APPEND)
	if ch != nil && at < len(ch.Rules) {
		flags = unix.NLM_F_CREATE
		a.be64(unix.NFTA_RULE_POSITION, ch.Rules[at].Handle)
	}
	if len(r.UserData) > 0 {
		a.bytes(unix.NFTA_RULE_USERDATA, r.UserData)
	}
	b.put(unix.NFT_MSG_NEWRULE, flags, ref.Family, a)
}

// compat is what nft_compat wants to know of a rule with xt extensions, and
// does not give back: the protocol (net/netfilter/nft_compat.c:
// nft_parse_compat), or in a bridge the EtherType as it lies in a frame
// (nft_match_set_mtchk_param). It is told from the rule's own test of it.
func compat(x snap.Exprs) (c [2]uint32, ok bool) {
	for i, e := range x {
		if _, xt := e.(*snap.Xt); xt {
			ok = true
		}
		size := 0
		switch e := e.(type) {
		case *snap.Meta:
			size = map[string]int{"l4proto": 1, "protocol": 2}[e.Key]
		case *snap.Payload:
			switch {
			case e.Base == "nh" && e.Offset == 9 && e.Len == 1:
				size = 1
			case e.Base == "ll" && e.Offset == 12 && e.Len == 2:
				size = 2
			}
		}
		if size == 0 || i+1 >= len(x) {
			continue
		}
		if cmp, is := x[i+1].(*snap.Cmp); is && len(cmp.Data) == size && c[0] == 0 {
			c[0] = uint32(cmp.Data[0])
			if size == 2 {
				c[0] = uint32(binary.NativeEndian.Uint16(cmp.Data))
			}
			if cmp.Op == "!=" {
				c[1] = unix.NFT_RULE_COMPAT_F_INV
			}
		}
	}
	return c, ok
}

// restore puts a rule back with the bytes that the kernel gave of it; anonymous
// sets are made anew in the same transaction.
func (b *batch) restore(o *fixups.RuleRestore, now *snap.Snapshot) error {
	ch := chainOf(now, o.ChainRef)
	if ch == nil {
		return fmt.Errorf("chain %s: %w", o.ChainRef, snap.ErrNotFound)
	}
	if o.Num < 1 || o.Num > len(ch.Rules)+1 {
		return fmt.Errorf("position %d of %s, which has %d rules: %w", o.Num, o.ChainRef, len(ch.Rules), ErrChanged)
	}
	exprs := o.Rule.Raw
	if exprs == nil {
		enc, err := encode(o.Rule.Exprs)
		if err != nil {
			return err
		}
		exprs = enc
	}
	ids := map[string]uint32{}
	for i := range o.Sets {
		set := &o.Sets[i]
		b.setID++
		ids[set.Name] = b.setID
		if err := b.anonymousSet(o.ChainRef, set, b.setID); err != nil {
			return err
		}
	}
	if len(ids) > 0 {
		var err error
		if exprs, err = renameSets(exprs, ids); err != nil {
			return err
		}
	}
	b.newRule(o.ChainRef, ch, o.Num-1, exprs, &o.Rule)
	return nil
}

// insert adds a rule that was compiled here, for hosts without iptables or nft.
func (b *batch) insert(o *fixups.RuleInsert, now *snap.Snapshot) error {
	r, err := o.Compile()
	if err != nil {
		return err
	}
	exprs, err := encode(r.Exprs)
	if err != nil {
		return err
	}
	n := now.Ns(o.ID)
	want := now.Clone()
	if err := o.On(want); err != nil {
		return err
	}
	if n.Ruleset.Table(o.System, o.Family, o.Table) == nil {
		if err := b.add(&fixups.TableAdd{ChainRef: o.ChainRef}, now); err != nil {
			return err
		}
	}
	ch := chainOf(now, o.ChainRef)
	if made := chainOf(want, o.ChainRef); ch == nil && made != nil {
		if err := b.chain(&fixups.ChainAdd{
			ChainRef: o.ChainRef, Hook: made.Hook, Type: made.Type, Priority: made.Priority, Policy: made.Policy,
		}); err != nil {
			return err
		}
	}
	at := o.Position - 1
	if o.Position == 0 {
		at = 1 << 30 // behind all
	}
	b.newRule(o.ChainRef, ch, at, exprs, &r)
	return nil
}

// pattern is the name under which the kernel makes an anonymous set: "__set%d"
// for "__set0".
func pattern(name string) string { return strings.TrimRight(name, "0123456789") + "%d" }
