package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/distribute"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// flightKind names the states of minimize --in-flight.
const flightKind = "search-in-flight"

// flight keeps evaluations under way all the time and tells the search each result when it comes. What the search is asked and told goes to the journal in that order,
// under one lock, so that the journal after a state leads to the search as it was, bit for bit. Evaluations that were asked and not told are made again under their
// numbers, at the same points. Candidate c of the search is evaluation c + 1.
type flight struct {
	*recorder
	mu     sync.Mutex
	async  *esadapt.Async
	next   uint64 // first evaluation that was not handed out
	turned int    // generations at the last "iter" of the journal
	closed bool   // nothing is told any more
}

// errPutAway refuses results that come while a run ends: they stay in the queue.
var errPutAway = errors.New("the run is being put away")

// flight resumes the search if the run has anything to go on from.
func (a *app) flight(k *keeper, async *esadapt.Async) (*flight, error) {
	f := &flight{recorder: &recorder{a: a, k: k}, async: async, next: 1}
	data, err := k.state(flightKind)
	if err != nil || k == nil {
		return f, err
	}
	if data != nil {
		if f.async, err = esadapt.RestoreAsync(data); err != nil {
			return nil, &run.NotRunError{Name: k.dir(), What: err.Error()}
		}
		f.next = k.run.State().Next
	}
	if !k.run.Resumed() {
		return f, nil
	}
	at := f.async.Search().Evaluations()
	if _, err := retrace(k.run, f.async); err != nil {
		return nil, err
	}
	for e, err := range k.run.Tail("ask") {
		if err != nil {
			return nil, err
		}
		f.next = max(f.next, e.ID+1)
	}
	s := f.async.Search()
	f.saved, f.noted, f.turned = at, s.Evaluations(), s.Generations()
	a.note("going on with %s after %d evaluations, %d of them since the last state; %d are open", k.dir(), s.Evaluations(), s.Evaluations()-at, len(f.async.Pending()))
	return f, nil
}

// attach implements record.
func (f *flight) attach(d *driver, eval evaluator) { d.eval, d.flight = eval, f }

// open implements record.
func (f *flight) open() (ids []uint64) {
	for _, c := range f.pending() {
		ids = append(ids, c.ID+1)
	}
	return ids
}

func (f *flight) pending() []esadapt.Candidate {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.async.Pending()
}

// fly goes on until the search stops, ctx ends (its cause is the error) or the objective can't be used.
func (d *driver) fly(ctx context.Context) error {
	f := d.flight
	inner, cancel := context.WithCancel(ctx)
	landed := make(chan verdict)
	under := 0
	defer func() { // nobody may be left evaluating, and nothing changes any more
		cancel()
		for ; under > 0; under-- {
			<-landed
		}
		f.close()
	}()
	start := func(all []esadapt.Candidate) {
		for _, c := range all {
			under++
			go func() { landed <- f.evaluate(inner, d.eval, c) }()
		}
	}
	start(f.pending())
	for {
		fresh, stopped, err := f.take(d.jobs - under)
		if err != nil || stopped {
			return err
		}
		start(fresh)
		if under == 0 {
			return errors.New("internal error: the search goes on but has no candidates")
		}
		v := <-landed
		under--
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.noteFailure(v); err != nil {
			return err
		}
		f.look(d.show)
	}
}

// noteFailure returns the error of a verdict that ends the run, and remembers any other. The first evaluation must not fail, and none may break the protocol.
func (d *driver) noteFailure(v verdict) error {
	var failed *objective.Error
	if v.err != nil && (!errors.As(v.err, &failed) || failed.Fatal() || v.index == 0) {
		return v.err
	}
	if failed != nil {
		d.lastFailure = failed
	}
	return nil
}

// take hands out up to n candidates, which are in the journal by then: workers may finish them although this process dies.
func (f *flight) take(n int) (fresh []esadapt.Candidate, stopped bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.async.Stop() != nil {
		return nil, true, nil
	}
	fresh = f.async.Take(n)
	for _, c := range fresh {
		f.next = c.ID + 2
		if f.k == nil {
			continue
		}
		if err := f.k.run.Ask(run.Asked{ID: c.ID + 1, Candidate: c.ID, X: c.X}); err != nil {
			return nil, false, err
		}
	}
	if f.far && len(fresh) > 0 {
		err = f.k.run.Flush()
	}
	return fresh, false, err
}

// evaluate makes one evaluation and lands its result; that of a worker has landed when it is here.
func (f *flight) evaluate(ctx context.Context, eval evaluator, c esadapt.Candidate) verdict {
	began := time.Now()
	value, err := eval(ctx, c.ID+1, c.X)
	v := verdict{int(c.ID), value, err}
	if f.far {
		return v
	}
	if told, keep := f.outcome(ctx, c.ID+1, began, value, err); keep {
		if lost := f.land(told); lost != nil {
			v.err = lost
		}
	}
	return v
}

// keepResult implements record.
func (f *flight) keepResult(result *distribute.Result) error {
	told, keep := f.toldBy(result)
	if !keep {
		return nil
	}
	return f.land(told)
}

// land puts a result into the journal and tells the search. One that comes after the end of the search is kept, and changes nothing.
func (f *flight) land(told run.Told) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errPutAway
	}
	if f.k != nil {
		if lost := f.k.run.Tell(told); lost != nil {
			return fmt.Errorf("evaluation %d gave %v, which could not be kept: %w", told.ID, told.F, lost)
		}
	}
	if err := f.async.Report(evaluationOf(told.ID, told.F, told.G, told.Failed)); err != nil && !errors.Is(err, esadapt.ErrFinished) {
		return err
	}
	s := f.async.Search()
	if g := s.Generations(); g > f.turned {
		f.turned = g
		if err := f.note(s); err != nil {
			return err
		}
	}
	if f.k == nil || !f.k.due() && s.Evaluations() < f.saved+savedEvery {
		return nil
	}
	return f.checkpoint()
}

func (f *flight) checkpoint() error {
	data, err := f.async.MarshalBinary()
	if err != nil {
		return err
	}
	f.saved = f.async.Search().Evaluations()
	return f.k.checkpoint(flightKind, f.next, data)
}

// look lets show look at the search while nothing changes.
func (f *flight) look(show func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	show()
}

func (f *flight) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// finish implements record.
func (f *flight) finish(s *esadapt.Search, o *minimizeOutput) error {
	if err := f.note(s); err != nil || f.k == nil {
		return err
	}
	if err := f.checkpoint(); err != nil {
		return err
	}
	return f.conclude(s, o)
}
