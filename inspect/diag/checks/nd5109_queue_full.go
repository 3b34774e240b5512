package checks

import (
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5109: a listener accepts no more.
func nd5109() diag.Check {
	return diag.Check{
		Code: "ND5109", Name: "accept-queue-full", Severity: diag.Error, Since: "0.1",
		Title: "The program accepts no more connections: its queue is full",
		Doc: `The kernel keeps finished connections in the listener's queue until the program
accepts them. When the program is stuck (a lock, a slow disk, all its workers
busy) the queue fills; from then on new handshakes are dropped, which looks like
a firewall that drops. Packets arrive in order; the program is what stands still.

See it by hand:
    nsenter -t PID -n ss -lnt                Recv-Q greater than Send-Q
    nsenter -t PID -n nstat -az TcpExtListenOverflows

Sources: net/ipv4/tcp_ipv4.c: tcp_v4_syn_recv_sock, sk_acceptq_is_full; listen(2)`,
		After: []diag.Code{"ND5107", "ND5108"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, s := range seats(in) {
				x := s.socket
				if x.Proto != snap.TCP || x.Backlog == 0 || x.Queue <= x.Backlog {
					continue
				}
				out = append(out, diag.Finding{
					Summary:  fmt.Sprintf("%s (pid %d) in %s does not accept: %d connections wait on port %d, its queue holds %d", x.Process.Name, x.Process.PID, s.who, x.Queue, x.Local.Port(), x.Backlog),
					Cause:    "the program is stuck: it accepts no connections, so the kernel drops new ones",
					Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s", x.Local.Port(), s.who), Netns: s.ns.ID},
					Evidence: []diag.Evidence{ev(in.IPCommand(s.ns.ID, "ss -lnt"), fmt.Sprintf("LISTEN %d %d %s %s", x.Queue, x.Backlog, x.Local, x.Process.Name), s.ref)},
					Covers:   coverSocket(in, s),
					Advice:   fmt.Sprintf("look what pid %d is doing (its log, a stack dump), or restart the program; a larger backlog only helps against bursts", x.Process.PID),
					Weight:   64,
				})
			}
			return out
		},
	}
}
