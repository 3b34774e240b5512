package checks_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/sim"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// caseFile is one txtar of testdata/NDNNNN: a story in words, and the sections
//
//	case    lines "key: value":
//	        snapshot  recorded state; default: NAME.json.gz beside the file
//	        lab       the practice host it happens on, "default", or "spec" for
//	                  the one in the section lab; none: recorded elsewhere
//	        break     a fault of testenv/fault, and its target: what breaks it
//	        ask       "client -> web:80/tcp", "client ? www.example.org": what
//	                  a person asks beside what must work anyway; any number
//	        left      codes that are left when it is mended, with the reason in
//	                  the story
//	        found     "also": the check is not the first to be named; why is
//	                  part of the story
//	lab     a practice host in the words of testenv/lab
//	edit    changes to the recorded state, see edit_test.go
//	want    the findings, as reportText writes them; -update writes it
//	fix     the lines of shell that mend it; -update writes it
//
// A file whose name begins with "near-" is a near miss: the check that the
// directory is named for must stay silent.
type caseFile struct {
	path  string
	code  diag.Code
	near  bool
	story string

	snapshot, lab, fault, target string
	also                         bool
	asks, left                   []string
	sections                     map[string]string
	ar                           *txtar.Archive
}

// cases are all case files, by path.
func cases(t *testing.T) []*caseFile {
	t.Helper()
	paths, err := filepath.Glob("testdata/ND*/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var out []*caseFile
	for _, p := range paths {
		c, err := parseCase(p)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		out = append(out, c)
	}
	return out
}

func parseCase(path string) (*caseFile, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dir, base := filepath.Split(path)
	name := strings.TrimSuffix(base, ".txtar")
	c := &caseFile{
		path: path, code: diag.Code(filepath.Base(dir)), near: strings.HasPrefix(name, "near-"),
		snapshot: filepath.Join(dir, name+".json.gz"), sections: map[string]string{}, ar: txtar.Parse(b),
	}
	c.story = strings.TrimSpace(string(c.ar.Comment))
	if c.story == "" {
		return nil, fmt.Errorf("no story")
	}
	for _, f := range c.ar.Files {
		if !slices.Contains([]string{"case", "lab", "edit", "want", "fix"}, f.Name) {
			return nil, fmt.Errorf("section %q is not known", f.Name)
		}
		c.sections[f.Name] = string(f.Data)
	}
	for line := range strings.Lines(c.sections["case"]) {
		key, val, ok := strings.Cut(strings.TrimSpace(line), ":")
		val = strings.TrimSpace(val)
		switch {
		case strings.TrimSpace(line) == "":
		case !ok:
			return nil, fmt.Errorf("%q is no key: value", line)
		case key == "snapshot":
			c.snapshot = filepath.Join(dir, val)
		case key == "lab":
			c.lab = val
		case key == "break":
			c.fault, c.target, _ = strings.Cut(val, " ")
		case key == "ask":
			c.asks = append(c.asks, val)
		case key == "left":
			c.left = strings.Fields(val)
		case key == "found" && val == "also":
			c.also = true
		default:
			return nil, fmt.Errorf("%q is not known", line)
		}
	}
	return c, nil
}

// name is "ND1107/veth-off-bridge".
func (c *caseFile) name() string {
	return string(c.code) + "/" + strings.TrimSuffix(filepath.Base(c.path), ".txtar")
}

// write puts sections into the file: new ones at the end.
func (c *caseFile) write(sections ...txtar.File) error {
	for _, s := range sections {
		i := slices.IndexFunc(c.ar.Files, func(f txtar.File) bool { return f.Name == s.Name })
		switch {
		case len(s.Data) == 0 && s.Name != "want":
			c.ar.Files = slices.DeleteFunc(c.ar.Files, func(f txtar.File) bool { return f.Name == s.Name })
		case i < 0:
			c.ar.Files = append(c.ar.Files, s)
		default:
			c.ar.Files[i] = s
		}
		c.sections[s.Name] = string(s.Data)
	}
	return os.WriteFile(c.path, txtar.Format(c.ar), 0o600)
}

// load reads the recorded state, with its edits.
func (c *caseFile) load() (*snap.Snapshot, error) {
	s, err := inspect.ReadFile(c.snapshot)
	if err != nil || c.sections["edit"] == "" {
		return s, err
	}
	return edited(s, c.sections["edit"])
}

// questions are what the case asks, in the words of the snapshot.
func (c *caseFile) questions(s *snap.Snapshot) ([]diag.Ask, error) {
	var out []diag.Ask
	for _, a := range c.asks {
		ask, err := question(s, a)
		if err != nil {
			return nil, fmt.Errorf("ask %q: %w", a, err)
		}
		out = append(out, ask)
	}
	return out, nil
}

// question reads "client -> web:80/tcp", "outside:192.168.50.20 ->
// 192.168.50.10:8080/tcp" (a packet that arrives from there; "%eth1" behind the
// address: on that device, else on the one of the default route), "client ->
// web:80/tcp size 1400" (so large, and not to be fragmented), "client ->
// 127.0.0.1:80/tcp as api:80/tcp" (by that name), "client ?
// www.example.org AAAA".
func question(s *snap.Snapshot, text string) (diag.Ask, error) {
	f := strings.Fields(text)
	if len(f) < 3 {
		return diag.Ask{}, fmt.Errorf("want FROM -> TO:PORT/PROTO or FROM ? NAME [TYPE]")
	}
	id, ref := place(s, f[0])
	if f[1] == "?" {
		n := &diag.NameAsk{Netns: id, Container: ref, Name: f[2]}
		if len(f) > 3 {
			n.Type = f[3]
		}
		return diag.Ask{From: f[0], To: f[2], Name: n}, nil
	}
	to, proto, ok := strings.Cut(f[2], "/")
	if !ok || f[1] != "->" {
		return diag.Ask{}, fmt.Errorf("want FROM -> TO:PORT/PROTO")
	}
	flow := &sim.Flow{From: id, Proto: snap.Proto(proto)}
	if len(f) == 5 && f[3] == "size" {
		size, err := strconv.Atoi(f[4])
		if err != nil {
			return diag.Ask{}, err
		}
		flow.Size, flow.DF = size, true
	}
	a := diag.Ask{From: f[0], To: f[2], Flow: flow}
	if len(f) == 5 && f[3] == "as" {
		a.To = f[4]
	}
	host := to
	if i := strings.LastIndexByte(to, ':'); i >= 0 && proto != "icmp" {
		host = to[:i]
		n, err := strconv.ParseUint(to[i+1:], 10, 16)
		if err != nil {
			return a, err
		}
		flow.Dport = uint16(n)
	}
	if src, ok := strings.CutPrefix(f[0], "outside:"); ok {
		src, dev, named := strings.Cut(src, "%")
		addr, err := netip.ParseAddr(src)
		if err != nil {
			return a, err
		}
		a.Outside, flow.From, flow.Src = true, s.Host.Netns, addr
		flow.Iif = uplink(s)
		if named {
			l := s.HostNs().Link(dev)
			if l == nil {
				return a, fmt.Errorf("no device %s", dev)
			}
			flow.Iif = l.Name
		}
	} else if s.Ns(id) == nil {
		return a, fmt.Errorf("no namespace %s", f[0])
	}
	if dst, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		flow.Dst = dst
		return a, nil
	}
	for i := range s.Containers {
		if c := &s.Containers[i]; c.Name == host && len(c.Endpoints) > 0 {
			a.Container, flow.Dst = c.Ref, c.Endpoints[0].IPv4.Addr()
			return a, nil
		}
	}
	return a, fmt.Errorf("nobody is called %s", host)
}

// place finds a namespace by its ID or its container's name.
func place(s *snap.Snapshot, name string) (id, ref string) {
	for i := range s.Containers {
		if c := &s.Containers[i]; c.Name == name {
			return c.Netns, c.Ref
		}
	}
	return name, ""
}

// uplink is the device of the host's default route.
func uplink(s *snap.Snapshot) string {
	host := s.HostNs()
	for i := range host.Routes {
		if r := &host.Routes[i]; r.Dst.Bits() == 0 && r.Dst.Addr().Is4() {
			return host.LinkAt(r.Oif).Name
		}
	}
	return ""
}
