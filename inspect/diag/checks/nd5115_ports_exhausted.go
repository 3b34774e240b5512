package checks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// nd5115: a namespace has no local port left for more connections.
//
// Each connection to one address and port needs a local port of its own, out of
// net.ipv4.ip_local_port_range (28,232 ports unless it was changed). When all are in
// use, connect says "Cannot assign requested address", while ping and connections to
// other destinations work. Clients that open and close a connection for each request
// get there, and narrowed ranges sooner.
//
// See it by hand:
//
//	nsenter -t PID -n sysctl net.ipv4.ip_local_port_range
//	nsenter -t PID -n ss -tn state established dst ADDRESS | wc -l
//
// Sources: net/ipv4/inet_hashtables.c: __inet_hash_connect; ip-sysctl.rst
func nd5115() diag.Check {
	return diag.Check{
		Code: "ND5115", Name: "local-ports-exhausted", Severity: diag.Error, Since: "0.1",
		Title:  "No local port is left for connections to that destination",
		Detect: detectND5115,
		Fix:    fixND5115,
	}
}

const portRange = "net/ipv4/ip_local_port_range"

// The kernel's own range (net/ipv4/af_inet.c: inet_init_net).
const (
	defaultPortLow  = 32768
	defaultPortHigh = 60999
)

// localPorts is a namespace's range; ok is false when it was not read.
func localPorts(ns *snap.Netns) (low, high int, ok bool) {
	v, have := ns.Sysctl(portRange)
	f := strings.Fields(v)
	if !have || len(f) != 2 {
		return 0, 0, false
	}
	low, e1 := strconv.Atoi(f[0])
	high, e2 := strconv.Atoi(f[1])
	return low, high, e1 == nil && e2 == nil && low <= high
}

func detectND5115(in *diag.Input) []diag.Finding {
	var out []diag.Finding
	for i := range in.Snap.Netns {
		ns := &in.Snap.Netns[i]
		low, high, ok := localPorts(ns)
		if !ok || !ns.Class.Ours() {
			continue
		}
		kept := reservedPorts(ns, low, high)
		if kept == high-low+1 {
			out = append(out, allReserved(in, ns, low, high))
			continue
		}
		for _, e := range ns.Estab {
			if e.Count < high-low+1-kept {
				continue
			}
			f := diag.Finding{
				Summary: fmt.Sprintf("%s has no local port left for %s: %s, and ip_local_port_range has %d (%d to %d)", in.Who(ns.ID), e.Remote, diag.Count(e.Count, "connection"), high-low+1, low, high),
				Cause:   "every port of net.ipv4.ip_local_port_range is in use towards that destination",
				Subject: diag.Subject{Kind: "sysctl", Name: portRange, Netns: ns.ID},
				Evidence: []diag.Evidence{
					ev(in.IPCommand(ns.ID, "sysctl net.ipv4.ip_local_port_range"), fmt.Sprintf("net.ipv4.ip_local_port_range = %d %d", low, high), snap.RefSysctl(ns.ID, portRange)),
					ev(in.IPCommand(ns.ID, "ss -tn dst "+e.Remote.Addr().String()), diag.Count(e.Count, "connection"), snap.RefNetns(ns.ID)),
				},
				Confidence: diag.Predicted,
				Advice:     "find out who holds the connections, and let the client reuse them",
				Weight:     56,
			}
			if kept > 0 {
				f.Summary += fmt.Sprintf(", %d of them reserved", kept)
			}
			for k := range in.Flows {
				if fl := &in.Flows[k]; fl.Flow.From == ns.ID && fl.Flow.Proto == snap.TCP && fl.Flow.Dst == e.Remote.Addr() && fl.Flow.Dport == e.Remote.Port() {
					f.Covers.Traces = append(f.Covers.Traces, k)
				}
			}
			out = append(out, f)
			break
		}
	}
	return out
}

// manyPorts is a stretch of reserved ports that is no server's.
const manyPorts = 1000

const portsKept = "net/ipv4/ip_local_reserved_ports"

// reservedPorts counts those of a range that the kernel gives to nobody who does not
// ask for them by number.
func reservedPorts(ns *snap.Netns, low, high int) int {
	v, _ := ns.Sysctl(portsKept)
	n := 0
	for part := range strings.SplitSeq(v, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if ranged && err == nil {
			b, err = strconv.Atoi(to)
		}
		if err == nil {
			n += max(0, min(b, high)-max(a, low)+1)
		}
	}
	return n
}

// allReserved is a namespace that has no local port to give at all.
func allReserved(in *diag.Input, ns *snap.Netns, low, high int) diag.Finding {
	v, _ := ns.Sysctl(portsKept)
	f := diag.Finding{
		Summary: fmt.Sprintf("%s has no local port to connect from: ip_local_reserved_ports holds all of ip_local_port_range (%d to %d)", in.Who(ns.ID), low, high),
		Cause:   "the kernel gives a reserved port only to who asks for it by number, so connect fails with EADDRNOTAVAIL",
		Subject: diag.Subject{Kind: "sysctl", Name: portRange, Netns: ns.ID},
		Evidence: []diag.Evidence{ev(in.IPCommand(ns.ID, "sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports"),
			fmt.Sprintf("range %d %d, reserved %s", low, high, v), snap.RefSysctl(ns.ID, portsKept))},
		Confidence: diag.Predicted,
		Advice:     "leave the range some ports that are not reserved",
		Weight:     56,
	}
	for k := range in.Flows {
		if in.Flows[k].Flow.From == ns.ID {
			f.Covers.Traces = append(f.Covers.Traces, k)
		}
	}
	return f
}

// fixND5115 gives the kernel's own range back where a narrower one was set.
func fixND5115(in *diag.Input, f *diag.Finding) []fixups.Op {
	ns := in.Netns(f.Subject.Netns)
	low, high, ok := localPorts(ns)
	if ok && reservedPorts(ns, low, high) == high-low+1 {
		// Whole stretches are taken out, single ports stay: somebody serves these.
		v, _ := ns.Sysctl(portsKept)
		left := strings.Split(v, ",")
		left = slices.DeleteFunc(left, func(part string) bool {
			a, b, _ := strings.Cut(part, "-")
			from, _ := strconv.Atoi(a)
			to, _ := strconv.Atoi(b)
			return to-from >= manyPorts && to >= low && from <= high
		})
		if now := strings.Join(left, ","); now != v {
			return []fixups.Op{&fixups.SysctlSet{Where: at(in, ns.ID), Key: portsKept, Value: now}}
		}
	}
	if !ok || high-low >= defaultPortHigh-defaultPortLow {
		return nil
	}
	return []fixups.Op{&fixups.SysctlSet{Where: at(in, f.Subject.Netns), Key: portRange, Value: fmt.Sprintf("%d\t%d", defaultPortLow, defaultPortHigh)}}
}
