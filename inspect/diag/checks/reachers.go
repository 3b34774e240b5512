package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// reachers says who reaches a TCP port of this host: the Internet or neighbours,
// by each uplink, and the containers of which networks. ip is where it listens,
// unspecified for all addresses of its family. It is told from rules and routes
// of this host alone: what stands before it may stop them.
func reachers(in *diag.Input, ip netip.Addr, port uint16) []string {
	var out []string
	for _, up := range diag.Uplinks(in.Snap) {
		if w := fromUplink(in, up, ip, snap.TCP, port); w != "" {
			out = append(out, w)
		}
	}
	host := in.Snap.HostNs()
	var nets []string
	for _, a := range attachments(in) {
		dst := ip
		if ip.IsUnspecified() {
			dst, _ = gateway4(a.n)
		}
		if !dst.Is4() || slices.Contains(nets, a.n.Name) {
			continue
		}
		t := in.World.Trace(sim.Flow{From: a.ns.ID, Dst: dst, Proto: snap.TCP, Dport: port})
		if t.Arrived == host.ID && t.Verdict == sim.Delivered {
			nets = append(nets, a.n.Name)
		}
	}
	if len(nets) > 0 {
		out = append(out, "containers of "+commas(nets))
	}
	return out
}

// fromUplink says who beyond an uplink reaches a port of this host: "anyone on
// eth0", "neighbours on eth0", "" for nobody.
func fromUplink(in *diag.Input, up *snap.Link, ip netip.Addr, proto snap.Proto, port uint16) string {
	host := in.Snap.HostNs()
	for _, a := range host.AddrsOf(up.Index) {
		dst := a.Prefix.Addr()
		if dst.IsLinkLocalUnicast() || ip.IsUnspecified() && ip.Is4() != dst.Is4() || !ip.IsUnspecified() && ip != dst {
			continue
		}
		far, near := netip.MustParseAddr("1.1.1.1"), neighbour(host, a.Prefix)
		if dst.Is6() {
			far = netip.MustParseAddr("2606:4700:4700::1111")
		}
		for _, s := range []struct {
			src netip.Addr
			who string
		}{{far, "anyone by " + up.Name}, {near, "neighbours on " + up.Name}} {
			if !s.src.IsValid() {
				continue
			}
			f := diag.FlowCase{Flow: sim.Flow{From: host.ID, Iif: up.Name, Src: s.src, Dst: dst, Proto: proto, Dport: port, StopOutside: true}}
			if f.Trace = in.World.Trace(f.Flow); f.Works() {
				return s.who
			}
		}
		return ""
	}
	return ""
}

// neighbour is an address of a device's subnet that is not this host's.
func neighbour(host *snap.Netns, p netip.Prefix) netip.Addr {
	for ip := p.Masked().Addr().Next(); p.Contains(ip); ip = ip.Next() {
		if _, mine := host.HasAddr(ip); !mine {
			return ip
		}
	}
	return netip.Addr{}
}

// commas writes a list, long ones cut.
func commas(list []string) string {
	s := ""
	for i, x := range list {
		switch {
		case i == 6:
			return fmt.Sprintf("%s and %d more", s, len(list)-i)
		case i > 0:
			s += ", "
		}
		s += x
	}
	return s
}
