package fixups

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TraceTable is the table that RuleTrace makes; nobody else calls one so.
const TraceTable = "netdoctor_trace"

// tracePriority is before everything that looks at packets: before the raw
// tables (-300) and defragmentation (-400).
const tracePriority = -500

// RuleTrace makes the kernel tell of every rule that the packets of one probe
// pass in a namespace, and of no others: those with that port, or echo id, as
// their source, and the answers to it. The flag that it sets on a packet is the
// same that iptables' TRACE sets (struct sk_buff, nf_trace), so that legacy
// tables tell, too, once their messages go to a program (net.netfilter.nf_log)
// and not to the kernel's log. It is for a moment: Unmake takes it away.
func RuleTrace(s *snap.Snapshot, id string, proto snap.Proto, port uint16) []Op {
	ns := s.Ns(id)
	if ns == nil {
		return nil
	}
	where := At(s, id)
	var out []Op
	families := []snap.Family{snap.Inet}
	if slices.ContainsFunc(ns.Links, func(l snap.Link) bool { return l.Kind == "bridge" }) {
		families = append(families, snap.BridgeFamily)
	}
	for _, fam := range families {
		ref := ChainRef{Where: where, System: snap.NFT, Family: fam, Table: TraceTable}
		out = append(out, &TableAdd{ref})
		for _, hook := range []string{"prerouting", "output"} {
			ref.Chain = hook
			out = append(out, &ChainAdd{ChainRef: ref, Hook: hook, Type: "filter", Priority: tracePriority, Policy: "accept"})
			for _, match := range traced(proto, port) {
				out = append(out, &RuleInsert{ChainRef: ref, Text: match + " meta nftrace set 1"})
			}
		}
	}
	for _, l := range legacyLoggers(ns) {
		out = append(out, &SysctlSet{Where: where, Key: l, Value: "nfnetlink_log"})
	}
	return out
}

// traced are the tests for a question and for the answer to it.
func traced(proto snap.Proto, port uint16) []string {
	switch proto {
	case snap.ICMP:
		return []string{fmt.Sprintf("icmp type echo-request icmp id %d", port), fmt.Sprintf("icmp type echo-reply icmp id %d", port)}
	case snap.ICMPv6:
		return []string{fmt.Sprintf("icmpv6 type echo-request icmpv6 id %d", port), fmt.Sprintf("icmpv6 type echo-reply icmpv6 id %d", port)}
	case snap.TCP, snap.UDP, snap.SCTP:
	}
	return []string{fmt.Sprintf("%s sport %d", proto, port), fmt.Sprintf("%s dport %d", proto, port)}
}

// legacyLoggers are the sysctls that say where the messages of legacy tables go,
// of the families that have such tables (NFPROTO_IPV4, NFPROTO_IPV6).
func legacyLoggers(ns *snap.Netns) []string {
	var out []string
	for _, f := range []struct {
		fam snap.Family
		key string
	}{{snap.IPv4, "net/netfilter/nf_log/2"}, {snap.IPv6, "net/netfilter/nf_log/10"}} {
		if slices.ContainsFunc(ns.Ruleset.Tables, func(t snap.Table) bool { return t.System == snap.IPTablesLegacy && t.Family == f.fam }) {
			out = append(out, f.key)
		}
	}
	return out
}
