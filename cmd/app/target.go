package app

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// The kinds of targets.
const (
	kindContainer = "container"
	kindNetns     = "netns"
	kindHost      = "host"
	kindNetwork   = "network"
	kindInternet  = "internet"
	kindAddress   = "address"
	kindName      = "name" // of a destination: to be resolved by the sender
)

// Target is what a TARGET stands for in a snapshot.
type Target struct {
	Text      string
	Kind      string
	Netns     string // Netns.ID; "" when it has none
	Container *snap.Container
	Network   *snap.Network
	Addr      netip.Addr // of an address
	Name      string     // of a name
	Port      uint16     // destinations only
	Proto     snap.Proto // destinations only, never ""
	Bare      bool       // no scheme was given: the sender may resolve it as a name
	Notes     []string   // for stderr: what was taken for what

}

// qualified is the unambiguous way to write it.
func (t *Target) qualified() string {
	switch t.Kind {
	case kindContainer:
		return t.Container.Ref
	case kindNetns:
		return "netns:" + t.Netns
	case kindNetwork:
		return "net:" + t.Network.Name
	case kindAddress:
		return t.Addr.String()
	case kindName:
		return t.Name
	}
	return t.Kind
}

// Label is how it is called on screen.
func (t *Target) Label() string {
	switch t.Kind {
	case kindContainer:
		return t.Container.Name
	case kindNetns:
		return t.Netns
	case kindNetwork:
		return "net:" + t.Network.Name
	}
	return t.qualified()
}

// finder looks targets up in a snapshot.
type finder struct{ s *snap.Snapshot }

// any finds a target of check, inspect and fix.
func (f finder) any(text string) (Target, error) {
	if h, rest := f.onHost(text); h != "" {
		return f.joined(h, text, rest, false)
	}
	sp, err := parse(text, false)
	if err != nil {
		return Target{}, err
	}
	return f.lookup(sp)
}

// source finds the sender of a flow.
func (f finder) source(text string) (Target, error) {
	t, err := f.any(text)
	if at, port, ok := lastCut(text, ":"); err != nil && ok && port != "" && strings.Trim(port, "0123456789") == "" {
		if _, err := f.any(at); err == nil {
			return t, snap.Hint(Usagef("%q: a source has no port", text), "leave it out, or say --sport "+port)
		}
	}
	if err != nil {
		return t, err
	}
	switch t.Kind {
	case kindContainer:
		if t.Netns == "" {
			hint := ""
			if snap.IsDocker(t.Container.Engine) || snap.IsPodman(t.Container.Engine) {
				hint = diag.EngineCommand(t.Container, "start")
			}
			return t, snap.Hint(Usagef("%s is %s: it has no network namespace to send from", t.qualified(), t.Container.State), hint)
		}
	case kindNetwork, kindInternet:
		hint := "give the outside address that the packet comes from"
		if t.Kind == kindNetwork {
			hint = "give a container of it"
		}
		return t, snap.Hint(Usagef("%s sends nothing by itself", t.qualified()), hint)
	}
	return t, nil
}

