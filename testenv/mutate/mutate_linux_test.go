package mutate

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netdoctor/netdoctor/cmd/app"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/ns"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv"
	"github.com/netdoctor/netdoctor/testenv/lab"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

var (
	seeds = flag.String("seeds", "1-12", "which mutations: FIRST-LAST")
	many  = flag.Int("n", 1, "mutations at once; 0: one to three")
	out   = flag.String("out", "", "directory for one JSON file a seed")
	only  = flag.String("host", "", "the only kind of practice host: lab, or a generation of Docker's rules")
	pairs = flag.Int("pairs", 3, "how many pairs of named faults")
	here  = flag.Bool("here", false, "mutate the host that this runs on: it has an engine and is a practice one")
)

func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	testenv.Child()
	lab.Child()
	if len(os.Args) == 2 && os.Args[1] == engine.ChildArg {
		if err := engine.Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	serving()
	flag.Parse()
	os.Exit(m.Run())
}

// Result is what came of one seed.
type Result struct {
	Seed    uint64   `json:"seed"`
	Host    string   `json:"host"`
	Kinds   []string `json:"kinds"`
	Did     []string `json:"did"`
	Skipped string   `json:"skipped,omitempty"` // the commands were refused
	Broken  []string `json:"broken"`            // flows that worked before
	Opened  []string `json:"opened"`            // flows that did not
	Model   Said     `json:"model"`             // from the state alone
	Proved  Said     `json:"proved"`            // with probes
	Asked   Said     `json:"asked"`             // and what trace or dns says of what broke, where check did not find it
	Fix     string   `json:"fix,omitempty"`     // "mended", "helped", "failed: …", "none"
	Undo    string   `json:"undo,omitempty"`    // "same", or what differs
	Dirty   string   `json:"dirty,omitempty"`   // the host could not be brought back
	Millis  int64    `json:"ms"`
}

// Said is what one check found.
type Said struct {
	Findings []string `json:"findings"` // errors and warnings
	Right    []bool   `json:"right"`    // a mutation's place is in one of them
	First    bool     `json:"first"`    // … in the first
	Errors   bool     `json:"errors"`   // one is an error
}

func (s *Said) all() bool { return len(s.Right) > 0 && !slices.Contains(s.Right, false) }

// trial is one seed's run.
type trial struct {
	t       *testing.T
	healthy *snap.Snapshot
	app     *app.App
	res     *Result
	list    []Mutation
	flows   []flow
	before  map[string]bool
}

func (tr *trial) read(ctx context.Context) *snap.Snapshot {
	tr.t.Helper()
	s, err := tr.app.Read(ctx, app.ReadOptions{})
	if err != nil {
		tr.t.Fatal(err)
	}
	return s
}

// sh runs a script in a namespace of the host.
func (tr *trial) sh(ctx context.Context, id, script string) error {
	n := tr.healthy.Ns(id)
	if n == nil || n.Path == "" {
		return fmt.Errorf("namespace %s: %w", id, snap.ErrNotFound)
	}
	h, err := ns.Open(n.Path)
	if err != nil {
		return err
	}
	defer func() { _ = h.Close() }() // only entered
	_, err = ns.Tool{Name: "sh", Args: []string{"-ec", script}}.Run(ctx, h)
	return err
}

// forget drops what namespaces learned of their neighbours: a change of an
// address shows now, not in half a minute.
func (tr *trial) forget(ctx context.Context) {
	for i := range tr.healthy.Netns {
		n := &tr.healthy.Netns[i]
		_ = tr.sh(ctx, n.ID, "ip neigh flush all") // one that is gone has none
	}
}

// run makes the mutations of a seed and judges what is said of them.
func (tr *trial) run(ctx context.Context, seed uint64, count int, persistent bool) {
	t := tr.t
	r := rand.New(rand.NewPCG(seed, 7))
	if said := tr.ask(ctx, tr.healthy, true); len(said.Findings) > 0 {
		t.Fatalf("nothing is broken yet, and it is said: %v", said.Findings)
	}
	if count == 0 {
		count = 1 + r.IntN(3)
	}
	for range count {
		m, ok := Random(r, tr.healthy, persistent)
		if !ok {
			t.Fatal("nothing can be broken here")
		}
		tr.list = append(tr.list, m)
	}
	tr.flows = flows(tr.healthy)
	tr.before = measure(ctx, tr.flows)
	works := 0
	for _, ok := range tr.before {
		if ok {
			works++
		}
	}
	if works < 10 {
		t.Fatalf("only %d flows work while all is well: %v", works, tr.before)
	}
	for i := range tr.list {
		m := &tr.list[i]
		tr.res.Kinds, tr.res.Did = append(tr.res.Kinds, m.Kind), append(tr.res.Did, m.Netns+": "+m.Do)
		if err := tr.sh(ctx, m.Netns, m.Do); err != nil {
			tr.res.Skipped = fmt.Sprint(err)
			if persistent {
				for _, d := range slices.Backward(tr.list[:i+1]) {
					_ = tr.sh(ctx, d.Netns, d.Undo) // what was done of it
				}
			}
			return
		}
	}
	tr.forget(ctx)
	after := measure(ctx, tr.flows)
	for _, f := range slices.Sorted(maps.Keys(tr.before)) {
		switch was, is := tr.before[f], after[f]; {
		case was && !is:
			tr.res.Broken = append(tr.res.Broken, f)
		case !was && is:
			tr.res.Opened = append(tr.res.Opened, f)
		}
	}
	broken := tr.read(ctx)
	tr.res.Model = tr.ask(ctx, broken, true)
	tr.res.Proved = tr.ask(ctx, broken, false)
	if slices.ContainsFunc(tr.res.Proved.Findings, func(s string) bool { return strings.HasPrefix(s, "ND2302 ") }) {
		// It is all namespaces' of this machine together, and others run on it, too.
		tr.res.Skipped = "the machine's neighbour table is full: what is seen is not the mutation's"
		if persistent {
			for _, m := range slices.Backward(tr.list) {
				_ = tr.sh(ctx, m.Netns, m.Undo) // the host is held to its state of before
			}
		}
		return
	}
	if len(tr.res.Broken) > 0 {
		tr.res.Asked = tr.res.Proved
		if !tr.res.Proved.all() {
			tr.res.Asked = tr.trace(ctx, broken)
		}
		tr.mend(ctx, broken)
	}
}

