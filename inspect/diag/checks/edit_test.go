package checks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// edited is a copy of a recorded state with changes in its JSON form, a line
// each, blank lines and lines that begin with # apart:
//
//	netns[host].links[veth-web].up = false
//	netns[host].sysctls[net/ipv4/ip_forward] = "0"
//	netns[web].routes[dst=0.0.0.0/0].gateway = "172.20.0.9"
//	netns[host].conntrack[+] = {…}
//	- netns[host].links[br-app]
//
// [X] is the element of a list whose id, name, ref or owner is X, or whose
// given field is, or its number from 0, or a key of a map. Recorded probes speak
// of the state before: "- probes" leaves them out.
func edited(s *snap.Snapshot, script string) (*snap.Snapshot, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	doc, err := decode(b)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if doc, err = edit(doc, line); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
	}
	if b, err = json.Marshal(doc); err != nil {
		return nil, err
	}
	return inspect.Load(bytes.NewReader(b))
}

func decode(b []byte) (any, error) {
	var doc any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return doc, d.Decode(&doc)
}

func edit(doc any, line string) (any, error) {
	if path, ok := strings.CutPrefix(line, "- "); ok {
		return change(doc, steps(path), func(any) (any, bool, error) { return nil, false, nil })
	}
	path, val, ok := strings.Cut(line, " = ")
	if !ok {
		return nil, fmt.Errorf("want PATH = JSON or - PATH")
	}
	v, err := decode([]byte(val))
	if err != nil {
		return nil, err
	}
	return change(doc, steps(path), func(any) (any, bool, error) { return v, true, nil })
}

// steps cuts "netns[host].links[0]" into "netns", "[host", "links", "[0".
func steps(path string) []string {
	var out []string
	for path != "" {
		if path[0] == '[' {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				end = len(path) - 1
			}
			out, path = append(out, path[:end]), path[end+1:]
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		out, path = append(out, path[:end]), path[end:]
	}
	return out
}

// change gives the document with what is at the path replaced by what f makes
// of it; f's false takes it out.
func change(doc any, path []string, f func(any) (any, bool, error)) (any, error) {
	if len(path) == 0 {
		v, _, err := f(doc)
		return v, err
	}
	key, bracket := strings.CutPrefix(path[0], "[")
	if l, ok := doc.([]any); ok && bracket {
		if key == "+" {
			l = append(l, map[string]any{})
			key = strconv.Itoa(len(l) - 1)
		}
		i := index(l, key)
		if i < 0 {
			return nil, fmt.Errorf("no element %s", key)
		}
		if len(path) > 1 {
			v, err := change(l[i], path[1:], f)
			l[i] = v
			return l, err
		}
		v, keep, err := f(l[i])
		if !keep {
			return append(l[:i], l[i+1:]...), err
		}
		l[i] = v
		return l, err
	}
	m, ok := doc.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: not there", path[0])
	}
	if _, ok := m[key]; !ok && len(path) > 1 {
		if m[key] = any(map[string]any{}); path[1] == "[+" {
			m[key] = []any{}
		}
	}
	if len(path) > 1 {
		v, err := change(m[key], path[1:], f)
		m[key] = v
		return m, err
	}
	v, keep, err := f(m[key])
	if m[key] = v; !keep {
		delete(m, key)
	}
	return m, err
}

// index finds an element of a list; -1 none.
func index(l []any, key string) int {
	field, val, given := strings.Cut(key, "=")
	for i, e := range l {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		if given {
			if fmt.Sprint(m[field]) == val {
				return i
			}
			continue
		}
		for _, k := range []string{"id", "name", "ref", "owner"} {
			if m[k] == key {
				return i
			}
		}
	}
	if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(l) {
		return i
	}
	return -1
}