// lastCut cuts a text at the last of the separators.
func lastCut(text, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

// dest finds the destination of a flow. What nothing here is called by is a
// name for the sender to resolve.
func (f finder) dest(text string) (Target, error) {
	text, err := plainDest(text)
	if err != nil {
		return Target{}, err
	}
	if h, rest := f.onHost(text); h != "" {
		return f.joined(h, text, rest, true)
	}
	sp, err := parse(text, true)
	if err != nil {
		return Target{}, err
	}
	if strings.EqualFold(sp.Name, "localhost") && sp.Scheme == "" {
		return Target{Text: text, Kind: kindName, Name: "localhost", Port: sp.Port, Proto: sp.proto(), Bare: true}, nil
	}
	t, err := f.lookup(sp)
	if err != nil && sp.Scheme == "" && !isAmbiguous(err) {
		t, err = Target{Text: text, Kind: kindName, Name: sp.Name}, nil
		if _, bad := strconv.ParseUint(sp.Name, 10, 16); bad == nil {
			t.Notes = append(t.Notes, fmt.Sprintf("%s is taken for a name: a port stands behind a colon, as in web:%[1]s", sp.Name))
		}
	}
	if err != nil && slices.Contains(schemes(), sp.Scheme) && sp.Port == 0 {
		// "docker:80" with a container called docker.
		if n, perr := strconv.ParseUint(sp.Name, 10, 16); perr == nil && n > 0 {
			if t2, err2 := f.lookup(spec{Text: text, Name: sp.Scheme}); err2 == nil {
				t, err, sp.Port, sp.Scheme = t2, nil, uint16(n), ""
			}
		}
	}
	if err != nil {
		return t, err
	}
	t.Port, t.Proto, t.Bare = sp.Port, sp.proto(), sp.Scheme == ""
	return t, nil
}

// lookup finds what a spec stands for.
func (f finder) lookup(sp spec) (Target, error) {
	t := Target{Text: sp.Text}
	switch sp.Scheme {
	case "":
		return f.bare(sp)
	case "netns":
		return f.netns(sp)
	case "pid":
		return f.pid(sp)
	case "net":
		n, err := f.network(sp)
		t.Kind, t.Network = kindNetwork, n
		return t, err
	}
	var found []*snap.Container
	for i := range 4 { // a name before an id, root's Podman before a user's
		engines, exact := []func(string, string) bool{engineOf, userOf}[i%2], i < 2
		for i := range f.s.Containers {
			c := &f.s.Containers[i]
			if engines(sp.Scheme, c.Engine) && named(c, sp.Name, exact) {
				found = append(found, c)
			}
		}
		if len(found) > 0 {
			break
		}
	}
	what := sp.Scheme + " container"
	if sp.Scheme == "container" {
		what = "container"
	}
	return f.one(sp, found, nil, what)
}

// engineOf says whether a scheme stands for an engine.
func engineOf(scheme, engine string) bool {
	return scheme == engine || scheme == "container" || scheme == "nerdctl" && engine == "containerd"
}

// userOf says whether a scheme stands for the engine of some user.
func userOf(scheme, engine string) bool { return strings.HasPrefix(engine, scheme+"@") }

// named says whether a container goes by that name, or, not exactly, by that
// beginning of its ID.
func named(c *snap.Container, name string, exact bool) bool {
	if exact {
		return c.Name == name || c.ID == name && name != ""
	}
	return len(name) >= 2 && len(name) < len(c.ID) && isHex(name) && strings.HasPrefix(c.ID, strings.ToLower(name))
}

func isHex(s string) bool {
	return strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// bare finds a target without a scheme: exact names, then beginnings of IDs,
// then addresses.
func (f finder) bare(sp spec) (Target, error) {
	t := Target{Text: sp.Text, Bare: true}
	if sp.Name == kindHost && len(f.s.Hosts) > 0 {
		return t, ambiguous(sp.Text, withSuffix(f.s.Hosts, "/host"))
	}
	switch sp.Name {
	case "host":
		t.Kind, t.Netns = kindHost, f.s.Host.Netns
		return t, nil
	case "internet":
		t.Kind = kindInternet
		return t, nil
	}
	var cs []*snap.Container
	var nss []*snap.Netns
	for i := range f.s.Containers {
		if named(&f.s.Containers[i], sp.Name, true) {
			cs = append(cs, &f.s.Containers[i])
		}
	}
	for i := range f.s.Netns {
		ns := &f.s.Netns[i]
		if (ns.ID == sp.Name || slices.Contains(ns.Names, sp.Name)) && !heldBy(cs, ns.ID) {
			nss = append(nss, ns)
		}
	}
	if len(cs)+len(nss) == 0 {
		for i := range f.s.Containers {
			if named(&f.s.Containers[i], sp.Name, false) {
				cs = append(cs, &f.s.Containers[i])
			}
		}
	}
	if len(cs)+len(nss) > 0 {
		return f.one(sp, cs, nss, "target")
	}
	if sp.Addr.IsValid() {
		t.Kind, t.Addr = kindAddress, sp.Addr
		return t, nil
	}
	if sp.Name == "localhost" {
		t.Kind, t.Netns = kindHost, f.s.Host.Netns
		return t, nil
	}
	switch cs = f.service(sp.Name); len(cs) {
	case 0:
		return t, f.noSuch("target", sp.Name, f.Names())
	case 1:
		return f.one(sp, cs, nil, "target")
	}
	// As a destination it stays a name, that the sender resolves.
	var names []string
	for _, c := range cs {
		names = append(names, c.Ref)
	}
	snap.Sort(names, snap.CompareNames)
	return t, ambiguous(sp.Text, names)
}

// service are the containers of a compose or swarm service, those that run
// where any does: compose leaves stopped ones behind.
func (f finder) service(name string) []*snap.Container {
	var all, run []*snap.Container
	for i := range f.s.Containers {
		if c := &f.s.Containers[i]; c.Service == name && name != "" {
			all = append(all, c)
			if c.Running() {
				run = append(run, c)
			}
		}
	}
	if len(run) > 0 {
		return run
	}
	return all
}

// noSuch is the error for a name that nothing has. Where an engine's containers
// could not be read it may be the name of one of them: that is not known.
func (f finder) noSuch(what, name string, known []string) error {
	if len(suggest(name, known)) == 0 {
		for _, g := range f.s.Gaps {
			if decisive(f.s, g) && hidesContainers(g.What) {
				return snap.Hint(fmt.Errorf("whether there is a %s called %q is not known: %s: %w", what, name, g.Why, errUndecided), cmp.Or(g.Needs, "netdoctor capabilities"))
			}
		}
	}
	return noSuch(what, name, known)
}

// hidesContainers says whether a gap of that noun hides containers.
func hidesContainers(what string) bool {
	switch what {
	case "docker", "podman", "containerd", "docker containers", "podman containers", "namespace", "namespaces":
		return true
	}
	return false
}

// heldBy says whether one of the containers lives in the namespace.
func heldBy(cs []*snap.Container, ns string) bool {
	return slices.ContainsFunc(cs, func(c *snap.Container) bool { return c.Netns == ns })
}

// one makes a target of what was found, if it is one thing.
func (f finder) one(sp spec, cs []*snap.Container, nss []*snap.Netns, what string) (Target, error) {
	var all []Target
	for _, c := range cs {
		all = append(all, Target{Text: sp.Text, Kind: kindContainer, Container: c, Netns: c.Netns, Bare: sp.Scheme == ""})
	}
	for _, ns := range nss {
		kind := kindNetns
		if ns.ID == f.s.Host.Netns {
			kind = kindHost
		}
		all = append(all, Target{Text: sp.Text, Kind: kind, Netns: ns.ID, Bare: sp.Scheme == ""})
	}
	switch len(all) {
	case 0:
		return Target{Text: sp.Text}, f.noSuch(what, sp.Name, f.Names())
	case 1:
		return all[0], nil
	}
	var names []string
	for i := range all {
		names = append(names, all[i].qualified())
	}
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names) {
		for i := range all {
			if c := all[i].Container; c != nil && len(c.ID) >= 12 {
				names[i] = c.Engine + ":" + c.ID[:12]
			}
		}
	}
	snap.Sort(names, snap.CompareNames)
	return Target{Text: sp.Text}, ambiguousError{ambiguous(sp.Text, names)}
}

// ambiguousError marks an ambiguous name, which is never taken for a DNS name.
type ambiguousError struct{ error }

func (e ambiguousError) Unwrap() error { return e.error }

func isAmbiguous(err error) bool {
	var a ambiguousError
	return errors.As(err, &a)
}
