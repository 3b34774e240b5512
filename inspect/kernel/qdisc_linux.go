package kernel

import (
	"context"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

const sizeofTcmsg = 20 // struct tcmsg: family, pad, ifindex, handle, parent, info

// qdisc is one queueing discipline with what finding its filters takes.
type qdisc struct {
	snap.Qdisc
	index                  int
	ingressBlock, egrBlock uint32
}

// readQdiscs dumps the queueing disciplines of all devices.
func (r *requester) readQdiscs(ctx context.Context) ([]qdisc, error) {
	var out []qdisc
	err := r.dump(ctx, "queueing disciplines", unix.RTM_GETQDISC, body(sizeofTcmsg, unix.AF_UNSPEC), func() { out = nil }, func(m message) {
		if q, ok := decodeQdisc(m.data); ok {
			out = append(out, q)
		}
	})
	return out, err
}

// defaultQdisc says whether the kernel itself put it there
// (net/sched/sch_generic.c:attach_one_default_qdisc).
func defaultQdisc(kind string) bool {
	switch kind {
	case "noqueue", "pfifo_fast", "fq_codel", "mq", "noop":
		return true
	}
	return false
}

// decodeQdisc decodes one RTM_NEWQDISC (net/sched/sch_api.c:tc_fill_qdisc); ok
// is false for the defaults.
func decodeQdisc(b []byte) (q qdisc, ok bool) {
	if len(b) < sizeofTcmsg {
		return qdisc{}, false
	}
	q.index, q.Handle, q.Parent = intOf(b[4:]), u32of(b[8:]), u32of(b[12:])
	var options []byte
	for t, v := range rtattrs(b[sizeofTcmsg:]) {
		switch t {
		case unix.TCA_KIND:
			q.Kind = strOf(v)
		case unix.TCA_OPTIONS:
			options = v
		case unix.TCA_STATS: // struct tc_stats: bytes u64, packets u32, drops u32 …
			if len(v) >= 16 {
				q.DropPackets = u32of(v[12:])
			}
		case unix.TCA_INGRESS_BLOCK:
			q.ingressBlock = u32of(v)
		case unix.TCA_EGRESS_BLOCK:
			q.egrBlock = u32of(v)
		}
	}
	switch q.Kind {
	case "netem":
		decodeNetem(&q.Qdisc, options)
	case "tbf":
		decodeTBF(&q.Qdisc, options)
	case "htb":
		for t, v := range rtattrs(options) {
			if t == tcaHTBInit && len(v) >= 12 { // struct tc_htb_glob: version, rate2quantum, defcls
				if minor := u32of(v[8:]); minor != 0 {
					q.DefaultClass = q.Handle | minor&0xffff
				}
			}
		}
	}
	return q, q.Kind != "" && !defaultQdisc(q.Kind)
}

// Attributes of linux/pkt_sched.h.
const (
	tcaNetemRate      = 6
	tcaNetemRate64    = 8
	tcaNetemLatency64 = 10
	tcaTBFParms       = 1
	tcaTBFRate64      = 4
	tcaHTBParms       = 1
	tcaHTBInit        = 2
	tcaHTBRate64      = 6
	tcaHTBCeil64      = 7
	// psched ticks are 64 ns since Linux 2.6.31 (net/pkt_sched.h:PSCHED_SHIFT).
	pschedTickNs = 64
)

// decodeNetem reads struct tc_netem_qopt {latency, limit, loss, gap, duplicate,
// jitter} and the attributes behind it (net/sched/sch_netem.c:netem_dump).
func decodeNetem(q *snap.Qdisc, b []byte) {
	const head = 24
	if len(b) < head {
		return
	}
	q.DelayMs = float64(u32of(b)) * pschedTickNs / 1e6
	q.LossPct = float64(u32of(b[8:])) / float64(^uint32(0)) * 100
	for t, v := range rtattrs(b[head:]) {
		switch t {
		case tcaNetemLatency64: // ns
			if len(v) >= 8 {
				q.DelayMs = float64(int64(u64of(v))) / 1e6
			}
		case tcaNetemRate: // struct tc_netem_rate: bytes per second first
			if n := u32of(v); n != ^uint32(0) && q.RateBps == 0 {
				q.RateBps = uint64(n) * 8
			}
		case tcaNetemRate64:
			q.RateBps = u64of(v) * 8
		}
	}
}

// decodeTBF reads struct tc_tbf_qopt: two ratespecs of 12 bytes with the rate
// at 8, limit in bytes, buffer in ticks (net/sched/sch_tbf.c:tbf_dump).
func decodeTBF(q *snap.Qdisc, b []byte) {
	var rate, buffer uint64 // bytes per second, ticks
	for t, v := range rtattrs(b) {
		switch t {
		case tcaTBFParms:
			if len(v) < 36 {
				continue
			}
			rate = max(rate, uint64(u32of(v[8:])))
			q.LimitBytes = uint64(u32of(v[24:]))
			buffer = uint64(u32of(v[28:]))
		case tcaTBFRate64:
			rate = u64of(v)
		}
	}
	q.RateBps = rate * 8
	q.BurstBytes = uint64(float64(rate) * float64(buffer) * pschedTickNs / 1e9)
}

// readClasses completes the disciplines that have classes: one dump a device.
func (r *requester) readClasses(ctx context.Context, qs []qdisc) error {
	for i := range qs {
		q := &qs[i]
		if q.Kind != "htb" {
			continue
		}
		req := body(sizeofTcmsg, unix.AF_UNSPEC)
		binary.NativeEndian.PutUint32(req[4:], uint32(q.index))
		err := r.dump(ctx, "classes of traffic control", unix.RTM_GETTCLASS, req, func() { q.Classes = nil }, func(m message) {
			if c, ok := decodeHTBClass(m.data); ok && c.ID>>16 == q.Handle>>16 {
				q.Classes = append(q.Classes, c)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// decodeHTBClass decodes one RTM_NEWTCLASS (net/sched/sch_htb.c:htb_dump_class):
// struct tc_htb_opt has the ratespecs of rate and ceiling first, bytes per second at 8
// of each.
func decodeHTBClass(b []byte) (c snap.TCClass, ok bool) {
	if len(b) < sizeofTcmsg {
		return c, false
	}
	c.ID, c.Parent = u32of(b[8:]), u32of(b[12:])
	for t, v := range rtattrs(b[sizeofTcmsg:]) {
		switch t {
		case unix.TCA_KIND:
			ok = strOf(v) == "htb"
		case unix.TCA_OPTIONS:
			for t, v := range rtattrs(v) {
				switch {
				case t == tcaHTBParms && len(v) >= 24:
					c.RateBps, c.CeilBps = max(c.RateBps, uint64(u32of(v[8:]))*8), max(c.CeilBps, uint64(u32of(v[20:]))*8)
				case t == tcaHTBRate64 && len(v) >= 8:
					c.RateBps = u64of(v) * 8
				case t == tcaHTBCeil64 && len(v) >= 8:
					c.CeilBps = u64of(v) * 8
				}
			}
		}
	}
	return c, ok
}
