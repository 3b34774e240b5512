package kernel

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Attributes of linux/pkt_cls.h and linux/tc_act/*.h.
const (
	tcaActKind    = 1
	tcaActOptions = 2
	tcaGactParms  = 2
	tcaGactProb   = 3
	tcaMirredParm = 2
	tcaActBPFName = 6
)

// filterActions reads a filter's list of actions out of its options. act and
// police are the attribute numbers of that kind of filter; police 0: none.
func filterActions(options []byte, act, police uint16) []string {
	var out []string
	for t, v := range rtattrs(options) {
		switch {
		case t == act:
			for _, v := range rtattrs(v) { // numbered from 1, in order
				out = append(out, decodeAction(v))
			}
		case police != 0 && t == police:
			out = append(out, "police")
		}
	}
	return out
}

// decodeAction names one action as snap.TCFilter.Actions describes.
func decodeAction(b []byte) string {
	var kind string
	var options []byte
	for t, v := range rtattrs(b) {
		switch t {
		case tcaActKind:
			kind = strOf(v)
		case tcaActOptions:
			options = v
		}
	}
	switch kind {
	case "gact":
		return gact(options)
	case "mirred":
		return mirred(options)
	case "police":
		return "police"
	case "bpf":
		for t, v := range rtattrs(options) {
			if t == tcaActBPFName {
				return "bpf:" + strOf(v)
			}
		}
	}
	return "?"
}

// tcGenAction is where struct tc_gen {index, capab, action, refcnt, bindcnt}
// holds the action.
const tcGenAction, tcGenSize = 8, 20

// gact names the verdict of a generic action; one with a probability is not
// decided by the packet, and so "?".
func gact(options []byte) string {
	verdict := "?"
	for t, v := range rtattrs(options) {
		switch {
		case t == tcaGactProb:
			return "?"
		case t == tcaGactParms && len(v) >= tcGenSize:
			verdict = tcVerdict(intOf(v[tcGenAction:]))
		}
	}
	return verdict
}

// tcVerdict names linux/pkt_cls.h: TC_ACT_*.
func tcVerdict(n int) string {
	switch n {
	case -1:
		return "continue"
	case 0:
		return "ok"
	case 1:
		return "reclassify"
	case 2:
		return "drop"
	case 3:
		return "pipe"
	case 4, 5, 8: // stolen, queued, trap: the packet does not go on
		return "drop"
	}
	return "?"
}

// mirred reads struct tc_mirred {tc_gen, eaction, ifindex}: 1 redirects out of
// the device, 2 sends a copy there, 3 and 4 are the same into the device.
func mirred(options []byte) string {
	for t, v := range rtattrs(options) {
		if t != tcaMirredParm || len(v) < tcGenSize+8 {
			continue
		}
		dev := strconv.Itoa(intOf(v[tcGenSize+4:]))
		switch intOf(v[tcGenSize:]) {
		case 1:
			return "redirect:" + dev
		case 2:
			return "mirror:" + dev
		}
	}
	return "?"
}

// attachFilters puts qdiscs and filters at their devices.
func attachFilters(devs []snap.Link, qs []qdisc, filters map[int][]snap.TCFilter) {
	at := make(map[int]*snap.Link, len(devs))
	for i := range devs {
		at[devs[i].Index] = &devs[i]
	}
	for _, q := range qs {
		if l := at[q.index]; l != nil {
			l.Qdiscs = append(l.Qdiscs, q.Qdisc)
		}
	}
	for index, fs := range filters {
		if l := at[index]; l != nil {
			l.Filters = append(l.Filters, fs...)
		}
	}
}
