package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5121: the program that carries a rootless container's packets does not.
//
// Without root an engine has no veth and no NAT. A program of the same user (pasta,
// slirp4netns) reads what leaves the container by a tap device, and makes connections of
// its own on the host; published ports are listened on by it, or by rootlessport. When it
// dies its device goes with it; when it is stopped nothing comes back. It sends echo
// requests only as far as net.ipv4.ping_group_range lets its group, and leads to the
// host's 127.0.0.1 only when it is told to. pasta gives the container the host's own
// address, which inside is then the container itself.
//
// See it by hand:
//
//	ps -o pid,stat,args -C pasta,pasta.avx2,slirp4netns,rootlessport
//	nsenter -t PID -n ip addr                only lo: it is gone
//	sysctl net.ipv4.ping_group_range
//
// Sources: passt(1), slirp4netns(1), podman-run(1): --network; icmp(7)
func nd5121() diag.Check {
	return diag.Check{
		Code: "ND5121", Name: "user-mode-nat", Severity: diag.Error, Since: "0.2",
		Title: "The program that carries a rootless container's packets is gone, cut off, or refuses one",
		Detect: func(in *diag.Input) []diag.Finding {
			return slices.Concat(userDevices(in), userRefusals(in), userPorts(in), hostsOwnAddress(in))
		},
		Fix: fixND5121,
	}
}

// userDevices are the containers whose device is gone with its program, is down, or has
// no default route.
func userDevices(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		ns := in.Netns(c.Netns)
		if !diag.UserMode(c) || c.State != "running" || ns == nil || ns.Light || len(ns.Links) == 0 {
			continue
		}
		program, _, _ := strings.Cut(c.NetworkMode, ":")
		f := diag.Finding{Subject: diag.Subject{Kind: "container", Name: c.Name, Netns: ns.ID}, Covers: coverFrom(in, ns.ID, sim.CauseNoRoute, sim.CauseLinkDown, sim.CauseSelfSource), Weight: 85}
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool { return n.Ask.Netns == ns.ID })
		dev := ns.UserNAT()
		switch {
		case !hasTap(ns):
			f.Summary = fmt.Sprintf("%s of %s is gone: %s has no device but lo, and reaches nobody", program, c.Name, c.Name)
			f.Cause = fmt.Sprintf("%s, which carried the packets of %s, has ended, and its device with it", program, c.Name)
			f.Evidence = []diag.Evidence{ev(ipIn(in, ns.ID, "link"), "(no tap device)", snap.RefNetns(ns.ID))}
			f.Advice = fmt.Sprintf("only a start of %s makes another: %s", c.Name, diag.EngineCommand(c, "restart"))
			f.Covers.Traces = append(f.Covers.Traces, deadPorts(in, c)...)
		case dev == nil: // by whom its device is read can't be seen
			continue
		case !dev.Up:
			f.Summary = fmt.Sprintf("%s of %s is down: nothing gets to %s, nor from there", dev.Name, c.Name, dev.Reader.Name)
			f.Cause = fmt.Sprintf("somebody set down the device of %s by which %s (pid %d) carries its packets", c.Name, dev.Reader.Name, dev.Reader.PID)
			f.Evidence = []diag.Evidence{ev(ipIn(in, ns.ID, "link show "+dev.Name), linkLine(dev), snap.RefLink(ns.ID, dev.Name))}
		case !hasDefault(ns):
			f.Summary = fmt.Sprintf("%s has no default route: nothing is sent to %s by %s", c.Name, dev.Reader.Name, dev.Name)
			f.Cause = "the container's namespace has no default route, so it reaches nothing beyond its own subnets"
			f.Evidence = []diag.Evidence{ev(ipIn(in, ns.ID, "route show default"), "(no default route)", snap.RefNetns(ns.ID))}
		default:
			continue
		}
		if len(f.Covers.Traces) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// hasTap says whether there is a device that a program may read.
func hasTap(ns *snap.Netns) bool {
	return slices.ContainsFunc(ns.Links, func(l snap.Link) bool { return l.Kind == "tun" })
}

// deadPorts are the flows to a container's published ports that do not get there.
func deadPorts(in *diag.Input, c *snap.Container) []int {
	var out []int
	for i := range in.Flows {
		if f := &in.Flows[i]; f.Target == c.Ref && f.Port != nil && !f.Works() {
			out = append(out, i)
		}
	}
	return out
}

