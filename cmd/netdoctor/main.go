// Netdoctor says why a container can't reach or resolve something, proves it,
// and mends it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/cli"
	"github.com/netdoctor/netdoctor/inspect/engine"
)

// A goroutine that enters a network namespace ends with its thread. Were that
// the main thread, /proc/self would show that namespace for good: so main keeps
// its thread, from before anything else runs.
func init() { runtime.LockOSThread() }

func main() {
	collectLate()
	os.Exit(run())
}

// collectLate puts off the first garbage collection until 32 MB are in use (eight
// times the runtime's least of 4): most commands are done before that, and check
// spends a fifth less of its own processor time. What lives longer or needs more
// goes on as ever from the first collection on, at which a finalizer is run
// (package runtime, SetFinalizer). Who sets GOGC has the last word.
func collectLate() {
	if os.Getenv("GOGC") != "" {
		return
	}
	usual := debug.SetGCPercent(800)
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) { debug.SetGCPercent(usual) })
}

func run() int {
	if len(os.Args) == 2 && os.Args[1] == engine.ChildArg {
		if err := engine.Serve(os.Stdin, os.Stdout); err != nil {
			return 1
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the program at once
	}()
	if code, done := insideLab(ctx); done {
		return code
	}
	return cli.Run(ctx, &cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, App: app.New(), Lab: labs(), Rootless: rootless(),
	})
}
