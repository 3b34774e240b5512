package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd2401: with route_localnet on, others reach what listens on 127.0.0.1.
//
// With route_localnet the kernel takes packets for 127.0.0.0/8 that come in by a
// device, and no more drops them as martians. Docker without the userland proxy and
// kube-proxy turn it on. Whoever can send frames on that device (a container with
// NET_RAW, a neighbour on the LAN) then reaches services of this host that listen on
// loopback because they are not to be reached. A rule that drops 127.0.0.0/8 from
// anywhere but lo closes that.
//
// See it by hand:
//
//	sysctl -a 2>/dev/null | grep 'route_localnet = 1'
//	iptables -t raw -S PREROUTING; iptables -S INPUT        a DROP of ! -i lo -d 127.0.0.0/8
//
// Sources: net/ipv4/route.c: ip_route_input_slow; CVE-2020-8558; moby drivers/bridge: setupLoopbackAddressesRouting
func nd2401() diag.Check {
	return diag.Check{
		Code: "ND2401", Name: "localnet-open", Severity: diag.Warning, Since: "0.1", Audit: true,
		Title:  "route_localnet is on, and no rule keeps others from what listens on 127.0.0.1",
		Detect: detectND2401,
	}
}

func detectND2401(in *diag.Input) []diag.Finding {
	host := in.Snap.HostNs()
	if host == nil {
		return nil
	}
	var out []diag.Finding
	for i := range host.Links {
		l := &host.Links[i]
		key := "net/ipv4/conf/" + l.Name + "/route_localnet"
		own, _ := host.Sysctl(key)
		if all, _ := host.Sysctl("net/ipv4/conf/all/route_localnet"); l.Loopback || l.Master != 0 || !l.Up || own != "1" && all != "1" {
			continue
		}
		if own != "1" {
			key = "net/ipv4/conf/all/route_localnet"
		}
		var open []string
		for j := range host.Sockets {
			s := &host.Sockets[j]
			if s.Proto != snap.TCP || !s.Local.Addr().Unmap().Is4() || !s.Local.Addr().Unmap().IsLoopback() {
				continue
			}
			for _, a := range host.AddrsOf(l.Index) {
				src := a.Prefix.Addr().Next()
				if !src.Is4() || !a.Prefix.Contains(src) {
					continue
				}
				t := in.World.Trace(sim.Flow{From: host.ID, Iif: l.Name, Src: src, Dst: s.Local.Addr().Unmap(), Proto: s.Proto, Dport: s.Local.Port(), StopOutside: true})
				if t.Arrived == host.ID && t.Socket != nil {
					open = append(open, s.Local.String())
				}
				break
			}
		}
		if len(open) == 0 {
			continue
		}
		out = append(out, diag.Finding{
			Summary:  fmt.Sprintf("%s: what comes in by %s reaches services on loopback: %s", fixups.SysctlName(key)+"=1", l.Name, strings.Join(open, ", ")),
			Cause:    "packets for 127.0.0.0/8 are taken from that device, and no rule drops them",
			Subject:  diag.Subject{Kind: "sysctl", Name: "net/ipv4/conf/" + l.Name + "/route_localnet", Netns: host.ID},
			Evidence: []diag.Evidence{ev("sysctl "+fixups.SysctlName(key), fixups.SysctlName(key)+" = 1", snap.RefSysctl(host.ID, key))},
			Advice:   "drop them: iptables -t raw -A PREROUTING -d 127.0.0.0/8 ! -i lo -j DROP (and keep it across reboots); or turn route_localnet off where no published port needs it",
		})
	}
	return out
}
