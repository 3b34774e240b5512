package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// files looks into the hosts file. All lines that hold the name count, as in
// glibc's getaddrinfo, musl and Go.
func (w *walker) files(libc string) outcome {
	o := outcome{verdict: NXDomain}
	where := "/etc/hosts"
	if w.typ != "A" && w.typ != "AAAA" && w.typ != "PTR" {
		o.step(Step{Where: where, Asked: w.in.Name, Answer: "holds no " + w.typ, Verdict: stepSkip})
		return o
	}
	var other *snap.HostsLine
	want := fold(w.in.Name)
	ip, _ := address(w.in.Name)
	for i := range w.r.Hosts {
		l := &w.r.Hosts[i]
		if w.typ == "PTR" {
			if ip.IsValid() && l.Addr == ip && len(l.Names) > 0 {
				o.answers, o.hosts = []string{l.Names[0]}, l
				break
			}
			continue
		}
		for _, n := range l.Names {
			if fold(n) != want {
				continue
			}
			if l.Addr.Is4() != (w.typ == "A") {
				if other == nil {
					other = l
				}
				break
			}
			if o.hosts == nil {
				o.hosts = l
			}
			o.answers = append(o.answers, l.Addr.String())
			break
		}
	}
	switch {
	case o.hosts != nil:
		o.verdict = Resolved
		o.step(Step{
			Where: where, Asked: w.in.Name, Verdict: stepOK, Because: w.because(),
			Answer: fmt.Sprintf("%s (line %d)", strings.Join(o.answers, ", "), o.hosts.Line),
		})
	case other != nil && w.typ == "A" && !w.hasSix():
		// Whoever asks for both families gets what the file has and asks no further:
		// glibc's getaddrinfo (sysdeps/posix/getaddrinfo.c: gaih_inet) as well as Go's
		// (net/dnsclient_unix.go: goLookupIPCNAMEOrder).
		o.fail(NoData, Step{Where: where, Asked: w.in.Name}, &Problem{
			Kind: HostsOverride, Ref: w.refResolver(), Because: w.because(),
			Detail: fmt.Sprintf("line %d of /etc/hosts in %s says %s is %s and nothing else, and %s has no IPv6", other.Line, w.who(), w.in.Name, other.Addr, w.who()),
		})
	case other != nil && libc == "musl":
		// src/network/lookup_name.c:name_from_hosts: EAI_NODATA, and DNS is not asked.
		o.verdict = NoData
		o.step(Step{Where: where, Asked: w.in.Name, Answer: "has it in the other family only; musl asks no further", Verdict: stepFail, Because: w.because()})
	default:
		o.step(Step{Where: where, Asked: w.in.Name, Answer: "not there", Verdict: stepSkip})
	}
	return o
}

func (w *walker) refResolver() snap.Ref { return snap.RefResolver(w.r.Owner) }

func (w *walker) because() []snap.Ref { return []snap.Ref{w.refResolver()} }

// override compares an answer of the hosts file with the engine's records: nil
// when they agree, or when the engine knows no such name.
func (w *walker) override(o outcome) *Problem {
	if o.hosts == nil || w.box == nil || w.typ == "PTR" {
		return nil
	}
	line := o.hosts
	if _, mine := w.ns.HasAddr(line.Addr); mine && fold(w.box.Hostname) == fold(w.in.Name) {
		return nil // the engine's own line: a container is itself to itself, however many share its name
	}
	var has []string
	var owner *snap.Container
	for i := range w.s.Containers {
		c := &w.s.Containers[i]
		if c.Engine != w.box.Engine || !c.Running() || c.Ref == w.box.Ref || !w.answersTo(c, w.in.Name) && !LinkedTo(line, c) {
			continue
		}
		for j := range c.Endpoints {
			for _, a := range []netip.Addr{c.Endpoints[j].IPv4.Addr(), c.Endpoints[j].IPv6.Addr()} {
				if a == line.Addr {
					return nil
				}
				if a.IsValid() && a.Is4() == line.Addr.Is4() {
					has, owner = append(has, a.String()), c
				}
			}
		}
	}
	if owner == nil {
		return nil
	}
	given := ""
	if w.given(w.c) != "" {
		given = " (given by --add-host)"
	} else if LinkedTo(line, owner) && fold(w.in.Name) != fold(owner.Name) {
		given = " (written by --link at its start)"
	}
	return &Problem{
		Kind: HostsOverride, Container: owner.Ref, Ref: w.refResolver(),
		Detail: fmt.Sprintf("line %d of /etc/hosts in %s says %s is %s%s, but %s has %s",
			line.Line, w.who(), w.in.Name, line.Addr, given, owner.Name, strings.Join(has, ", ")),
		Because: []snap.Ref{w.refResolver(), snap.RefContainer(owner.Ref)},
	}
}

