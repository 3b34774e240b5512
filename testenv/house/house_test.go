package house

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/netdoctor/netdoctor/"

// floors says on which floor each package lives; it may import lower ones
// only. A package that is not listed takes the floor of the longest listed
// path above it.
var floors = map[string]int{
	"inspect/snap": 0, "cmd/schema": 0, "testenv/ipam": 0, "testenv/house": 0,
	"inspect/firewall": 1, "inspect/resolv": 1, "inspect/walk": 1, "inspect/ns": 1, "fixups": 1, "testenv/spec": 1, "inspect/join": 1,
	"testenv/labtest": 2, "inspect/sim/rules": 2, "inspect/kernel": 2, "inspect/engine/boltfile": 1, "inspect/engine/dockerapi": 1, "inspect/engine/sqlitefile": 1, "inspect/engine": 2, "inspect/intent": 2, "inspect/diff": 2, "fixups/shell": 2, "probe": 2, "testenv/fault": 2,
	"probe/witness": 3, "inspect/sim": 3, "inspect/names": 3, "inspect": 4, "fixups/apply": 4, "testenv/dns": 2, "testenv/driver": 2, "testenv/store": 3,
	"inspect/diag": 5, "testenv": 5, "testenv/judge": 5,
	"inspect/diag/checks": 6, "testenv/lab": 6, "testenv/dockerd": 6,
	"cmd/render": 7, "testenv/mutate": 7, "cmd/app": 8, "cmd/cli": 9, "cmd/netdoctor": 10, "cmd/gen": 10,
}

// pure packages do no input or output, on any platform.
var pure = []string{
	"inspect/snap", "cmd/schema/v1", "inspect/firewall", "inspect/resolv", "inspect/walk", "fixups", "fixups/shell", "inspect/intent", "inspect/diff", "inspect/join", "inspect/engine/boltfile", "inspect/engine/sqlitefile",
	"inspect/sim/rules", "inspect/sim", "inspect/names", "inspect/diag", "inspect/diag/checks", "testenv/fault",
	"testenv/ipam", "testenv/spec", "testenv/driver",
}

// impure is what a pure package must not import anywhere below it.
var impure = []string{"os/exec", "net", "golang.org/x/sys/", "github.com/vishvananda/"}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func floor(path string) (int, bool) {
	for p := path; p != ""; {
		if f, ok := floors[p]; ok {
			return f, true
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			break
		}
		p = p[:i]
	}
	return 0, false
}

func TestPackagesImportLowerFloorsOnly(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		mine, ok := floor(path)
		if !ok {
			t.Errorf("%s is on no floor: give it one here and in docs/architecture.md", path)
			continue
		}
		for _, dep := range p.Imports {
			d, ours := strings.CutPrefix(dep, module)
			if !ours {
				continue
			}
			theirs, _ := floor(d)
			sub := strings.HasPrefix(d, path+"/") || strings.HasPrefix(path, d+"/")
			if theirs > mine || theirs == mine && !sub {
				t.Errorf("%s (floor %d) imports %s (floor %d)", path, mine, d, theirs)
			}
			if (strings.HasPrefix(path, "inspect") || strings.HasPrefix(path, "probe") || strings.HasPrefix(path, "fixups")) &&
				(strings.HasPrefix(d, "testenv") || strings.HasPrefix(d, "cmd")) {
				t.Errorf("%s imports %s: nothing under inspect, probe or fixups may", path, d)
			}
		}
	}
}

func TestPurePackagesTouchNothing(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !slices.Contains(pure, path) {
			continue
		}
		for _, dep := range p.Deps {
			for _, bad := range impure {
				if dep == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(dep, bad) {
					t.Errorf("%s depends on %s", path, dep)
				}
			}
		}
		for _, dep := range p.Imports {
			if dep == "os" || dep == "syscall" {
				t.Errorf("%s imports %s", path, dep)
			}
		}
	}
}

func TestTablesAreDrawnInOnePlace(t *testing.T) {
	drawn := false
	for _, p := range list(t) {
		if !slices.Contains(p.Imports, "github.com/olekukonko/tablewriter") {
			continue
		}
		if path := strings.TrimPrefix(p.ImportPath, module); path != "cmd/render" {
			t.Errorf("%s imports tablewriter: only cmd/render may", path)
		}
		drawn = true
	}
	if !drawn {
		t.Error("nobody draws tables with tablewriter")
	}
}

// The libraries that the project is built on are in the program, not in go.mod alone.
func TestProgramStandsOnItsLibraries(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"cmd/netdoctor").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, lib := range []string{"spf13/cobra", "vishvananda/netlink", "vishvananda/netns", "miekg/dns", "olekukonko/tablewriter"} {
		if !slices.Contains(deps, "github.com/"+lib) {
			t.Errorf("%s is not in the program", lib)
		}
	}
}

// maxLines is what fits a reader's head: one noun a file.
const maxLines = 400

func TestFilesAreShort(t *testing.T) {
	seen := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if n := bytes.Count(b, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, more than %d", path, n, maxLines)
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d files looked at: %v", seen, err)
	}
}

// TestArchitectureIsAsWritten: docs/architecture.md has every package once, on
// its floor, and calls pure what is.
func TestArchitectureIsAsWritten(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| ([0-9]+) \\| (`[^|]*) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, m := range regexp.MustCompile("`([a-z0-9/]+)`( pure)?").FindAllStringSubmatch(row[2], -1) {
			if _, twice := said[m[1]]; twice {
				t.Errorf("%s stands there twice", m[1])
			}
			said[m[1]] = row[1] + m[2]
		}
	}
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if said[path] == "" { // told with the package above it
			if _, own := floors[path]; own && path != "testenv/house" && path != "testenv/labtest" {
				t.Errorf("docs/architecture.md has no %s", path)
			}
			continue
		}
		f, _ := floor(path)
		want := strconv.Itoa(f)
		if slices.Contains(pure, path) {
			want += " pure"
		}
		if said[path] != want {
			t.Errorf("docs/architecture.md has %s as %q, it is %q", path, said[path], want)
		}
		delete(said, path)
	}
	for path := range said {
		t.Errorf("docs/architecture.md has %s, which is no package", path)
	}
}
