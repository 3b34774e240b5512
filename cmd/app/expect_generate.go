package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Generate writes expectations from what this host's own configuration says
// must work: members of networks, names, published ports, the way out, and
// what networks keep apart. Only the way out is tried, once a network: a host
// behind a proxy, or on a plane, is well and reaches nothing out there.
func (a *App) Generate(ctx context.Context, c Common) ([]byte, error) {
	s, err := a.snapshot(ctx, c)
	if err != nil {
		return nil, err
	}
	g := &generator{s: s, in: diag.Build(s, nil, diag.Options{}), seen: map[string]bool{}, outside: map[string]string{}}
	if c.Snapshot == "" && !c.NoProbe {
		if err := g.tryOutside(ctx, a, c); err != nil {
			return nil, err
		}
	}
	g.b.WriteString("# What must and must not work on this host, as its networks, containers and\n# published ports say. Hold it against the host: netdoctor test -f FILE\nexpect:\n")
	g.flows()
	g.names()
	g.apart()
	if len(g.seen) == 0 {
		return nil, snap.Hint(fmt.Errorf("no running container, network or published port was found: %w", errUndecided), "netdoctor ls; netdoctor capabilities says what could not be read")
	}
	if n := len(g.away); n > 0 {
		sort.Strings(g.away)
		a.note("what does not work beyond this host is written as a comment: %s", strings.Join(slices.Compact(g.away), "; "))
	}
	return g.b.Bytes(), nil
}

type generator struct {
	s    *snap.Snapshot
	in   *diag.Input
	b    bytes.Buffer
	seen map[string]bool
	// outside is, by the networks of the sender, why nothing out there answers
	// although this host sends it on; "" where it does.
	outside map[string]string
	away    []string // why expectations were written as comments
	said    int      // how much was written when the last of them was
}

// tryOutside tries the way out once for all senders on the same networks.
func (g *generator) tryOutside(ctx context.Context, a *App, c Common) error {
	quiet := *a
	quiet.Note = nil
	var jobs errgroup.Group
	jobs.SetLimit(atOnce)
	var mu sync.Mutex
	for i := range g.in.Flows {
		f := &g.in.Flows[i]
		key := g.networks(f.Flow.From)
		mu.Lock()
		_, asked := g.outside[key]
		if !asked && f.Kind == "egress" && !f.Broken() {
			g.outside[key] = ""
		}
		mu.Unlock()
		if asked || f.Kind != "egress" || f.Broken() {
			continue
		}
		jobs.Go(func() error {
			t := &tracer{a: &quiet, c: c, s: g.s}
			res, err := t.trace(ctx, TraceOptions{From: g.sender(f.Flow.From), To: "internet:443"})
			if err != nil || res.Verdict == string(sim.Delivered) {
				return ended(ctx) // a name that can't be asked by is no answer
			}
			why := res.Verdict
			if res.Where != nil && res.Where.Detail != "" {
				why += ": " + res.Where.Detail
			}
			mu.Lock()
			g.outside[key] = why
			mu.Unlock()
			return nil
		})
	}
	return jobs.Wait()
}

