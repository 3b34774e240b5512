package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// readGroups are the multicast groups that devices have joined, those that every
// device joins by itself left out. It must run on a thread inside. A kernel without
// multicast has no such files.
func readGroups() []snap.Group {
	var out []snap.Group
	for file, parse := range map[string]func([]byte) []snap.Group{"igmp": groups4, "igmp6": groups6} {
		if b, err := os.ReadFile("/proc/thread-self/net/" + file); err == nil {
			out = append(out, parse(b)...)
		}
	}
	return out
}

// groups4 reads /proc/net/igmp (net/ipv4/igmp.c: igmp_mc_seq_show): a line of a
// device, then one of each group, whose address is a number as the machine has it.
func groups4(b []byte) []snap.Group {
	var out []snap.Group
	index := 0
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) == 0 {
			continue
		}
		if line[0] != '\t' {
			index, _ = strconv.Atoi(f[0]) // the head line is no device
			continue
		}
		n, err := strconv.ParseUint(f[0], 16, 32)
		if err != nil || index == 0 {
			continue
		}
		ip := netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, uint32(n))))
		if ip.IsMulticast() && ip != netip.AddrFrom4([4]byte{224, 0, 0, 1}) {
			out = append(out, snap.Group{Index: index, IP: ip})
		}
	}
	return out
}

// groups6 reads /proc/net/igmp6 (net/ipv6/mcast.c: igmp6_mc_seq_show). All-nodes and
// solicited-node groups come with the device and its addresses (RFC 4291, 2.8).
func groups6(b []byte) []snap.Group {
	var out []snap.Group
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 3 {
			continue
		}
		index, err := strconv.Atoi(f[0])
		raw, err2 := hex.DecodeString(f[2])
		if err != nil || err2 != nil || len(raw) != 16 {
			continue
		}
		ip := netip.AddrFrom16([16]byte(raw))
		own := ip == netip.MustParseAddr("ff01::1") || ip == netip.MustParseAddr("ff02::1") || strings.HasPrefix(f[2], "ff0200000000000000000001ff")
		if ip.IsMulticast() && !own {
			out = append(out, snap.Group{Index: index, IP: ip})
		}
	}
	return out
}
