package fixups

import (
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// Where is a network namespace as an operation remembers it: enough to say it
// to a person, and to find the very same one again later.
type Where struct {
	ID string `json:"id"` // Netns.ID
	// Host marks the namespace that is "the host": its lines need no prefix.
	Host bool `json:"host,omitempty"`
	// Name is what `ip netns` calls it, "" when it has no name there.
	Name string `json:"name,omitempty"`
	// Pid is a process in it, 0 for none. It helps a person and finds the
	// namespace; Inode says whether it is still the same.
	Pid   int    `json:"pid,omitempty"`
	Path  string `json:"path,omitempty"`  // Netns.Path
	Inode uint64 `json:"inode,omitempty"` // 0: not known, then nothing can be compared
}

// At is the namespace with that ID. For an ID that the snapshot does not have
// only the ID is set, and the operation's On will say so.
func At(s *snap.Snapshot, id string) Where {
	ns := s.Ns(id)
	if ns == nil {
		return Where{ID: id}
	}
	w := Where{ID: id, Host: id == s.Host.Netns, Name: ns.IPNetns(), Path: ns.Path, Inode: ns.Inode}
	if len(ns.Pids) > 0 {
		w.Pid = ns.Pids[0]
	}
	return w
}

// Netns is the ID.
func (w Where) Netns() string { return w.ID }

// in says where for Describe: "" on the host, else " in web".
func (w Where) in() string {
	if w.Host {
		return ""
	}
	return " in " + w.ID
}

// line is a command run in the namespace.
func (w Where) line(args ...string) string {
	switch {
	case w.Host:
	case w.Name != "":
		if args[0] == "ip" {
			return words(append([]string{"ip", "-n", w.Name}, args[1:]...)...)
		}
		return words(append([]string{"ip", "netns", "exec", w.Name}, args...)...)
	case w.Pid != 0:
		return words(append([]string{"nsenter", "-t", strconv.Itoa(w.Pid), "-n"}, args...)...)
	case w.Path != "":
		return words(append([]string{"nsenter", "--net=" + w.Path}, args...)...)
	}
	return words(args...)
}

// find is the namespace in a snapshot.
func (w Where) find(s *snap.Snapshot) (*snap.Netns, error) {
	if ns := s.Ns(w.ID); ns != nil {
		return ns, nil
	}
	return nil, snap.NotFoundf("no namespace %s", w.ID)
}

// link finds the namespace and a device in it.
func (w Where) link(s *snap.Snapshot, name string) (*snap.Netns, *snap.Link, error) {
	ns, err := w.find(s)
	if err != nil {
		return nil, nil, err
	}
	l := ns.Link(name)
	if l == nil {
		return nil, nil, snap.NotFoundf("no device %s in %s", name, w.ID)
	}
	return ns, l, nil
}

// words joins words to a line of shell, quoted where the shell would take a
// word for something else.
func words(list ...string) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = word(w)
	}
	return strings.Join(out, " ")
}

// plain holds what needs no quotes besides letters and digits. "!" only means
// something to an interactive shell when something follows it.
const plain = "@%+=:,./-_"

func word(w string) string {
	if w == "!" {
		return w
	}
	safe := w != ""
	for _, r := range w {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(plain, r)) {
			safe = false
		}
	}
	if safe {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

// Places are the namespaces that an operation looks at or changes.
func (w Where) Places() []Where { return []Where{w} }

// Placed is what operations in namespaces are.
type Placed interface{ Places() []Where }