// networks are those of the containers in a namespace.
func (g *generator) networks(id string) string {
	var all []string
	if ns := g.s.Ns(id); ns != nil {
		for _, ref := range ns.Containers {
			if c := g.s.Container(ref); c != nil {
				for i := range c.Endpoints {
					if n := g.s.NetworkOf(c.Engine, &c.Endpoints[i]); n != nil {
						all = append(all, n.Ref)
					}
				}
			}
		}
	}
	if all == nil {
		return id
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// line writes an expectation once, with what keeps it from holding now.
func (g *generator) line(kind, from, mark, to, tag, now string) {
	text := from + " " + mark + " " + to
	if g.seen[kind+text] || !arrow.MatchString(text) {
		return
	}
	g.seen[kind+text] = true
	expectation(&g.b, kind, text, tag, now)
}

// expectation writes one, with what keeps it from holding now.
func expectation(b *bytes.Buffer, kind, text, tag, now string) {
	fmt.Fprintf(b, "  - %s: %s\n    tags: [%s]", kind, quoteYAML(text), tag)
	if now != "" {
		fmt.Fprintf(b, " # does not hold now: %s", printable(now))
	}
	b.WriteByte('\n')
}

// comment writes one that does not hold for a reason beyond this host.
func (g *generator) comment(from, to, tag, why string) {
	text := from + " -> " + to
	if g.seen["reach"+text] || !arrow.MatchString(text) {
		return
	}
	g.seen["reach"+text] = true
	if n := len(g.away); n == 0 || g.away[n-1] != why || g.said != g.b.Len() { // one reason for all that follow
		fmt.Fprintf(&g.b, "  # not now, and not by this host: %s\n", printable(why))
	}
	g.away = append(g.away, why)
	fmt.Fprintf(&g.b, "  # - reach: %s\n  #   tags: [%s]\n", quoteYAML(text), tag)
	g.said = g.b.Len()
}

// printable is foreign text in a comment: on one line, without controls.
func printable(t string) string { return strings.Trim(strconv.QuoteToASCII(t), `"`) }

// quoteYAML writes a text as YAML would read it again. Whatever a terminal could
// obey is escaped: Go's escapes are YAML's, too.
func quoteYAML(t string) string {
	if strings.ContainsFunc(t, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return strconv.QuoteToASCII(t)
	}
	out, err := yaml.Marshal(t)
	if err != nil || bytes.ContainsRune(bytes.TrimSpace(out), '\n') {
		return strconv.Quote(t)
	}
	return string(bytes.TrimSpace(out))
}

// name is how a container is called: its name, or, where several have it, engine
// and name.
func (g *generator) name(ref string) string {
	c := g.s.Container(ref)
	if c == nil {
		return ""
	}
	if t, err := (finder{g.s}).any(c.Name); err != nil || t.Container != c {
		return c.Ref
	}
	return c.Name
}

// sender is how the namespace of a flow's sender is called.
func (g *generator) sender(id string) string {
	if id == g.s.Host.Netns {
		return kindHost
	}
	if ns := g.s.Ns(id); ns != nil && len(ns.Containers) > 0 {
		return g.name(ns.Containers[0])
	}
	return "netns:" + id
}

func (g *generator) flows() {
	outside := map[string]bool{}
	for i := range g.in.Flows {
		f := &g.in.Flows[i]
		now := ""
		if f.Broken() && f.Trace.Where != nil {
			now = f.Trace.Where.Detail
		}
		switch f.Kind {
		case "peer":
			to := g.name(f.Target) + "/icmp"
			if f.Flow.Dport != 0 {
				to = fmt.Sprintf("%s:%d", g.name(f.Target), f.Flow.Dport)
			}
			g.line("reach", g.sender(f.Flow.From), "->", to, "networks", now)
		case "egress":
			if why := g.outside[g.networks(f.Flow.From)]; why != "" && now == "" {
				g.comment(g.sender(f.Flow.From), "internet:443", "egress", why)
			} else {
				g.line("reach", g.sender(f.Flow.From), "->", "internet:443", "egress", now)
			}
		case "published":
			to := fmt.Sprintf("host:%d/%s", f.Flow.Dport, f.Flow.Proto)
			if !outside[to] { // the nearest sender stands for all
				outside[to] = true
				g.line("reach", f.Flow.Src.String(), "->", to, "published", now)
			}
		case "published-local":
			g.line("reach", kindHost, "->", f.To, "published", now)
		}
	}
}

func (g *generator) names() {
	for i := range g.in.Names {
		n := &g.in.Names[i]
		if n.World || n.Ask.Container == "" || n.Path == nil {
			continue
		}
		now := ""
		if n.Path.Verdict != names.Resolved && n.Path.Problem != nil {
			now = n.Path.Problem.Detail
		}
		if c := g.s.Container(n.Ask.Container); c != nil && len(n.Ask.Name) != 12 { // an alias of 12 digits is the container's id
			g.line("resolve", g.name(c.Ref), "->", n.Ask.Name, "names", now)
		}
	}
}

// apart are pairs of networks that are kept apart now, by one member of each,
// and networks without a way out. Not every engine isolates: what works is not
// said to be forbidden.
func (g *generator) apart() {
	first := func(n *snap.Network, not *snap.Network) (*snap.Container, *snap.Endpoint) {
		for i := range g.s.Containers {
			c := &g.s.Containers[i]
			var on *snap.Endpoint
			other := false
			for j := range c.Endpoints {
				switch g.s.NetworkOf(c.Engine, &c.Endpoints[j]) {
				case n:
					on = &c.Endpoints[j]
				case not:
					other = true
				}
			}
			if on != nil && !other && c.Running() && c.Netns != "" && c.Netns != g.s.Host.Netns && on.IPv4.IsValid() {
				return c, on
			}
		}
		return nil, nil
	}
	for i := range g.s.Networks {
		n := &g.s.Networks[i]
		if n.Driver != "bridge" {
			continue
		}
		for j := range g.s.Networks {
			m := &g.s.Networks[j]
			if m.Driver != "bridge" || i == j {
				continue
			}
			a, _ := first(n, m)
			b, e := first(m, n)
			if a == nil || b == nil {
				continue
			}
			fl := sim.Flow{From: a.Netns, Dst: e.IPv4.Addr(), Proto: snap.ICMP}
			to := g.name(b.Ref) + "/icmp"
			if k := diag.Listening(g.s.Ns(b.Netns), fl.Dst); k != nil {
				fl.Proto, fl.Dport = snap.TCP, k.Local.Port()
				to = fmt.Sprintf("%s:%d", g.name(b.Ref), fl.Dport)
			}
			if g.in.World.Trace(fl).Verdict == sim.Dropped {
				g.line("reach", g.name(a.Ref), "-x->", to, "isolation", "")
			}
		}
		if c, _ := first(n, nil); n.Internal && c != nil && len(c.Endpoints) == 1 {
			if g.in.World.Trace(sim.Flow{From: c.Netns, Dst: internet(4), Proto: snap.TCP, Dport: 443, StopOutside: true}).Verdict == sim.Dropped {
				g.line("reach", g.name(c.Ref), "-x->", "internet:443", "isolation", "")
			}
		}
	}
}
