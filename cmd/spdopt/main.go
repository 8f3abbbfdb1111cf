// Command spdopt solves problems over symmetric positive-definite matrices, computes their roots, minimizes functions from their values, trains networks and looks into them, and keeps
// and watches the runs.
//
// Each verb is one file here; all mathematics lives in the packages.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	_ "github.com/spdopt/spdopt/cuda" // the device "cuda"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		signal.Stop(signals) // a second signal ends the program at once
		cancel(interrupted{s})
	}()
	a := &app{
		ctx: ctx, in: os.Stdin, out: os.Stdout, err: os.Stderr,
		terminal: term.IsTerminal(int(os.Stderr.Fd())), screen: term.IsTerminal(int(os.Stdout.Fd())),
	}
	os.Exit(a.run(os.Args[1:]))
}
