package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// serverOf reads --server; not valid when there is none.
func serverOf(s string) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPort{}, nil
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap, nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.AddrPort{}, snap.Hint(Usagef("%q is no address of a name server", s), "an address, or address:port")
	}
	return netip.AddrPortFrom(a, 53), nil
}

// nameOf is a name as it is asked: what can't stand in a question is a mistake
// (RFC 1035 2.3.4: labels of 1 to 63 octets, 255 in all), other letters than
// ASCII become what programs that know IDNA make of them.
func nameOf(name string) (string, error) {
	if name == "" {
		return "", Usagef("%q is no name", name)
	}
	if _, err := netip.ParseAddr(name); err != nil && strings.Contains(name, ":") {
		to, err := plainDest(name)
		host, port, _ := lastCut(to, ":")
		if err != nil {
			return "", err
		}
		return "", snap.Hint(Usagef("%q is no name: it has a port, %s", name, port), fmt.Sprintf("netdoctor dns %s, or netdoctor trace FROM %s", host, to))
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f || c == '/' || c == utf8.RuneError {
			return "", Usagef("%q is no name: %q can't be part of one", name, c)
		}
		if c > 0x7f {
			ascii, err := toASCII(name)
			if err != nil {
				return "", Usagef("%q is no name: %s", name, err)
			}
			name = ascii
			break
		}
	}
	bare := strings.TrimSuffix(name, ".")
	if len(bare) > 253 {
		return "", Usagef("%q is no name: %d octets, and 253 is the most", name, len(bare))
	}
	for label := range strings.SplitSeq(bare, ".") {
		if n := len(label); name != "." && (n == 0 || n > 63) {
			return "", Usagef("%q is no name: a part has %d octets, and 1 to 63 are allowed", name, n)
		}
	}
	return name, nil
}

// toASCII is IDNA's lookup of a name (RFC 5891 section 5), as net/http's transport does
// it for the address that it would connect to: a second copy of the tables behind it
// would be a quarter of a megabyte. Nothing is connected to.
func toASCII(name string) (string, error) {
	ascii := name
	t := http.Transport{DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		ascii, _, _ = net.SplitHostPort(addr) // the transport made it
		return nil, net.ErrClosed
	}}
	req := http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: name}, Header: http.Header{}}
	if resp, err := t.RoundTrip(&req); err == nil {
		_ = resp.Body.Close() // there was no connection to get it by
	}
	for _, c := range ascii {
		if c > 0x7f {
			return "", snap.NotFoundf("IDNA has no such name")
		}
	}
	return ascii, nil
}

// askOf is one name asked by a target.
func askOf(t Target, name, typ string) diag.Ask {
	na := &diag.NameAsk{Netns: t.Netns, Name: name, Type: typ}
	if t.Container != nil {
		na.Container = t.Container.Ref
	}
	return diag.Ask{From: t.Label(), To: name, Name: na}
}

// maxAll bounds the questions of --all: a hundred containers on one network
// with two names each are 20,000 pairs, of which the first tell enough.
const maxAll = 4000

// everyName are the names of each network's members, asked by every other
// member: what this host's configuration says must resolve. more says that
// there are others than the first maxAll.
func everyName(s *snap.Snapshot, from []Target) (out []diag.Ask, more bool) {
	seen := map[diag.NameAsk]bool{}
	for i := range s.Networks {
		n := &s.Networks[i]
		if !n.DNS || n.Default {
			continue
		}
		on := func(c *snap.Container) *snap.Endpoint {
			for k := range c.Endpoints {
				if ep := &c.Endpoints[k]; c.Engine == n.Engine && s.NetworkOf(c.Engine, ep) == n {
					return ep
				}
			}
			return nil
		}
		for _, t := range from {
			if t.Container == nil || on(t.Container) == nil {
				continue
			}
			for k := range s.Containers {
				c := &s.Containers[k]
				ep := on(c)
				if ep == nil || !c.Running() || c == t.Container {
					continue
				}
				for _, name := range append([]string{c.Name}, ep.Aliases...) {
					typ := "A"
					if !ep.IPv4.IsValid() {
						typ = "AAAA"
					}
					a := askOf(t, name, typ)
					if name == "" || strings.HasPrefix(c.ID, name) || seen[*a.Name] {
						continue
					}
					if len(out) == maxAll {
						return out, true
					}
					seen[*a.Name] = true
					out = append(out, a)
				}
			}
		}
	}
	return out, false
}

