package kernel

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// readRPFiltered counts the packets that the reverse-path filter dropped since
// the namespace was made (net/ipv4/proc.c: netstat_seq_show); 0 when the kernel
// does not tell. It must run on a thread inside.
func readRPFiltered() int64 {
	b, err := os.ReadFile("/proc/thread-self/net/netstat")
	if err != nil {
		return 0
	}
	return netstat(b, "TcpExt", "IPReversePathFilter")
}

// netstat finds a counter in the pairs of lines, names above values, of
// /proc/net/netstat; 0 when it is not there.
func netstat(b []byte, group, name string) int64 {
	var names []string
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) == 0 || f[0] != group+":" {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i := range min(len(names), len(f)) {
			if names[i] == name {
				n, err := strconv.ParseInt(f[i], 10, 64)
				if err != nil {
					return 0
				}
				return n
			}
		}
		return 0
	}
	return 0
}
