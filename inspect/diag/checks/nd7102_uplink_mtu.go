package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/firewall"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd7102: containers use larger packets than the host's uplink carries.
//
// Cloud networks, VPNs and PPPoE carry less than 1500 bytes, and engines do not look
// at the uplink: their networks have 1500 unless they are told otherwise. What a
// container sends too large is told back by the host itself. What the far side sends
// is as large as the container asked for in its SYN (the MSS), and depends on every
// router out there saying "fragmentation needed" and every firewall letting it
// through: where one does not, TLS handshakes and downloads hang, in containers only.
//
// It is an error where that was seen: the gateway is asked for an answer larger than
// the uplink takes, by an echo in pieces that fit, and the answer is lost, while one
// that just fits arrives, and one to a small echo in two pieces. Where trace goes by
// another device, as a second uplink, the gateway there is asked, and the device is
// told of only where its answer is lost.
//
// See it by hand:
//
//	ping -c1 -M dont -s 1472 GATEWAY; ping -c1 -s 1000 GATEWAY   the first is not answered
//	ip link show UPLINK; nsenter -t PID -n ip link show eth0     compare mtu
//	iptables -t mangle -S FORWARD            a TCPMSS rule would hide it
//
// False positives: path MTU discovery that works in both directions.
//
// Sources: moby#22028, moby#20178; RFC 2923 section 2.1; RFC 4459
func nd7102() diag.Check {
	return diag.Check{
		Code: "ND7102", Name: "uplink-mtu-smaller", Severity: diag.Warning, Since: "0.1",
		Title:  "The uplink carries smaller packets than the containers use",
		Detect: detectND7102,
		Fix:    fixND7102,
	}
}

func detectND7102(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	devices := narrowDevices(in)
	wrong, narrow := misplacedClamp(in)
	for _, l := range narrow {
		if !slices.Contains(devices, l) {
			devices = append(devices, l)
		}
	}
	for _, up := range devices {
		if up.MTU == 0 || up.MTU >= 1500 || !up.Up || clampsMSS(host, up.Name) {
			continue
		}
		var who []string
		var first attachment
		for _, a := range attachments(in) {
			if a.n.Internal || a.link == nil || a.link.MTU <= up.MTU || slices.Contains(who, a.n.Name) {
				continue
			}
			if who = append(who, a.n.Name); first.c == nil {
				first = a
			}
		}
		if first.c == nil {
			continue
		}
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has MTU %d, the containers of %s use %d: what servers outside send is too large for it", uplinkOr(in, up), up.MTU, strings.Join(who, ", "), first.link.MTU),
			Cause:   fmt.Sprintf("%s carries %d bytes, and containers ask for TCP segments that fill %d", up.Name, up.MTU, first.link.MTU),
			Subject: diag.Subject{Kind: "link", Name: up.Name, Netns: host.ID},
			Evidence: []diag.Evidence{
				ev("ip link show "+up.Name, linkLine(up), snap.RefLink(host.ID, up.Name)),
				ev(ipIn(in, first.ns.ID, "link show "+first.link.Name), linkLine(first.link), snap.RefLink(first.ns.ID, first.link.Name)),
				ev("iptables -t mangle -S FORWARD", "(no rule clamps the MSS)", snap.RefNetns(host.ID)),
			},
			Advice: fmt.Sprintf("for good: make each network anew with an MTU of %d", up.MTU),
			Weight: 32,
		}
		if slices.Contains(narrow, up) {
			f.Summary += fmt.Sprintf("; a rule clamps the MSS of what leaves by another device, which carries all that they send (%s)", wrong.Text)
			f.Evidence[2] = wrong
			f.Weight++
		}
		if how := diag.MTUOption(first.n, up.MTU); how != "" {
			f.Advice += ": " + how
		}
		if f.Covers.Traces = outward(in, host.ID, up); len(f.Covers.Traces) > 0 {
			f.Severity = diag.Error
		}
		p := in.WholeAnswer(up)
		if p == nil || p.Outcome != snap.TimedOut {
			measured(in, &f, device{host.ID, up.Name})
		}
		if p != nil {
			told(in, &f, up, p)
		}
		out = append(out, f)
	}
	return out
}

// told adds what became of an answer larger than the uplink takes. One that is lost is
// what every larger segment of a server meets that asks no router for the path MTU.
func told(in *diag.Input, f *diag.Finding, up *snap.Link, p *snap.Probe) {
	size, from := p.Size+echoHeader4, p.Dst.Addr()
	e := ev(fmt.Sprintf("probe %d", p.ID), fmt.Sprintf("%s's answers of %d bytes reach %s", from, size, in.Who(p.From)), snap.RefProbe(p.ID))
	if p.Outcome == snap.TimedOut {
		f.Severity, f.Confidence, f.Weight = diag.Error, diag.Proved, 45
		f.Summary += ", and is lost"
		e.Text = fmt.Sprintf("%s's answers of %d bytes do not reach %s (%d asked for), those of %d do, and it puts pieces together", from, size, in.Who(p.From), p.Sent, up.MTU)
	}
	f.Evidence = append(f.Evidence, e)
}

