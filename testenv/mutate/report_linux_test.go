package mutate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netdoctor/netdoctor/testenv/lab"
)

// totals are the figures of a run.
type totals struct {
	seeds, skipped             int
	broken, right, first       int // mutations with a symptom; found at their place; named first
	check                      int // found by check, which was told nothing
	model, modelRight          int
	quiet, alarms, modelAlarms int // no symptom; and something was said all the same
	warned                     int // no symptom yet; a warning, at the place of what was changed
	fixes, mended, undone      int
}

// tally adds one result, and says what is to be said of it.
func (n *totals) tally(r *Result) (miss string) {
	n.seeds++
	if r.Skipped != "" {
		n.skipped++
		return ""
	}
	if len(r.Broken) == 0 {
		n.quiet++
		if len(r.Opened) > 0 {
			return "" // what must not be possible is: to be warned of that is right
		}
		var out []string
		if len(r.Proved.Findings) > 0 && !r.Proved.Errors && r.Proved.all() {
			n.warned++
			return ""
		}
		if len(r.Proved.Findings) > 0 {
			n.alarms++
			out = append(out, "false alarm: "+strings.Join(r.Proved.Findings, "; "))
		}
		if len(r.Model.Findings) > 0 {
			n.modelAlarms++
			if len(r.Proved.Findings) == 0 {
				out = append(out, "false alarm without probes: "+strings.Join(r.Model.Findings, "; "))
			}
		}
		return strings.Join(out, "\n  ")
	}
	n.broken++
	var out []string
	if r.Proved.all() {
		n.check++
	}
	if r.Asked.all() {
		n.right++
	} else {
		out = append(out, fmt.Sprintf("MISSED %v: %s", r.Asked.Right, strings.Join(append(r.Proved.Findings, r.Asked.Findings...), "\n    ")))
	}
	if r.Asked.First {
		n.first++
	} else if r.Asked.all() {
		out = append(out, "not first: "+strings.Join(append(r.Proved.Findings, r.Asked.Findings...), "\n    "))
	}
	if n.model++; r.Model.all() {
		n.modelRight++
	} else if r.Proved.all() {
		out = append(out, "missed without probes: "+strings.Join(r.Model.Findings, "; "))
	}
	if r.Fix != "none" {
		if n.fixes++; r.Fix == "mended" {
			n.mended++
		} else {
			out = append(out, "fix "+r.Fix)
		}
		if r.Undo == "same" {
			n.undone++
		} else if r.Undo != "" {
			out = append(out, "undo: "+r.Undo)
		}
	}
	return strings.Join(out, "\n  ")
}

// per is "9 of 10 (90.0 %)".
func per(n, of int) string {
	if of == 0 {
		return "0 of 0"
	}
	return fmt.Sprintf("%d of %d (%.1f %%)", n, of, 100*float64(n)/float64(of))
}

func (n *totals) String() string {
	return fmt.Sprintf("%d seeds, %d refused by the host\nwith a symptom %d: right place %s, named first %s; by check alone %s, without probes %s\nwithout a symptom %d: false alarms %s, without probes %s; warned of the very change %d\nfixes %d: mended %s, undo gave the state of before %s",
		n.seeds, n.skipped, n.broken, per(n.right, n.broken), per(n.first, n.broken), per(n.check, n.broken), per(n.modelRight, n.model),
		n.quiet, per(n.alarms, n.quiet), per(n.modelAlarms, n.quiet), n.warned, n.fixes, per(n.mended, n.fixes), per(n.undone, n.fixes))
}

// report prints every miss and the figures, and holds them to what is promised.
func report(t *testing.T, dir string, first, last uint64) {
	t.Helper()
	var n totals
	var misses []string
	for seed := first; seed <= last; seed++ {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.json", seed)))
		if err != nil {
			continue // its own test tells why
		}
		var r Result
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		if m := n.tally(&r); m != "" {
			misses = append(misses, fmt.Sprintf("seed %d on %s, %s\n  did: %s\n  broke: %s\n  %s", r.Seed, r.Host, strings.Join(r.Kinds, " + "),
				strings.ReplaceAll(strings.Join(r.Did, "\n"), "\n", "\n       "), strings.Join(r.Broken[:min(len(r.Broken), 6)], ", "), m))
		}
	}
	if n.seeds == 0 {
		return // skipped, and said why
	}
	t.Logf("%s\n\n%s", strings.Join(misses, "\n\n"), n.String())
	// Of a few seeds one may be the machine's: a try that its load kept waiting.
	if missed := n.broken - n.right; missed > max(1, n.broken/10) {
		t.Errorf("of %d mutations with a symptom %d are found at their place: 90 %% are promised\n%s", n.broken, n.right, strings.Join(misses, "\n\n"))
	}
	if n.alarms > max(1, n.quiet/100) {
		t.Errorf("of %d mutations without a symptom %d raise an alarm: 1 %% at most is promised\n%s", n.quiet, n.alarms, strings.Join(misses, "\n\n"))
	}
}

// TestReport prints what an earlier run left in the directory -out.
func TestReport(t *testing.T) {
	if *out == "" || lab.Inside() {
		t.Skip("prints the results of an earlier run: -out DIRECTORY")
	}
	var first, last uint64
	if _, err := fmt.Sscanf(*seeds, "%d-%d", &first, &last); err != nil {
		t.Fatalf("-seeds %q: %v", *seeds, err)
	}
	report(t, *out, first, last)
}

// TestPlaces tells words from parts of words.
func TestPlaces(t *testing.T) {
	t.Parallel()
	m := Mutation{Place: words([]string{"web", "10.0.0.1"}, []string{"br-app"})}
	for text, want := range map[string]bool{
		"web has no route to 10.0.0.1": true, "web has no route to 10.0.0.11": false, "Web: 10.0.0.1/24": true,
		"the bridge br-app is down": true, "br-application": false, "webber 10.0.0.1": false, "": false,
	} {
		if got := m.At(text); got != want {
			t.Errorf("%q is at the place: %v, want %v", text, got, want)
		}
	}
	if !slices.Equal(m.Place[1], []string{"br-app"}) {
		t.Error("the words were changed")
	}
}
