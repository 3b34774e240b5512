package spec

import (
	"fmt"
	"net/netip"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error is a fault of a file, with its place.
type Error struct {
	Line int // 0 unknown
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Text
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Text)
}

func fault(n *yaml.Node, format string, args ...any) error {
	line := 0
	if n != nil {
		line = n.Line
	}
	return &Error{line, fmt.Sprintf(format, args...)}
}

// faultAt is a fault of something whose line is known.
func faultAt(line int, format string, args ...any) error {
	return &Error{line, fmt.Sprintf(format, args...)}
}

// resolved follows aliases and merges nothing: "<<" is an unknown key.
func resolved(n *yaml.Node) *yaml.Node {
	for depth := 0; n != nil && n.Kind == yaml.AliasNode && depth < 8; depth++ {
		n = n.Alias
	}
	return n
}

func null(n *yaml.Node) bool { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// keys calls the function of each key of a mapping. A key without one, or one
// that is there twice, is an error. A key "x-…" of others is skipped, as
// Compose does.
func keys(n *yaml.Node, what string, known map[string]func(*yaml.Node) error) error {
	return each(n, what, func(k, v *yaml.Node) error {
		f := known[k.Value]
		switch {
		case f == nil && strings.HasPrefix(k.Value, "x-"):
			return nil
		case f == nil:
			why := "known are " + strings.Join(names(known), ", ")
			if k.Value == "image" || k.Value == "build" { // what every file of Compose itself has
				why = "containers here run a program of this host, which command names"
			}
			return fault(k, "%s: unknown key %q; %s", what, k.Value, why)
		}
		return f(v)
	})
}

func names(m map[string]func(*yaml.Node) error) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// each calls f for every entry of a mapping; a key that is there twice is an error.
func each(n *yaml.Node, what string, f func(key *yaml.Node, value *yaml.Node) error) error {
	n = resolved(n)
	if null(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fault(n, "%s is to be a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if seen[k.Value] {
			return fault(k, "%s has %q twice", what, k.Value)
		}
		seen[k.Value] = true
		if err := f(k, resolved(n.Content[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// text takes a scalar.
func text(to *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode {
			return fault(n, "a single value is wanted here")
		}
		*to = n.Value
		return nil
	}
}

func boolean(to *bool) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.ParseBool(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			return fault(n, "true or false is wanted here, not %q", n.Value)
		}
		*to = v
		return nil
	}
}

func number(to *int, least, most int) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || v < least || v > most {
			return fault(n, "a number from %d to %d is wanted here, not %q", least, most, n.Value)
		}
		*to = v
		return nil
	}
}

// list takes a sequence of scalars, or one scalar.
func list(to *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		items := []*yaml.Node{n}
		if n.Kind == yaml.SequenceNode {
			items = n.Content
		}
		for _, x := range items {
			x = resolved(x)
			if x.Kind != yaml.ScalarNode {
				return fault(x, "a list of single values is wanted here")
			}
			*to = append(*to, x.Value)
		}
		return nil
	}
}

// pairs takes a mapping of scalars, or a list of "K=V" (sep).
func pairs(sep string, put func(n *yaml.Node, k, v string) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind == yaml.MappingNode {
			return each(n, "this", func(k, v *yaml.Node) error {
				if v.Kind != yaml.ScalarNode {
					return fault(v, "a single value is wanted here")
				}
				return put(k, k.Value, v.Value)
			})
		}
		var items []string
		if err := list(&items)(n); err != nil {
			return err
		}
		for i, x := range items {
			at := n
			if n.Kind == yaml.SequenceNode {
				at = n.Content[i]
			}
			k, v, _ := strings.Cut(x, sep)
			if err := put(at, k, v); err != nil {
				return err
			}
		}
		return nil
	}
}

func address(to *netip.Addr) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		a, err := netip.ParseAddr(n.Value)
		if err != nil || a.Zone() != "" {
			return fault(n, "%q is no address", n.Value)
		}
		*to = a
		return nil
	}
}

func prefix(to *netip.Prefix) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		p, err := netip.ParsePrefix(n.Value)
		if err != nil {
			return fault(n, "%q is no subnet", n.Value)
		}
		*to = p
		return nil
	}
}
