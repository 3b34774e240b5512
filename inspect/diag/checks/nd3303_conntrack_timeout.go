package checks

import (
	"fmt"
	"strconv"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd3303: tracked connections are forgotten at once.
//
// An entry of the connection table lives for a time that depends on its protocol and
// state. With a timeout of 0 it is gone when the answer comes: what was masqueraded or
// sent to a published container is not translated back, and the host refuses or drops
// the answer as its own. Tuning scripts for busy servers lower these timeouts, and an
// empty variable in one makes 0 of it. An open connection lives for five days without a word
// by default; with less than a minute, whoever pauses (a pool of database connections, a
// terminal) is cut off: RFC 5382 asks for two hours and four minutes at least. A question
// by UDP is kept for 30 s by default; with a second or two, slow answers are lost.
//
// See it by hand:
//
//	sysctl -a --pattern 'nf_conntrack.*timeout'
//	conntrack -E                             NEW and DESTROY of the same connection
//
// False positives: short times for an established connection on a host that translates
// nobody's address.
//
// Sources: RFC 5382 section 5; RFC 4787 section 4.3; net/netfilter/nf_conntrack_core.c: __nf_ct_refresh_acct, nf_ct_is_expired;
// Documentation/networking/nf_conntrack-sysctl.rst
func nd3303() diag.Check {
	return diag.Check{
		Code: "ND3303", Name: "conntrack-timeout-zero", Severity: diag.Error, Since: "0.2",
		Title:  "Tracked connections are forgotten before the answer comes",
		Detect: detectND3303,
		Fix: func(in *diag.Input, f *diag.Finding) []fixups.Op {
			for _, t := range trackTimes {
				if fixups.SysctlName(t.key) == f.Subject.Name {
					return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: t.key, Value: t.normal}}
				}
			}
			return nil
		},
	}
}

// trackTimes are the timeouts that an ordinary connection needs, and their defaults
// (nf_conntrack-sysctl.rst).
var trackTimes = []struct {
	key, normal string
	proto       snap.Proto
}{
	{"net/netfilter/nf_conntrack_tcp_timeout_syn_sent", "120", snap.TCP},
	{"net/netfilter/nf_conntrack_tcp_timeout_syn_recv", "60", snap.TCP},
	{establishedKey, "432000", snap.TCP},
	{questionKey, "30", snap.UDP},
	{"net/netfilter/nf_conntrack_udp_timeout_stream", "120", snap.UDP},
	{"net/netfilter/nf_conntrack_icmp_timeout", "30", snap.ICMP},
}

// leastEstablished and leastQuestion are in seconds: with less, people notice. RFC 4787 asks
// for two minutes at least between the packets of UDP, Linux gives 30 s.
const (
	leastEstablished = 60
	leastQuestion    = 5
	questionKey      = "net/netfilter/nf_conntrack_udp_timeout"
	establishedKey   = "net/netfilter/nf_conntrack_tcp_timeout_established"
)

func detectND3303(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for _, t := range trackTimes {
		v, ok := host.Sysctl(t.key)
		seconds, err := strconv.Atoi(v)
		pauses := t.key == establishedKey && seconds > 0
		slow := t.key == questionKey && seconds > 0 && seconds < leastQuestion
		if !ok || err != nil || seconds > 0 && !pauses && !slow || seconds >= leastEstablished {
			continue
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s is 0: the host forgets %s connections before the answer comes, and can't translate it back", fixups.SysctlName(t.key), t.proto),
			Cause:    "the entry of the connection has expired when the answer looks for it",
			Subject:  diag.Subject{Kind: "sysctl", Name: fixups.SysctlName(t.key), Netns: host.ID},
			Evidence: []diag.Evidence{ev("sysctl "+fixups.SysctlName(t.key), fixups.SysctlName(t.key)+" = "+v, snap.RefSysctl(host.ID, t.key))},
			Weight:   93,
		}
		if pauses {
			f.Summary = fmt.Sprintf("%s is %d: the host forgets an open connection that is silent for %d s, and what comes then is reset or lost", fixups.SysctlName(t.key), seconds, seconds)
			f.Cause = "the entry that translates the connection is gone while the connection lives"
			f.Weight = 50
		}
		if slow {
			f.Severity, f.Weight = diag.Warning, 50
			f.Summary = fmt.Sprintf("%s is %d: the host forgets who has asked by UDP after %d s, and an answer that takes longer is lost", fixups.SysctlName(t.key), seconds, seconds)
			f.Cause = "the entry that translates the answer back is gone when it comes"
		}
		for i := range in.Flows {
			c := &in.Flows[i]
			if slow && c.Asked && c.Flow.Proto == t.proto && len(c.Trace.NATed) > 0 && c.Probe != nil && c.Probe.Outcome != snap.Answered {
				f.Severity, f.Weight = diag.Error, 93
			}
			if !c.Excused && c.Flow.Proto == t.proto && len(c.Trace.NATed) > 0 && ((pauses || slow) && c.Asked || c.Broken() || diag.ProbeSays(c.Probe) == "dropped") {
				f.Covers.Traces = append(f.Covers.Traces, i)
			}
		}
		if t.proto == snap.UDP {
			f.Covers.Names = coverNames(in, upstreamCut)
		}
		out = append(out, f)
	}
	return out
}
