package firewall

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TraceMessage is one line of nf_tables' own trace of a packet.
type TraceMessage struct {
	// ID tells the packets apart that are under way at the same time; the kernel
	// uses it again.
	ID      uint32
	Family  snap.Family
	Table   string
	Chain   string
	Handle  uint64 // of the rule; 0 for a policy
	Policy  bool
	Verdict *snap.Verdict
	// Header is the packet from its IP header on, in the first message of each
	// base chain; nil in the others.
	Header []byte
}

// DecodeTrace decodes the attributes of an NFT_MSG_TRACE (enum
// nft_trace_attributes; net/netfilter/nf_tables_trace.c:nft_trace_notify). ok is
// false for one that tells of no rule and no policy.
func DecodeTrace(family uint8, b []byte) (m TraceMessage, ok bool, err error) {
	a := newAttrs()
	if !a.parse(b, 18) {
		return m, false, fmt.Errorf("nf_tables trace: %w", errMalformed)
	}
	r := values{attrs: &a}
	m = TraceMessage{ID: r.u32(6), Family: FamilyOf(family), Table: r.str(1), Chain: r.str(2), Handle: r.u64(3)}
	if h := a.v[8]; h != nil {
		m.Header = append(append([]byte(nil), h...), a.v[9]...)
	}
	const policy, rule = 1, 3 // enum nft_trace_types
	switch r.u32(4) {
	case policy:
		m.Policy, m.Verdict = true, &snap.Verdict{Code: "accept"}
		if r.u32(16) == 0 {
			m.Verdict.Code = "drop"
		}
		ok = true
	case rule:
		m.Verdict, ok = r.verdict(a.v[5]), true
	}
	if r.bad || ok && (m.Table == "" || m.Chain == "") {
		return m, false, fmt.Errorf("nf_tables trace of table %q: %w", m.Table, errMalformed)
	}
	return m, ok, nil
}

// LogMessage is one message of nfnetlink_log.
type LogMessage struct {
	Prefix string
	Packet []byte // from its IP header on
}

// DecodeLog decodes the attributes of an NFULNL_MSG_PACKET (enum
// nfulnl_attr_type, include/uapi/linux/netfilter/nfnetlink_log.h).
func DecodeLog(b []byte) (LogMessage, error) {
	a := newAttrs()
	if !a.parse(b, 10) {
		return LogMessage{}, fmt.Errorf("nfnetlink_log message: %w", errMalformed)
	}
	r := values{attrs: &a}
	return LogMessage{Prefix: r.str(10), Packet: a.v[9]}, nil
}

// LegacyTrace reads the prefix that legacy tables give to each line of their
// trace, "TRACE: filter:FORWARD:rule:3 "; ok is false for any other, and for the
// end of a chain, which decides nothing (net/ipv4/netfilter/ip_tables.c:
// trace_packet, get_chainname_rulenum).
func LegacyTrace(prefix string) (table, chain string, num int, policy, ok bool) {
	rest, is := strings.CutPrefix(prefix, "TRACE: ")
	f := strings.Split(strings.TrimSpace(rest), ":")
	if !is || len(f) < 4 {
		return "", "", 0, false, false
	}
	// A chain's name may hold colons, a table's may not.
	n, err := strconv.Atoi(f[len(f)-1])
	what := f[len(f)-2]
	if err != nil || what != "rule" && what != "policy" {
		return "", "", 0, false, false
	}
	return f[0], strings.Join(f[1:len(f)-2], ":"), n, what == "policy", true
}
