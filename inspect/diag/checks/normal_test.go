package checks_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/inspect"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

var (
	record = flag.String("record", "", "a file of netdoctor snapshot to be kept, made small and stable, as -as")
	as     = flag.String("as", "", "where -record keeps it: testdata/NDNNNN/NAME.json.gz")
)

// TestRecord keeps a snapshot that was taken somewhere for a case:
//
//	netdoctor snapshot -o /tmp/raw.json
//	go test ./inspect/diag/checks -run TestRecord -record /tmp/raw.json -as testdata/ND1107/docker20.json.gz
func TestRecord(t *testing.T) {
	t.Parallel()
	if *record == "" {
		return
	}
	s, err := inspect.ReadFile(*record)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep(*as, s); err != nil {
		t.Fatal(err)
	}
}

// keep writes a snapshot for a case.
func keep(path string, s *snap.Snapshot) error {
	s, err := normal(s)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := inspect.Save(&b, s); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// epoch is when all recorded snapshots were taken.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// normal is a redacted snapshot without what is of one run alone: namespaces
// that have nothing to do with the host are left out, processes, inodes and
// cookies are numbered by first sight, counters are zero, times count from
// epoch, directories of a throw-away host have short names.
func normal(s *snap.Snapshot) (*snap.Snapshot, error) {
	s = inspect.Redact(s)
	s.Netns = slices.DeleteFunc(s.Netns, func(n snap.Netns) bool { return n.ID != s.Host.Netns && n.Light })
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	for _, m := range regexp.MustCompile(`/tmp/faultlab-([a-z0-9]+)/`).FindAllSubmatch(b, 1) {
		b = bytes.ReplaceAll(b, m[0], []byte("/lab/"))
		b = regexp.MustCompile(`\b`+string(m[1])+`-(host|rtr|inet|lan|box)\b`).ReplaceAll(b, []byte("$1"))
	}
	doc, err := decode(b)
	if err != nil {
		return nil, err
	}
	n := &normaliser{start: s.Taken.Start, num: map[string]int{}, next: map[string]int{}}
	n.walk("", doc)
	if b, err = json.Marshal(doc); err != nil {
		return nil, err
	}
	return inspect.Load(bytes.NewReader(b))
}

type normaliser struct {
	start time.Time
	num   map[string]int // kind and true number → stable number
	next  map[string]int
}

// stable numbers what is numbered by chance, by kind and first sight.
func (n *normaliser) stable(kind string, v any) json.Number {
	text := fmt.Sprint(v)
	if text == "0" {
		return "0"
	}
	if n.num[kind+text] == 0 {
		n.next[kind]++
		n.num[kind+text] = 1000 + n.next[kind]
	}
	return json.Number(fmt.Sprint(n.num[kind+text]))
}

var procPath = regexp.MustCompile(`/proc/(\d+)/`)

func (n *normaliser) walk(key string, v any) any {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range []string{"stats", "raw", "cookie", "offload"} {
			if _, rule := x["num"]; k == "raw" && !rule {
				continue // a file, or an expression that nobody could read
			}
			delete(x, k)
		}
		for _, k := range sortedKeys(x) {
			if _, pid := x[k].(json.Number); pid && key == "services" {
				x[k] = n.stable("pid", x[k])
				continue
			}
			x[k] = n.walk(k, x[k])
		}
	case []any:
		for i := range x {
			x[i] = n.walk(key, x[i])
		}
	case json.Number:
		return n.number(key, x)
	case string:
		if t, err := time.Parse(time.RFC3339Nano, x); err == nil && t.Year() > 2000 {
			return epoch.Add(t.Sub(n.start)).Truncate(time.Second).Format(time.RFC3339)
		}
		return procPath.ReplaceAllStringFunc(x, func(p string) string {
			return "/proc/" + string(n.stable("pid", strings.Split(p, "/")[2])) + "/"
		})
	}
	return v
}

func (n *normaliser) number(key string, x json.Number) json.Number {
	switch key {
	case "pid", "pids":
		return n.stable("pid", x)
	case "inode":
		return n.stable("inode", x)
	case "packets", "bytes", "policyPackets", "policyBytes", "afterMs":
		if x != "-1" {
			return "0"
		}
	case "rttMs":
		return "1"
	case "generation":
		return "1"
	}
	return x
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
