package rules

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Statements that keep counts. What they have counted when the packet comes is
// not known, so they split, and say so.

// limitOp is nft's limit (net/netfilter/nft_limit.c).
func limitOp(e *snap.Limit) op {
	unit := "packets"
	if e.Bytes {
		unit = "bytes"
	}
	t := varies(fmt.Sprintf("limit of %d %s in %d s is not used up", e.Rate, unit, e.Unit)).xor(e.Over)
	return opFunc(func(m *machine) ctl { return m.ask(t) })
}

// quotaOp is nft's quota (net/netfilter/nft_quota.c).
func quotaOp(e *snap.Quota) op {
	t := varies("quota of " + strconv.FormatUint(e.Bytes, 10) + " bytes is not used up")
	if e.Used >= e.Bytes {
		t = is(false) // it never recovers by itself
	}
	t = t.xor(e.Over)
	return opFunc(func(m *machine) ctl { return m.ask(t) })
}

// connlimitOp is nft's ct count (net/netfilter/nft_connlimit.c).
func connlimitOp(e *snap.Connlimit) op {
	t := varies("at most " + strconv.FormatUint(uint64(e.Count), 10) + " connections are there").xor(e.Over)
	return opFunc(func(m *machine) ctl {
		if fewConnections(m.env, e.Count) {
			return m.ask(is(!e.Over))
		}
		return m.ask(t)
	})
}

// fewConnections says that all connections of the namespace together are far below a
// limit of some of them: nf_conncount counts what conntrack has, and for a while what it
// had (net/netfilter/nf_conncount.c:count_tree).
func fewConnections(e Env, limit uint32) bool {
	s, ok := e.Sysctl("net/netfilter/nf_conntrack_count")
	n, err := strconv.ParseUint(s, 10, 32)
	return ok && err == nil && 2*(n+1) < uint64(limit)
}

// dynsetOp adds to a set, updates or deletes (net/netfilter/nft_dynset.c).
type dynsetOp struct {
	*snap.Dynset
	set *set
	ops []op
}

func (o dynsetOp) exec(m *machine) ctl {
	m.touch(o.Dynset.Set, netip.Addr{}, o.Op == "delete")
	if o.Op == "delete" {
		return goOn
	}
	// It breaks off when the set is full, and goes on then when it is inverted.
	room := is(true)
	if s := o.set; s == nil || s.src.Size > 0 && (uint32(len(s.elems)) >= s.src.Size || s.src.Truncated || s.src.Unread != "") {
		room = varies("set " + o.Dynset.Set + " is not full")
	}
	c := m.ask(room.xor(o.Invert))
	if c != goOn || o.Invert {
		return c
	}
	return m.stateful(o.ops, goOn)
}

// objrefOp runs a stateful object (net/netfilter/nft_objref.c).
type objrefOp struct {
	*snap.Objref
	table *table
	set   *set
}

func (o objrefOp) exec(m *machine) ctl {
	if o.Objref.Set == "" {
		return o.object(m, o.Type, o.Name)
	}
	s := o.set
	if s == nil || s.broken != "" || s.filled {
		return m.ask(unsure("an object of map " + o.Objref.Set))
	}
	key, ok := m.loadKnown(o.Sreg, s.keyLen())
	if !ok {
		return m.ask(unsure("an object of map " + o.Objref.Set + " for " + m.whyReg(o.Sreg, s.keyLen())))
	}
	e := s.find(key)
	if e == nil {
		e = s.catch
	}
	if e == nil {
		return leave
	}
	for i := range o.table.src.Objects {
		if ob := &o.table.src.Objects[i]; ob.Name == e.src.Object {
			return o.object(m, ob.Type, ob.Name)
		}
	}
	return m.ask(unsure("object " + e.src.Object))
}

func (o objrefOp) object(m *machine, typ, name string) ctl {
	switch typ {
	case "counter", "ct-helper", "ct-timeout", "secmark", "ct-expect":
		return goOn
	case "quota", "limit", "connlimit", "synproxy":
		ops, ok := o.table.objs[typ+"/"+name]
		if !ok || len(ops) == 0 {
			return m.ask(varies(typ + " " + name))
		}
		return m.stateful(ops, goOn)
	}
	return m.unknown("object " + typ + " " + name)
}

// flowOffload gives the flow to a flowtable, which only takes connections that
// are confirmed (net/netfilter/nft_flow_offload.c).
func flowOffload(m *machine) ctl {
	c := &m.pkt.CT
	if !c.tracked() || c.State == "new" || c.State == "related" || snap.IsICMP(m.pkt.Proto) {
		return leave
	}
	return m.ask(varies("the flowtable takes the connection"))
}
