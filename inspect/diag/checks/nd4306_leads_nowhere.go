package checks

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4306: a server answers with an address that is nobody's.
//
// The answer for a name is 0.0.0.0, or ::, or an address of loopback. That is how servers
// that block names (Pi-hole, AdGuard Home, a hosts list in dnsmasq or unbound) say no, or
// what somebody wrote there for a program on that very machine. A container that connects
// there reaches itself, and is refused: "connection refused" by a server that was never
// asked.
//
// See it by hand:
//
//	dig @SERVER NAME                         0.0.0.0 or 127.0.0.1
//	dig @ANOTHER NAME                        what others say
//
// False positives: a name of a program in the same container (NAME resolves to 127.0.0.1
// by will, as localtest.me does) is told only when the connection there fails.
//
// Sources: RFC 1122, section 3.2.1.3: 0.0.0.0 is no destination; net/ipv4/route.c:
// ip_route_output_key_hash_rcu, which leads it to loopback; pi-hole docs, "blocking modes"
func nd4306() diag.Check {
	return diag.Check{
		Code: "ND4306", Name: "name-leads-nowhere", Severity: diag.Error, Since: "0.2",
		Title: "A DNS server answers with an address that leads back to whoever asks",
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Names {
				if f, ok := leadsNowhere(in, i); ok {
					out = append(out, f)
				}
			}
			return out
		},
	}
}

// leadsNowhere looks at one name that somebody asked for.
func leadsNowhere(in *diag.Input, i int) (diag.Finding, bool) {
	n := &in.Names[i]
	if n.Path == nil || !n.Asked || n.Path.Verdict != names.Resolved || len(n.Path.Answers) == 0 {
		return diag.Finding{}, false
	}
	at := map[netip.Addr]bool{}
	nobody := true
	for _, a := range n.Path.Answers {
		ip, err := netip.ParseAddr(a)
		if err != nil || !ip.IsUnspecified() && !ip.IsLoopback() {
			return diag.Finding{}, false
		}
		at[ip], nobody = true, nobody && ip.IsUnspecified()
	}
	s := whoSaid(n.Path)
	if s == nil { // its own hosts file, or localhost
		return diag.Finding{}, false
	}
	who, server, answer := in.Who(n.Ask.Netns), s.Addr.Addr(), strings.Join(n.Path.Answers, ", ")
	f := diag.Finding{
		Summary:    fmt.Sprintf("%s asked by %s: %s answers %s, and whoever connects there reaches itself", n.Ask.Name, who, server, answer),
		Cause:      "that is no other machine's address: servers that block names answer so, and so may the name's own zone",
		Subject:    diag.Subject{Kind: "name", Name: n.Ask.Name, Netns: n.Ask.Netns},
		Covers:     diag.Cover{Names: []int{i}},
		Confidence: diag.Proved,
		Evidence:   []diag.Evidence{ev(fmt.Sprintf("dig @%s %s", server, s.Probe.DNS.Name), fmt.Sprintf("%s %s answered to %s: %s", s.Probe.DNS.Name, s.Probe.DNS.Type, who, answer), snap.RefProbe(s.Probe.ID))},
		Advice:     fmt.Sprintf("see what others say: dig @ANOTHER %[1]s; where they differ, take %[1]s off the block list of %[2]s, or give %[3]s another DNS server (docker run --dns); else whoever runs its zone has it so", n.Ask.Name, server, who),
		Weight:     63,
	}
	for k := range in.Flows {
		if fc := &in.Flows[k]; fc.Asked && fc.Flow.From == n.Ask.Netns && at[fc.Flow.Dst] && fc.Broken() {
			f.Covers.Traces = append(f.Covers.Traces, k)
		}
	}
	return f, nobody || len(f.Covers.Traces) > 0
}

// whoSaid is the server whose word an answer is; nil when it came from a file.
func whoSaid(p *names.Path) *names.Server {
	var said *names.Server
	for i := range p.Servers {
		s := &p.Servers[i]
		if s.Probe == nil || s.Probe.DNS == nil || s.Probe.Outcome != snap.Answered {
			continue
		}
		for _, a := range p.Answers {
			if contains(s.Probe.DNS.Answers, a) {
				said = s // the last of a chain: an engine's resolver only passes it on
			}
		}
	}
	return said
}

// contains says whether one of some records ends in an address.
func contains(records []string, a string) bool {
	for _, r := range records {
		if f := strings.Fields(r); len(f) > 0 && f[len(f)-1] == a {
			return true
		}
	}
	return false
}
