package sim

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/netdoctor/netdoctor/inspect/snap"
)

// judged is a practice host as it was read, and what its kernel did with real
// packets: who answered, and where the others were dropped.
type judged struct {
	Style    string         `json:"style"`
	Faults   []string       `json:"faults"`
	Snapshot *snap.Snapshot `json:"snapshot"`
	Flows    []struct {
		Src     string     `json:"src"`
		Dst     netip.Addr `json:"dst"`
		Proto   snap.Proto `json:"proto"`
		Port    uint16     `json:"port"`
		Size    int        `json:"size"`
		Verdict Verdict    `json:"verdict"`
		Where   *struct {
			Ns     string `json:"ns"`
			Table  string `json:"table"`
			Chain  string `json:"chain"`
			Handle uint64 `json:"handle"`
			Num    int    `json:"num"`
			Reason string `json:"reason"`
			Dir    string `json:"dir"`
		} `json:"where"`
	} `json:"flows"`
}

func loadJudged(t *testing.T, file string) *judged {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	j := &judged{}
	if err := json.NewDecoder(z).Decode(j); err != nil {
		t.Fatal(err)
	}
	return j
}

// TestKernelAgrees replays recorded hosts of all rule styles with their faults:
// every verdict, and every place of a drop, is the kernel's own.
func TestKernelAgrees(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/truth/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded hosts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			j := loadJudged(t, file)
			w := New(j.Snapshot)
			for _, f := range j.Flows {
				got := w.Trace(Flow{From: f.Src, Dst: f.Dst, Proto: f.Proto, Dport: f.Port, Size: f.Size, DF: f.Size > 0})
				name := fmt.Sprintf("%s to %s:%d/%s size %d (faults %v)", f.Src, f.Dst, f.Port, f.Proto, f.Size, j.Faults)
				if got.Verdict != f.Verdict {
					t.Errorf("%s: %s, the kernel says %s\n%s", name, got.Verdict, f.Verdict, trail(got))
					continue
				}
				if f.Where == nil || got.Where == nil {
					continue
				}
				k, g := f.Where, got.Where
				if k.Reason == "NOT_SPECIFIED" && g.Reason == "NO_SOCKET" {
					continue // the reset that follows hides the drop from the watcher
				}
				bad := k.Ns != g.Netns || k.Reason != "" && g.Reason != "" && k.Reason != g.Reason || (k.Dir == "reply") != g.Reply
				if k.Table != "" {
					bad = bad || g.Rule == nil || g.Rule.Table != k.Table || g.Rule.Chain != k.Chain || g.Rule.Handle != k.Handle || k.Num != 0 && g.Rule.Num != k.Num
				}
				if bad {
					t.Errorf("%s: dropped at %+v, the kernel says %+v\n%s", name, g, *k, trail(got))
				}
			}
		})
	}
}

// trail prints the hops of a trace.
func trail(t *Trace) string {
	s := ""
	for i, hops := range [][]Hop{t.Forward, t.Reply} {
		for _, h := range hops {
			s += fmt.Sprintf("  %s %-8s %-12s %-20s %-8s %s > %s  %s  %s\n", []string{">", "<"}[i], h.Netns, h.Device, h.Stage, h.Verdict, h.Src, h.Dst, h.Did, h.Rule)
		}
	}
	if t.Where != nil {
		s += fmt.Sprintf("  where %+v\n", *t.Where)
	}
	for _, u := range t.Unknown {
		s += "  unknown: " + u + "\n"
	}
	return s
}
