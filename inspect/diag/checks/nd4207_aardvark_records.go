package checks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4207: podman's resolver knows another address of a container than podman, or none.
//
// netavark writes a line for each container into the network's file for aardvark-dns,
// and sends it SIGHUP, upon which it reads all files anew. A container that was torn
// down by force leaves its line behind, a file that was put back from a copy or edited
// has an old address, and a signal that came to nothing leaves the process with what it
// read before: the name leads to an address that nobody has, or to nobody's.
//
// See it by hand:
//
//	cat /run/containers/networks/aardvark-dns/NETWORK
//	podman inspect NAME                      the address that it should have
//	dig @GATEWAY NAME
//
// Sources: containers/aardvark-dns src/config/mod.rs, src/server/serve.rs; containers/netavark src/dns/aardvark.rs
func nd4207() diag.Check {
	return diag.Check{
		Code: "ND4207", Name: "aardvark-records", Severity: diag.Error, Since: "0.2",
		Title:  "aardvark-dns answers for a container otherwise than podman knows it",
		Detect: detectND4207,
	}
}

func detectND4207(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Names {
		n := &in.Names[i]
		for _, c := range in.Misnamed(n) {
			net := aardvarkNetwork(in, &c)
			who := recordOf(in, net, &c)
			if who == nil {
				continue
			}
			subject := diag.Subject{Kind: "container", Name: who.Name, Netns: who.Netns}
			if k := slices.IndexFunc(out, func(f diag.Finding) bool { return f.Subject.Name == who.Name }); k >= 0 {
				if !slices.Contains(out[k].Covers.Names, i) {
					out[k].Covers.Names = append(out[k].Covers.Names, i)
				}
				continue
			}
			seen := "no such name"
			if c.Seen == names.Resolved {
				seen = strings.Join(c.SeenAnswers, ", ")
			}
			out = append(out, diag.Finding{
				Summary: fmt.Sprintf("aardvark-dns answers %s for %s of network %s, podman gave it %s", seen, who.Name, net.Name, strings.Join(c.PredictedAnswers, ", ")),
				Cause:   fmt.Sprintf("what aardvark-dns read of %s is not what podman knows: the file was changed, or the process was not told to read it again", net.DNSFile),
				Subject: subject,
				Evidence: []diag.Evidence{
					ev(sourceOf(in, n, c.Probe), lineOf(in, c.Probe, c.Name), c.Probe),
					ev("podman inspect "+who.Name, strings.Join(c.PredictedAnswers, ", "), snap.RefContainer(who.Ref)),
				},
				Covers:     diag.Cover{Names: []int{i}},
				Confidence: diag.Proved,
				Advice: fmt.Sprintf("look for %s in %s: where its address is right there, kill -HUP $(cat %s/aardvark.pid) has the file read again; where it is wrong or missing, podman restart %s writes the line anew",
					who.Name, net.DNSFile, path.Dir(net.DNSFile), who.Name),
				Weight: 60,
			})
		}
	}
	return out
}

// aardvarkNetwork is the network of podman whose resolver gave the answer; nil when it
// was no such resolver.
func aardvarkNetwork(in *diag.Input, c *names.Contradiction) *snap.Network {
	for _, box := range in.Graph.ContainersOf(c.From) {
		if box.Engine != "podman" {
			continue
		}
		for i := range box.Endpoints {
			if n := in.Snap.NetworkOf(box.Engine, &box.Endpoints[i]); n != nil && n.DNSFile != "" && slices.Contains(n.DNSServers, c.Server.Addr()) {
				return n
			}
		}
	}
	return nil
}

// recordOf is the running container whose address on that network is what was predicted
// and not answered; nil when the contradiction is of another kind.
func recordOf(in *diag.Input, n *snap.Network, c *names.Contradiction) *snap.Container {
	if n == nil || c.Predicted != names.Resolved || c.Seen != names.Resolved && c.Seen != names.NXDomain {
		return nil
	}
	for i := range in.Snap.Containers {
		box := &in.Snap.Containers[i]
		if box.Engine != n.Engine || !box.Running() {
			continue
		}
		for k := range box.Endpoints {
			e := &box.Endpoints[k]
			if in.Snap.NetworkOf(box.Engine, e) != n {
				continue
			}
			ip := e.IPv4.Addr().String()
			if slices.Contains(c.PredictedAnswers, ip) && !slices.Contains(c.SeenAnswers, ip) {
				return box
			}
		}
	}
	return nil
}
