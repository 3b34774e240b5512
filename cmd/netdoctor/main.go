// Netdoctor says why a container can't reach or resolve something, proves it,
// and mends it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/netdoctor/netdoctor/cmd/app"
	"github.com/netdoctor/netdoctor/cmd/cli"
	"github.com/netdoctor/netdoctor/inspect/engine"
)

// A goroutine that enters a network namespace ends with its thread. Were that
// the main thread, /proc/self would show that namespace for good: so main keeps
// its thread, from before anything else runs.
func init() { runtime.LockOSThread() }

func main() { os.Exit(run()) }

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
