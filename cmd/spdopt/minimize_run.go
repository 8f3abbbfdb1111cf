package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/distribute"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// record keeps a search in a run: a recorder, or a flight for one with evaluations in flight.
type record interface {
	attach(d *driver, eval evaluator)                  // lets the driver evaluate by eval, and keeps what comes of it
	open() []uint64                                    // evaluations that were handed out and whose results are not in the journal
	keepResult(result *distribute.Result) error        // puts the result of a worker into the journal
	finish(s *esadapt.Search, o *minimizeOutput) error // keeps the end of a search that was not interrupted
}

// record resumes a search if the run has anything to go on from, and returns the search to go on with. far says that workers evaluate.
func (a *app) record(k *keeper, s *esadapt.Search, async *esadapt.Async, far bool) (record, *esadapt.Search, error) {
	if async == nil {
		r, s, err := a.recorder(k, s)
		if err == nil {
			r.far = far
		}
		return r, s, err
	}
	f, err := a.flight(k, async)
	if err != nil {
		return nil, nil, err
	}
	f.far = far
	return f, f.async.Search(), nil
}

// searchKind names the states of minimize.
const searchKind = "search"

// recorder keeps a search whose candidates are reported in order. Its states stand between batches of candidates, where the search follows from what was reported
// before; the identifiers of evaluations count on from there. So a resumed search asks for the same evaluations with the same identifiers, and those whose outcome is in
// the journal are not made again, in whatever order they came in.
type recorder struct {
	a     *app
	k     *keeper
	known map[uint64]run.Told // after the state
	last  atomic.Uint64       // the largest identifier of a result in the journal that the search had not asked for when it came
	asked map[uint64]bool     // handed out after the state
	noted int                 // evaluations at the last "iter" of the journal
	saved int                 // evaluations at the last state of this process
	far   bool                // workers evaluate: their results come by keepResult
}

// savedEvery is the number of evaluations after which a state is stored however little time they took: more would take longer to read than to make.
const savedEvery = 20000

// recorder resumes s if the run has a state, and returns the search to go on with.
func (a *app) recorder(k *keeper, s *esadapt.Search) (*recorder, *esadapt.Search, error) {
	r := &recorder{a: a, k: k, known: map[uint64]run.Told{}, asked: map[uint64]bool{}}
	data, err := k.state(searchKind)
	if err != nil || k == nil {
		return r, s, err
	}
	if data != nil {
		if s, err = esadapt.Restore(data); err != nil {
			return nil, nil, &run.NotRunError{Name: k.dir(), What: err.Error()}
		}
	}
	if !k.run.Resumed() {
		return r, s, nil
	}
	for e, err := range k.run.Tail("ask", "tell", "iter") {
		if err != nil {
			return nil, nil, err
		}
		switch e.Kind {
		case "ask":
			r.asked[e.ID] = true
		case "tell":
			r.last.Store(max(r.last.Load(), e.ID))
			r.known[e.ID] = run.Told{F: e.F, G: e.G, Failed: e.Status != "", Error: e.Error}
		case "iter":
			var iter struct{ Evaluations int }
			if err := json.Unmarshal(e.Raw, &iter); err != nil {
				return nil, nil, err
			}
			r.noted = max(r.noted, iter.Evaluations)
		}
	}
	r.saved = s.Evaluations()
	a.note("going on with %s after %d evaluations, %d of them since the last state", k.dir(), s.Evaluations()+len(r.known), len(r.known))
	return r, s, nil
}

// attach implements record.
func (r *recorder) attach(d *driver, eval evaluator) { d.eval, d.after = r.evaluator(eval), r.after }

// evaluator returns eval with a memory: what the journal knows is not evaluated again, and what is evaluated goes to the journal at once.
func (r *recorder) evaluator(eval evaluator) evaluator {
	if r.k == nil {
		return eval
	}
	return func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
		if e, ok := r.known[id]; ok {
			if e.Failed {
				return objective.Value{}, &objective.Error{Kind: objective.NoValue, ID: id, What: e.Error}
			}
			return objective.Value{F: e.F, G: e.G}, nil
		}
		if !r.asked[id] {
			if err := r.k.run.Ask(run.Asked{ID: id, Candidate: id, X: x}); err != nil {
				return objective.Value{}, err
			}
		}
		if r.far {
			if err := r.k.run.Flush(); err != nil { // workers may finish it although this process dies
				return objective.Value{}, err
			}
			return eval(ctx, id, x)
		}
		began := time.Now()
		v, err := eval(ctx, id, x)
		told, keep := r.outcome(ctx, id, began, v, err)
		if !keep {
			return v, err
		}
		if lost := r.k.run.Tell(told); lost != nil {
			return v, fmt.Errorf("evaluation %d gave %v, which could not be kept: %w", id, v.F, lost)
		}
		return v, err
	}
}

