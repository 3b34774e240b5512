package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd4204: several containers answer to one name, and one of them serves nothing.
//
// A name or alias that several containers of a network carry resolves to all of
// their addresses in random order: that is how a scaled service shares its load.
// When one of them has nothing that listens on the port of the others (a leftover
// of an older project, two compose projects with the same service name on one
// shared network), connections fail now and then, one in two or three. Two that serve
// different ports are told apart by the port that is asked for.
//
// See it by hand:
//
//	docker exec NAME getent ahosts ALIAS     more than one address
//	docker network inspect NETWORK           who carries the alias
//
// False positives: containers that share a name on purpose and serve different ports.
//
// Sources: moby daemon/libnetwork/sandbox_dns_unix.go: ResolveName; docs.docker.com, compose networking
func nd4204() diag.Check {
	return diag.Check{
		Code: "ND4204", Name: "alias-shared", Severity: diag.Error, Since: "0.1",
		Title:  "Several containers answer to one name, and one of them does not serve",
		Detect: detectND4204,
	}
}

// carrier is a container that answers to a name on a network.
type carrier struct {
	c     *snap.Container
	addr  netip.Addr
	ports []uint16 // TCP, reachable from the network
}

func detectND4204(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Networks {
		n := &in.Snap.Networks[i]
		if !n.DNS || n.Default {
			continue
		}
		byName := map[string][]carrier{}
		var order []string
		for _, a := range attachments(in) {
			if a.n != n || !a.e.IPv4.IsValid() {
				continue
			}
			k := carrier{a.c, a.e.IPv4.Addr(), tcpPorts(a.ns, a.e.IPv4.Addr())}
			seen := map[string]bool{}
			for _, name := range append([]string{a.c.Name}, a.e.Aliases...) {
				if name = strings.ToLower(name); name == "" || seen[name] {
					continue
				}
				seen[name] = true
				if byName[name] == nil {
					order = append(order, name)
				}
				byName[name] = append(byName[name], k)
			}
		}
		for _, name := range order {
			if f := sharedName(in, n, name, byName[name]); f != nil {
				out = append(out, *f)
			}
		}
	}
	return out
}

// sharedName is the finding about one name; nil when all carriers serve alike, or
// none serves at all.
func sharedName(in *diag.Input, n *snap.Network, name string, all []carrier) *diag.Finding {
	want, deaf := unserved(all)
	asked := askedPort(in, all)
	if asked != 0 { // what a person wants of it decides who is the odd one
		want, deaf = []uint16{asked}, slices.DeleteFunc(slices.Clone(all), func(x carrier) bool { return slices.Contains(x.ports, asked) })
	}
	if len(deaf) == 0 || len(deaf) == len(all) {
		return nil
	}
	first := deaf[0]
	who := make([]string, len(deaf))
	for i, x := range deaf {
		who[i] = fmt.Sprintf("%s (%s)", x.c.Name, x.addr)
	}
	does, share, fails := "does", "one", "fails"
	if len(deaf) > 1 {
		does, share, fails = "do", strconv.Itoa(len(deaf)), "fail"
	}
	f := &diag.Finding{
		Summary: fmt.Sprintf("%s on network %s is the name of %d containers, and %s %s not listen on port %d: %s in %d connections to %s %s",
			name, n.Name, len(all), commas(who), does, want[0], share, len(all), name, fails),
		Cause:   fmt.Sprintf("%s carries the name or alias %s beside %s, and serves nothing there", first.c.Name, name, others(all, first.c)),
		Subject: diag.Subject{Kind: "container", Name: first.c.Name, Netns: first.c.Netns},
		Advice: fmt.Sprintf("stop %s if it is a leftover, or attach it without the alias: %s, then %s",
			first.c.Name, diag.DisconnectCommand(first.c.Engine, n.Name, first.c.Name), diag.ConnectCommand(first.c.Engine, "", n.Name, first.c.Name)),
		Weight: 58,
	}
	if byHostname(first.c, name) {
		f.Cause = fmt.Sprintf("%s is the host name of %s, and Docker makes that a name of the network, too; %s itself finds itself under it, by its own /etc/hosts", name, first.c.Name, first.c.Name)
		f.Advice = fmt.Sprintf("make %s anew with another host name (--hostname, compose: hostname:)", first.c.Name)
	}
	for _, x := range all {
		f.Evidence = append(f.Evidence, ev(diag.InspectCommand(x.c), fmt.Sprintf("%s %s answers to %s, listens on %s", x.c.Name, x.addr, name, portList(x.ports)), snap.RefContainer(x.c.Ref)))
	}
	if asked == 0 && len(all) == 2 && len(first.ports) > 0 { // either may be the odd one
		f.Severity = diag.Warning
		f.Summary = fmt.Sprintf("%s on network %s is the name of 2 containers that serve different ports, %s (%s) and %s (%s): one in 2 connections to %s fails",
			name, n.Name, all[0].c.Name, portList(all[0].ports), all[1].c.Name, portList(all[1].ports), name)
		f.Cause = "they carry one name on one network, which answers with both in random order"
		f.Advice = fmt.Sprintf("give one of them another alias, or stop the one that is a leftover; netdoctor trace FROM %s:PORT tells which one is wrong for that port", name)
		return f
	}
	for _, x := range deaf {
		f.Covers = suffering(in, f.Covers, name, want, x.addr)
	}
	if says := starting(in, all, deaf); says != "" && len(f.Covers.Names)+len(f.Covers.Traces) == 0 {
		f.Severity = diag.Info
		f.Advice = fmt.Sprintf("%s is still starting%s; Docker gives its address out all the same", first.c.Name, says)
	}
	return f
}

