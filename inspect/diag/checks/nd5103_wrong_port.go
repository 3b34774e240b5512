package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
)

// nd5103: the program listens on another port.
//
// The port that is published, or asked for, is not the one that the program in the
// container listens on: "-p 8080:80" needs a listener on 80 inside. Only a remark
// where nobody asked for the port and the program serves another that is published:
// it may open this one on demand (FTP's passive range, RTP).
//
// See it by hand:
//
//	nsenter -t PID -n ss -lnt
//	docker port NAME
//
// Sources: docs.docker.com, port publishing
func nd5103() diag.Check {
	return diag.Check{
		Code: "ND5103", Name: "wrong-container-port", Severity: diag.Error, Since: "0.1",
		Title: "The program listens on another port than the one that is asked for",
		After: []diag.Code{"ND5121"},
		Detect: func(in *diag.Input) []diag.Finding {
			return listeners(in, func(s seat) *diag.Finding {
				if len(s.loopback) > 0 || len(s.elsewhere) > 0 || len(s.others) == 0 || s.target == nil {
					return nil
				}
				x := s.others[0]
				f := &diag.Finding{
					Summary: fmt.Sprintf("nothing listens on %s %s in %s; its program listens on %s", s.portWord(), s.portText(), s.target.Name, x.Local),
					Cause:   fmt.Sprintf("no process in %s has a socket on %s %s, one listens on port %d", s.target.Name, s.portWord(), s.portText(), x.Local.Port()),
					Advice:  fmt.Sprintf("ask for port %d, or make the program listen on port %d", x.Local.Port(), s.dst),
				}
				switch p := s.flow.Port; {
				case s.published() && s.optional():
					f.Advice = fmt.Sprintf("nothing, where %s opens %s on demand; else publish what it listens on", s.target.Name, s.portText())
				case p != nil || s.flow.Flow.Dport != s.dst:
					f.Advice = fmt.Sprintf("recreate %s with -p %d:%d%s, or make the program listen on port %d", s.target.Name, s.flow.Flow.Dport, x.Local.Port(), unlessTCP(s.flow.Flow.Proto), s.dst)
				}
				return f
			})
		},
	}
}
