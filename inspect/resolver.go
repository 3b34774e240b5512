package inspect

import (
	"context"

	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// resolvers reads the name service files of the host, the containers, and the
// plain namespaces that hang on this host and have a name.
func resolvers(ctx context.Context, s *snap.Snapshot, o Options) {
	e := o.Engine
	for i := range s.Netns {
		if n := &s.Netns[i]; n.Class == snap.ClassAttached && len(n.Names) > 0 {
			e.Named = append(e.Named, engine.Named{ID: n.ID, Names: n.Names})
		}
	}
	containers := make([]snap.Container, 0, len(s.Containers))
	owners := map[string]string{} // of namespaces of containers without a process
	for i := range s.Containers {
		c := s.Containers[i]
		if n := s.Ns(c.Netns); c.Engine == engine.CNI && c.PID == 0 && n != nil {
			// CNI knows namespaces, not processes: any that is in it sees its files.
			if len(n.Pids) == 0 {
				e.Named = append(e.Named, engine.Named{ID: n.ID, Names: n.Names})
				owners[n.ID] = c.Ref
				continue
			}
			if c.PID = n.Pids[0]; e.Inside == nil {
				e.Inside = map[string]uint64{}
			}
			e.Inside[c.Ref] = n.Inode
		}
		containers = append(containers, c)
	}
	list, gaps := engine.Resolvers(ctx, containers, e)
	for i := range list {
		if ref, ok := owners[list[i].Owner]; ok {
			list[i].Owner = ref
		}
	}
	s.Resolvers = append(s.Resolvers, list...)
	s.Gaps = append(s.Gaps, gaps...)
}