// askedPort is the TCP port at which somebody asked for one of the carriers; 0 for none.
func askedPort(in *diag.Input, all []carrier) uint16 {
	for i := range in.Flows {
		if a := &in.Flows[i]; a.Asked && a.Flow.Proto == snap.TCP {
			for _, x := range all {
				if x.addr == a.Flow.Dst {
					return a.Flow.Dport
				}
			}
		}
	}
	return 0
}

// byHostname says whether a container has a name by its host name alone (moby
// daemon/container_operations.go: buildEndpointDNSNames).
func byHostname(c *snap.Container, name string) bool {
	return snap.IsDocker(c.Engine) && strings.EqualFold(c.Hostname, name) && !strings.EqualFold(c.NetName(), name) && !strings.EqualFold(c.Service, name)
}

// unserved are the carriers that have nothing on the ports that all the others which
// serve anything have in common; none when there are no such ports.
func unserved(all []carrier) (want []uint16, deaf []carrier) {
	for k := range all {
		want, deaf = nil, []carrier{all[k]}
		serving := false
		for j, o := range all {
			switch {
			case j == k:
			case len(o.ports) == 0:
				deaf = append(deaf, o)
			case !serving:
				want, serving = slices.Clone(o.ports), true
			default:
				want = slices.DeleteFunc(want, func(p uint16) bool { return !slices.Contains(o.ports, p) })
			}
		}
		if len(want) > 0 && !slices.ContainsFunc(want, func(p uint16) bool { return slices.Contains(all[k].ports, p) }) {
			return want, deaf
		}
	}
	return nil, nil
}

// suffering adds what was asked for by name, and what goes to a carrier that does not
// serve.
func suffering(in *diag.Input, c diag.Cover, name string, want []uint16, addr netip.Addr) diag.Cover {
	for i := range in.Names {
		if a := &in.Names[i]; a.Asked && a.Path != nil && strings.EqualFold(strings.TrimSuffix(a.Ask.Name, "."), name) && slices.Contains(a.Path.Answers, addr.String()) && !slices.Contains(c.Names, i) {
			c.Names = append(c.Names, i)
		}
	}
	for i := range in.Flows {
		if a := &in.Flows[i]; a.Asked && a.Flow.Dst == addr && slices.Contains(want, a.Flow.Dport) && !a.Works() {
			c.Traces = append(c.Traces, i)
		}
	}
	return c
}

// starting says by what each of the carriers that don't serve is known to be starting
// still; "" when one of them is not.
func starting(in *diag.Input, all, deaf []carrier) string {
	says := ""
	for _, x := range slices.Backward(deaf) {
		switch age := in.Snap.Taken.Start.Sub(x.c.Started); {
		case x.c.Health == "starting":
			says = ", says its health check"
		case age < startTime && replicas(all):
			says = fmt.Sprintf(", since %d s", int(age.Seconds()))
		default:
			return ""
		}
	}
	return says
}

// replicas says whether all are of one compose or swarm service, which run the same
// program.
func replicas(all []carrier) bool {
	return all[0].c.Service != "" && !slices.ContainsFunc(all, func(x carrier) bool { return x.c.Service != all[0].c.Service || x.c.Project != all[0].c.Project })
}

// startTime is how long a program may take until it listens, where no health check
// tells: as long as Docker's first one would take (docker-run(1): --health-interval).
const startTime = 30 * time.Second

func others(all []carrier, but *snap.Container) string {
	var out []string
	for _, x := range all {
		if x.c != but {
			out = append(out, x.c.Name)
		}
	}
	return strings.Join(out, ", ")
}

// tcpPorts are the ports on which a namespace takes TCP connections to an address.
func tcpPorts(ns *snap.Netns, to netip.Addr) []uint16 {
	var out []uint16
	for i := range ns.Sockets {
		s := &ns.Sockets[i]
		if s.Proto == snap.TCP && !s.Remote.IsValid() && !engineSocket(s) && diag.TakesAddr(s, to) && !slices.Contains(out, s.Local.Port()) {
			out = append(out, s.Local.Port())
		}
	}
	slices.Sort(out)
	return out
}

func portList(ports []uint16) string {
	if len(ports) == 0 {
		return "no TCP port"
	}
	var out []string
	for _, p := range ports {
		out = append(out, port(p))
	}
	return strings.Join(out, ", ")
}
