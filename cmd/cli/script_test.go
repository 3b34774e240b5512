package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/cli"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/snap"
	"github.com/netdoctor/netdoctor/testenv/labtest"
)

var update = flag.Bool("update", false, "write the wanted outputs of the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"netdoctor": func() { os.Exit(run()) }})
}

// run is the program with a clock that stands still, and with a machine that is
// a file: ND_READ before a change, ND_AFTER behind it.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	a := app.New()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a.Now = func() time.Time { return at }
	a.Build = v1.VersionResult{Version: "v1.2.3", Commit: "0123abc", Date: "2026-03-01T00:00:00Z", Go: "go1.26", OS: "linux", Arch: "amd64"}
	a.Probe = nil
	ch := &changer{mode: os.Getenv("ND_CHANGE")}
	a.Changer = ch
	a.Can = nil
	reads := 0
	a.Read = func(ctx context.Context, o app.ReadOptions) (*snap.Snapshot, error) {
		name := os.Getenv("ND_READ")
		if reads++; reads > 2 && os.Getenv("ND_LATER") != "" {
			name = os.Getenv("ND_LATER")
		}
		if ch.changed {
			name = os.Getenv("ND_AFTER")
		}
		switch name {
		case "":
			return nil, snap.Hint(fmt.Errorf("opening the host's namespace: %w", snap.ErrPermission), "run as root")
		case "hang":
			fmt.Fprintln(os.Stderr, "hanging")
			if os.Getenv("ND_DEAF") == "" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			select {}
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		s, err := a.Load(f)
		if root := os.Getenv("ND_ROOT"); root != "" && err == nil {
			// The engines of a machine that has nothing but what is below that directory.
			e := engine.Read(ctx, engine.Options{Root: root, DockerHost: o.DockerHost, Runtime: o.Runtime, Deadline: patience(), Env: func(string) string { return "" }})
			s.Engines, s.Containers, s.Networks, s.Gaps = e.Engines, e.Containers, e.Networks, append(s.Gaps, e.Gaps...)
		}
		return s, err
	}
	return cli.Run(ctx, &cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, App: a, Grace: 50 * time.Millisecond, Lab: practice{},
	})
}

// practice pretends to be a practice host.
type practice struct{}

func (practice) Do(_ context.Context, action string, _ []string) (*v1.LabResult, error) {
	return &v1.LabResult{Action: action, Lab: "default", Items: []v1.Fact{{Name: "bridge-down", Value: "the bridge is down"}}}, nil
}

// changer pretends to change the machine.
type changer struct {
	mode    string
	changed bool
}

func (c *changer) Apply(_ context.Context, _ *snap.Snapshot, tx app.Tx) (app.Applied, error) {
	switch c.mode {
	case "fails":
		return app.Applied{}, fmt.Errorf("step 1 of %s: no such device: %w", tx.ID, app.ErrRolledBack)
	case "breaks":
		return app.Applied{Left: []string{"rule 2 of nat/POSTROUTING"}}, fmt.Errorf("step 2 of %s: %w", tx.ID, app.ErrRollbackIncomplete)
	}
	c.changed = true
	return app.Applied{Transaction: "t-" + tx.ID}, nil
}

func (c *changer) Undo(_ context.Context, id string) (app.Transaction, []string, error) {
	if id == "t-none" {
		return app.Transaction{}, nil, fmt.Errorf("transaction %s: %w", id, snap.ErrNotFound)
	}
	if c.mode == "nothing" && id == "" {
		return app.Transaction{}, nil, snap.NotFoundf("nothing to undo")
	}
	if id == "" {
		id = "t-last"
	}
	c.changed = false
	return app.Transaction{ID: id, Detail: []string{"deleted rule 2"}}, nil, nil
}

func (c *changer) List(context.Context) ([]app.Transaction, error) {
	return []app.Transaction{{ID: "t-1", At: time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC), State: "done", Fixes: []string{"ND3204"}, Detail: []string{"1 step"}}}, nil
}

func TestScripts(t *testing.T) {
	t.Parallel()
	data, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile("../schema/v1/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			for _, k := range []string{"NO_COLOR", "LANG", "LC_CTYPE"} {
				e.Setenv(k, "")
			}
			e.Setenv("LC_ALL", "C.UTF-8")
			for _, f := range []string{"healthy.json", "broken.json", "blind.json", "docker20.ndsnap", "docker20-no-masquerade.ndsnap"} {
				b, err := os.ReadFile(filepath.Join(data, f))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(e.WorkDir, f), b, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"verdicts": verdicts,
			"engine":   fakeEngine,
			// schema validates what the last command wrote to stdout: one
			// result, or one a line.
			"schema": func(ts *testscript.TestScript, neg bool, args []string) {
				if err := valid(schema, ts.ReadFile("stdout")); (err == nil) == neg {
					ts.Fatalf("schema: %v", err)
				}
			},
		},
	})
}

// exits runs netdoctor and looks at its exit code: exits 3 check -q.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	labtest.Exits(ts, append([]string{args[0], "netdoctor"}, args[1:]...))
}

// valid holds every JSON document of a text against the schema.
func valid(s *jsonschema.Schema, text string) error {
	dec := json.NewDecoder(strings.NewReader(text))
	n := 0
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		if err := s.Validate(doc); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return errors.New("no JSON at all")
	}
	return nil
}

// verdicts compares the verdicts of the last command's lines, in order.
func verdicts(ts *testscript.TestScript, neg bool, want []string) {
	var got []string
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	for dec.More() {
		var r v1.TraceResult
		if err := dec.Decode(&r); err != nil {
			ts.Fatalf("line %d: %v", len(got)+1, err)
		}
		got = append(got, r.Verdict)
	}
	if d := cmp.Diff(want, got); (d == "") == neg {
		ts.Fatalf("(-want +got)\n%s", d)
	}
}

// patience is how long an engine of a script may take to answer: ND_DEADLINE where
// it never does, else longer than a machine under load needs.
func patience() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("ND_DEADLINE")); err == nil {
		return d
	}
	return 20 * time.Second
}
