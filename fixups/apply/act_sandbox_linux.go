package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netdoctor/netdoctor/fixups"
	"github.com/netdoctor/netdoctor/inspect/kernel"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// below refuses a path that does not lie below the Applier's Root.
func (m *machine) below(path string) error {
	root := m.a.Root
	if root == "" || !filepath.IsAbs(path) || filepath.Clean(path) != path || !strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/") {
		return fmt.Errorf("writing %s, which is not below %q: %w", path, root, snap.ErrPermission)
	}
	return nil
}

// sandboxAdd makes a namespace and mounts it on the file, which keeps it.
func (m *machine) sandboxAdd(o *fixups.SandboxAdd) error {
	if err := m.below(o.Path); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o755); err != nil { // #nosec G301 -- names of namespaces are no secret
		return kind("making the directory of namespaces", err)
	}
	f, err := os.OpenFile(o.Path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444) // #nosec G302 -- a place to mount on
	if err != nil {
		return kind("making "+o.Path, err)
	}
	_ = f.Close() // nothing was written
	r, err := m.room()
	if err == nil {
		if err = unix.Mount(fmt.Sprintf("/proc/self/fd/%d", r.h.Fd()), o.Path, "", unix.MS_BIND, ""); err != nil {
			r.close()
		}
	}
	if err != nil {
		_ = os.Remove(o.Path) // the error that matters is err
		return kernel.NetlinkError("making namespace "+o.ID, err)
	}
	m.drop(o.ID)
	// The first device of every namespace (net/core/net_namespace.c, loopback.c).
	m.base.Netns = append(m.base.Netns, snap.Netns{
		ID: o.ID, Path: o.Path, Class: snap.ClassAttached, Sysctls: map[string]string{}, Links: []snap.Link{{Index: 1, Name: "lo", PeerNSID: -1}},
	})
	m.handles[o.ID] = r.h
	if m.rooms == nil {
		m.rooms = map[string]*room{}
	}
	m.rooms[o.ID] = r
	if m.conns == nil {
		m.conns = map[connKey]*conn{}
	}
	for proto, c := range r.conns {
		m.conns[connKey{o.ID, proto}] = c
	}
	if !m.takes6(o.ID) {
		return r.with6()
	}
	return nil
}

// sandboxDel takes the file away. The kernel ends the namespace when no process,
// socket or mount holds it any more.
func (m *machine) sandboxDel(o *fixups.SandboxDel) error {
	if err := m.below(o.Path); err != nil {
		return err
	}
	m.drop(o.ID)
	// EINVAL: nothing is mounted there any more.
	if err := unix.Unmount(o.Path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
		return kind("letting go of namespace "+o.ID, err)
	}
	if err := os.Remove(o.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kind("letting go of namespace "+o.ID, err)
	}
	return nil
}

// lookSandbox looks whether the namespace is there.
func (m *machine) lookSandbox(s *snap.Snapshot, w fixups.Where) error {
	i := slices.IndexFunc(s.Netns, func(n snap.Netns) bool { return n.ID == w.ID })
	h, err := ns.Open(w.Path)
	if err != nil {
		if i >= 0 {
			s.Netns = slices.Delete(s.Netns, i, i+1)
		}
		return nil //nolint:nilerr // a file without a namespace is no namespace
	}
	defer h.Close() //nolint:errcheck // only a descriptor
	if i < 0 {
		s.Netns = append(s.Netns, snap.Netns{ID: w.ID, Inode: h.Inode(), Path: w.Path, Class: snap.ClassAttached, Sysctls: map[string]string{}})
	}
	return nil
}

// maxOwnFile bounds files of one's own that are read back.
const maxOwnFile = 16 << 20

// getFile is what is in a file, nil when there is none.
func (m *machine) getFile(o *fixups.FilePut) (*string, error) {
	if err := m.below(o.Path); err != nil {
		return nil, err
	}
	st, err := os.Lstat(o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, kind("reading "+o.Path, err)
	case !st.Mode().IsRegular() || st.Size() > maxOwnFile:
		return nil, fmt.Errorf("%s is no regular file of a fit size: %w", o.Path, snap.ErrUnsupported)
	}
	b, err := os.ReadFile(o.Path)
	if err != nil {
		return nil, kind("reading "+o.Path, err)
	}
	t := string(b)
	return &t, nil
}

// putFile writes or deletes a file. Directories that are empty then go, too.
func (m *machine) putFile(o *fixups.FilePut) error {
	if err := m.below(o.Path); err != nil {
		return err
	}
	dir := filepath.Dir(o.Path)
	if o.Content == nil {
		if err := os.Remove(o.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kind("deleting "+o.Path, err)
		}
		if dir != strings.TrimSuffix(m.a.Root, "/") {
			_ = os.Remove(dir) // it stays when something is in it
		}
		return nil
	}
	perm := fs.FileMode(0o600)
	if o.Open {
		perm = 0o644
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- containers' files are read by their programs
		return kind("making "+dir, err)
	}
	if o.InPlace {
		if f, err := os.OpenFile(o.Path, os.O_WRONLY|os.O_TRUNC|unix.O_NOFOLLOW, 0); err == nil {
			_, err = f.WriteString(*o.Content)
			if e := f.Close(); err == nil {
				err = e
			}
			return kind("writing "+o.Path, err)
		}
	}
	if err := writeFileMode(o.Path, []byte(*o.Content), perm); err != nil {
		return kind("writing "+o.Path, err)
	}
	return nil
}

// leave closes what is open of namespaces that were made: whoever makes many
// fills one after the other.
func (m *machine) leave(made []fixups.Op) {
	for _, op := range made {
		if o, ok := op.(*fixups.SandboxAdd); ok {
			m.drop(o.ID)
		}
	}
}
