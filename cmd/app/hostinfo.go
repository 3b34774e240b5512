package app

import (
	"time"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hostInfo is the host in a few facts.
func hostInfo(s *snap.Snapshot, file string) v1.HostInfo {
	h := v1.HostInfo{Name: s.Host.Name, Kernel: s.Host.Kernel, Distro: s.Host.Distro, Snapshot: file}
	if !s.Taken.Start.IsZero() {
		h.ReadAt = s.Taken.Start.UTC().Format(time.RFC3339)
	}
	for i := range s.Engines {
		e := &s.Engines[i]
		h.Engines = append(h.Engines, v1.EngineInfo{Name: e.Name, Version: e.Version, Rules: e.Rules, Reachable: e.Reachable, Remote: e.Remote, Error: e.Error})
	}
	return h
}

// count fills in what was found on the host.
func count(s *snap.Snapshot, sum *v1.Summary) {
	sum.Networks, sum.Containers, sum.Netns = len(s.Networks), len(s.Containers), len(s.Netns)
	for i := range s.Containers {
		if s.Containers[i].Running() {
			sum.Running++
		}
	}
}
