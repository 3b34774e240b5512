package app

import (
	"context"
	"fmt"
	"net/netip"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// maxCells bounds the matrix: what 50 containers with a few ports make.
const maxCells = 8192

// maxPorts is how many ports of one container are tried.
const maxPorts = 8

// Reach tries one flow and says what became of it, without a diagnosis.
func (a *App) Reach(ctx context.Context, o TraceOptions) (*v1.ProbeResult, error) {
	start := a.now()
	t, err := a.Trace(ctx, o)
	if err != nil {
		return nil, err
	}
	c := v1.ProbeCell{
		From: o.From, To: o.To, Netns: t.From.Netns, Address: t.To.Address, Proto: t.Proto, Why: "asked", Where: t.Where,
	}
	if t.Predicted != nil {
		c.Expected, c.Detail = t.Predicted.Verdict, t.Predicted.Detail
	}
	if t.Proved != nil {
		c.Seen, c.Detail = t.Proved.Verdict, t.Proved.Detail
	}
	for i := range t.Sent {
		if t.Sent[i].Question == "" {
			c.RTTMs = t.Sent[i].RTTMs
		}
	}
	res := &v1.ProbeResult{Cells: []v1.ProbeCell{c}, Observers: t.Observers}
	res.Coverage.Skipped = t.Coverage.Skipped
	sum(res)
	if t.Verdict != string(sim.Delivered) && res.Verdict == "healthy" {
		res.Verdict = "problems"
		if t.Verdict == string(sim.Unknown) {
			res.Verdict = "unknown"
		}
	}
	res.Head = a.head(v1.KindProbe, start)
	return res, nil
}

// ReachAll tries everything: each container, and the host, to each container's
// ports, its gateway and the published ports, and the names that it must resolve.
func (a *App) ReachAll(ctx context.Context, c Common) (*v1.ProbeResult, error) {
	start := a.now()
	s, err := a.snapshot(ctx, c)
	if err != nil {
		return nil, err
	}
	asks, left := matrix(s, c.Family)
	c.Observe = c.Observe.without("counters") // bursts of thousands of flows would be no handful
	ex, err := a.examine(ctx, s, asks, diag.Options{}, c)
	if err != nil {
		return nil, err
	}
	res := &v1.ProbeResult{Summary: v1.ProbeSummary{LeftOut: left}, Observers: observers(ex.in.Snap)}
	at := map[sim.Flow]int{}
	for i := range ex.in.Flows {
		f := &ex.in.Flows[i]
		key := f.Flow
		key.StopOutside = false
		if k, ok := at[key]; ok {
			res.Cells[k].Must = res.Cells[k].Must || !f.Asked
			continue
		}
		at[key] = len(res.Cells)
		res.Cells = append(res.Cells, cell(ex.in, f))
	}
	for i := range ex.in.Names {
		n := &ex.in.Names[i]
		if n.Path == nil {
			continue
		}
		d := dnsResult(ex.in.Snap, n)
		x := v1.ProbeCell{From: n.From, To: n.Ask.Name, Netns: n.Ask.Netns, Proto: "dns", Why: "name", Must: true, Expected: d.Verdict}
		if len(ex.sent) > 0 {
			x.Seen = d.Verdict
		}
		res.Cells = append(res.Cells, x)
	}
	res.Coverage.Skipped = gaps(ex.in.Snap)
	sum(res)
	if res.Verdict == "healthy" && undecided(ex.in) {
		res.Verdict = "unknown"
	}
	res.Head = a.head(v1.KindProbe, start)
	return res, nil
}

// cell is one flow in the matrix.
func cell(in *diag.Input, f *diag.FlowCase) v1.ProbeCell {
	c := v1.ProbeCell{
		From: f.From, To: f.To, Netns: f.Flow.From, Address: f.Flow.Dst.String(), Proto: string(f.Flow.Proto), Why: f.Kind, Must: !f.Asked,
	}
	if f.Asked {
		c.Why = "member"
	}
	if t := f.Trace; t != nil {
		c.Expected, c.Where, c.Detail = string(t.Verdict), where(in.Snap, t.Where), detail(t)
		if leavesWell(f) || f.Kind == "egress" && t.IfAnswered == sim.Delivered {
			c.Expected = string(sim.Delivered)
		}
	}
	if c.Expected == string(sim.Delivered) {
		c.Where, c.Detail = nil, ""
	}
	if p := in.Prove(f); p != nil {
		c.Seen, c.Detail, c.RTTMs = p.Verdict, p.Detail, f.Probe.RTTMs
		switch {
		case p.Verdict == string(sim.Delivered):
			c.Where = nil
		case p.Where != nil:
			c.Where = where(in.Snap, p.Where)
		}
	}
	return c
}

// sum counts the cells and gives the verdict of all.
func sum(r *v1.ProbeResult) {
	n := &r.Summary
	unknown := 0
	for i := range r.Cells {
		c := &r.Cells[i]
		n.Cells++
		switch {
		case c.Seen == "" && c.Expected == string(sim.Unknown):
			unknown++
		case c.Seen == "":
		case c.Differs():
			n.Seen++
			n.Differ++
		default:
			n.Seen++
			n.Same++
		}
		if c.Broken() {
			n.Broken++
		}
	}
	switch {
	case n.Broken > 0 || n.Differ > 0:
		r.Verdict = "problems"
	case n.Cells == unknown:
		r.Verdict = "unknown"
	default:
		r.Verdict = "healthy"
	}
}

// matrix are the flows of everybody to everything, and how many were left out.
func matrix(s *snap.Snapshot, fam Family) (asks []diag.Ask, left int) {
	var from, id string
	add := func(label string, dst netip.Addr, proto snap.Proto, port uint16, ctr string) {
		if len(asks) >= maxCells {
			left++
			return
		}
		asks = append(asks, diag.Ask{From: from, To: label, Container: ctr, Flow: &sim.Flow{From: id, Dst: dst, Proto: proto, Dport: port}})
	}
	senders := []string{}
	if h := s.HostNs(); h != nil {
		senders = append(senders, "")
	}
	for i := range s.Containers {
		if c := &s.Containers[i]; ownNetns(s, c) {
			senders = append(senders, c.Ref)
		}
	}
	for _, ref := range senders {
		from, id = "host", s.Host.Netns
		if ref != "" {
			c := s.Container(ref)
			from, id = c.Name, c.Netns
		}
		for i := range s.Containers {
			c := &s.Containers[i]
			if !ownNetns(s, c) || c.Ref == ref {
				continue
			}
			if a := containerAddr(s, c, id, fam); a.IsValid() {
				for _, p := range tcpPorts(s.Ns(c.Netns), a) {
					add(fmt.Sprintf("%s:%d/tcp", c.Name, p), a, snap.TCP, p, c.Ref)
				}
			}
			for _, p := range publishedAt(s, c, fam) {
				add(p.String()+"/tcp", p.Addr(), snap.TCP, p.Port(), c.Ref)
			}
		}
		if gw := gateway(s.Ns(id), max(fam, 4)); gw.IsValid() && ref != "" && !gw.IsLinkLocalUnicast() {
			add(gw.String()+"/icmp", gw, snap.ICMP, 0, "")
		}
	}
	return asks, left
}

// ownNetns says whether a container runs in a namespace of its own.
func ownNetns(s *snap.Snapshot, c *snap.Container) bool {
	n := s.Ns(c.Netns)
	return c.Running() && n != nil && !n.Light && c.Netns != s.Host.Netns && len(n.Containers) > 0 && n.Containers[0] == c.Ref
}

// tcpPorts are those on which a namespace takes connections to an address.
func tcpPorts(n *snap.Netns, to netip.Addr) []uint16 {
	var out []uint16
	seen := map[uint16]bool{}
	for i := range n.Sockets {
		k := &n.Sockets[i]
		if p := k.Local.Port(); k.Proto == snap.TCP && !k.Remote.IsValid() && diag.TakesAddr(k, to) && !seen[p] && len(out) < maxPorts {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// publishedAt are the addresses of the host at which a container's TCP ports are.
func publishedAt(s *snap.Snapshot, c *snap.Container, fam Family) []netip.AddrPort {
	var out []netip.AddrPort
	h := s.HostNs()
	if h == nil {
		return nil
	}
	for i := range c.Ports {
		p := &c.Ports[i]
		if p.HostPort == 0 || p.Proto != snap.TCP || p.HostIP.IsLoopback() || len(out) >= maxPorts {
			continue
		}
		ip := p.HostIP
		if !ip.IsValid() || ip.IsUnspecified() {
			ip = netip.Addr{}
			for _, up := range diag.Uplinks(s) {
				for _, a := range h.AddrsOf(up.Index) {
					if x := a.Prefix.Addr(); !ip.IsValid() && max(fam, 4).allows(x) && !x.IsLinkLocalUnicast() {
						ip = x
					}
				}
			}
		}
		if ip.IsValid() {
			out = append(out, netip.AddrPortFrom(ip, p.HostPort))
		}
	}
	return out
}
