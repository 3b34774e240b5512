package names

import (
	"fmt"
	"slices"
	"strings"
)

// disagree tells when servers that stand in one list give different answers to
// one name: who is asked first, or answers first, then decides. An address
// beside another address is how the world's names work, an address of a private
// network beside a public one is not. nil when they agree, as far as they were
// asked.
func (w *walker) disagree(p *Path) *Problem {
	if w.typ != "A" && w.typ != "AAAA" {
		return nil
	}
	for _, role := range []string{"resolv.conf", "upstream"} {
		for _, name := range p.Candidates {
			if x := w.disagreeOn(p, role, name); x != nil {
				return x
			}
		}
	}
	return nil
}

func (w *walker) disagreeOn(p *Path, role, name string) *Problem {
	out := &Problem{Kind: ServersDiffer, Ref: w.refResolver()}
	var said []string
	var kinds []string
	for i := range p.Servers {
		s := &p.Servers[i]
		if s.Role != role {
			continue
		}
		x := w.exactProbe(s.AskedFrom, s.Addr, name)
		if x == nil || silent(x) {
			continue
		}
		v, answers := verdictOf(x, w.typ)
		switch {
		case v == Resolved && strings.HasPrefix(answers[0], "127."), v == Resolved && answers[0] == "0.0.0.0":
			continue // a filter's way of saying no
		case v == Resolved:
			kinds = append(kinds, reachKind(answers))
			said = append(said, s.Addr.Addr().String()+" says "+short(answers, 4))
		case v == NXDomain, v == NoData:
			kinds = append(kinds, "none")
			said = append(said, s.Addr.Addr().String()+" says "+x.DNS.RCode+map[bool]string{true: " without " + w.typ}[v == NoData])
			if !out.Server.IsValid() {
				out.Server = s.Addr
			}
		default:
			continue
		}
		out.Because = append(out.Because, w.refProbe(x))
	}
	if len(slices.Compact(slices.Sorted(slices.Values(kinds)))) < 2 || !slices.ContainsFunc(kinds, func(k string) bool { return k != "none" }) {
		return nil
	}
	out.Detail = fmt.Sprintf("the servers of %s disagree about %s: %s", w.who(), name, strings.Join(said, ", "))
	if p.Verdict != Resolved && kinds[0] == "none" {
		out.Detail += "; the first one's word is final, so the next is never asked"
	}
	return out
}

// reachKind tells addresses of private networks from public ones.
func reachKind(answers []string) string {
	for _, a := range answers {
		if ip, ok := address(a); ok && (ip.IsPrivate() || ip.IsLinkLocalUnicast()) {
			return "private"
		}
	}
	return "public"
}