// mend has the host mended, looks whether what failed works, and has it undone.
func (tr *trial) mend(ctx context.Context, broken *snap.Snapshot) {
	r, err := tr.app.Fix(ctx, app.FixOptions{Yes: true})
	res, ok := r.(*v1.FixResult)
	if !ok || !res.Applied {
		tr.res.Fix = "none"
		if err != nil {
			tr.res.Fix = "failed: " + err.Error()
		}
		return
	}
	tr.forget(ctx)
	after := measure(ctx, tr.flows)
	left := 0
	for _, f := range tr.res.Broken {
		if !after[f] {
			left++
		}
	}
	switch {
	case left == 0:
		tr.res.Fix = "mended"
	case left < len(tr.res.Broken):
		tr.res.Fix = "helped"
	default:
		tr.res.Fix = "failed: nothing works that did not"
	}
	if left == 0 && len(tr.list) == 1 && !tr.res.Proved.all() && slices.Equal(tr.state(tr.healthy), tr.state(tr.read(ctx))) {
		// What mends it to the very state of before has found the place.
		tr.res.Proved.Right[0], tr.res.Proved.First = true, true
		tr.res.Asked = tr.res.Proved
	}
	for _, id := range slices.Backward(res.Transactions) {
		if _, err := tr.app.Undo(ctx, id); err != nil {
			tr.res.Undo = err.Error()
			return
		}
	}
	tr.res.Undo = differ(tr.state(broken), tr.state(tr.read(ctx)))
}

// state is that of this host and its containers: other practice hosts of the
// same machine come and go.
func (tr *trial) state(s *snap.Snapshot) []string {
	return slices.DeleteFunc(labtest.State(tr.t, s), func(l string) bool {
		who := strings.Fields(l)[0]
		if n := tr.healthy.Ns(who); n != nil {
			return n.Class != snap.ClassHost && n.Class != snap.ClassContainer
		}
		return tr.healthy.Container(who) == nil
	})
}

// differ is "same", or the first lines that two states differ in.
func differ(a, b []string) string {
	var diff []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			diff = append(diff, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			diff = append(diff, "+ "+l)
		}
	}
	switch {
	case len(diff) > 0:
		return strings.Join(diff[:min(len(diff), 8)], "\n")
	case !slices.Equal(a, b):
		return "the order of rules"
	}
	return "same"
}

// TestMutations breaks practice hosts, a new one for each seed, and holds the
// diagnosis to what real packets say.
func TestMutations(t *testing.T) {
	var first, last uint64
	if _, err := fmt.Sscanf(*seeds, "%d-%d", &first, &last); err != nil {
		t.Fatalf("-seeds %q: %v", *seeds, err)
	}
	if *here {
		onThis(t, first, last)
		return
	}
	labtest.Tools(t, "ip", "bridge", "iptables", "nft", "tc", "nsenter", "getent")
	if !lab.Inside() && *out == "" {
		if err := flagOut(t); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("seed", func(t *testing.T) {
		for seed := first; seed <= last; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				if !lab.Inside() {
					t.Parallel()
				}
				if lab.Alone(t) {
					one(t, seed)
				}
			})
		}
	})
	if !lab.Inside() {
		report(t, *out, first, last)
	}
}

// flagOut makes a directory for results, which the runs inside are told of.
func flagOut(t *testing.T) error {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { _ = flag.Set("out", "") }) // the flag takes any text
	return flag.Set("out", dir)
}

// one is one seed on a host of its own.
func one(t *testing.T, seed uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	start := time.Now()
	t.Setenv("NETDOCTOR_JOURNAL", t.TempDir())
	res := &Result{Seed: seed, Host: practice(ctx, t, seed)}
	tr := &trial{t: t, app: app.New(), res: res}
	for tr.healthy = tr.read(ctx); servers(tr.healthy) < 3 && ctx.Err() == nil; {
		tr.healthy = tr.read(ctx) // programs are started, and open their sockets in a moment
	}
	tr.run(ctx, seed, *many, false)
	res.Millis = time.Since(start).Milliseconds()
	write(t, res)
}

// servers counts the containers that take connections.
func servers(s *snap.Snapshot) int {
	n := 0
	for i := range s.Netns {
		if c := &s.Netns[i]; c.Class == snap.ClassContainer && len(listening(c)) > 0 {
			n++
		}
	}
	return n
}

func write(t *testing.T, res *Result) {
	t.Helper()
	b, err := json.MarshalIndent(res, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*out, fmt.Sprintf("%d.json", res.Seed)), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
