package app

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/names"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// TraceOptions are those of trace.
type TraceOptions struct {
	Common
	From string
	To   string // "" walks to what the source needs: see TraceAll
	// Size is the payload in bytes; 0 small. Sport is the source port; 0 any.
	Size  int
	Sport uint16
	DF    bool // in one piece; implied for TCP
	// StandIn answers in the target's namespace in place of its application.
	StandIn bool
	// WhatIf are changes, as a person types them, that are made on the model
	// first; nothing is sent then.
	WhatIf []string
}

// Trace walks one path.
func (a *App) Trace(ctx context.Context, o TraceOptions) (*v1.TraceResult, error) {
	start := a.now()
	if len(o.WhatIf) > 0 {
		o.NoProbe = true
	}
	s, err := a.snapshot(ctx, o.Common)
	if err != nil {
		return nil, err
	}
	t := &tracer{a: a, c: o.Common, s: s, batch: len(s.Hosts) > 0}
	res, err := t.trace(ctx, o)
	if err != nil {
		return nil, err
	}
	if t.batch {
		elsewhere(s, res)
	}
	res.Head = a.head(v1.KindTrace, start)
	return res, nil
}

// tracer walks flows over one snapshot.
type tracer struct {
	a     *App
	c     Common
	s     *snap.Snapshot
	batch bool // many flows over one snapshot: predicted only, without findings
	world *sim.World
}

// ask is a flow on its way from words to packets.
type ask struct {
	src, dst Target
	from, to v1.Endpoint
	diag     diag.Ask
	name     *v1.NameWay
	alone    string       // why an address that it has is of no use
	sent     []snap.Probe // to resolve the name
	stop     *v1.Where    // why there is no packet to follow; nil when there is one
	unknown  string       // why it is not known what to follow
}

func (t *tracer) trace(ctx context.Context, o TraceOptions) (*v1.TraceResult, error) {
	f := finder{t.s}
	src, err := f.source(o.From)
	if err != nil {
		return nil, err
	}
	dst, err := f.dest(o.To)
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Concat(src.Notes, dst.Notes) {
		t.a.note("%s", n)
	}
	q := &ask{src: src, dst: dst}
	if err := t.resolve(ctx, q); err != nil {
		return nil, err
	}
	t.flow(q, o)
	var tried *v1.WhatIf
	if len(o.WhatIf) > 0 {
		if tried, err = t.whatIf(q, o.WhatIf); err != nil {
			return nil, err
		}
	}
	var stands *v1.StandIn
	if o.StandIn {
		s, done, err := t.standIn(q)
		defer done()
		if err != nil {
			return nil, err
		}
		stands = s
	}
	res, err := t.follow(ctx, q)
	if res != nil {
		res.StandIn, res.WhatIf = stands, tried
		for i := range res.Findings {
			if tried != nil {
				res.Findings[i].Fix = nil // what was tried on the model alone can't be mended
			}
		}
	}
	return res, err
}

