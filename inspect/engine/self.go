package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Self is the name of this program's own networks and containers.
const Self = "netdoctor"

// selfState is the file by which a practice host's are known: the shapes of a
// snapshot, without what the kernel tells.
const selfState = "/run/netdoctor/self.json"

// selfEnv is the directory of networks that were set up: env.json with the
// engine, networks/*.json and containers/*.json (testenv/store writes them).
const selfEnv = "/run/netdoctor/env"

// selfFiles is what is known of one's own networks, wherever it was kept.
type selfFiles struct {
	Engine     snap.Engine      `json:"engine"`
	Containers []snap.Container `json:"containers"`
	Networks   []snap.Network   `json:"networks"`
	// foreign are containers of others that were connected.
	foreign map[string]bool
}

// readSelf reads our own state.
func readSelf(_ context.Context, m *machine) Result {
	st, err := readSelfEnv(m)
	if errors.Is(err, snap.ErrNotFound) {
		st, err = readSelfFile(m)
	}
	if errors.Is(err, snap.ErrNotFound) {
		return Result{}
	}
	if err != nil {
		return Result{Gaps: []snap.Gap{snap.GapOf(Self, "", err)}}
	}
	res := Result{Engines: []snap.Engine{st.Engine}, Networks: st.Networks}
	for _, c := range st.Containers {
		if st.foreign[c.ID] {
			continue // its own engine tells of it
		}
		p := m.procs[c.PID]
		switch {
		case c.State == "created" || c.PID == 0:
			c.PID = 0
		case p == nil || !p.trusted() || p.value().State == "Z" || c.NetworkMode != "host" && m.netns != 0 && p.netns() == m.netns:
			c.State, c.PID = "exited", 0
			res.Gaps = append(res.Gaps, snap.Gap{What: "container " + c.Name, Kind: "vanished", Why: fmt.Sprintf("the process of %s is not there any more", c.Name)})
		default:
			c.Process = p.value()
		}
		res.Containers = append(res.Containers, c)
	}
	return res
}

// readSelfFile reads a practice host's state. One whose owner is dead is left
// over: it says nothing any more.
func readSelfFile(m *machine) (selfFiles, error) {
	var st selfFiles
	if err := readJSON(m.path(selfState), &st); err != nil {
		return st, err
	}
	if p := m.procs[st.Engine.PID]; p == nil || !p.trusted() {
		return st, fmt.Errorf("state of a practice host that is gone: %w", snap.ErrNotFound)
	}
	return st, nil
}

// readSelfEnv reads what was set up. Each file is renamed into its place, so
// that one that can't be read is an error, and one that is gone was deleted just
// now.
func readSelfEnv(m *machine) (selfFiles, error) {
	st := selfFiles{foreign: map[string]bool{}}
	var env struct {
		Engine snap.Engine `json:"engine"`
		Env    struct {
			snap.OwnEngine
			Host struct {
				Inode uint64 `json:"inode"`
			} `json:"host"`
		} `json:"env"`
		Frame4 bool `json:"frame4"`
		Frame6 bool `json:"frame6"`
		Drop4  bool `json:"drop4"`
		Drop6  bool `json:"drop6"`
	}
	if err := readJSON(m.path(selfEnv+"/env.json"), &env); err != nil {
		return st, err
	}
	// Hosts in namespaces share /run where they share a file system.
	if at := env.Env.Host.Inode; at != 0 && m.netns != 0 && at != m.netns {
		return st, fmt.Errorf("what was set up is of another host namespace: %w", snap.ErrNotFound)
	}
	st.Engine = env.Engine
	if own := env.Env.OwnEngine; own.Gen != "" {
		own.Frame4, own.Frame6, own.Drop4, own.Drop6 = env.Frame4, env.Frame6, env.Drop4, env.Drop6
		st.Engine.Own = &own
	}
	if st.Engine.PID != 0 && m.procs[st.Engine.PID] == nil {
		st.Engine.PID, st.Engine.Reachable, st.Engine.Error = 0, false, "the process that answers names and takes connections has ended"
	}
	err := each(m.path(selfEnv+"/networks"), func(path string) error {
		var f struct {
			Network snap.Network `json:"network"`
			snap.OwnNetwork
		}
		err := readJSON(path, &f)
		if err == nil {
			f.Network.Own = &f.OwnNetwork
			st.Networks = append(st.Networks, f.Network)
		}
		return err
	})
	if err != nil {
		return st, err
	}
	return st, each(m.path(selfEnv+"/containers"), func(path string) error {
		var f struct {
			Container snap.Container `json:"container"`
			Foreign   bool           `json:"foreign"`
			snap.OwnContainer
		}
		err := readJSON(path, &f)
		if err == nil {
			f.Container.Own = &f.OwnContainer
			st.Containers = append(st.Containers, f.Container)
			st.foreign[f.Container.ID] = f.Foreign
		}
		return err
	})
}

// each reads every JSON file of a directory; none is no error.
func each(dir string, f func(path string) error) error {
	names, _, err := readDir(dir)
	if errors.Is(err, snap.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		if !strings.HasSuffix(n, ".json") {
			continue
		}
		if err := f(filepath.Join(dir, n)); err != nil && !errors.Is(err, snap.ErrNotFound) {
			return err
		}
	}
	return nil
}
