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
	list, gaps := engine.Resolvers(ctx, s.Containers, e)
	s.Resolvers = append(s.Resolvers, list...)
	s.Gaps = append(s.Gaps, gaps...)
}