// resolve finds the address of the destination, by the sender's own name
// service where a name was given.
func (t *tracer) resolve(ctx context.Context, q *ask) error {
	q.from = v1.Endpoint{Target: q.src.Text, Netns: q.src.Netns}
	q.to = v1.Endpoint{Target: q.dst.Text, Netns: q.dst.Netns, Port: int(q.dst.Port)}
	if q.src.Container != nil {
		q.from.Container = q.src.Container.Ref
	}
	if q.dst.Container != nil {
		q.to.Container = q.dst.Container.Ref
	}
	q.diag = diag.Ask{From: q.src.Label(), To: q.dst.Text, Container: q.to.Container}
	asks := q.dst.Kind == kindName && (q.dst.Name != "localhost" || t.noLocalhost(q.src)) || q.dst.Kind == kindContainer && q.dst.Bare && q.src.Kind == kindContainer && q.src.Netns != q.dst.Netns
	if q.src.Kind == kindAddress || !asks {
		return nil
	}
	name := q.dst.Name
	if q.dst.Container != nil {
		name = strings.TrimSuffix(strings.TrimSuffix(q.dst.Text, "/"+string(q.dst.Proto)), ":"+strconv.Itoa(int(q.dst.Port)))
	}
	na := diag.NameAsk{Netns: q.src.Netns, Container: q.from.Container, Name: name, Type: "A"}
	if t.c.Family == 6 {
		na.Type = "AAAA"
	}
	path, probes, err := t.path(ctx, na)
	if err != nil {
		return err
	}
	// An IPv6 address alone, be it in a hosts file, for who has no IPv6, is the fault itself.
	alone := path != nil && path.Problem != nil && (path.Problem.Kind == names.HostsOverride || path.Problem.Kind == names.OnlyIPv6)
	if alone {
		q.alone = path.Problem.Detail
	}
	if path != nil && path.Verdict == names.NoData && t.c.Family == 0 && !alone {
		six := na
		six.Type = "AAAA"
		if p6, more, err := t.path(ctx, six); err == nil && p6 != nil && p6.Verdict == names.Resolved {
			na, path, probes = six, p6, slices.Concat(probes, more)
		}
	}
	var six []string
	if path != nil && path.Verdict == names.Resolved && t.c.Family == 0 && na.Type == "A" && hasSix(t.s.Ns(q.src.Netns)) {
		ask := na
		ask.Type = "AAAA"
		if p6, more, err := t.path(ctx, ask); err == nil && p6 != nil && p6.Verdict == names.Resolved {
			six, probes = p6.Answers, slices.Concat(probes, more)
		}
	}
	q.sent = probes
	q.name = &v1.NameWay{Name: name, Verdict: string(names.Unknown)}
	if path != nil {
		q.name.Verdict, q.name.Answers = string(path.Verdict), slices.Concat(path.Answers, six)
	}
	q.diag.Name = &na
	return nil
}

// path follows a name, with live questions where they are allowed.
func (t *tracer) path(ctx context.Context, na diag.NameAsk) (*names.Path, []snap.Probe, error) {
	ex, err := t.a.examine(ctx, t.s, []diag.Ask{{From: na.Netns, To: na.Name, Name: &na}}, diag.Options{OnlyAsked: true}, t.c)
	if err != nil {
		return nil, nil, err
	}
	t.s = ex.in.Snap // keeps the answers
	for i := range ex.in.Names {
		if ex.in.Names[i].Asked {
			return ex.in.Names[i].Path, ex.sent, nil
		}
	}
	return nil, ex.sent, nil
}

// flow makes the packet to follow, or says why there is none.
func (t *tracer) flow(q *ask, o TraceOptions) {
	addr := t.address(q)
	if !addr.IsValid() {
		return
	}
	q.to.Address = addr.String()
	fl := sim.Flow{From: q.src.Netns, Dst: addr, Proto: q.dst.Proto, Dport: q.dst.Port, Sport: o.Sport, Size: o.Size, DF: o.DF}
	g := t.graph()
	if q.src.Kind == kindAddress {
		t.fromAddress(q, &fl)
		if q.unknown != "" {
			return
		}
	}
	if q.to.Netns == "" {
		q.to.Netns = owner(g, addr)
	}
	q.to.Outside = q.to.Netns == "" && !addr.IsLoopback()
	if q.diag.Container == "" {
		if c := g.ContainerOfAddr(addr); c != nil && q.to.Netns == c.Netns {
			q.diag.Container, q.to.Container = c.Ref, c.Ref
		}
	}
	q.diag.Flow = &fl
}

// fromAddress sets the sender of a flow that was given by an address: the
// namespace that holds it, or the device on which it comes in from outside.
func (t *tracer) fromAddress(q *ask, fl *sim.Flow) {
	if q.src.Addr.Is4() != fl.Dst.Is4() {
		other := otherFamily(t.s, q.src.Addr, fl.Dst, t.back)
		if !other.IsValid() {
			q.unknown = fmt.Sprintf("%s can't send to %s: the one is IPv4, the other IPv6", q.src.Addr, fl.Dst)
			return
		}
		t.a.note("%s can't send to %s: the packet is taken to come from %s on the same link", q.src.Addr, fl.Dst, other)
		q.src.Addr = other
	}
	fl.Src = q.src.Addr
	q.from.Address = q.src.Addr.String()
	if q.src.Addr.IsLoopback() {
		fl.From = t.s.Host.Netns
		q.from.Netns = fl.From
		return
	}
	if id := owner(t.graph(), q.src.Addr); id != "" {
		fl.From, q.from.Netns = id, id
		if c := t.graph().ContainerOfAddr(q.src.Addr); c != nil && c.Netns == id {
			q.from.Container = c.Ref
		}
		return
	}
	fl.From = t.s.Host.Netns
	fl.Iif = arrival(t.s, q.src.Addr, fl.Dst, t.back)
	q.from.Netns, q.from.Device, q.from.Outside = fl.From, fl.Iif, true
	q.diag.Outside = true
	if fl.Iif == "" {
		q.unknown = fmt.Sprintf("no route of the host leads back to %s: the device on which its packets come in is not known", q.src.Addr)
	}
}

