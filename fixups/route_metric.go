package fixups

import (
	"strconv"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Numbers of RTA_METRICS (linux/rtnetlink.h: RTAX_*).
const (
	rtaxLock     = 1
	rtaxMTU      = 2
	rtaxRTT      = 4
	rtaxRTTVar   = 5
	rtaxAdvMSS   = 8
	rtaxHopLimit = 10
	rtaxFeatures = 12
	rtaxRTOMin   = 13
	rtaxCCAlgo   = 16
)

// metricWords says a route's metrics in ip-route(8)'s words, in the kernel's order
// (iproute2: ip/iproute.c:mx_names, print_rta_metrics). One that this program has no
// word for is left out: its number is all that is known.
func metricWords(r snap.Route) []string {
	names := map[uint16]string{
		rtaxMTU: "mtu", 3: "window", rtaxRTT: "rtt", rtaxRTTVar: "rttvar", 6: "ssthresh", 7: "cwnd", rtaxAdvMSS: "advmss", 9: "reordering",
		rtaxHopLimit: "hoplimit", 11: "initcwnd", rtaxFeatures: "features", rtaxRTOMin: "rto_min", 14: "initrwnd", 15: "quickack",
		rtaxCCAlgo: "congctl", 17: "fastopen_no_cookie",
	}
	values := map[uint16]string{}
	for typ, v := range map[uint16]int{rtaxMTU: r.MTU, rtaxAdvMSS: r.AdvMSS, rtaxHopLimit: r.HopLimit} {
		if v != 0 {
			values[typ] = strconv.Itoa(v)
		}
	}
	locked := uint32(0)
	for _, x := range r.Metrics {
		n := func(unit uint32) string { return strconv.FormatUint(uint64(x.Value/unit), 10) }
		switch x.Type {
		case rtaxLock:
			locked = x.Value
		case rtaxRTT:
			values[x.Type] = n(8) + "ms"
		case rtaxRTTVar:
			values[x.Type] = n(4) + "ms"
		case rtaxRTOMin:
			values[x.Type] = n(1) + "ms"
		case rtaxCCAlgo:
			values[x.Type] = x.Text
		case rtaxFeatures: // RTAX_FEATURE_ECN, RTAX_FEATURE_TCP_USEC_TS
			values[x.Type] = map[uint32]string{1: "ecn", 16: "tcp_usec_ts", 17: "ecn tcp_usec_ts"}[x.Value]
		default:
			values[x.Type] = n(1)
		}
	}
	var out []string
	for typ := uint16(rtaxMTU); typ <= 17; typ++ {
		v := values[typ]
		if v == "" {
			continue
		}
		out = append(out, names[typ])
		if locked&(1<<typ) != 0 {
			out = append(out, "lock")
		}
		out = append(out, v)
	}
	return out
}
