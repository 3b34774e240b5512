package kernel

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Parents of filters (linux/pkt_sched.h: TC_H_CLSACT with TC_H_MIN_INGRESS
// and TC_H_MIN_EGRESS), and the device number that stands for a shared block.
const (
	tcParentIngress = 0xfffffff2
	tcParentEgress  = 0xfffffff3
	tcMagicBlock    = 0xffffffff
)

// filterSpot is one place where filters can hang.
type filterSpot struct {
	index  uint32
	parent uint32
	hook   string
	owner  int // the device that the filters are noted at
}

// filterSpots are the places that the queueing disciplines of a namespace offer.
func filterSpots(qs []qdisc) []filterSpot {
	var out []filterSpot
	for _, q := range qs {
		at := func(parent uint32, hook string) {
			out = append(out, filterSpot{index: uint32(q.index), parent: parent, hook: hook, owner: q.index})
		}
		switch q.Kind {
		case "clsact":
			at(tcParentIngress, "ingress")
			at(tcParentEgress, "egress")
		case "ingress":
			at(tcParentIngress, "ingress")
		case "netem", "tbf", "fq", "sfq", "codel", "pfifo", "bfifo", "cake":
			// Without classes there are no filters that act on packets.
		default:
			at(q.Handle, "egress")
		}
		if q.ingressBlock != 0 {
			out = append(out, filterSpot{index: tcMagicBlock, parent: q.ingressBlock, hook: "ingress", owner: q.index})
		}
		if q.egrBlock != 0 {
			out = append(out, filterSpot{index: tcMagicBlock, parent: q.egrBlock, hook: "egress", owner: q.index})
		}
	}
	return out
}

// readFilters dumps the filters of each spot, by device.
func (r *requester) readFilters(ctx context.Context, spots []filterSpot) (map[int][]snap.TCFilter, error) {
	out := map[int][]snap.TCFilter{}
	for _, s := range spots {
		req := body(sizeofTcmsg, unix.AF_UNSPEC)
		binary.NativeEndian.PutUint32(req[4:], s.index)
		binary.NativeEndian.PutUint32(req[12:], s.parent)
		var part []snap.TCFilter
		err := r.dump(ctx, "traffic control filters", unix.RTM_GETTFILTER, req, func() { part = nil }, func(m message) {
			if f, ok := decodeFilter(m.data); ok {
				f.Hook = s.hook
				part = append(part, f)
			}
		})
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, snap.ErrUnsupported) {
			return out, err // EINVAL: a discipline without filter blocks
		}
		out[s.owner] = append(out[s.owner], part...)
	}
	return out, nil
}

// Attributes of linux/pkt_cls.h.
const (
	tcaU32Link    = 3
	tcaU32Divisor = 4
	tcaU32Sel     = 5
	tcaU32Police  = 6
	tcaU32Act     = 7
	tcaU32Mark    = 10
	tcaBPFAct     = 1
	tcaBPFPolice  = 2
	tcaBPFName    = 7
	tcaBPFFlags   = 8
)

// decodeFilter decodes one RTM_NEWTFILTER (net/sched/cls_api.c:tcf_fill_node).
// ok is false for what is no filter: the head of a list, the table of a u32
// hash, and filters of chains that only a "goto chain" leads to.
func decodeFilter(b []byte) (f snap.TCFilter, ok bool) {
	if len(b) < sizeofTcmsg {
		return f, false
	}
	info := u32of(b[16:])
	f.Handle, f.Priority, f.Protocol = u32of(b[8:]), uint16(info>>16), be16of(b[16:])
	var options []byte
	var chain uint32
	for t, v := range rtattrs(b[sizeofTcmsg:]) {
		switch t {
		case unix.TCA_KIND:
			f.Kind = strOf(v)
		case unix.TCA_OPTIONS:
			options = v
		case unix.TCA_CHAIN:
			chain = u32of(v)
		}
	}
	if chain != 0 || options == nil || f.Handle == 0 && f.Kind != "bpf" && f.Kind != "fw" && f.Kind != "cgroup" {
		return f, false
	}
	switch f.Kind {
	case "u32":
		return f, decodeU32(&f, options)
	case "matchall":
		f.Actions = filterActions(options, 2, 0) // TCA_MATCHALL_ACT
	case "bpf":
		f.Opaque = true
		f.Actions = filterActions(options, tcaBPFAct, tcaBPFPolice)
		for t, v := range rtattrs(options) {
			switch t {
			case tcaBPFName:
				f.Name = strOf(v)
			case tcaBPFFlags:
				if u32of(v)&1 != 0 { // TCA_BPF_FLAG_ACT_DIRECT: the program's result is the action
					f.Actions = append(f.Actions, "?")
				}
			}
		}
	case "flower":
		f.Opaque = true
		f.Actions = filterActions(options, 3, 0) // TCA_FLOWER_ACT
	case "basic":
		f.Opaque = true
		f.Actions = filterActions(options, 3, 4) // TCA_BASIC_ACT, _POLICE
	case "fw":
		f.Opaque = true
		f.Actions = filterActions(options, 4, 2) // TCA_FW_ACT, _POLICE
	default:
		f.Opaque = true
		f.Actions = []string{"?"}
	}
	return f, true
}

// decodeU32 reads the comparisons of a u32 filter (net/sched/cls_u32.c:u32_dump).
func decodeU32(f *snap.TCFilter, options []byte) bool {
	var sel []byte
	table := false
	for t, v := range rtattrs(options) {
		switch t {
		case tcaU32Sel:
			sel = v
		case tcaU32Divisor:
			table = true
		case tcaU32Link, tcaU32Mark:
			f.Opaque = true // goes on in another table, or looks at the mark
		}
	}
	if sel == nil {
		return !table && f.Opaque
	}
	f.Actions = filterActions(options, tcaU32Act, tcaU32Police)
	// struct tc_u32_sel: flags, offshift, nkeys, offmask, off, offoff, hoff, hmask, keys.
	const head, key = 16, 16
	const varOffset, eat = 1 << 2, 1 << 3 // TC_U32_VAROFFSET, TC_U32_EAT
	if len(sel) < head {
		f.Opaque = true
		return true
	}
	if sel[0]&(varOffset|eat) != 0 {
		f.Opaque = true
	}
	n := int(sel[2])
	for i := range n {
		if len(sel) < head+(i+1)*key {
			f.Opaque = true
			return true
		}
		k := sel[head+i*key:]
		if u32of(k[12:]) != 0 {
			f.Opaque = true // the offset depends on the packet
		}
		f.U32 = append(f.U32, snap.U32Key{Mask: be32of(k), Val: be32of(k[4:]), Off: intOf(k[8:])})
	}
	return true
}
