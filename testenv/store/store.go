// Package store keeps what was set up: one file for the environment, one for
// each network and each container, in the shapes that inspect/engine reads.
// Files are only ever written whole, by operations of package fixups in the same
// transaction as what they tell of. They lie in /run: what they tell of does not
// outlive the machine's next start, either.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/driver"
)

// State is everything that was set up.
type State struct {
	Env        Env
	Networks   []driver.Network   // in the order of their creation
	Containers []driver.Container // likewise
}

// Env is the environment's file.
type Env struct {
	Version int         `json:"version"`
	Engine  snap.Engine `json:"engine"`
	Env     driver.Env  `json:"env"`
	// Frame4 and Frame6 say for which families chains and jumps are there.
	Frame4 bool `json:"frame4"`
	Frame6 bool `json:"frame6"`
	// Drop4 and Drop6 say for which of them FORWARD's policy was set to DROP.
	Drop4 bool `json:"drop4,omitempty"`
	Drop6 bool `json:"drop6,omitempty"`
	// Undo takes away what is shared with others: tables and base chains of
	// iptables, sysctls, policies.
	Undo fixups.Ops `json:"undo,omitempty"`
	Seq  int        `json:"-"` // the last one given out that is still held
	// Helper is the process that answers names and takes connections.
	Helper Proc `json:"helper,omitzero"`
}

// Frames are Frame4, Frame6, Drop4 and Drop6.
func (e *Env) Frames() driver.Frames {
	return driver.Frames{Made: [2]bool{e.Frame4, e.Frame6}, Drop: [2]bool{e.Drop4, e.Drop6}}
}

// Proc is a process that can't be taken for another one with its number.
type Proc struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// version is that of the files; a higher one is not read.
const version = 1

// Dir is a directory with a state.
type Dir string

func (d Dir) join(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

// Path is a file or directory in it.
func (d Dir) Path(parts ...string) string { return d.join(parts...) }

// Files is the directory of a container's own files. Its name is the whole id:
// by a mount from it others tell that a process is that container's.
func (d Dir) Files(id string) string { return d.join("files", id) }

// Load reads the state; nil when there is none.
func (d Dir) Load() (*State, error) {
	s := &State{}
	err := read(d.join("env.json"), &s.Env)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if s.Env.Version != version {
		return nil, fmt.Errorf("state %s is of version %d: %w", d, s.Env.Version, snap.ErrUnsupported)
	}
	if err := each(d.join("networks"), func(path string) error {
		var n driver.Network
		err := read(path, &n)
		s.Networks = append(s.Networks, n)
		return err
	}); err != nil {
		return nil, err
	}
	if err := each(d.join("containers"), func(path string) error {
		var c driver.Container
		err := read(path, &c)
		s.Containers = append(s.Containers, c)
		return err
	}); err != nil {
		return nil, err
	}
	for i := range s.Networks {
		s.Env.Seq = max(s.Env.Seq, s.Networks[i].Seq)
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		s.Env.Seq = max(s.Env.Seq, c.Seq)
		for _, n := range c.Order {
			s.Env.Seq = max(s.Env.Seq, n)
		}
	}
	snap.Sort(s.Networks, func(a, b driver.Network) int { return a.Seq - b.Seq })
	snap.Sort(s.Containers, func(a, b driver.Container) int { return a.Seq - b.Seq })
	return s, nil
}

// Container reads one container; nil when there is none of that id.
func (d Dir) Container(id string) (*driver.Container, error) {
	var c driver.Container
	err := read(d.join("containers", id[:min(12, len(id))]+".json"), &c)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &c, err
}

func each(dir string, f func(path string) error) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	for _, n := range names {
		if !strings.HasSuffix(n.Name(), ".json") || n.IsDir() {
			continue
		}
		if err := f(filepath.Join(dir, n.Name())); err != nil {
			return err
		}
	}
	return nil
}

func read(path string, to any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("state %s: %w", path, err)
	}
	return nil
}

func put(path string, v any) *fixups.FilePut {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil { // plain values with nothing that JSON lacks
		panic(fmt.Sprintf("state of %T: %v", v, err))
	}
	t := string(b) + "\n"
	return &fixups.FilePut{Path: path, Content: &t}
}

// PutEnv writes the environment.
func (d Dir) PutEnv(e Env) fixups.Op {
	e.Version = version
	return put(d.join("env.json"), e)
}

// PutNetwork writes a network.
func (d Dir) PutNetwork(n *driver.Network) fixups.Op {
	return put(d.join("networks", n.Net.ID[:12]+".json"), n)
}

// DropNetwork forgets a network.
func (d Dir) DropNetwork(n *driver.Network) fixups.Op {
	return &fixups.FilePut{Path: d.join("networks", n.Net.ID[:12]+".json")}
}

// PutContainer writes a container.
func (d Dir) PutContainer(c *driver.Container) *fixups.FilePut {
	return put(d.join("containers", c.Ctr.ID[:12]+".json"), c)
}

// DropContainer forgets a container.
func (d Dir) DropContainer(c *driver.Container) fixups.Op {
	return &fixups.FilePut{Path: d.join("containers", c.Ctr.ID[:12]+".json")}
}

// Network finds a network by name; nil when there is none.
func (s *State) Network(name string) *driver.Network {
	for i := range s.Networks {
		if s.Networks[i].Net.Name == name {
			return &s.Networks[i]
		}
	}
	return nil
}

// Nets are the networks by name.
func (s *State) Nets() map[string]*driver.Network {
	m := map[string]*driver.Network{}
	for i := range s.Networks {
		m[s.Networks[i].Net.Name] = &s.Networks[i]
	}
	return m
}

// Container finds a container by name, or by a prefix of its id that no other
// has; nil when there is none.
func (s *State) Container(name string) *driver.Container {
	var hit *driver.Container
	for i := range s.Containers {
		c := &s.Containers[i]
		if c.Ctr.Name == name {
			return c
		}
		if len(name) >= 4 && strings.HasPrefix(c.Ctr.ID, name) {
			if hit != nil {
				return nil
			}
			hit = c
		}
	}
	return hit
}

// Taken are the addresses of a network that are given out.
func (s *State) Taken(network string) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for i := range s.Containers {
		if ep := s.Containers[i].Endpoint(network); ep != nil {
			out[ep.IPv4.Addr()], out[ep.IPv6.Addr()] = true, true
		}
	}
	if n := s.Network(network); n != nil {
		for _, v := range n.Net.Services {
			out[v.VIP] = true
		}
		for _, p := range n.Net.Pools {
			out[p.Gateway] = true
			for _, a := range p.Aux {
				out[a] = true
			}
		}
		for ip := range n.Peers {
			out[ip] = true
		}
	}
	delete(out, netip.Addr{})
	return out
}
