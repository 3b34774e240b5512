package app

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// DNSOptions are those of dns.
type DNSOptions struct {
	Common
	Name string
	Type string // "" is A, or AAAA with -6
	From string // "" asks from every container that could
	// All asks for every name that this host's configuration says must resolve,
	// from every container that should know it; Name and Type are "" then.
	All    bool
	Server string // ask this one instead of those of resolv.conf: address[:port]
	TCP    bool   // ask by TCP
	// TraceUpstream follows the packets to every server on the way.
	TraceUpstream bool
}

// types are the record types that can be asked for.
func types() []string {
	return []string{"A", "AAAA", "PTR", "CNAME", "MX", "TXT", "SRV", "NS", "SOA", "CAA", "ANY"}
}

// typeOf is a record type as it is asked for; "" is A, or AAAA with -6.
func typeOf(typ string, c Common) (string, error) {
	typ = strings.ToUpper(typ)
	switch {
	case typ == "" && c.Family == 6:
		return "AAAA", nil
	case typ == "":
		return "A", nil
	case !slices.Contains(types(), typ):
		return "", snap.Hint(Usagef("%q is no record type", typ), "one of "+strings.Join(types(), ", "))
	}
	return typ, nil
}

// DNS walks the way of one name.
func (a *App) DNS(ctx context.Context, o DNSOptions) (v1.Result, error) {
	var s *snap.Snapshot
	return a.dnsOver(ctx, &s, o)
}

// dnsOver is DNS over a snapshot, which is read when it is nil and then holds
// the answers of the questions.
func (a *App) dnsOver(ctx context.Context, state **snap.Snapshot, o DNSOptions) (v1.Result, error) {
	start := a.now()
	server, err := a.dnsWords(&o)
	if err != nil {
		return nil, err
	}
	if *state == nil {
		read, err := a.snapshot(ctx, o.Common)
		if err != nil {
			return nil, err
		}
		*state = read
	}
	s := *state
	from, err := a.askers(s, o.From)
	if err != nil {
		return nil, err
	}
	asks := a.dnsAsks(s, from, server, o)
	ex, err := a.examine(ctx, s, asks, diag.Options{OnlyAsked: true}, o.Common)
	if err != nil {
		return nil, err
	}
	if ex, err = a.byTCP(ctx, ex, asks, o); err != nil {
		return nil, err
	}
	*state = ex.in.Snap
	r := diag.Run(ex.in, a.Checks)
	out := []v1.DNSResult{}
	for i := range ex.in.Names {
		n := &ex.in.Names[i]
		if !n.Asked {
			continue
		}
		d := dnsResult(ex.in.Snap, n)
		d.Head = a.head(v1.KindDNS, start)
		if o.TraceUpstream {
			ways(ex.in, &d)
		}
		out = append(out, d)
	}
	if !o.All && len(from) == 1 && len(out) == 1 {
		out[0].Tail = tail(ex.in.Snap, r)
		out[0].Sent = sent(ex.sent)
		out[0].From.Target = from[0].Text
		return &out[0], nil
	}
	set := &v1.DNSSetResult{Name: o.Name, Type: o.Type, Results: out, Tail: tail(ex.in.Snap, r)}
	set.Verdict = worstName(out)
	if o.All && len(out) == 0 {
		set.Verdict = string(names.Resolved) // no name is there that could fail
	}
	set.Head = a.head(v1.KindDNSSet, start)
	return set, nil
}

// dnsWords checks what is asked, writes it as it goes over the wire, and gives the
// server to ask: zero where it is the asker's own.
func (a *App) dnsWords(o *DNSOptions) (server netip.AddrPort, err error) {
	if o.Type, err = typeOf(o.Type, o.Common); err != nil {
		return server, err
	}
	if server, err = serverOf(o.Server); err != nil || o.All {
		return server, err
	}
	name, err := nameOf(o.Name)
	if err != nil {
		return server, err
	}
	if name != o.Name {
		a.note("%s is asked as %s (IDNA)", o.Name, name)
	}
	o.Name = name
	return server, nil
}