// userRefusals are the flows that such a program does not carry on.
func userRefusals(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, g := range in.Groups(sim.CauseUserNAT) {
		dev := in.Netns(g.Where.Netns).Link(g.Where.Device)
		if dev == nil || dev.Reader == nil {
			continue
		}
		p := dev.Reader
		f := placeFinding(in, g)
		f.Subject, f.Weight = diag.Subject{Kind: "process", Name: fmt.Sprint(p.PID), Netns: p.Netns}, 68
		if k := sameSubject(out, f.Subject); k >= 0 && out[k].Cause == f.Cause {
			out[k].Covers.Traces = append(out[k].Covers.Traces, g.Flows...)
			continue
		}
		switch g.Where.Reason {
		case "STOPPED":
			f.Evidence = []diag.Evidence{ev(fmt.Sprintf("ps -o pid,stat,comm -p %d", p.PID), fmt.Sprintf("%d %s %s", p.PID, p.State, p.Name), snap.RefLink(g.Where.Netns, dev.Name))}
			for i := range in.Flows {
				if t := in.Flows[i].Trace; t.Socket != nil && t.Socket.Process != nil && t.Socket.Process.PID == p.PID {
					f.Covers.Traces = append(f.Covers.Traces, i)
				}
			}
			f.Advice = fmt.Sprintf("find out who stopped it, then: kill -CONT %d", p.PID)
		case "EACCES":
			v := in.Snap.HostNs().Sysctls["net/ipv4/ping_group_range"]
			f.Evidence = []diag.Evidence{ev("sysctl net.ipv4.ping_group_range", strings.Join(strings.Fields(v), " "), g.Where.Ref)}
			f.Advice = "only echo requests are: to let its user's group send them, sysctl -w net.ipv4.ping_group_range=\"0 2147483647\" (a file in sysctl.d keeps it)"
			if !slices.ContainsFunc(g.Flows, func(i int) bool { return in.Flows[i].Asked }) {
				f.Severity = diag.Info
			}
		default:
			f.Advice = "ask for the host at its own address; to its 127.0.0.1 leads --network slirp4netns:allow_host_loopback=true, when the container is made"
			if in.Flows[g.Flows[0]].Flow.Dport == 53 {
				continue // a name server that is none: ND4301 tells
			}
		}
		out = append(out, f)
	}
	return out
}

// userPorts are the published ports that nobody listens on any more.
func userPorts(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for _, f := range atHost(in, func(f *diag.FlowCase) *diag.Finding {
		c, p, at := in.PublishedAt(f.Flow.Dst, f.Flow.Dport, f.Flow.Proto)
		if c == nil || !at {
			return nil
		}
		if e, ns := in.Snap.Engine(c.Engine), in.Netns(c.Netns); e == nil || !e.Rootless || diag.UserMode(c) && ns != nil && !hasTap(ns) {
			return nil // or it is told of with the container
		}
		return &diag.Finding{
			Summary: fmt.Sprintf("nothing forwards port %d/%s of this host to %s any more, which publishes it: it is refused", p.HostPort, p.Proto, c.Name),
			Cause:   fmt.Sprintf("the program that listened on it for %s (rootlessport, pasta or slirp4netns) is gone; no rule takes its place", c.Name),
			Evidence: []diag.Evidence{
				ev(fmt.Sprintf("ss -lntup 'sport = :%d'", p.HostPort), "(nobody listens)", snap.RefNetns(in.Snap.Host.Netns)),
				ev(diag.PortCommand(c), fmt.Sprintf("%d/%s -> %s:%d", p.ContainerPort, p.Proto, p.HostIP, p.HostPort), snap.RefContainer(c.Ref)),
			},
			Advice: "only a start makes another: " + diag.EngineCommand(c, "restart"),
		}
	}) {
		if k := sameSubject(out, f.Subject); k >= 0 {
			out[k].Covers.Traces = append(out[k].Covers.Traces, f.Covers.Traces...)
			continue
		}
		out = append(out, f)
	}
	return out
}

