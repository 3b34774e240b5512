package app

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/netdoctor/netdoctor/inspect/snap"
	compose "github.com/netdoctor/netdoctor/testenv/spec"
)

// manyMembers is how many services of one network are all held against each
// other; of more only what the file says of pairs, and a ring, is written.
const manyMembers = 8

// GenerateCompose writes expectations from what a compose file says must work,
// wherever it is read: services on a common network, their names, published
// ports, the way out, and what its networks keep apart. It looks at no host, and
// takes of the file only what it needs: all other keys are the engine's.
func (a *App) GenerateCompose(c Common, file string) ([]byte, error) {
	r := c.Stdin
	if file != "-" {
		f, err := a.Open(file)
		if err != nil {
			return nil, Usagef("opening the compose file: %v", err)
		}
		defer f.Close() //nolint:errcheck // only read
		r = f
	} else if r == nil {
		return nil, Usagef("no compose file on stdin")
	}
	text, err := io.ReadAll(io.LimitReader(r, expectLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", file, err)
	case len(text) > expectLimit:
		return nil, Usagef("%s is larger than %d bytes", file, expectLimit)
	}
	var doc composeDoc
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, Usagef("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	g := &composer{seen: map[string]bool{}}
	if err := g.read(file, &doc); err != nil {
		return nil, err
	}
	for _, n := range g.notes {
		a.note("%s", n)
	}
	if len(g.services) == 0 {
		return nil, Usagef("%s has no services that docker compose up starts", file)
	}
	fmt.Fprintf(&g.b, "# What must and must not work where the services of %s run.\n# Hold it against the host: netdoctor test -f FILE --wait 30s\nexpect:\n", printable(file))
	g.write()
	return g.b.Bytes(), nil
}

// composeDoc is what is taken of a compose file (compose-spec, 05-services.md
// and 06-networks.md).
type composeDoc struct {
	Services yaml.Node `yaml:"services"`
	Networks map[string]struct {
		Internal bool   `yaml:"internal"`
		Driver   string `yaml:"driver"`
	} `yaml:"networks"`
}

type composeService struct {
	ContainerName string    `yaml:"container_name"`
	NetworkMode   string    `yaml:"network_mode"`
	Networks      yaml.Node `yaml:"networks"`
	Ports         yaml.Node `yaml:"ports"`
	Expose        []string  `yaml:"expose"`
	DependsOn     yaml.Node `yaml:"depends_on"`
	Profiles      []string  `yaml:"profiles"`
	Scale         *int      `yaml:"scale"`
	Deploy        struct {
		Replicas *int `yaml:"replicas"`
	} `yaml:"deploy"`
}

// composed is a service as its expectations need it.
type composed struct {
	name      string
	networks  []string // empty: a namespace that is not its own
	needs     []string
	port      string // ":80", ":53/udp" or "/icmp"
	published []compose.Port
	many      bool // several containers: no one sender has its name
}

type composer struct {
	b        bytes.Buffer
	doc      *composeDoc
	services []composed
	notes    []string
	seen     map[string]bool
}

func (g *composer) read(file string, doc *composeDoc) error {
	g.doc = doc
	n := &doc.Services
	if n.Kind != yaml.MappingNode {
		return Usagef("%s: line %d: services is to be a mapping", file, max(n.Line, 1))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, at := n.Content[i].Value, n.Content[i].Line
		var v composeService
		if err := n.Content[i+1].Decode(&v); err != nil {
			return Usagef("%s: service %s: %s", file, name, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		replicas := 1
		for _, r := range []*int{v.Scale, v.Deploy.Replicas} {
			if r != nil {
				replicas = *r
			}
		}
		if len(v.Profiles) > 0 || replicas == 0 {
			g.notes = append(g.notes, fmt.Sprintf("service %s is left out: it is not started by itself", name))
			continue
		}
		s := composed{name: name, networks: words(&v.Networks), needs: words(&v.DependsOn), many: replicas > 1, port: "/icmp"}
		if s.networks == nil && v.NetworkMode == "" {
			s.networks = []string{"default"}
		}
		if v.NetworkMode != "" {
			g.notes = append(g.notes, fmt.Sprintf("service %s is left out: network_mode %s", name, v.NetworkMode))
			s.networks = nil
		}
		if s.many {
			g.notes = append(g.notes, fmt.Sprintf("nothing is written that %s sends: it has %d containers", name, replicas))
		}
		ports, err := g.ports(&v)
		if err != nil {
			return Usagef("%s: line %d: service %s: %v", file, at, name, err)
		}
		for _, p := range ports {
			if s.port == "/icmp" {
				s.port = fmt.Sprintf(":%d", p.ContainerPort)
				if p.Proto != string(snap.TCP) {
					s.port += "/" + p.Proto
				}
			}
			if p.HostPort != 0 && !s.many {
				s.published = append(s.published, p)
			}
		}
		g.services = append(g.services, s)
	}
	return nil
}

// words are the elements of a list, or the keys of a mapping.
func words(n *yaml.Node) []string {
	var out []string
	for i, c := range n.Content {
		if n.Kind == yaml.SequenceNode || i%2 == 0 {
			out = append(out, c.Value)
		}
	}
	return out
}

// variable is one with a default; others are not known here.
var variable = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*:?-([^{}]*)\}`)

// ports are those that a service publishes, then those that it exposes.
func (g *composer) ports(v *composeService) ([]compose.Port, error) {
	var out []compose.Port
	add := func(text string) error {
		text = variable.ReplaceAllString(text, "$1")
		if strings.Contains(text, "$") {
			g.notes = append(g.notes, fmt.Sprintf("port %s is left out: its variable is not known here", text))
			return nil
		}
		list, err := compose.Ports(text)
		out = append(out, list...)
		return err
	}
	for _, n := range v.Ports.Content {
		if n.Kind == yaml.ScalarNode {
			if err := add(n.Value); err != nil {
				return nil, err
			}
			continue
		}
		var long struct {
			Target    string `yaml:"target"`
			Published string `yaml:"published"`
			Protocol  string `yaml:"protocol"`
			HostIP    string `yaml:"host_ip"`
		}
		if err := n.Decode(&long); err != nil {
			return nil, err
		}
		text := long.Target
		if long.Published != "" {
			text = long.Published + ":" + text
		}
		if long.HostIP != "" {
			if strings.Contains(long.HostIP, ":") {
				long.HostIP = "[" + long.HostIP + "]"
			}
			text = long.HostIP + ":" + text
		}
		if long.Protocol != "" {
			text += "/" + long.Protocol
		}
		if err := add(text); err != nil {
			return nil, err
		}
	}
	for _, e := range v.Expose {
		if err := add(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (g *composer) line(kind, from, mark, to, tag string) {
	text := from + " " + mark + " " + to
	if !g.seen[kind+text] && arrow.MatchString(text) {
		g.seen[kind+text] = true
		expectation(&g.b, kind, text, tag, "")
	}
}

// on are the services of a network.
func (g *composer) on(network string) []*composed {
	var out []*composed
	for i := range g.services {
		if slices.Contains(g.services[i].networks, network) {
			out = append(out, &g.services[i])
		}
	}
	return out
}

func (g *composer) write() {
	var names []string
	for i := range g.services {
		names = append(names, g.services[i].networks...)
	}
	snap.Sort(names, snap.CompareNames)
	names = slices.Compact(names)
	pairs := func(do func(a, b *composed)) {
		for _, n := range names {
			on := g.on(n)
			for i, a := range on {
				for j, b := range on {
					if i != j && !a.many && (len(on) <= manyMembers || j == (i+1)%len(on) || slices.Contains(a.needs, b.name)) {
						do(a, b)
					}
				}
			}
		}
	}
	pairs(func(a, b *composed) { g.line("reach", a.name, "->", b.name+b.port, "networks") })
	pairs(func(a, b *composed) { g.line("resolve", a.name, "->", b.name, "names") })
	for i := range g.services {
		s := &g.services[i]
		if len(s.networks) == 0 || s.many {
			continue
		}
		for _, p := range s.published {
			at := p.HostIP
			if !at.IsValid() || at.IsUnspecified() {
				at = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			}
			g.line("reach", kindHost, "->", netip.AddrPortFrom(at, p.HostPort).String()+"/"+p.Proto, "published")
		}
		if g.inside(s) {
			g.line("reach", s.name, "-x->", "internet:443", "isolation")
		} else {
			g.line("reach", s.name, "->", "internet:443", "egress")
		}
	}
	g.apart()
}

// inside says whether all of a service's networks are internal.
func (g *composer) inside(s *composed) bool {
	return !slices.ContainsFunc(s.networks, func(n string) bool { return !g.doc.Networks[n].Internal })
}

// apart are services that share no network: bridges are kept apart. One pair for
// each pair of networks is enough to see a hole between them.
func (g *composer) apart() {
	done := map[string]bool{}
	for i := range g.services {
		for j := range g.services {
			a, b := &g.services[i], &g.services[j]
			if a.many || b.many || len(a.networks) == 0 || len(b.networks) == 0 {
				continue // what resolves nowhere can't be asked for by name
			}
			if slices.ContainsFunc(a.networks, func(n string) bool { return slices.Contains(b.networks, n) }) {
				continue
			}
			key := strings.Join(a.networks, " ") + strconv.Quote(strings.Join(b.networks, " "))
			if done[key] || !g.bridges(a) || !g.bridges(b) {
				continue
			}
			done[key] = true
			g.line("reach", a.name, "-x->", b.name+b.port, "isolation")
		}
	}
}

// bridges says whether all networks of a service are bridges, as far as the file
// says: others isolate in other ways.
func (g *composer) bridges(s *composed) bool {
	return !slices.ContainsFunc(s.networks, func(n string) bool {
		d := g.doc.Networks[n].Driver
		return d != "" && d != "bridge"
	})
}
