package esadapt

import (
	"errors"
	"fmt"
	"slices"
)

// Async is a search that never waits for a generation: any number of evaluations may be under way, and whenever as many results have come as the population counts, in
// whatever order, they move the distribution. A result that was drawn from an older distribution counts by where it lies in the present one, its distance from the mean
// clipped, as an injected point does; one that was drawn before a restart only counts for the best point and the budget. Use it when evaluations take very different times:
// with equal times a Search needs fewer evaluations. The population is at least as large as the number under way, unless PopSize says otherwise, so that results are hardly
// older than a generation; much older ones mislead the step size. A run depends on the order of the results. It is not safe for concurrent use.
type Async struct {
	search *Search
	most   int
	out    []asyncTask // handed out, in the order of their identifiers
	ready  []asyncTask // told, in the order in which they came
	next   uint64      // identifier of the next candidate
	drawn  int         // in this generation
}

// asyncTask is one candidate.
type asyncTask struct {
	id     uint64
	run    int       // restart that it belongs to
	u, x   []float64 // latent coordinates (see space), and variables of the objective
	f      float64
	g      []float64
	failed bool
}

// NewAsync checks the options and prepares a search with up to inFlight evaluations under way. It takes neither Noise nor Surrogate, and a strategy that takes foreign
// points (all but ma-es, lm-ma-es, 1+1-cma and axis); the step size of snes does not survive results that are a generation old.
func NewAsync(o Options, inFlight int) (*Async, error) {
	switch {
	case inFlight < 1:
		return nil, fmt.Errorf("esadapt: %d evaluations in flight, want 1 or more", inFlight)
	case o.Noise || o.Surrogate:
		return nil, errors.New("esadapt: Noise and Surrogate work on whole generations; a search with evaluations in flight has none")
	}
	if o.PopSize == 0 {
		o.PopSize = max(inFlight, defaultLambda(max(1, o.dim()-len(o.Fixed))))
	}
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	s.wholeRuns = true
	if !s.takesAny() {
		return nil, fmt.Errorf("esadapt: strategy %q takes no foreign points, which a search with evaluations in flight needs", s.StrategyName())
	}
	return &Async{search: s, most: inFlight}, nil
}

// takesAny says whether the strategy takes a whole generation of points in place of its own, as large as was asked for at least.
func (s *Search) takesAny() bool {
	_, in := s.strat.(Injector)
	_, re := s.strat.(resampler)
	return in && re && s.run.lambda >= s.opt.PopSize
}

// Search is the search inside, to look at: Best, Evaluations, Stop and the like. Its Ask, Tell, Take and Report must not be called.
func (a *Async) Search() *Search { return a.search }

// Stop returns why the search has ended, nothing while it goes on.
func (a *Async) Stop() []Reason { return a.search.stop }

// Pending returns the candidates that were handed out and not reported.
func (a *Async) Pending() []Candidate {
	var out []Candidate
	for _, t := range a.out {
		out = append(out, Candidate{ID: t.id, X: t.x})
	}
	return out
}

// Take hands out up to n new candidates: fewer, or none, when as many are under way as may be, or as the budget covers. Their points belong to the caller.
func (a *Async) Take(n int) []Candidate {
	s := a.search
	var out []Candidate
	for len(out) < n && s.stop == nil && len(a.out) < a.most {
		if b := s.opt.MaxEvaluations; b > 0 && s.evaluations+len(a.out) >= b {
			break
		}
		rows := s.strat.Ask()
		row := rows[a.drawn%len(rows)]
		if a.drawn >= len(rows) {
			row = s.strat.(resampler).resample(a.drawn%len(rows), a.drawn/len(rows))
		}
		t := asyncTask{id: a.next, run: s.book.run, u: slices.Clone(row), x: make([]float64, s.space.n)}
		s.space.toX(t.x, t.u, s.stretch)
		multiply(t.u, s.stretch)
		a.out = append(a.out, t)
		a.next++
		a.drawn++
		out = append(out, Candidate{ID: t.id, X: t.x})
	}
	return out
}

