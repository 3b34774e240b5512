package checks

import (
	"fmt"
	"slices"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5109: a listener accepts no more.
//
// The kernel keeps finished connections in the listener's queue until the program
// accepts them. When the program is stuck (a lock, a slow disk, all its workers
// busy, no file descriptor left so that accept fails) they wait there: the client is
// connected, and no answer comes. When the queue is full new handshakes are dropped,
// which looks like a firewall that drops. Packets arrive in order; the program is
// what stands still. Where several listeners share the port (SO_REUSEPORT) a part of
// the connections is theirs: one stuck worker lets every so many hang. A UDP socket that
// nobody reads fills up in the same way, and datagrams are dropped without a word.
//
// See it by hand:
//
//	nsenter -t PID -n ss -lnt                Recv-Q above 0, and it stays
//	nsenter -t PID -n ss -lnu                the same of UDP, in bytes
//	nsenter -t PID -n nstat -az TcpExtListenOverflows UdpRcvbufErrors
//	ls /proc/PID/fd | wc -l; grep 'open files' /proc/PID/limits
//
// False positives: a server that serves one request at a time and is at a long one;
// what waits less than three seconds (one, of a port that was asked for) is not told of.
//
// Sources: net/ipv4/tcp_ipv4.c: tcp_v4_syn_recv_sock, sk_acceptq_is_full;
// net/ipv4/inet_connection_sock.c: inet_csk_accept; net/ipv4/udp.c:
// __udp_enqueue_schedule_skb; listen(2), accept(2): EMFILE
func nd5109() diag.Check {
	return diag.Check{
		Code: "ND5109", Name: "accept-queue-full", Severity: diag.Error, Since: "0.1",
		Title: "The program accepts no more connections: its queue is full",
		After: []diag.Code{"ND5107", "ND5108"},
		Detect: func(in *diag.Input) []diag.Finding {
			var out []diag.Finding
			for _, s := range seats(in) {
				x := s.socket
				full := x.Queue > x.Backlog
				if x.Queue == 0 || holdsPort(in, x) {
					continue
				}
				if x.Proto == snap.UDP {
					out = append(out, unneeded(in, s, unread(in, s)))
					continue
				}
				if x.Proto != snap.TCP {
					continue
				}
				covers, long := coverSocket(in, s), int64(longWait)
				if slices.ContainsFunc(covers.Traces, func(k int) bool { return in.Flows[k].Asked }) {
					long = askedWait
				}
				if !full && !noFiles(x) && x.WaitMs < long {
					continue
				}
				f := diag.Finding{
					Summary:  fmt.Sprintf("%s (pid %d) in %s does not accept: %s", x.Process.Name, x.Process.PID, s.who, waiting(x)),
					Cause:    "the program is stuck: it accepts no connections",
					Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s", x.Local.Port(), s.who), Netns: s.ns.ID},
					Evidence: []diag.Evidence{ev(in.IPCommand(s.ns.ID, "ss -lnt"), fmt.Sprintf("LISTEN %d %d %s %s", x.Queue, x.Backlog, x.Local, x.Process.Name), s.ref)},
					Covers:   covers,
					Advice:   fmt.Sprintf("look what pid %d is doing (its log, a stack dump), or restart the program; a larger backlog only helps against bursts", x.Process.PID),
					Weight:   64,
				}
				if full {
					f.Cause += ", so the kernel drops new ones"
				}
				if noFiles(x) {
					f.Cause = fmt.Sprintf("it has no file descriptor left (%d of %d open files), so accept fails with EMFILE", x.Process.Files, x.Process.FilesMax)
					f.Evidence = append(f.Evidence, ev(fmt.Sprintf("grep 'open files' /proc/%d/limits", x.Process.PID), fmt.Sprintf("Max open files %d, open are %d", x.Process.FilesMax, x.Process.Files), s.ref))
					f.Advice = fmt.Sprintf("see what pid %d keeps open (ls -l /proc/%[1]d/fd), raise its limit (ulimit -n, --ulimit nofile=, LimitNOFILE=), and restart it", x.Process.PID)
				}
				out = append(out, unneeded(in, s, f))
			}
			return out
		},
	}
}

// unread is what is said of a UDP socket whose program leaves it full.
func unread(in *diag.Input, s listening) diag.Finding {
	x := s.socket
	return diag.Finding{
		Summary:  fmt.Sprintf("%s (pid %d) in %s does not read its UDP port %d: %d bytes wait, there is room for %d", x.Process.Name, x.Process.PID, s.who, x.Local.Port(), x.Queue, x.Backlog),
		Cause:    "the program is stuck, or slower than what comes in, so the kernel drops what arrives now",
		Subject:  diag.Subject{Kind: "port", Name: fmt.Sprintf("%d/%s", x.Local.Port(), s.who), Netns: s.ns.ID},
		Evidence: []diag.Evidence{ev(in.IPCommand(s.ns.ID, "ss -lnup"), fmt.Sprintf("UNCONN %d 0 %s %s", x.Queue, x.Local, x.Process.Name), s.ref)},
		Covers:   coverSocket(in, s),
		Advice:   fmt.Sprintf("look what pid %d is doing (its log, a stack dump), or restart the program; more room (net.core.rmem_max, SO_RCVBUF) only helps against bursts", x.Process.PID),
		Weight:   64,
	}
}

// holdsPort says that a socket only keeps a published port from others: Podman's
// conmon, and dockerd where no proxy runs, listen and never accept.
func holdsPort(in *diag.Input, x *snap.Socket) bool {
	return (x.Process.Name == "conmon" || x.Process.Name == "dockerd") && publisher(in, x.Local.Port(), x.Proto) != nil
}

// longWait is from how many milliseconds on a connection that nobody accepts is told of.
const longWait = 3000

// askedWait is that of a port that somebody asked for, who has a reason to.
const askedWait = 1000

// noFiles says that a listener's process has as many files open as it may have.
func noFiles(s *snap.Socket) bool {
	p := s.Process
	return p.FilesMax > 0 && p.Files >= p.FilesMax
}

// waiting says how many connections wait for a listener, and how long.
func waiting(s *snap.Socket) string {
	out := fmt.Sprintf("%d connections wait on port %d", s.Queue, s.Local.Port())
	if s.Queue == 1 {
		out = fmt.Sprintf("1 connection waits on port %d", s.Local.Port())
	}
	if s.WaitMs >= 1000 {
		out += fmt.Sprintf(", the oldest for %d s", s.WaitMs/1000)
	}
	if s.Queue > s.Backlog {
		out += fmt.Sprintf(", its queue holds %d", s.Backlog)
	}
	return out
}