// outcome is what the journal keeps of an evaluation that began at a time; false means nothing, because a later attempt would try it again.
func (r *recorder) outcome(ctx context.Context, id uint64, began time.Time, v objective.Value, err error) (told run.Told, keep bool) {
	told = run.Told{ID: id, F: v.F, G: v.G, Seconds: time.Since(began).Seconds()}
	if err == nil {
		return told, true
	}
	var failed *objective.Error
	if ctx.Err() != nil || !errors.As(err, &failed) || failed.Fatal() || id == 1 {
		return told, false
	}
	told.Failed, told.Error = true, failed.What
	if r.k != nil {
		r.k.text.Warn("evaluation failed", "id", id, "error", failed.Error())
	}
	return told, true
}

// open implements record.
func (r *recorder) open() (ids []uint64) {
	for id := range r.asked {
		if _, ok := r.known[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// toldBy is what the journal keeps of the result of a worker. A failure of the first evaluation ends the run, and is not kept: the next attempt makes it again.
func (r *recorder) toldBy(result *distribute.Result) (told run.Told, keep bool) {
	told = run.Told{ID: result.ID, F: result.Value.F, G: result.Value.G, Seconds: result.Seconds, Attempt: result.Attempt, Worker: result.Worker}
	if result.Err == nil {
		return told, true
	}
	if result.ID == 1 {
		return told, false
	}
	told.Failed, told.Error = true, result.Err.What
	r.k.text.Warn("evaluation failed", "id", result.ID, "worker", result.Worker, "error", result.Err.Error())
	return told, true
}

// keepResult implements record.
func (r *recorder) keepResult(result *distribute.Result) error {
	told, keep := r.toldBy(result)
	if !keep {
		return nil
	}
	if r.asked[result.ID] { // it may come before the search asks for it again
		r.last.Store(max(r.last.Load(), result.ID))
	}
	return r.k.run.Tell(told)
}

// after runs between two batches.
func (r *recorder) after(s *esadapt.Search) error {
	if err := r.note(s); err != nil {
		return err
	}
	if r.k == nil || uint64(s.Evaluations()) < r.last.Load() { // a state must hold all that the journal before it does
		return nil
	}
	if !r.k.due() && s.Evaluations() < r.saved+savedEvery {
		return nil
	}
	return r.checkpoint(s)
}

// note writes where the search stands, unless that was written already.
func (r *recorder) note(s *esadapt.Search) error {
	if s.Evaluations() <= r.noted || r.k == nil && !r.a.jsonl {
		return nil
	}
	r.noted = s.Evaluations()
	fields := map[string]any{
		"evaluations": s.Evaluations(), "generations": s.Generations(), "restarts": s.Restarts(), "best": num(s.Best().F), "popsize": s.PopSize(),
	}
	if d, ok := s.Strategy().(esadapt.Distribution); ok {
		fields["sigma"] = num(d.Sigma())
		if lengths := slices.Clone(d.AxisLengths(nil)); len(lengths) > 0 {
			fields["axis_ratio"] = num(slices.Max(lengths) / slices.Min(lengths))
			fields["axes"] = axes(lengths, d.Sigma())
		}
	}
	if err := r.k.event("iter", fields); err != nil {
		return err
	}
	return r.a.stream("iter", maps.Clone(fields))
}

// mostAxes is how many axes an "iter" tells of.
const mostAxes = 12

// axes returns the lengths of the axes of a distribution, the longest first; of many evenly spread ones. Four digits are enough to look at.
func axes(lengths []float64, sigma float64) []num {
	slices.Sort(lengths)
	slices.Reverse(lengths)
	out := make([]num, min(mostAxes, len(lengths)))
	for i := range out {
		v := sigma * lengths[i*(len(lengths)-1)/max(1, len(out)-1)]
		short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
		if err != nil { // beyond the largest number
			short = v
		}
		out[i] = num(short)
	}
	return out
}

func (r *recorder) checkpoint(s *esadapt.Search) error {
	data, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	r.saved = s.Evaluations()
	return r.k.checkpoint(searchKind, uint64(s.Evaluations())+1, data)
}

// finish implements record.
func (r *recorder) finish(s *esadapt.Search, o *minimizeOutput) error {
	if r.k == nil {
		return nil
	}
	if err := r.checkpoint(s); err != nil {
		return err
	}
	return r.conclude(s, o)
}

// conclude stores the result.
func (r *recorder) conclude(s *esadapt.Search, o *minimizeOutput) error {
	reasons := s.Stop()
	return r.k.finish(strings.Join(o.Stop, ", "), len(reasons) > 0 && reasons[0].Success, o)
}
