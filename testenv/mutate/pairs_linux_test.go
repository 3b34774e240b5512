package mutate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/fixups/apply"
	"github.com/netdoctor/netdoctor/testenv/fault"
	"github.com/netdoctor/netdoctor/testenv/lab"
)

// pair is what came of two faults at once.
type pair struct {
	Faults  []string `json:"faults"` // "veth-down web"
	Skipped string   `json:"skipped,omitempty"`
	Found   []bool   `json:"found"`
	Said    []string `json:"said"`
}

// TestPairs breaks practice hosts by two named faults of different objects, the
// second on a host that has the first: both have to be found by their names, by
// check or by asking for what each makes suffer.
func TestPairs(t *testing.T) {
	if !lab.Inside() && *out == "" {
		if err := flagOut(t); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("seed", func(t *testing.T) {
		for seed := range uint64(*pairs) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				if !lab.Inside() {
					t.Parallel()
				}
				if lab.Alone(t) {
					two(t, seed)
				}
			})
		}
	})
	if lab.Inside() {
		return
	}
	both, all := 0, 0
	var misses []string
	for seed := range uint64(*pairs) {
		b, err := os.ReadFile(filepath.Join(*out, fmt.Sprintf("pair%d.json", seed)))
		if err != nil {
			continue // its own test tells why
		}
		var p pair
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatal(err)
		}
		if p.Skipped != "" {
			continue
		}
		if all++; !slices.Contains(p.Found, false) {
			both++
			continue
		}
		misses = append(misses, fmt.Sprintf("seed %d, %s: found %v\n  %s", seed, strings.Join(p.Faults, " + "), p.Found, strings.Join(p.Said, "\n  ")))
	}
	if all == 0 {
		return // skipped, and said why
	}
	t.Logf("%s\nof %d pairs of faults both are found in %s", strings.Join(misses, "\n"), all, per(both, all))
	if all-both > max(1, all/10) {
		t.Errorf("both faults of a pair are found in %s: 90 %% are promised\n%s", per(both, all), strings.Join(misses, "\n"))
	}
}

// two is one pair.
func two(t *testing.T, seed uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	lab.New(t, lab.Default())
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	a := app.New()
	r := rand.New(rand.NewPCG(seed, 11))
	all := fault.All()
	on := []string{"web", "db", "client", "report"}
	r.Shuffle(len(on), func(i, k int) { on[i], on[k] = on[k], on[i] })
	p := pair{}
	var codes []string
	for i := range 2 {
		s, err := a.Read(ctx, app.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		f, target := all[r.IntN(len(all))], on[i]
		if i == 1 && f.Code == codes[0] {
			f = all[(slices.IndexFunc(all, func(g fault.Fault) bool { return g.Name == f.Name })+1)%len(all)]
		}
		ops, err := f.Break(s, target)
		if err != nil && target != "web" { // only web publishes a port
			target = "web"
			ops, err = f.Break(s, target)
		}
		if err == nil {
			_, err = (&apply.Applier{Dir: t.TempDir()}).Apply(ctx, s, apply.Tx{ID: "break", Ops: ops})
		}
		p.Faults = append(p.Faults, f.Name+" "+target)
		if err != nil {
			p.Skipped = err.Error() // the first one left nothing to break
			break
		}
		codes = append(codes, f.Code)
	}
	if p.Skipped == "" {
		p.judge(ctx, t, a, codes)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*out, fmt.Sprintf("pair%d.json", seed)), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// judge asks check, and for the two sufferers.
func (p *pair) judge(ctx context.Context, t *testing.T, a *app.App, codes []string) {
	t.Helper()
	p.Found = make([]bool, len(codes))
	hear := func(who string, list []v1.Finding) {
		for _, f := range list {
			if f.Severity == "info" {
				continue
			}
			p.Said = append(p.Said, fmt.Sprintf("%s%s: %s", who, f.Code, f.Summary))
			for i, c := range codes {
				p.Found[i] = p.Found[i] || f.Code == c
			}
		}
	}
	r, err := a.Check(ctx, app.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hear("", r.Findings)
	for i, name := range p.Faults {
		if p.Found[i] {
			continue
		}
		name, target, _ := strings.Cut(name, " ")
		f, err := fault.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		w := strings.Fields(f.Suffers)
		if len(w) != 3 {
			continue // nobody of this host suffers
		}
		from := strings.Replace(w[0], "web", target, 1)
		if w[1] == "?" {
			if w[2] == target {
				w[2] = "web"
			}
			res, err := a.DNS(ctx, app.DNSOptions{Name: w[2], From: from})
			if d, ok := res.(*v1.DNSResult); ok && err == nil {
				hear(from+" ? "+w[2]+": ", d.Findings)
			}
			continue
		}
		if res, err := a.Trace(ctx, app.TraceOptions{From: from, To: strings.Replace(w[2], "web:80", target, 1)}); err == nil {
			hear(from+" -> "+w[2]+": ", res.Findings)
		}
	}
}
