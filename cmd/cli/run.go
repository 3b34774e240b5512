package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/render"
	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
	"github.com/netdoctor/netdoctor/inspect/diag"
	"github.com/netdoctor/netdoctor/inspect/engine"
	"github.com/netdoctor/netdoctor/inspect/snap"
)

// globals are the flags that every command takes.
type globals struct {
	short      bool // dns: the answer only
	output     string
	color      string
	quiet      bool
	verbose    bool
	debug      bool
	timeout    time.Duration
	runtime    string
	dockerHost string
	hostNS     string
	snapshot   string
	four, six  bool
	noProbe    bool
	rootless   bool
	observe    []string
	failOn     string
	others     []string // snapshots of other hosts
}

// session is one run: its world, its flags, and the code it ends with.
type session struct {
	env  *Env
	g    globals
	exit int
	// command is the one that runs, nil until it does.
	command *cobra.Command
	// several says that the command takes the snapshots of several hosts.
	several bool
	// filed says that -o of the command is a file, and --format the format.
	filed bool
}

// Run runs one command and gives the exit code.
func Run(ctx context.Context, env *Env) int {
	// net/http tells the default logger what a lying engine sends; stderr is for
	// people, and the answer says what they need of it.
	log.SetOutput(io.Discard)
	s := &session{env: env}
	root := s.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return s.exit
	}
	report(env, err)
	if code := exitOfError(err); !errors.Is(err, errSilent) {
		return code
	}
	return s.exit
}

// files is the flag --snapshot: the first file, and those of other hosts.
type files struct{ g *globals }

func (f *files) String() string { return "" }
func (f *files) Type() string   { return "string" }
func (f *files) Set(v string) error {
	switch { // completion sets the same flags twice
	case f.g.snapshot == "":
		f.g.snapshot = v
	case v != f.g.snapshot && !slices.Contains(f.g.others, v):
		f.g.others = append(f.g.others, v)
	}
	return nil
}

// common are the options of a reading command.
func (s *session) common() (app.Common, error) {
	g := &s.g
	c := app.Common{
		Snapshot: g.snapshot, Others: g.others, NoProbe: g.noProbe, Verbose: g.verbose, Observe: g.observe, FailOn: diag.Severity(g.failOn), Stdin: s.env.Stdin,
		Read: app.ReadOptions{HostNS: g.hostNS, Runtime: g.runtime, DockerHost: g.dockerHost},
	}
	if c.Read.Runtime == "" && s.env.Getenv("NETDOCTOR_ROOTLESS") != "" {
		c.Read.Runtime = engine.Self // the files and sockets of others are seen from there, too; nobody else runs anything on it
	}
	switch {
	case g.four && g.six:
		return c, app.Usagef("-4 and -6 exclude each other")
	case g.four:
		c.Family = 4
	case g.six:
		c.Family = 6
	}
	for _, o := range g.observe {
		if !slices.Contains(app.Observers(), o) {
			return c, s.choice("--observe", o, app.Observers())
		}
	}
	if bars := []string{"error", "warning", "info"}; !slices.Contains(bars, g.failOn) {
		return c, s.choice("--fail-on", g.failOn, bars)
	}
	if err := c.Read.Valid(); err != nil {
		return c, err
	}
	for _, f := range []struct{ name, value string }{{"--host-ns", g.hostNS}, {"--runtime", g.runtime}, {"--docker-host", g.dockerHost}} {
		if g.snapshot != "" && f.value != "" {
			return c, snap.Hint(app.Usagef("%s says how to read this machine, but --snapshot is given", f.name), "leave one of them out")
		}
	}
	if len(g.others) > 0 && !s.several {
		return c, snap.Hint(app.Usagef("several snapshots are for trace SRC DST alone"), "give one --snapshot")
	}
	if g.timeout <= 0 {
		return c, app.Usagef("--timeout %s is no time at all", g.timeout)
	}
	return c, nil
}

// use is the app of this run, its messages wired to stderr.
func (s *session) use() *app.App {
	a := *s.env.App
	var log *slog.Logger
	if s.g.debug {
		log = slog.New(slog.NewTextHandler(s.env.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	a.Note = func(t string) {
		if !s.g.quiet {
			fmt.Fprintf(s.env.Stderr, "netdoctor: note: %s\n", render.Clean(t)) //nolint:errcheck // a remark
		}
	}
	var p *progress
	if terminal(s.env.Stderr) != nil && !s.g.quiet {
		p = &progress{w: s.env.Stderr}
	}
	a.Waiting = func(what string) {
		if log != nil && what != "" {
			log.Debug(what)
		}
		if p != nil {
			p.waiting(what)
		}
	}
	return &a
}

// reading runs a use case that changes nothing, within --timeout and a little
// more at the most: what does not obey is left behind.
func (s *session) reading(ctx context.Context, do func(context.Context) (v1.Result, error)) (v1.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.g.timeout)
	defer cancel()
	type answer struct {
		r   v1.Result
		err error
	}
	done := make(chan answer, 1)
	go func() {
		r, err := do(ctx)
		done <- answer{r, err}
	}()
	select {
	case a := <-done:
		return a.r, s.late(ctx, a.err)
	case <-ctx.Done():
	}
	grace := s.env.Grace
	if grace == 0 {
		grace = time.Second
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case a := <-done:
		return a.r, s.late(ctx, a.err)
	case <-t.C:
		return nil, s.late(ctx, ctx.Err())
	}
}

// late words the end of a context.
func (s *session) late(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return snap.Hint(fmt.Errorf("not done within --timeout %s: %w", s.g.timeout, snap.ErrTimeout), "give it more time, as in --timeout 2m; --debug says what it waited for")
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// show writes an answer in the wanted format and sets the exit code.
func (s *session) show(r v1.Result, err error) error {
	if r == nil {
		return err
	}
	st, serr := s.style()
	if serr != nil {
		return serr
	}
	s.exit = exitOfResult(r, diag.Severity(s.g.failOn))
	if err != nil {
		s.exit = exitOfError(err)
	}
	st.Exit = s.exit
	if werr := render.Write(s.env.Stdout, r, s.g.output, st); werr != nil {
		return fmt.Errorf("writing the answer: %w", werr)
	}
	if s.exit == exitPending && snap.HintOf(err) == "" {
		return errSilent
	}
	return err
}

// before checks flags that can be wrong before anything is read, and gives what
// most commands have in common.
func (s *session) before(formats []string) (app.Common, error) {
	if !slices.Contains(formats, s.g.output) {
		flag := "-o"
		if s.filed {
			flag = "--format"
		}
		return app.Common{}, s.choice(flag, s.g.output, formats)
	}
	if _, err := s.style(); err != nil {
		return app.Common{}, err
	}
	return s.common()
}

// beforeFile is before for a command whose -o is a file and whose format is said
// by --format. The name of a format is meant as one, and would be a file's.
func (s *session) beforeFile(file, format string) (app.Common, error) {
	if slices.Contains(append(render.Formats(), "dot", "svg", "html", "junit", "tap", "sarif", "github"), file) {
		hint := "./" + file + " is a file"
		if slices.Contains(render.Formats(), file) {
			hint = "--format " + file + " says in it what was written; " + hint
		}
		return app.Common{}, snap.Hint(app.Usagef("%q is an output format, and -o of this command takes a file", file), hint)
	}
	s.filed, s.g.output = true, format
	return s.before(render.Formats())
}

// ask reads, thinks and shows.
func (s *session) ask(cmd *cobra.Command, do func(context.Context) (v1.Result, error)) error {
	return s.show(s.reading(cmd.Context(), do))
}
