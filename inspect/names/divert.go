package names

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/sim/rules"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// diverted tells what a rule makes of questions to a server, as a step, and
// names that rule as the problem where they fail. Redirecting DNS is common and
// often meant (a filter, a cache), so it is no fault while answers come.
func (w *walker) diverted(srv Server, o outcome) outcome {
	r := srv.Reach
	if !r.Ends.IsValid() || w.owner(srv.Addr.Addr()) != nil && w.serves(srv.Addr) != nil {
		return o
	}
	st := Step{
		Where: "DNAT", Asked: srv.Addr.String() + "/" + string(w.proto()), Verdict: stepOK, LeavesFrom: srv.AskedFrom, Because: []snap.Ref{r.By.Ref},
		Answer: fmt.Sprintf("to %s by %s %s rule %d in %s", r.Ends, r.By.Table, r.By.Chain, r.By.Num, w.nsName(w.s.Ns(r.By.Ref.Netns()))),
	}
	for i := range o.problems {
		p := &o.problems[i]
		switch p.Kind {
		case Unreachable, UpstreamDead, SilentForName, UpstreamRefuses, AardvarkDead:
			*p = *w.diversion(srv.AskedFrom, srv.Addr, r.Ends, r.By, p.Detail, p.Because)
		}
	}
	return join(outcome{steps: []Step{st}}, o)
}

// diversion is the problem of questions that a rule sends to where no good
// answer comes from.
func (w *walker) diversion(from string, server, ends netip.AddrPort, by *rules.Place, then string, because []snap.Ref) *Problem {
	at := w.nsName(w.s.Ns(by.Ref.Netns()))
	p := &Problem{
		Kind: Diverted, Server: server, Ref: by.Ref, By: by, Because: append([]snap.Ref{by.Ref}, because...),
		Detail: fmt.Sprintf("questions from %s to %s are sent to %s by a rule of %s %s in %s", w.nsName(w.s.Ns(from)), server, ends, by.Table, by.Chain, at),
	}
	if c := w.serves(ends); c != nil {
		p.Container = c.Ref
		p.Detail += ", that is container " + c.Name
	}
	if then != "" {
		p.Detail += ": " + then
	}
	return p
}
