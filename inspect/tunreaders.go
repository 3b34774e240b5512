package inspect

import (
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// readers notes who reads the tun and tap devices: without root that is how a container
// gets out of its namespace (slirp4netns(1), passt(1)).
func (c *collector) readers(s *snap.Snapshot) {
	for _, r := range c.procs.TunReaders() {
		n := s.Ns(kernel.InodeID(r.Netns))
		if n == nil {
			continue
		}
		if l := n.Link(r.Device); l != nil && l.Reader == nil {
			l.Reader = &snap.Process{
				PID: r.Proc.PID, Name: r.Proc.Name, State: r.Proc.State, Args: c.procs.Args(r.Proc.PID),
				UID: r.UID, Groups: r.Groups, Netns: kernel.InodeID(r.Proc.Netns),
			}
		}
	}
}
