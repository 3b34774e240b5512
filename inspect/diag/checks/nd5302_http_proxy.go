package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5302: the proxy that a container's environment names is not there.
//
// http_proxy, https_proxy and all_proxy in the environment send the web requests of
// most programs (curl, wget, apt, pip, Go's and Python's libraries) to a proxy, and none
// to the server itself: with a proxy that is gone nothing of the web works, while ping,
// nc and every look at the network say that all is well. They get into containers by
// ~/.docker/config.json ("proxies"), compose files, and Podman, which hands on the
// host's. localhost there is the container itself, not the host.
//
// See it by hand:
//
//	docker exec NAME env | grep -i proxy
//	docker exec NAME curl --noproxy '*' http://DST/    works
//
// An engine's daemon has its own, by which it fetches images: what "docker info" shows.
//
// Sources: docs.docker.com, "Daemon proxy configuration" and "Use a proxy server with the Docker CLI"; podman-run(1), --http-proxy;
// curl(1), ENVIRONMENT
func nd5302() diag.Check {
	return diag.Check{
		Code: "ND5302", Name: "http-proxy-gone", Severity: diag.Error, Since: "0.2",
		Title: "The HTTP proxy that a container is told to use does not answer",
		After: []diag.Code{"ND1101", "ND1103", "ND1107", "ND2101", "ND2102", "ND2103", "ND2104", "ND2105", "ND3101", "ND3102", "ND3103", "ND3204", "ND6101"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for i := range in.Flows {
				f := &in.Flows[i]
				c := container(in, f.Flow.From)
				why := proxyGone(in, f)
				if f.Kind != diag.HTTPProxy || why == "" {
					continue
				}
				if e := proxied(in, f); e != nil {
					out = append(out, unfetched(in, i, e, why))
				}
				if c == nil {
					continue
				}
				by := proxyVars(c.Proxies, f)
				x := diag.Finding{
					Summary:  fmt.Sprintf("%s of %s names the proxy %s, and %s: its web requests go nowhere else", by, c.Name, strings.TrimSuffix(f.To, "/tcp"), why),
					Cause:    "programs that heed the variable talk to the proxy alone, whatever the network lets through",
					Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
					Evidence: []diag.Evidence{ev(diag.InspectCommand(c), by+" names "+strings.TrimSuffix(f.To, "/tcp"), snap.RefContainer(c.Ref))},
					Covers:   diag.Cover{Traces: []int{i}},
					Advice:   fmt.Sprintf("make %s again without it, or with a proxy that answers (-e, environment:, \"proxies\" in ~/.docker/config.json)", c.Name),
					Weight:   54,
				}
				if f.Flow.Dst.IsLoopback() {
					x.Advice += "; the host's own proxy is at the address of the network's gateway, where it listens there"
				}
				if f.Probe != nil {
					x.Evidence, x.Confidence = append(x.Evidence, probed(in, f.Probe, f.Probe.Outcome)), diag.Proved
				}
				if k := in.ByProxy(c); k >= 0 {
					x.Asked = true
				}
				out = append(out, x)
			}
			return append(out, pastNobody(in)...)
		},
	}
}

// proxied is the engine whose daemon goes by the proxy that a flow of the host's leads
// to; nil for none.
func proxied(in *diag.Input, f *diag.FlowCase) *snap.Engine {
	for i := range in.Snap.Engines {
		if e := &in.Snap.Engines[i]; slices.Contains(f.Because, snap.RefEngine(e.Name)) {
			return e
		}
	}
	return nil
}

// unfetched: the daemon's own proxy is gone, so it fetches no image.
func unfetched(in *diag.Input, flow int, e *snap.Engine, why string) diag.Finding {
	f := &in.Flows[flow]
	by, at := proxyVars(e.Proxies, f), strings.TrimSuffix(f.To, "/tcp")
	x := diag.Finding{
		Summary:  fmt.Sprintf("%s is told to fetch images by the proxy %s, and %s: no pull, push or search gets through", daemon(e.Name), at, why),
		Cause:    "the daemon talks to the proxy alone, whatever the network lets through",
		Subject:  diag.Subject{Kind: "engine", Name: e.Name},
		Evidence: []diag.Evidence{ev(e.Name+" info", by+" "+at, snap.RefEngine(e.Name))},
		Covers:   diag.Cover{Traces: []int{flow}},
		Advice:   fmt.Sprintf("start the proxy, or give the daemon another (\"proxies\" in daemon.json, or Environment=%s=… in a drop-in of its service) and restart it", strings.Split(by, ",")[0]),
		Weight:   54,
	}
	if f.Probe != nil {
		x.Evidence, x.Confidence = append(x.Evidence, probed(in, f.Probe, f.Probe.Outcome)), diag.Proved
	}
	return x
}

// pastNobody are asked connections between containers of one network that no_proxy
// does not keep from a proxy beyond it, which can't know the name. Whether the program
// heeds the setting is not known: a warning, where a person asked.
func pastNobody(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Containers {
		c := &in.Snap.Containers[i]
		k := in.ByProxy(c)
		if k < 0 {
			continue
		}
		f := &in.Flows[k]
		to, p := in.Graph.ContainerOfAddr(f.Flow.Dst), c.Proxies[0]
		if to == nil || !f.Works() || slices.ContainsFunc(in.Flows, func(o diag.FlowCase) bool {
			return o.Kind == diag.HTTPProxy && o.Flow.From == c.Netns && (o.Target != "" || proxyGone(in, &o) != "")
		}) {
			continue
		}
		out = append(out, diag.Finding{
			Severity: diag.Warning,
			Summary:  fmt.Sprintf("%s of %s sends its web requests for %s to the proxy %s, which knows no containers: no_proxy does not name %s", p.By, c.Name, to.Name, p.Host, to.Name),
			Cause:    "programs that heed the variable ask the proxy for every name and address that no_proxy does not have",
			Subject:  diag.Subject{Kind: "container", Name: c.Name, Netns: c.Netns},
			Evidence: []diag.Evidence{ev(diag.InspectCommand(c), "no_proxy="+strings.Join(c.NoProxy, ","), snap.RefContainer(c.Ref))},
			Advice:   fmt.Sprintf("add %s to no_proxy (and NO_PROXY) of %s, and make it again", to.Name, c.Name),
			Weight:   40, Asked: true,
		})
	}
	return out
}

// proxyGone says why nobody serves at the other end of a flow to a proxy; "" where
// somebody does, where that is not known, and where the way there is cut, which other
// checks tell.
func proxyGone(in *diag.Input, f *diag.FlowCase) string {
	if w := f.Trace.Where; f.Broken() {
		if w != nil && w.Cause == sim.CauseNoListener {
			return "nothing listens there in " + in.Who(w.Netns)
		}
		return ""
	}
	switch {
	case f.Probe == nil:
	case f.Probe.Outcome == snap.Refused:
		return "it refuses the connection"
	case diag.ProbeSays(f.Probe) == "dropped":
		return "no answer comes from there"
	}
	return ""
}

// proxyVars are the variables that name the proxy of a flow.
func proxyVars(list []snap.Proxy, f *diag.FlowCase) string {
	var out []string
	for _, p := range list {
		if p.Port == f.Flow.Dport && !slices.Contains(out, p.By) {
			out = append(out, p.By)
		}
	}
	return commas(out)
}