// echoHeader4 are the bytes of an IPv4 echo before its payload.
const echoHeader4 = 28

// narrowDevices are the uplinks, and what else the answers of somebody who was asked
// for come by, where the large ones were lost: a VPN that takes less is no fault.
func narrowDevices(in *diag.Input) []*snap.Link {
	out := diag.Uplinks(in.Snap)
	for i := range in.Flows {
		dev := in.AnswersBy(&in.Flows[i])
		if !in.Flows[i].Asked || dev == nil || slices.Contains(out, dev) {
			continue
		}
		if p := in.WholeAnswer(dev); p != nil && p.Outcome == snap.TimedOut {
			out = append(out, dev)
		}
	}
	return out
}

func uplinkOr(in *diag.Input, dev *snap.Link) string {
	if slices.Contains(diag.Uplinks(in.Snap), dev) {
		return "the uplink " + dev.Name
	}
	return "the device " + dev.Name
}

// outward are the asked TCP flows of others than the host that leave by a device.
func outward(in *diag.Input, netns string, dev *snap.Link) []int {
	var out []int
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Asked && f.Flow.Proto == snap.TCP && f.Flow.From != netns && (f.Trace.LeftHost == dev.Name || in.AnswersBy(f) == dev) {
			out = append(out, i)
		}
	}
	return out
}

// clampsMSS says whether any rule of the host rewrites the MSS of connections that it
// forwards by a device: one that names another device does not.
func clampsMSS(host *snap.Netns, dev string) bool {
	_, _, found := host.Ruleset.Find(func(t *snap.Table, c *snap.Chain, r *snap.Rule) bool {
		by := outDevice(firewall.RuleText(host, t, c, r))
		return setsMSS(r) && (by == "" || by == dev)
	})
	return found != nil
}

// outDevice is the one device by which a rule has packets leave; "" for any, or several.
func outDevice(text string) string {
	words := strings.Fields(text)
	for k := 1; k < len(words); k++ {
		name := strings.Trim(words[k], `"`)
		if (words[k-1] == "-o" || words[k-1] == "oifname" || words[k-1] == "oif") && (k < 2 || words[k-2] != "!") && !strings.ContainsAny(name, "+*@{!") {
			return name
		}
	}
	return ""
}

func setsMSS(r *snap.Rule) bool {
	for _, e := range r.Exprs {
		switch x := e.(type) {
		case *snap.Xt:
			if x.Target && x.Name == "TCPMSS" {
				return true
			}
		case *snap.Exthdr:
			if x.Sreg != snap.NoReg && x.Op == "tcpopt" && x.Type == 2 {
				return true
			}
		}
	}
	return false
}

// mangle is the priority of iptables' chains of that name: NF_IP_PRI_MANGLE,
// include/uapi/linux/netfilter_ipv4.h.
const mangle = -150

// fixND7102 clamps the MSS of what is forwarded out of the uplink to what it carries.
func fixND7102(in *diag.Input, f *diag.Finding) []fixups.Op {
	host := in.Snap.HostNs()
	sys := snap.IPTablesNFT
	for i := range in.Snap.Engines {
		if in.Snap.Engines[i].Rules == "docker-nft" || in.Snap.Engines[i].Rules == "netavark-nft" { // such a host may have no iptables
			ref := fixups.ChainRef{Where: at(in, host.ID), System: snap.NFT, Family: snap.Inet, Table: "netdoctor_mss", Chain: "forward"}
			return []fixups.Op{
				&fixups.TableAdd{ChainRef: ref},
				&fixups.ChainAdd{ChainRef: ref, Type: "filter", Hook: "forward", Priority: mangle, Policy: "accept"},
				&fixups.RuleInsert{ChainRef: ref, Position: 1, Text: fmt.Sprintf("oifname %q tcp flags syn tcp option maxseg size set rt mtu", f.Subject.Name)},
			}
		}
	}
	if _, c := natPostrouting(host, snap.IPv4); c != nil {
		t, _ := natPostrouting(host, snap.IPv4)
		sys = t.System
	}
	ref := fixups.ChainRef{Where: at(in, host.ID), System: sys, Family: snap.IPv4, Table: "mangle", Chain: "FORWARD"}
	// The table and its chain come along where they are not there yet, as iptables' own do.
	return []fixups.Op{&fixups.RuleInsert{ChainRef: ref, Args: []string{"-o", f.Subject.Name, "-p", "tcp", "-m", "tcp", "--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--clamp-mss-to-pmtu"}}}
}
