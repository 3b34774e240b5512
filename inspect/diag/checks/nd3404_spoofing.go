package checks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Capabilities that let a process send frames of its own making (capabilities(7)).
const (
	capNetAdmin = 12
	capNetRaw   = 13
)

// nd3404: a container can pass itself off for its neighbours.
//
// CAP_NET_RAW, which Docker gives to every container that is not told otherwise,
// lets a process answer ARP for its neighbours and for the gateway, and send IPv6
// router advertisements: one container of a network that is taken over can then read
// and change what the others say. CAP_NET_ADMIN lets it take their addresses
// outright. ping needs neither: engines set net.ipv4.ping_group_range.
//
// See it by hand:
//
//	docker inspect -f '{{.HostConfig.CapDrop}}' NAME         should hold NET_RAW
//	grep CapEff /proc/PID/status; capsh --decode=VALUE
//
// Sources: capabilities(7), packet(7); moby profiles/capabilities defaults; CVE-2020-13401; GHSA-59qg-grp7-5r73
func nd3404() diag.Check {
	return diag.Check{
		Code: "ND3404", Name: "can-spoof", Severity: diag.Info, Since: "0.1", Audit: true,
		Title:  "Containers may send raw packets beside neighbours that trust them",
		Detect: detectND3404,
	}
}

// spoofers are the containers of shared networks that can, of one severity.
type spoofers struct {
	severity diag.Severity
	able     int
	nets     []string // "app (client, web)"
	subjects []string
	lines    []diag.Evidence
}

func detectND3404(in *diag.Input) []diag.Finding {
	groups := []spoofers{{severity: diag.Warning}, {severity: diag.Info}}
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		var able, all []string
		var lines []diag.Evidence
		g := &groups[1]
		for _, a := range attachments(in) {
			if a.n != n || a.c.Process == nil || slices.Contains(all, a.c.Name) {
				continue
			}
			all = append(all, a.c.Name)
			caps := spoofs(a.c)
			if len(caps) == 0 {
				continue
			}
			if slices.Contains(caps, "CAP_NET_ADMIN") {
				g = &groups[0]
			}
			able = append(able, a.c.Name)
			lines = append(lines, ev(fmt.Sprintf("grep CapEff /proc/%d/status", a.c.PID), fmt.Sprintf("CapEff: %s (%s: %s)", a.c.Process.CapEff, a.c.Name, strings.Join(caps, ", ")), snap.RefContainer(a.c.Ref)))
		}
		if len(able) == 0 || len(all) < 2 {
			continue
		}
		who := commas(able)
		if len(able) == len(all) && len(all) > 4 {
			who = fmt.Sprintf("all %d", len(all))
		}
		g.able += len(able)
		g.nets = append(g.nets, fmt.Sprintf("%s (%s)", n.Name, who))
		g.subjects = append(g.subjects, networkName(in, n))
		g.lines = append(g.lines, lines...)
	}
	var out []diag.Finding
	for _, g := range groups {
		if len(g.nets) == 0 {
			continue
		}
		advice := "make them again with --cap-drop NET_RAW (in compose: cap_drop: [NET_RAW]); containers that don't trust each other get networks of their own"
		if g.severity == diag.Warning {
			advice = "make them again without --privileged and --cap-add NET_ADMIN, and " + strings.TrimPrefix(advice, "make them again ")
		}
		out = append(out, diag.Finding{
			Severity: g.severity,
			Summary:  fmt.Sprintf("%s can answer ARP for their neighbours on network %s", diag.Count(g.able, "container"), commas(g.nets)),
			Cause:    "they hold CAP_NET_RAW or CAP_NET_ADMIN in a network that they share",
			Subject:  diag.Subject{Kind: "network", Name: strings.Join(g.subjects, ","), Netns: in.Snap.Host.Netns},
			Evidence: g.lines[:min(len(g.lines), 8)],
			Advice:   advice,
		})
	}
	return out
}

// spoofs are the capabilities by which a container's first process can send
// frames of its own making; nil when it has none, or when that is not known.
func spoofs(c *snap.Container) []string {
	v, err := strconv.ParseUint(c.Process.CapEff, 16, 64)
	if err != nil {
		return nil
	}
	var out []string
	if v>>capNetAdmin&1 == 1 {
		out = append(out, "CAP_NET_ADMIN")
	}
	if v>>capNetRaw&1 == 1 {
		out = append(out, "CAP_NET_RAW")
	}
	return out
}
