package kernel

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// sockstat counts the sockets of a namespace by the names in
// /proc/net/sockstat and sockstat6 ("TCP", "TCP6", "UDP" …); nil: unknown.
// "tw" is the sum of TCP sockets in TIME_WAIT of both families.
type sockstat map[string]int

// readSockstat reads the counts of the calling thread's namespace
// (net/ipv4/proc.c:sockstat_seq_show).
func readSockstat() sockstat {
	b4, err := os.ReadFile("/proc/thread-self/net/sockstat")
	if err != nil {
		return nil
	}
	b6, err := os.ReadFile("/proc/thread-self/net/sockstat6")
	if err != nil {
		b6 = nil // no IPv6: then there are no sockets of it
	}
	return parseSockstat(append(b4, b6...))
}

// parseSockstat reads lines like "TCP: inuse 5 orphan 0 tw 2 alloc 9 mem 1".
func parseSockstat(b []byte) sockstat {
	s := sockstat{}
	for l := range bytes.Lines(b) {
		f := bytes.Fields(l)
		if len(f) < 3 {
			continue
		}
		name := string(bytes.TrimSuffix(f[0], []byte(":")))
		for i := 1; i+1 < len(f); i += 2 {
			n, err := strconv.Atoi(string(f[i+1]))
			if err != nil {
				continue
			}
			switch string(f[i]) {
			case "inuse":
				s[name] = n
			case "tw":
				s["tw"] = n
			}
		}
	}
	return s
}

// none says whether there is certainly no socket of that kind.
func (s sockstat) none(proto snap.Proto, af uint8) bool {
	var name string
	switch proto {
	case snap.TCP:
		if s["tw"] > 0 {
			return false
		}
		name = "TCP"
	case snap.UDP:
		name = "UDP"
	default:
		return false
	}
	if af == unix.AF_INET6 {
		name += "6"
		if _, known := s["TCP6"]; s != nil && !known {
			return true
		}
	}
	n, known := s[name]
	return known && n == 0
}