// dnsAsks are the questions: the name, or every name that each of them may need.
func (a *App) dnsAsks(s *snap.Snapshot, from []Target, server netip.AddrPort, o DNSOptions) []diag.Ask {
	var asks []diag.Ask
	if o.All {
		var more bool
		if asks, more = everyName(s, from); more {
			a.note("only the first %d names are asked: name who asks with --from to see the rest", maxAll)
		}
	} else {
		for _, t := range from {
			asks = append(asks, askOf(t, o.Name, o.Type))
		}
	}
	for i := range asks {
		asks[i].Name.TCP, asks[i].Name.Server = o.TCP, server
	}
	return asks
}

// askers are who asks: the one given, or every running container that has a
// resolver of its own, or the host when there is none.
func (a *App) askers(s *snap.Snapshot, from string) ([]Target, error) {
	f := finder{s}
	if from != "" {
		t, err := f.source(from)
		if err != nil {
			return nil, err
		}
		if t.Kind == kindAddress {
			return nil, Usagef("%s is an address: names are asked by containers and namespaces", from)
		}
		for _, n := range t.Notes {
			a.note("%s", n)
		}
		return []Target{t}, nil
	}
	var out []Target
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.State == "running" && c.Netns != "" && c.NetworkMode != "none" {
			out = append(out, Target{Text: c.Name, Kind: kindContainer, Container: c, Netns: c.Netns})
		}
	}
	if len(out) == 0 {
		out = append(out, Target{Text: kindHost, Kind: kindHost, Netns: s.Host.Netns})
	}
	return out, nil
}

// dnsResult converts one name's way.
func dnsResult(s *snap.Snapshot, n *diag.NameCase) v1.DNSResult {
	d := v1.DNSResult{
		Verdict: string(names.Unknown), Name: n.Ask.Name, Type: n.Ask.Type,
		From: v1.Endpoint{Target: n.From, Netns: n.Ask.Netns, Container: n.Ask.Container},
	}
	for _, owner := range []string{n.Ask.Container, n.Ask.Netns} {
		if r := s.Resolver(owner); r != nil && d.LibcHere == "" {
			d.LibcHere = r.Libc
		}
	}
	p := n.Path
	if p == nil {
		return d
	}
	d.Verdict, d.Answers, d.Candidates = string(p.Verdict), p.Answers, p.Candidates
	for _, st := range p.Steps {
		v := v1.DNSStep{Where: st.Where, Asked: st.Asked, Answer: st.Answer, Verdict: st.Verdict, DurationMs: st.DurationMs, LeavesFrom: st.LeavesFrom}
		for _, b := range st.Because {
			v.Because = append(v.Because, string(b))
		}
		d.Steps = append(d.Steps, v)
	}
	d.Servers = servers(s, p, n.Ask.Type)
	d.Libc = v1.LibcSet{Glibc: libc(p, "glibc"), Musl: libc(p, "musl"), Go: libc(p, "go")}
	if d.Libc.Musl.Verdict == string(names.Resolved) && slices.ContainsFunc(d.Servers, func(x v1.DNSServer) bool {
		return slices.ContainsFunc(x.Answers, func(a v1.DNSServerAnswer) bool { return slices.Contains(a.Flags, "tc") })
	}) {
		// musl src/network/res_msend.c: TCP came with 1.2.4.
		d.Libc.Musl.Note = "before 1.2.4 it takes the part that fits into 512 octets"
	}
	if p.Problem != nil {
		d.Problem = &v1.DNSProblem{Kind: p.Problem.Kind, Detail: p.Problem.Detail, Server: addrPort(p.Problem.Server)}
	}
	return d
}

func libc(p *names.Path, which string) v1.LibcAnswer {
	a := v1.LibcAnswer{Verdict: string(p.Libc[which]), WaitMs: float64(p.Waits[which].Milliseconds())}
	if p.Libc[which] == names.Resolved {
		a.Answers = p.Answers
	}
	return a
}

// worstName is the verdict that a person must know first.
func worstName(rs []v1.DNSResult) string {
	order := []names.Verdict{names.Timeout, names.ServFail, names.Refused, names.NXDomain, names.NoData, names.Unknown, names.Resolved}
	best := len(order)
	for i := range rs {
		if k := slices.Index(order, names.Verdict(rs[i].Verdict)); k >= 0 && k < best {
			best = k
		}
	}
	if best == len(order) {
		return string(names.Unknown)
	}
	return string(order[best])
}