// address is the destination's address; invalid, with q.stop or q.unknown set,
// when it has none.
func (t *tracer) address(q *ask) netip.Addr {
	fam := t.c.Family
	if fam == 0 && q.src.Kind == kindAddress {
		fam = familyOf(q.src.Addr)
	}
	if q.name != nil {
		var all []netip.Addr
		for _, ans := range q.name.Answers {
			if a, err := netip.ParseAddr(lastWord(ans)); err == nil && fam.allows(a) {
				all = append(all, a)
			}
		}
		if len(all) > 0 {
			q.name.Used = "name"
			return t.weakest(q, all)
		}
	}
	switch q.dst.Kind {
	case kindAddress:
		return q.dst.Addr
	case kindInternet:
		return internet(fam)
	case kindContainer:
		a := containerAddr(t.s, q.dst.Container, q.src.Netns, fam)
		if q.name != nil {
			q.name.Used = "container"
			if a.IsValid() && q.name.Verdict != string(names.Unknown) {
				t.a.note("%s does not resolve %s (%s); the packet goes to the container's own address %s", q.src.Label(), q.name.Name, q.name.Verdict, a)
			}
		}
		if !a.IsValid() {
			q.stop = &v1.Where{Netns: q.dst.Netns, Layer: "link", Cause: "no-address", Detail: q.dst.Container.Name + " has no address to send to"}
			if !q.dst.Container.Running() {
				q.stop.Cause, q.stop.Detail = "not-running", q.dst.Container.Name+" is not running ("+q.dst.Container.State+")"
			}
		}
		return a
	case kindNetwork:
		for _, p := range q.dst.Network.Pools {
			if fam.allows(p.Gateway) {
				return p.Gateway
			}
		}
		q.unknown = "net:" + q.dst.Network.Name + " has no gateway address"
	case kindName:
		if q.dst.Name == "localhost" && q.name == nil {
			return loopback(fam)
		}
		t.unresolved(q)
	default:
		a := netnsAddr(t.s, q.dst.Netns, q.src.Netns, fam)
		if !a.IsValid() {
			q.stop = &v1.Where{Netns: q.dst.Netns, Layer: "link", Cause: "no-address", Detail: q.dst.Label() + " holds no address"}
		}
		return a
	}
	return netip.Addr{}
}

// noLocalhost says whether a container's hosts file was read and gives localhost no
// IPv4 address of its own: then the name goes the way of any other.
func (t *tracer) noLocalhost(src Target) bool {
	if src.Container == nil {
		return false
	}
	r := t.s.Resolver(src.Container.Ref)
	return r != nil && r.HostsRaw != "" && !slices.ContainsFunc(r.Hosts, func(l snap.HostsLine) bool {
		return l.Addr.Is4() && l.Addr.IsLoopback() && slices.ContainsFunc(l.Names, func(n string) bool { return strings.EqualFold(n, "localhost") })
	})
}

// unresolved says why a name gives no address.
func (t *tracer) unresolved(q *ask) {
	switch {
	case q.name == nil:
		q.unknown = fmt.Sprintf("%s is a name, and how %s resolves it can't be told from here", q.dst.Name, q.src.Label())
	case q.name.Verdict == string(names.Unknown):
		q.unknown = fmt.Sprintf("what %s resolves %s to is not known", q.src.Label(), q.name.Name)
	default:
		if q.alone == "" {
			q.alone = fmt.Sprintf("%s does not resolve %s", q.src.Label(), q.name.Name)
		}
		q.stop = &v1.Where{Netns: q.src.Netns, Layer: "name", Cause: q.name.Verdict, Reason: strings.ToUpper(q.name.Verdict), Detail: q.alone}
	}
}

// lastWord is the address of "A 172.30.1.12" as well as of "172.30.1.12".
func lastWord(s string) string {
	f := strings.Fields(s)
	if len(f) == 0 {
		return ""
	}
	return f[len(f)-1]
}
