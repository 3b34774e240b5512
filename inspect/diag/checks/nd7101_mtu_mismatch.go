package checks

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd7101: the devices of one network do not carry packets of one size.
//
// On layer 2 nobody says "too big": a bridge, or the other end of a veth, drops a
// frame that is larger than its MTU without a word. A container sends packets as
// large as its own device's MTU, its TCP asks for answers of that size; every device
// between it and its neighbours must carry them. Ping and small requests work, bulk
// data hangs. A VXLAN device carries 50 bytes less than the network below it.
//
// See it by hand:
//
//	ip link show; nsenter -t PID -n ip link show eth0     compare mtu
//	ping -M do -s 1472 DST                                 from inside
//
// False positives: offloads can hide it: a veth hands over TCP packets of 64 KiB
// whole, and its MTU is then not looked at.
//
// Sources: net/core/dev.c: is_skb_forwardable; net/bridge/br_forward.c: br_dev_queue_push_xmit; moby#22297
func nd7101() diag.Check {
	return diag.Check{
		Code: "ND7101", Name: "mtu-mismatch", Severity: diag.Error, Since: "0.1",
		Title:  "Devices of one network have different MTUs: large packets vanish",
		Detect: detectND7101,
		Fix:    fixND7101,
	}
}

// ends are the devices that large packets of one bridge network pass.
type ends struct {
	n     *snap.Network
	host  *snap.Netns
	br    *snap.Link
	at    []attachment
	other []*snap.Link // ports that lead elsewhere: VXLAN, VLAN, a physical device
	want  int          // the MTU that all should have
}

// networkEnds gathers them for networks with running members.
func networkEnds(in *diag.Input) []ends {
	host := in.Snap.HostNs()
	var out []ends
	if host == nil {
		return nil
	}
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if n.Driver != "bridge" || n.Bridge == "" || host.Link(n.Bridge) == nil {
			continue
		}
		e := ends{n: n, host: host, br: host.Link(n.Bridge)}
		for _, a := range attachments(in) {
			if a.n == n && a.link != nil && a.host != nil {
				e.at = append(e.at, a)
			}
		}
		for _, p := range in.Graph.Ports(host, e.br) {
			if p.Kind != "veth" {
				e.other = append(e.other, p)
			}
		}
		if len(e.at) == 0 {
			continue
		}
		e.want = wantedMTU(&e)
		out = append(out, e)
	}
	return out
}

// wantedMTU is the network's own option; else the size that most devices have;
// of equals the one nearest to Ethernet's.
func wantedMTU(e *ends) int {
	if e.n.MTU > 0 {
		return e.n.MTU
	}
	votes := map[int]int{}
	for _, a := range e.at {
		votes[a.link.MTU]++
		votes[a.host.MTU]++
	}
	best := 0
	for mtu, n := range votes {
		if best == 0 || n > votes[best] || n == votes[best] && distance(mtu) < distance(best) {
			best = mtu
		}
	}
	for _, p := range e.other {
		if p.Kind == "vxlan" && p.MTU < best {
			best = p.MTU
		}
	}
	return best
}

func distance(mtu int) int {
	if mtu > 1500 {
		return mtu - 1500
	}
	return 1500 - mtu
}

// tight is a device that drops what one of a network's containers sends or asks for.
type tight struct {
	e     *ends
	dev   *snap.Link
	netns string
	who   string // the container that is cut off
	size  int    // what it is sent
	pair  attachment
}

// tightest finds them: the host's end of a container's own veth that is
// smaller than its inner end; one that is smaller than what two containers agree
// on; another port that is smaller than what a container sends.
func (e *ends) tightest() []tight {
	var out []tight
	add := func(t tight) {
		if !slices.ContainsFunc(out, func(o tight) bool { return o.dev == t.dev }) {
			out = append(out, t)
		}
	}
	for _, a := range e.at {
		if a.link.MTU > a.host.MTU {
			add(tight{e, a.host, e.host.ID, a.c.Name, a.link.MTU, a})
		}
		for _, b := range e.at {
			if size := min(a.link.MTU, b.link.MTU); a.c != b.c && size > b.host.MTU {
				add(tight{e, b.host, e.host.ID, b.c.Name, size, b})
			}
		}
		for _, p := range e.other {
			if p.Kind == "vxlan" && a.link.MTU > p.MTU {
				add(tight{e, p, e.host.ID, a.c.Name, a.link.MTU, a})
			}
		}
	}
	return out
}