// hostsOwnAddress: who asks for the host by its address inside such a namespace asks that
// namespace itself.
func hostsOwnAddress(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Flows {
		f := &in.Flows[i]
		w := f.Trace.Where
		if !f.Asked || !f.Broken() || w == nil || w.Cause != sim.CauseNoListener || w.Netns == in.Snap.Host.Netns || in.Snap.HostNs() == nil || f.Port != nil {
			continue
		}
		ns := in.Netns(w.Netns)
		dev := ns.UserNAT()
		if _, his := in.Snap.HostNs().HasAddr(f.Flow.Dst); dev == nil || !his || f.Flow.Dst.IsLoopback() {
			continue
		}
		x := diag.Finding{
			Summary:  fmt.Sprintf("%s is the host's address, but in %s it is its own: %s gave it the same, and nothing there listens on port %d/%s", f.Flow.Dst, in.Who(ns.ID), dev.Reader.Name, f.Flow.Dport, f.Flow.Proto),
			Cause:    "a packet to an address of the sender's own namespace never leaves it",
			Subject:  diag.Subject{Kind: "address", Name: f.Flow.Dst.String(), Netns: ns.ID},
			Evidence: []diag.Evidence{ev(ipIn(in, ns.ID, "addr show dev "+dev.Name), addrList(ns, dev), snap.RefLink(ns.ID, dev.Name))},
			Covers:   diag.Cover{Traces: []int{i}},
			Advice:   "make the container on another network (--network slirp4netns), or bind the host's service to an address that only it has",
			Weight:   69,
		}
		if a, has := dev.Reader.Arg("--map-guest-addr"); has {
			x.Advice = fmt.Sprintf("ask for the host by the name host.containers.internal, or at %s", a)
		}
		out = append(out, x)
	}
	return out
}

// userServer is what to do about a server that a rootless container asks in the place of
// the one that its program gave it; "" where it does not.
func userServer(in *diag.Input, n *diag.NameCase, server netip.Addr) string {
	ns, r := in.Netns(n.Ask.Netns), in.Snap.Resolver(n.Ask.Container)
	if ns == nil || r == nil {
		return ""
	}
	own := ns.UserServer()
	if !own.IsValid() || slices.Contains(r.ResolvConf.Nameservers, own) || !slices.Contains(r.ResolvConf.Nameservers, server) {
		return ""
	}
	return fmt.Sprintf("%s (pid %d) answers for it at %s: put nameserver %s into the resolv.conf of %s", ns.UserNAT().Reader.Name, ns.UserNAT().Reader.PID, own, own, in.Who(ns.ID))
}

// fixND5121 lets a stopped program go on, and gives a device back what it lost: its flag
// and the default route that the program gave it.
func fixND5121(in *diag.Input, f *diag.Finding) []fixups.Op {
	if f.Subject.Kind == "process" {
		v, err := in.Snap.At(f.Evidence[0].Ref)
		if l, ok := v.(*snap.Link); err == nil && ok && l.Reader != nil && l.Reader.State == "T" {
			f.Advice = "find out who stopped it: it may do so again"
			return []fixups.Op{&fixups.ProcessContinue{Proc: fixups.Proc{PID: l.Reader.PID, Name: l.Reader.Name}}}
		}
		return nil
	}
	ns := in.Netns(f.Subject.Netns)
	if f.Subject.Kind != "container" || ns == nil || ns.UserNAT() == nil {
		return nil
	}
	dev := ns.UserNAT()
	var ops []fixups.Op
	if !dev.Up {
		ops = append(ops, &fixups.LinkSet{Where: at(in, ns.ID), Name: dev.Name, Up: true})
	}
	if gw := userGateway(in, ns, dev); gw.IsValid() && !hasDefault(ns) {
		r, _ := defaultVia(ns, dev, gw.String())
		ops = append(ops, &fixups.RouteAdd{Where: at(in, ns.ID), Route: r, Devs: []string{dev.Name}})
	}
	return ops
}

// userGateway is what the program names as the gateway: slirp4netns itself, pasta the
// host's own.
func userGateway(in *diag.Input, ns *snap.Netns, dev *snap.Link) netip.Addr {
	for _, a := range ns.AddrsOf(dev.Index) {
		if !a.Prefix.Addr().Is4() {
			continue
		}
		if dev.Reader.Name == "slirp4netns" {
			return a.Prefix.Masked().Addr().Next().Next()
		}
		for _, r := range in.Snap.HostNs().Routes {
			if r.Family == snap.IPv4 && r.Dst.Bits() == 0 && r.Table == snap.TableMain && a.Prefix.Contains(r.Gateway) {
				return r.Gateway
			}
		}
	}
	return netip.Addr{}
}
