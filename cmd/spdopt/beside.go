package main

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// patience is the time that a computation has to end by itself after an interruption.
const patience = 300 * time.Millisecond

// beside runs a computation that may have no place to stop for minutes, such as a large decomposition, beside its command. When ctx ends, the computation is left
// behind unless it ends soon by itself, and the error is the cause: the program ends without it. What compute returns or writes is the command's only if it was not
// left behind, apart from what it touches by the guard.
func beside(ctx context.Context, compute func(g *guard) error) error {
	g := &guard{}
	done := make(chan error, 1)
	go func() { done <- compute(g) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		g.shut()
		return context.Cause(ctx)
	}
}

// unlessInterrupted is beside for the last computation of a command: an interruption is its error even if it ended in time.
func unlessInterrupted(ctx context.Context, compute func(g *guard) error) error {
	return cmp.Or(beside(ctx, compute), context.Cause(ctx))
}

// reportWhenDone runs a computation beside the command, then reports what it found.
func (a *app) reportWhenDone(compute func(g *guard) (report func() error, err error)) error {
	var report func() error
	if err := unlessInterrupted(a.ctx, func(g *guard) (err error) { report, err = compute(g); return err }); err != nil {
		return err
	}
	return report()
}

// guard stands before what a command still needs when a computation was left behind: the run that it keeps, files, the line of progress, partial results.
type guard struct {
	mu   sync.Mutex
	left bool
}

// touch calls f unless the computation was left behind; then it returns false.
func (g *guard) touch(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.left {
		f()
	}
	return !g.left
}

// shut waits for a touch under way and lets none begin.
func (g *guard) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = true
}
