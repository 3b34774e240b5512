package app

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// netns finds "netns:NAME": an exact ID, file name, path or inode; else the
// only one whose name ends in "-NAME", else the only one that begins with it.
func (f finder) netns(sp spec) (Target, error) {
	name := sp.Name
	if strings.HasPrefix(name, "/") {
		for i := range f.s.Netns {
			if ns := &f.s.Netns[i]; ns.Path == name || slices.Contains(ns.Names, path.Base(name)) && namedDir(name) {
				return f.one(sp, nil, []*snap.Netns{ns}, "network namespace")
			}
		}
		// Any process is a way to its namespace, the snapshot knows but some.
		if pid, ok := strings.CutPrefix(name, "/proc/"); ok {
			if pid, ok = strings.CutSuffix(pid, "/ns/net"); ok {
				sp.Name = pid
				return f.pid(sp)
			}
		}
		return Target{Text: sp.Text}, noSuch("network namespace", name, f.netnsNames())
	}
	match := func(ok func(string) bool) []*snap.Netns {
		var out []*snap.Netns
		for i := range f.s.Netns {
			ns := &f.s.Netns[i]
			if ok(ns.ID) || slices.ContainsFunc(ns.Names, ok) {
				out = append(out, ns)
			}
		}
		return out
	}
	found := match(func(s string) bool { return s == name })
	if len(found) == 0 {
		if n, err := strconv.ParseUint(name, 10, 64); err == nil {
			for i := range f.s.Netns {
				if f.s.Netns[i].Inode == n {
					found = append(found, &f.s.Netns[i])
				}
			}
		}
	}
	loose := len(found) == 0
	if loose {
		found = match(func(s string) bool { return strings.HasSuffix(s, "-"+name) })
	}
	if len(found) == 0 {
		found = match(func(s string) bool { return strings.HasPrefix(s, name) })
	}
	if len(found) == 0 {
		return Target{Text: sp.Text}, f.noSuch("network namespace", name, f.netnsNames())
	}
	t, err := f.one(sp, nil, found, "network namespace")
	if err == nil && loose {
		t.Notes = append(t.Notes, fmt.Sprintf("netns:%s is taken for netns:%s", name, called(&found[0].ID, found[0].Names, name)))
	}
	return t, err
}

// called is the name by which it was found.
func called(id *string, names []string, part string) string {
	for _, n := range names {
		if strings.HasSuffix(n, "-"+part) || strings.HasPrefix(n, part) {
			return n
		}
	}
	return *id
}

// namedDir says whether the path lies where `ip netns` keeps its files.
func namedDir(p string) bool {
	d := path.Dir(p)
	return d == "/run/netns" || d == "/var/run/netns" || d == "/run/docker/netns" || d == "/var/run/docker/netns"
}

// pid finds "pid:N": the namespace that a process lives in.
func (f finder) pid(sp spec) (Target, error) {
	t := Target{Text: sp.Text}
	n, err := strconv.Atoi(sp.Name)
	if err != nil || n <= 0 {
		return t, Usagef("%q: %q is no process id", sp.Text, sp.Name)
	}
	for i := range f.s.Containers {
		if c := &f.s.Containers[i]; c.PID == n && c.Netns != "" {
			return Target{Text: sp.Text, Kind: kindContainer, Container: c, Netns: c.Netns}, nil
		}
	}
	for i := range f.s.Netns {
		if slices.Contains(f.s.Netns[i].Pids, n) {
			return f.one(sp, nil, []*snap.Netns{&f.s.Netns[i]}, "process")
		}
	}
	for i := range f.s.Netns {
		ns := &f.s.Netns[i]
		for j := range ns.Sockets {
			if p := ns.Sockets[j].Process; p != nil && p.PID == n && p.Netns != "" {
				if home := f.s.Ns(p.Netns); home != nil {
					return f.one(sp, nil, []*snap.Netns{home}, "process")
				}
			}
		}
	}
	return t, snap.Hint(Usagef("process %d is in none of the namespaces that were read", n), fmt.Sprintf("netns:$(stat -Lc %%i /proc/%d/ns/net)", n))
}

// network finds "net:NAME".
func (f finder) network(sp spec) (*snap.Network, error) {
	var found []*snap.Network
	for _, exact := range []bool{true, false} {
		for i := range f.s.Networks {
			n := &f.s.Networks[i]
			switch {
			case exact && (n.Name == sp.Name || n.Ref == sp.Name || n.ID == sp.Name && n.ID != ""),
				!exact && len(sp.Name) >= 2 && isHex(sp.Name) && strings.HasPrefix(n.ID, strings.ToLower(sp.Name)):
				found = append(found, n)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	switch len(found) {
	case 0:
		var known []string
		for i := range f.s.Networks {
			known = append(known, "net:"+f.s.Networks[i].Name)
		}
		return nil, noSuch("network", sp.Name, known)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, n := range found {
		names = append(names, "net:"+n.Ref)
	}
	snap.Sort(names, snap.CompareNames)
	return nil, ambiguousError{ambiguous(sp.Text, names)}
}

func (f finder) netnsNames() []string {
	var out []string
	for i := range f.s.Netns {
		out = append(out, "netns:"+f.s.Netns[i].ID)
	}
	return out
}

// Names are all targets of a snapshot by name, sorted: bare where that is
// enough, qualified where it is not.
func (f finder) Names() []string {
	count := map[string]int{}
	for i := range f.s.Containers {
		count[f.s.Containers[i].Name]++
	}
	out := []string{"host", "internet"}
	for i := range f.s.Containers {
		c := &f.s.Containers[i]
		if count[c.Name] > 1 {
			out = append(out, c.Ref)
		} else {
			out = append(out, c.Name)
		}
		if len(f.service(c.Service)) == 1 && count[c.Service] == 0 {
			out = append(out, c.Service)
		}
	}
	for i := range f.s.Networks {
		out = append(out, "net:"+f.s.Networks[i].Name)
	}
	for i := range f.s.Netns {
		ns := &f.s.Netns[i]
		if ns.Class != snap.ClassContainer && ns.Class != snap.ClassHost {
			out = append(out, "netns:"+ns.ID)
		}
	}
	snap.Sort(out, snap.CompareNames)
	return slices.Compact(out)
}
