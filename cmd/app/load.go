package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/join"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// snapshot gets the state: from the file, or from the machine.
func (a *App) snapshot(ctx context.Context, c Common) (*snap.Snapshot, error) {
	defer a.waiting("")
	if c.Snapshot == "" {
		if a.Read == nil {
			return nil, snap.Hint(fmt.Errorf("reading this machine: %w", snap.ErrUnsupported), "give a file of netdoctor snapshot with --snapshot FILE")
		}
		if !c.NoProbe {
			a.reclaim(ctx)
		}
		a.waiting("reading namespaces, rules and engines")
		s, err := a.Read(ctx, c.Read)
		if err != nil {
			err = fmt.Errorf("reading this machine: %w", err)
			if c.Read.HostNS != "" && (errors.Is(err, snap.ErrNotFound) || errors.Is(err, snap.ErrUnsupported)) {
				return nil, badFile{snap.Hint(err, "--host-ns takes a process id, or a file such as /run/netns/NAME or /proc/1/ns/net")}
			}
			return nil, err
		}
		a.unshared(s)
		return s, ended(ctx)
	}
	s, err := a.load(c.Snapshot, c.Stdin)
	if err != nil || len(c.Others) == 0 {
		return s, err
	}
	all, names := []*snap.Snapshot{s}, []string{fileHost(c.Snapshot, s)}
	for _, file := range c.Others {
		if s, err = a.load(file, nil); err != nil {
			return nil, err
		}
		all, names = append(all, s), append(names, fileHost(file, s))
	}
	if s, err = join.Of(all, names); err != nil {
		return nil, badFile{err}
	}
	return s, nil
}

// unshared says how to see, without root, into containers of one's own.
func (a *App) unshared(s *snap.Snapshot) {
	for i := range s.Containers {
		c := &s.Containers[i]
		ns := s.Ns(c.Netns)
		if e := s.Engine(c.Engine); e != nil && e.Rootless && e.Reachable && ns != nil && len(ns.Links) == 0 {
			a.note("%s is your own and can be read without root: podman unshare netdoctor …", c.Name)
			return
		}
	}
}

// fileHost is what the host of a snapshot is called among others: as its file.
func fileHost(file string, s *snap.Snapshot) string {
	if file == "-" {
		return s.Host.Name
	}
	base := filepath.Base(file)
	if stem := strings.TrimSuffix(base, filepath.Ext(base)); stem != "" {
		return stem
	}
	return base
}

// load reads one snapshot.
func (a *App) load(file string, r io.Reader) (*snap.Snapshot, error) {
	a.waiting("reading " + file)
	if file != "-" {
		f, err := a.Open(file)
		if err != nil {
			return nil, snap.Hint(Usagef("opening snapshot: %v", err), "netdoctor snapshot -o FILE writes one")
		}
		defer f.Close() //nolint:errcheck // only read
		r = f
	}
	if r == nil {
		return nil, Usagef("no snapshot on stdin")
	}
	s, err := a.Load(r)
	if err != nil {
		return nil, badFile{fmt.Errorf("snapshot %s: %w", file, err)}
	}
	return s, nil
}
