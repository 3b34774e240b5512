package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4109: a name that a container was given by --add-host is not in its hosts file.
//
// --add-host (compose: extra_hosts:) has the engine write a line into the container's
// /etc/hosts. A Docker before 23 that was started again while its containers went on
// running (live-restore) does not know what host-gateway stands for, and writes <nil> in
// the place of an address: host.docker.internal, by which programs find a service of
// their host, does not resolve in any container that starts then. Or an entrypoint wrote
// the file anew, without that line.
//
// See it by hand:
//
//	docker inspect -f '{{.HostConfig.ExtraHosts}}' NAME
//	docker exec NAME cat /etc/hosts
//
// False positives: none known. A hosts file that is not the engine's own is left alone.
//
// Sources: moby daemon/daemon_unix.go: setHostGatewayIP; moby daemon/container_operations.go: buildSandboxOptions
func nd4109() diag.Check {
	return diag.Check{
		Code: "ND4109", Name: "extra-host-missing", Severity: diag.Error, Since: "0.2",
		Title:  "A name that the container was given by --add-host is not in its /etc/hosts",
		Detect: detectND4109,
		Fix:    fixND4109,
	}
}

func detectND4109(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		for _, x := range lostHosts(in, c) {
			r := in.Snap.Resolver(c.Ref)
			f := diag.Finding{
				Summary: fmt.Sprintf("%s was given the name %s by --add-host, and its /etc/hosts has no address for it", c.Name, x.name),
				Cause:   fmt.Sprintf("%s stands in the settings of %s, but not in the file that it reads", x.given, c.Name),
				Subject: diag.Subject{Kind: "resolver", Name: c.Name + " " + x.name, Netns: c.Netns},
				Evidence: []diag.Evidence{
					ev(diag.InspectCommand(c), "extra host "+x.given, snap.RefContainer(c.Ref)),
					ev(catIn(in, r, "/etc/hosts"), x.line(r), snap.RefResolver(r.Owner)),
				},
				Covers: diag.Cover{Names: coverNames(in, func(n *diag.NameCase) bool {
					return n.Ask.Container == c.Ref && strings.EqualFold(strings.TrimSuffix(n.Ask.Name, "."), x.name)
				})},
				Advice: fmt.Sprintf("starting %s anew writes the file anew", c.Name),
				Weight: 66,
			}
			if x.gateway {
				f.Cause = "the engine did not know what host-gateway stands for when the container started: a Docker before 23 that was started again while containers ran (live-restore)"
				f.Advice = "the next start of the container undoes it: set \"host-gateway-ip\" in daemon.json, or give the address itself: --add-host " + x.name + ":ADDRESS"
			}
			out = append(out, f)
		}
	}
	return out
}

// lostHost is a name that was given to a container, and that its file lacks.
type lostHost struct {
	name, given string
	gateway     bool
	addr        netip.Addr // what it should be; zero when that is not known
}

// line is what stands in the file about it.
func (x *lostHost) line(r *snap.Resolver) string {
	for l := range strings.Lines(r.HostsRaw) {
		if slices.Contains(strings.Fields(l), x.name) {
			return strings.Join(strings.Fields(l), " ")
		}
	}
	return "(no line has it)"
}

// lostHosts are those of one container whose hosts file is still the engine's: the line
// about the container itself is there.
func lostHosts(in *diag.Input, c *snap.Container) []lostHost {
	r := in.Snap.Resolver(c.Ref)
	has := func(name string) bool {
		return slices.ContainsFunc(r.Hosts, func(l snap.HostsLine) bool {
			return slices.ContainsFunc(l.Names, func(n string) bool { return strings.EqualFold(n, name) })
		})
	}
	if !c.Running() || r == nil || c.Hostname == "" || !snap.IsDocker(c.Engine) && c.Engine != "podman" || !has(c.Hostname) {
		return nil
	}
	var out []lostHost
	for _, given := range c.ExtraHosts {
		list, to := names.ExtraHost(given)
		for _, name := range list {
			if has(name) {
				continue
			}
			x := lostHost{name: name, given: given, gateway: to == "host-gateway"}
			x.addr, _ = netip.ParseAddr(to)
			for i := range in.Snap.Networks {
				if n := &in.Snap.Networks[i]; x.gateway && n.Default && n.Engine == c.Engine {
					x.addr, _ = gateway4(n)
				}
			}
			out = append(out, x)
		}
	}
	return out
}

// fixND4109 writes the lines, in the place of those that have no address.
func fixND4109(in *diag.Input, f *diag.Finding) []fixups.Op {
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		r := in.Snap.Resolver(c.Ref)
		for _, x := range lostHosts(in, c) {
			if c.Netns != f.Subject.Netns || c.Name+" "+x.name != f.Subject.Name || !x.addr.IsValid() || r.HostsRaw == "" || !strings.HasPrefix(r.HostsSource, "root:") {
				continue
			}
			text := ""
			for l := range strings.Lines(r.HostsRaw) {
				if w := strings.Fields(l); len(w) != 2 || w[1] != x.name {
					text += l
				}
			}
			if !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			return []fixups.Op{&fixups.FileWrite{Owner: c.Ref, Pid: c.PID, Path: "/etc/hosts", File: "hosts", Old: &r.HostsRaw, Content: text + x.addr.String() + "\t" + x.name + "\n"}}
		}
	}
	return nil
}