// Report gives the outcome of one candidate. A second report for one, or one after the end of its search, is ignored. An identifier that was never handed out is an error,
// as are -Inf and the wrong number of constraint values; errors change nothing.
func (a *Async) Report(r Evaluation) error {
	s := a.search
	if s.stop != nil {
		return ErrFinished
	}
	if r.ID >= a.next {
		return fmt.Errorf("esadapt: candidate %d was never handed out", r.ID)
	}
	i := slices.IndexFunc(a.out, func(t asyncTask) bool { return t.id == r.ID })
	if i < 0 {
		return nil
	}
	if !r.Failed {
		if err := s.checkResult(r.F, r.G); err != nil {
			return err
		}
	}
	t := a.out[i]
	a.out = slices.Delete(a.out, i, i+1)
	t.f, t.g, t.failed = r.F, slices.Clone(r.G), r.Failed || valueless(r.F, r.G)
	s.credit(&t)
	if t.run == s.book.run && !(t.failed && s.opt.OnFailure == FailureResample) {
		a.ready = append(a.ready, t)
	}
	a.advance()
	return nil
}

// credit counts a result.
func (s *Search) credit(t *asyncTask) {
	s.evaluations++
	if t.failed {
		s.failures++
		if s.opt.OnFailure == FailureAbort {
			s.finish(TooManyFailures, "an evaluation failed")
		}
		return
	}
	s.compare(t.id, t.x, t.f, t.g)
}

// advance makes generations of the results while there are enough, and ends the search when the budget is used up.
func (a *Async) advance() {
	s := a.search
	for s.stop == nil && len(a.ready) >= s.run.lambda {
		run, used := s.book.run, s.run.lambda
		a.generation(a.ready[:used])
		if s.book.run != run { // the other results belong to the run that has ended
			used = len(a.ready)
		}
		a.ready = slices.Delete(a.ready, 0, used)
		a.drawn = 0
	}
	if b := s.opt.MaxEvaluations; b > 0 && s.evaluations >= b {
		s.finish(BudgetUsed, "")
	}
}

// generation tells the search a generation that consists of the given results.
func (a *Async) generation(results []asyncTask) {
	s := a.search
	s.strat.Ask()
	for i, t := range results {
		for j, v := range s.stretch {
			t.u[j] /= v
		}
		s.strat.(Injector).Inject(i, t.u)
	}
	s.prepare()
	for i, t := range results {
		copy(s.points.Row(i), t.x)
		s.tasks[i] = task{slot: i, handed: true, told: true, f: t.f, serial: s.evaluations}
		s.recentAll[0]++
		if t.failed {
			s.recentFail[0]++
			s.withoutValue(i)
		} else {
			copy(s.values.Row(i), t.g)
		}
	}
	s.advance()
}

// asyncFormat opens every saved asynchronous search.
const asyncFormat = "spdopt async 1"

// MarshalBinary saves the search with its options, what has been told and what is under way.
func (a *Async) MarshalBinary() ([]byte, error) {
	inner, err := a.search.MarshalBinary()
	if err != nil {
		return nil, err
	}
	r := &archive{}
	r.tag(asyncFormat)
	r.bytes(&inner)
	a.archive(r)
	sum := checksum(r.buf)
	r.word(&sum)
	return r.buf, r.err
}

// RestoreAsync makes a search from what MarshalBinary returned; Pending lists what was under way.
func RestoreAsync(data []byte) (*Async, error) {
	r, err := openState(data)
	if err != nil {
		return nil, err
	}
	r.tag(asyncFormat)
	var inner []byte
	r.bytes(&inner)
	if r.err != nil {
		return nil, r.err
	}
	s, err := Restore(inner)
	if err != nil {
		return nil, err
	}
	s.wholeRuns = true
	if !s.takesAny() {
		return nil, fmt.Errorf("%w: strategy %q takes no foreign points", errState, s.StrategyName())
	}
	a := &Async{search: s}
	a.archive(r)
	if err := r.end(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Async) archive(r *archive) {
	r.int(&a.most)
	r.word(&a.next)
	r.int(&a.drawn)
	if r.err == nil && (a.most < 1 || a.drawn < 0) {
		r.fail("%d in flight, %d drawn", a.most, a.drawn)
	}
	for _, list := range []*[]asyncTask{&a.out, &a.ready} {
		n := r.length(len(*list), 8)
		if r.reading && r.err == nil {
			*list = make([]asyncTask, n)
		}
		for i := range *list {
			t := &(*list)[i]
			r.word(&t.id)
			r.int(&t.run)
			r.floats(&t.u)
			r.floats(&t.x)
			r.float(&t.f)
			r.floats(&t.g)
			r.bool(&t.failed)
			if s := a.search; r.err == nil && (len(t.u) != s.space.m || len(t.x) != s.space.n || t.id >= a.next || len(t.g) > s.opt.Constraints) {
				r.fail("candidate %d does not fit the problem", t.id)
			}
			if r.err != nil {
				return
			}
		}
	}
}
