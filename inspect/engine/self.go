package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Self is the name of this program's own networks and containers.
const Self = "netdoctor"

// selfState is the file by which they are known: the shapes of a snapshot,
// without what the kernel tells.
const selfState = "/run/netdoctor/self.json"

// readSelf reads our own state. A state whose owner is dead is left over: it
// says nothing any more.
func readSelf(_ context.Context, m *machine) Result {
	var st struct {
		Engine     snap.Engine      `json:"engine"`
		Containers []snap.Container `json:"containers"`
		Networks   []snap.Network   `json:"networks"`
	}
	err := readJSON(m.path(selfState), &st)
	if errors.Is(err, snap.ErrNotFound) {
		return Result{}
	}
	if err != nil {
		return Result{Gaps: []snap.Gap{snap.GapOf(Self, "", err)}}
	}
	if p := m.procs[st.Engine.PID]; p == nil || !p.trusted() {
		return Result{}
	}
	res := Result{Engines: []snap.Engine{st.Engine}, Networks: st.Networks}
	for _, c := range st.Containers {
		p := m.procs[c.PID]
		if p == nil || !p.trusted() || m.netns != 0 && p.netns() == m.netns {
			c.State, c.PID = "exited", 0
			res.Gaps = append(res.Gaps, snap.Gap{What: "container " + c.Name, Kind: "vanished", Why: fmt.Sprintf("the process of %s is not there any more", c.Name)})
		} else {
			c.Process = p.value()
		}
		res.Containers = append(res.Containers, c)
	}
	return res
}
