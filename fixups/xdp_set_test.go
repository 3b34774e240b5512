package fixups_test

import (
	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// xdpCases are part of opCases.
func xdpCases() []opCase {
	set := func(s *snap.Snapshot, ns, dev string, x snap.XDP, link uint32) fixups.Op {
		s.Ns(ns).Link(dev).XDP = &x
		return &fixups.XDPSet{Where: fixups.At(s, ns), Name: dev, Mode: x.Mode, Link: link}
	}
	return []opCase{
		{
			"an XDP program", func(s *snap.Snapshot) fixups.Op { return set(s, "web", "eth0", snap.XDP{Mode: "driver", ProgID: 7}, 0) },
			[]string{"nsenter -t 100 -n ip link set dev eth0 xdpdrv off"},
			[]string{"nsenter -t 100 -n bpftool net attach xdpdrv id 7 dev eth0"},
		},
		{
			"an XDP program that a link holds", func(s *snap.Snapshot) fixups.Op {
				return set(s, "host", "br-app", snap.XDP{Mode: "generic", ProgID: 7}, 3)
			},
			[]string{"bpftool link detach id 3"},
			[]string{"bpftool net attach xdpgeneric id 7 dev br-app"},
		},
	}
}
