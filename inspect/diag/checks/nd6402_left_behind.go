package checks

import (
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd6402: a container shares the network of another, which has a new one by now.
//
// A container that runs with --network container:NAME (compose: network_mode:
// "service:NAME"; sidecars, VPN containers) is put into the other one's network
// namespace when it starts. When the other is started again it gets a new namespace,
// and this one stays in the old: its veth pair is gone, only loopback is left. Both
// are shown as running. A container that was recreated has a new ID, and then the
// one that shares can't even be restarted: it must be recreated, too.
//
// See it by hand:
//
//	docker inspect -f '{{.HostConfig.NetworkMode}} {{.State.Pid}}' NAME
//	readlink /proc/PID/ns/net of both        they should be the same
//	nsenter -t PID -n ip link                lo only
//
// Sources: docker-run(1), --network; moby daemon/container_operations_unix.go:
// getNetworkedContainer; docker/compose issues about network_mode: service after a restart
func nd6402() diag.Check {
	return diag.Check{
		Code: "ND6402", Name: "left-behind", Severity: diag.Error, Since: "0.2",
		Title:  "A container that shares another's network was left in the old one",
		Detect: detectND6402,
	}
}

func detectND6402(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		id, shares := strings.CutPrefix(c.NetworkMode, "container:")
		if !shares || !c.Running() || c.Netns == "" || c.Netns == in.Snap.Host.Netns { // the host's does not go with a container
			continue
		}
		why, do := leftBehind(in, c, id)
		if why == "" {
			continue
		}
		f := diag.Finding{
			Summary:  fmt.Sprintf("%s shares the network of another container and was left in an old namespace: %s", c.Name, why),
			Cause:    "a container joins the other's namespace when it starts, and stays in it when the other one gets a new one",
			Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
			Evidence: []diag.Evidence{ev(diag.InspectCommand(c), "NetworkMode "+c.NetworkMode, snap.RefContainer(c.Ref))},
			Advice:   do,
			Weight:   90,
		}
		for k := range in.Flows {
			if fl := &in.Flows[k]; fl.Flow.From == c.Netns || fl.Target == c.Ref {
				f.Covers.Traces = append(f.Covers.Traces, k)
			}
		}
		f.Covers.Names = coverNames(in, func(n *diag.NameCase) bool { return n.Ask.Netns == c.Netns })
		out = append(out, f)
	}
	return out
}

// leftBehind says why a container is not in the network of the one whose it
// should share, and what is to be done; empty when it is, or that can't be told.
func leftBehind(in *diag.Input, c *snap.Container, id string) (why, do string) {
	restart := fmt.Sprintf("%s restart %s", c.Engine, c.Name)
	for i := range in.Snap.Containers {
		x := &in.Snap.Containers[i]
		switch {
		case x.Engine != c.Engine || x.ID != id && x.Name != id:
		case !x.Running():
			return x.Name + " does not run", fmt.Sprintf("%s start %s, then %s", c.Engine, x.Name, restart)
		case x.Netns != "" && x.Netns != c.Netns:
			return x.Name + " was started again since", restart
		default:
			return "", ""
		}
	}
	if e := in.Snap.Engine(c.Engine); e == nil || !e.Reachable || e.Offline {
		return "", ""
	}
	return fmt.Sprintf("the other one, %.12s, was removed", id), "make " + c.Name + " anew (" + anew(c) + "): it can't be started again as it is"
}

// anew is how a container is made again that joins another's network.
func anew(c *snap.Container) string {
	if service := c.Labels["com.docker.compose.service"]; service != "" {
		return "docker compose up -d --force-recreate " + service
	}
	if c.Engine == ownEngine {
		return "netdoctor down and setup"
	}
	return fmt.Sprintf("%s rm -f %s, and run it with --network container:NAME of the one that it is to join", c.Engine, c.Name)
}