// alone says whether only the cut-off container uses packets of that size, and its
// device still carries Ethernet's 1500: TCP agrees on what both ends take (RFC 9293
// section 3.7.1), so that only what is no TCP is lost.
func (e *ends) alone(t *tight) bool {
	return t.dev.MTU >= 1500 && !slices.ContainsFunc(e.at, func(b attachment) bool { return b.c != t.pair.c && b.link.MTU > t.dev.MTU })
}

func detectND7101(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	all := networkEnds(in)
	for i := range all {
		e := &all[i]
		bad := e.tightest()
		if len(bad) == 0 {
			continue
		}
		t := bad[0]
		f := diag.Finding{
			Summary: fmt.Sprintf("%s has MTU %d, but %s (network %s) uses packets of %d bytes: large ones are dropped there without a word", t.dev.Name, t.dev.MTU, t.who, e.n.Name, t.size),
			Cause:   fmt.Sprintf("the devices of network %s do not have one MTU: %s carries %d bytes, %s sends and asks for %d", e.n.Name, t.dev.Name, t.dev.MTU, t.who, t.size),
			Subject: diag.Subject{Kind: "network", Name: networkName(in, e.n), Netns: e.host.ID},
			Evidence: []diag.Evidence{
				ev("ip link show "+t.dev.Name, linkLine(t.dev), snap.RefLink(e.host.ID, t.dev.Name)),
				ev(ipIn(in, t.pair.ns.ID, "link show "+t.pair.link.Name), linkLine(t.pair.link), snap.RefLink(t.pair.ns.ID, t.pair.link.Name)),
			},
			Advice: "one MTU for the whole network lasts when it is an option of the network: " + cmp.Or(diag.MTUOption(e.n, e.want), fmt.Sprintf("%d bytes", e.want)),
			Weight: 50,
		}
		if e.alone(&t) {
			f.Severity = diag.Warning
			f.Summary += "; TCP is not hurt, as nobody there takes as much"
		}
		var devices []device
		for _, b := range bad {
			devices = append(devices, device{e.host.ID, b.dev.Name}, device{b.pair.ns.ID, b.pair.link.Name})
			f.Covers.Traces = append(f.Covers.Traces, through(in, e.host.ID, b.dev.Name)...)
			f.Covers.Traces = append(f.Covers.Traces, through(in, b.pair.ns.ID, b.pair.link.Name)...)
		}
		slices.Sort(f.Covers.Traces)
		f.Covers.Traces = slices.Compact(f.Covers.Traces)
		measured(in, &f, devices...)
		out = append(out, f)
	}
	return out
}

// through are the asked flows whose packets or answers pass a device.
func through(in *diag.Input, netns, dev string) []int {
	var out []int
	for i := range in.Flows {
		f := &in.Flows[i]
		if f.Asked && passes(f, netns, dev) {
			out = append(out, i)
		}
	}
	return out
}

// passes says whether a flow or its answer meets a device.
func passes(f *diag.FlowCase, netns, dev string) bool {
	for t := f.Trace; t != nil; t = t.Proxy {
		for i := range t.Forward {
			if t.Forward[i].Netns == netns && t.Forward[i].Device == dev {
				return true
			}
		}
		for i := range t.Reply {
			if t.Reply[i].Netns == netns && t.Reply[i].Device == dev {
				return true
			}
		}
	}
	return false
}

// fixND7101 gives every device of the network the wanted MTU, except inner ones
// that are smaller on purpose, and bridges, which follow their ports.
func fixND7101(in *diag.Input, f *diag.Finding) []fixups.Op {
	all := networkEnds(in)
	for i := range all {
		e := &all[i]
		if networkName(in, e.n) != f.Subject.Name {
			continue
		}
		var ops []fixups.Op
		for _, a := range e.at {
			if a.link.MTU > e.want {
				ops = append(ops, &fixups.LinkMTU{Where: at(in, a.ns.ID), Name: a.link.Name, MTU: e.want})
			}
			if a.host.MTU != e.want {
				ops = append(ops, &fixups.LinkMTU{Where: at(in, e.host.ID), Name: a.host.Name, MTU: e.want})
			}
		}
		if e.br.MTU > e.want {
			ops = append(ops, &fixups.LinkMTU{Where: at(in, e.host.ID), Name: e.br.Name, MTU: e.want})
		}
		return ops
	}
	return nil
}
