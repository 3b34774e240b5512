package inspect

import (
	"slices"

	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// hookPrograms puts the bpf programs on netfilter's hooks to the namespaces of the
// processes that hold them: a link is made in its maker's. Of those that nobody holds
// (pinned ones) it is not known where they are; they are a gap.
func (c *collector) hookPrograms(s *snap.Snapshot) {
	list, err := kernel.HookPrograms()
	if err != nil {
		s.Gaps = append(s.Gaps, snap.GapOf("bpf links", "", err))
	}
	for _, p := range list {
		var in []uint64
		for _, h := range c.procs.BPFHolders(p.Program) {
			if h.Link == p.Link && !slices.Contains(in, h.Proc.Netns) {
				in = append(in, h.Proc.Netns)
				p.Holder = &snap.Process{PID: h.Proc.PID, Name: h.Proc.Name, State: h.Proc.State}
			}
		}
		i := slices.IndexFunc(s.Netns, func(n snap.Netns) bool { return len(in) == 1 && n.Inode == in[0] })
		if i < 0 {
			s.Gaps = append(s.Gaps, snap.GapOf("bpf links", "", snap.ErrUnsupported))
			continue
		}
		s.Netns[i].Ruleset.BPF = append(s.Netns[i].Ruleset.BPF, p)
	}
}
