package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// netns makes or deletes a named namespace, by ip(8): it knows how to make
// /run/netns a shared mount, without which other mount namespaces keep deleted
// namespaces alive.
func (m *machine) netns(ctx context.Context, verb, name string) error {
	if !plainName(name) || strings.HasPrefix(name, "-") {
		return fmt.Errorf("namespace name %q: %w", name, snap.ErrUnsupported)
	}
	_, err := ns.Command(ctx, nil, "ip", "netns", verb, name)
	return err
}

// lookNamed looks whether there is a namespace of that name.
func (m *machine) lookNamed(s *snap.Snapshot, name string) error {
	if !plainName(name) {
		return fmt.Errorf("namespace name %q: %w", name, snap.ErrUnsupported)
	}
	path := "/run/netns/" + name
	have := -1
	for i := range s.Netns {
		if p := s.Netns[i].Path; p == path || p == "/var"+path {
			have = i
		}
	}
	h, err := ns.Open(path)
	switch {
	case errors.Is(err, snap.ErrNotFound):
		if have >= 0 {
			s.Netns = append(s.Netns[:have:have], s.Netns[have+1:]...)
		}
		return nil
	case err != nil:
		return err
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	if have < 0 {
		s.Netns = append(s.Netns, snap.Netns{
			ID: name, Inode: h.Inode(), Path: path, Names: []string{name}, Class: snap.ClassForeign, Sysctls: map[string]string{},
		})
	}
	return nil
}
