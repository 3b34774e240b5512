package witness

import (
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// ruleLines turns the messages of one namespace into lines. What is told of the
// table that asks for the trace is left out.
type ruleLines struct {
	netns *snap.Netns
	// port is the source port, or echo id, of the question.
	port uint16
	// answers are the packets on their way back, by the kernel's number, which it
	// uses again: each message with a header says anew.
	answers map[uint32]bool
	out     []snap.Ruled
}

func (l *ruleLines) nft(family uint8, attrs []byte) {
	m, ok, err := firewall.DecodeTrace(family, attrs)
	if err != nil {
		return // of a newer kernel; the line is missing, and nothing else is told of it
	}
	if m.Header != nil {
		l.answers[m.ID] = l.answer(m.Header)
	}
	if !ok || m.Table == fixups.TraceTable || !m.Policy && m.Handle == 0 { // 0: the end of a chain
		return
	}
	r := snap.Ruled{
		Netns: l.netns.ID, System: snap.NFT, Family: m.Family, Table: m.Table, Chain: m.Chain, Handle: m.Handle, Policy: m.Policy, Answer: l.answers[m.ID],
	}
	if v := m.Verdict; v != nil {
		r.Verdict = strings.TrimSpace(v.Code + " " + v.Chain)
	}
	if t, c := l.chain(&r, func(s snap.System) bool { return s != snap.IPTablesLegacy && s != snap.EBTablesLegacy }); t != nil {
		r.System = t.System
		for i := range c.Rules {
			if c.Rules[i].Handle == m.Handle {
				r.Num = c.Rules[i].Num
			}
		}
	}
	l.out = append(l.out, r)
}

// legacy reads a line of a legacy table's trace.
func (l *ruleLines) legacy(family snap.Family, attrs []byte) {
	m, err := firewall.DecodeLog(attrs)
	if err != nil {
		return
	}
	table, chain, num, policy, ok := firewall.LegacyTrace(m.Prefix)
	if !ok {
		return // of somebody's LOG rule
	}
	r := snap.Ruled{Netns: l.netns.ID, System: snap.IPTablesLegacy, Family: family, Table: table, Chain: chain, Num: num, Policy: policy, Answer: l.answer(m.Packet)}
	if policy {
		r.Num = 0
		if _, c := l.chain(&r, func(s snap.System) bool { return s == snap.IPTablesLegacy }); c != nil {
			r.Verdict = c.Policy
		}
	}
	l.out = append(l.out, r)
}

func (l *ruleLines) answer(b []byte) bool {
	p, ok := parse(b)
	if !ok {
		return false
	}
	q, _ := p.of()
	return q.id != l.port
}

// chain finds what a line tells of.
func (l *ruleLines) chain(r *snap.Ruled, is func(snap.System) bool) (*snap.Table, *snap.Chain) {
	for i := range l.netns.Ruleset.Tables {
		t := &l.netns.Ruleset.Tables[i]
		if t.Family == r.Family && t.Name == r.Table && is(t.System) {
			if c := t.Chain(r.Chain); c != nil {
				return t, c
			}
		}
	}
	return nil, nil
}
