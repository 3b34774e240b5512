package checks

import (
	"fmt"
	"net/netip"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// nd5102: the program listens on loopback only.
//
// A listener on 127.0.0.1 takes connections from its own namespace only. In a
// container that is the container itself: "docker exec … curl localhost" works, and
// everybody else is refused. Many development servers (Flask, Rails, Vite) bind to
// localhost unless told otherwise.
//
// See it by hand:
//
//	nsenter -t PID -n ss -lnt                127.0.0.1:PORT
//
// Sources: ip(7), bind(2)
func nd5102() diag.Check {
	return diag.Check{
		Code: "ND5102", Name: "listens-on-loopback-only", Severity: diag.Error, Since: "0.1",
		Title: "The program listens on 127.0.0.1 inside its container only",
		Detect: func(in *diag.Input) []diag.Finding {
			return listeners(in, func(s seat) *diag.Finding {
				if len(s.loopback) == 0 {
					return nil
				}
				x := s.loopback[0]
				who := in.Who(s.ns.ID)
				f := &diag.Finding{
					Summary: fmt.Sprintf("the program in %s listens on %s only, its own loopback: others are refused on port %s", who, x.Local, portOf(s.flow)),
					Cause:   fmt.Sprintf("the listener in %s is bound to %s instead of 0.0.0.0", who, x.Local),
					Advice:  fmt.Sprintf("make the program listen on 0.0.0.0:%d (or [::]:%d); nothing in the network is to be changed", x.Local.Port(), x.Local.Port()),
				}
				if s.ns.ID == in.Snap.Host.Netns {
					to := netip.AddrPortFrom(s.flow.Flow.Dst, x.Local.Port())
					f.Summary = fmt.Sprintf("%s on this host listens on %s only, its own loopback: others are refused on port %s", x.Holder("a program"), x.Local, portOf(s.flow))
					f.Cause = fmt.Sprintf("the listener is bound to %s, and %s was asked", x.Local, to.Addr())
					f.Advice = fmt.Sprintf("make the program listen on %s, too; on 0.0.0.0 it would be open to all who reach this host", to)
				}
				return f
			})
		},
	}
}