// byTCP asks the servers that kept silent once more, by TCP: where that works,
// UDP alone is lost on the way.
func (a *App) byTCP(ctx context.Context, ex examination, asks []diag.Ask, o DNSOptions) (examination, error) {
	if o.TCP || !o.live() || a.Probe == nil {
		return ex, nil
	}
	var qs []snap.Probe
	for i := range ex.sent {
		p := &ex.sent[i]
		if p.Kind != "dns" || p.DNS == nil || p.DNS.EDNS || p.DNS.TCP || p.Outcome != snap.TimedOut {
			continue
		}
		qs = append(qs, snap.Probe{Kind: "dns", From: p.From, Dst: p.Dst, DNS: &snap.DNSProbe{Name: p.DNS.Name, Type: p.DNS.Type, TCP: true}})
	}
	if len(qs) == 0 {
		return ex, nil
	}
	a.waiting("servers that do not answer by UDP: asking by TCP")
	defer a.waiting("")
	answers, observers := a.Probe(ctx, ex.in.Snap, qs, o.Observe)
	if err := ended(ctx); err != nil {
		return ex, err
	}
	n := len(ex.in.Snap.Probes) - len(ex.sent)
	with := withProbes(ex.in.Snap, answers, observers)
	return examination{in: diag.Build(with, asks, diag.Options{OnlyAsked: true}), sent: with.Probes[n:]}, nil
}

// servers are the name servers on the way, with every answer that each gave.
func servers(s *snap.Snapshot, p *names.Path, typ string) []v1.DNSServer {
	var out []v1.DNSServer
	for i := range p.Servers {
		x := &p.Servers[i]
		d := v1.DNSServer{Server: addrPort(x.Addr), Role: x.Role, From: x.AskedFrom, Reach: "unknown", Way: []string{}}
		switch {
		case x.Reach.Known && x.Reach.OK:
			d.Reach = "delivered"
		case x.Reach.Known:
			d.Reach, d.Why = "dropped", x.Reach.Why
		}
		for k := range s.Probes {
			q := &s.Probes[k]
			if q.Kind != "dns" || q.DNS == nil || q.From != x.AskedFrom || q.Dst != x.Addr || !strings.EqualFold(q.DNS.Type, typ) ||
				!slices.ContainsFunc(p.Candidates, func(c string) bool {
					return strings.EqualFold(strings.TrimSuffix(q.DNS.Name, "."), strings.TrimSuffix(c, "."))
				}) {
				continue
			}
			d.Answers = append(d.Answers, serverAnswer(q))
		}
		out = append(out, d)
	}
	return out
}

func serverAnswer(q *snap.Probe) v1.DNSServerAnswer {
	a := v1.DNSServerAnswer{
		Name: q.DNS.Name, Type: q.DNS.Type, Transport: "udp", EDNS: q.DNS.EDNS, Outcome: q.Outcome, Rcode: q.DNS.RCode,
		Records: q.DNS.Answers, ThrownAway: q.DNS.Bad, DurationMs: q.RTTMs, Detail: q.Detail,
	}
	if q.DNS.TCP {
		a.Transport = "tcp"
	}
	for flag, set := range map[string]bool{"aa": q.DNS.AA, "ra": q.DNS.RA, "tc": q.DNS.TC} {
		if set {
			a.Flags = append(a.Flags, flag)
		}
	}
	slices.Sort(a.Flags)
	return a
}

// ways adds how questions get to each server, as the model follows them.
func ways(in *diag.Input, d *v1.DNSResult) {
	for i := range d.Servers {
		x := &d.Servers[i]
		ap, err := netip.ParseAddrPort(x.Server)
		if err != nil {
			continue
		}
		t := in.World.Trace(sim.Flow{From: x.From, Dst: ap.Addr(), Dport: ap.Port(), Proto: snap.UDP, StopOutside: true})
		for _, h := range t.Forward {
			x.Way = append(x.Way, strings.Join(strings.Fields(strings.Join([]string{h.Netns, h.Device, h.Stage, h.Did}, " ")), " "))
		}
	}
}