// LinkedTo says whether a line is one that --link wrote for a container: its alias, its id
// at that time, its name (moby daemon/libnetwork: sandbox link records).
func LinkedTo(l *snap.HostsLine, c *snap.Container) bool {
	return len(l.Names) > 2 && slices.ContainsFunc(l.Names, func(n string) bool { return fold(n) == fold(c.Name) }) &&
		slices.ContainsFunc(l.Names, func(n string) bool { return len(n) == 12 && strings.Trim(n, "0123456789abcdef") == "" })
}

// given is the setting that gives a container the name that is asked for; "" none does.
func (w *walker) given(c *snap.Container) string {
	if c == nil {
		return ""
	}
	for _, x := range c.ExtraHosts {
		if list, _ := ExtraHost(x); slices.ContainsFunc(list, func(n string) bool { return fold(n) == fold(w.in.Name) }) {
			return x
		}
	}
	return ""
}

// ExtraHost splits what --add-host takes: names, of which Podman takes several with
// semicolons between them, and an address or host-gateway.
func ExtraHost(s string) (list []string, to string) {
	if k := strings.IndexAny(s, ":="); k > 0 {
		return strings.Split(s[:k], ";"), s[k+1:]
	}
	return nil, ""
}

// hasSix says whether the asker has an address that an IPv6 one beyond it can be
// reached from.
func (w *walker) hasSix() bool {
	for i := range w.ns.Addrs {
		if a := w.ns.Addrs[i].Prefix.Addr(); !a.Is4() && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// address parses what PTR may be asked with: an address, or its reverse name.
func address(name string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap(), true
	}
	n := fold(name)
	if v, ok := strings.CutSuffix(n, ".in-addr.arpa"); ok {
		p := strings.Split(v, ".")
		if len(p) != 4 {
			return netip.Addr{}, false
		}
		a, err := netip.ParseAddr(p[3] + "." + p[2] + "." + p[1] + "." + p[0])
		return a, err == nil
	}
	if v, ok := strings.CutSuffix(n, ".ip6.arpa"); ok {
		p := strings.Split(v, ".")
		if len(p) != 32 {
			return netip.Addr{}, false
		}
		var b strings.Builder
		for i := 31; i >= 0; i-- {
			b.WriteString(p[i])
			if i%4 == 0 && i > 0 {
				b.WriteByte(':')
			}
		}
		a, err := netip.ParseAddr(b.String())
		return a, err == nil
	}
	return netip.Addr{}, false
}

// reverse gives the name that PTR is asked with (RFC 1035 3.5, RFC 3596 2.5).
func reverse(name string) string {
	a, err := netip.ParseAddr(name)
	if err != nil {
		return name
	}
	a = a.Unmap()
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0])
	}
	b := a.As16()
	var s strings.Builder
	for i := 15; i >= 0; i-- {
		fmt.Fprintf(&s, "%x.%x.", b[i]&15, b[i]>>4)
	}
	return s.String() + "ip6.arpa"
}
