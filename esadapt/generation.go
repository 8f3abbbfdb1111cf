package esadapt

import (
	"cmp"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// prepare samples a generation unless one is under way.
func (s *Search) prepare() {
	if s.open {
		return
	}
	s.open, s.stage = true, stageSample
	s.recentFail[1], s.recentAll[1] = s.recentFail[0], s.recentAll[0]
	s.recentFail[0], s.recentAll[0] = 0, 0
	rows := s.strat.Ask()
	s.placed = min(len(s.injected), len(rows))
	s.placeInjected(rows)
	repeats := 1
	if s.noise != nil {
		repeats = s.noise.count()
	}
	s.fit(len(rows) * repeats)
	for i := range s.tasks {
		s.tasks[i] = task{slot: i / repeats}
		s.space.toX(s.points.Row(i), rows[i/repeats], s.stretch)
	}
	if s.model != nil {
		s.model.begin(s)
	}
	s.trimToBudget()
}

// fit gives the generation room for k tasks.
func (s *Search) fit(k int) {
	if s.points.Rows < k {
		points, values := dense.New[float64](2*k, s.space.n), dense.New[float64](2*k, s.opt.Constraints)
		for i := range s.tasks {
			copy(points.Row(i), s.points.Row(i))
			copy(values.Row(i), s.values.Row(i))
		}
		s.points, s.values = points, values
	}
	if cap(s.tasks) < k {
		tasks := make([]task, len(s.tasks), 2*k)
		copy(tasks, s.tasks)
		s.tasks = tasks
	}
	s.tasks = s.tasks[:k]
}

// placeInjected puts the first injected points, as many as placed says, in the place of the last candidates. A strategy that takes none, as the search along the axes after a restart,
// leaves them waiting.
func (s *Search) placeInjected(rows [][]float64) {
	in, ok := s.strat.(Injector)
	if !ok {
		s.placed = 0
	}
	if s.placed == 0 {
		return
	}
	u := make([]float64, s.space.m)
	for k, x := range s.injected[:s.placed] {
		s.space.toU(u, x, s.stretch)
		in.Inject(len(rows)-1-k, u)
	}
}

// trimToBudget leaves out the tasks that the budget does not cover.
func (s *Search) trimToBudget() {
	if s.opt.MaxEvaluations == 0 {
		return
	}
	left := s.opt.MaxEvaluations - s.evaluations
	for i := range s.tasks {
		if !s.waiting(i) {
			continue
		}
		if left <= 0 {
			s.tasks[i].skipped = true
		}
		left--
	}
}

// accept books one result.
func (s *Search) accept(i int, f float64, g []float64, failed bool) {
	t := &s.tasks[i]
	s.evaluations++
	s.recentAll[0]++
	if failed || valueless(f, g) {
		s.failed(i)
		return
	}
	t.told, t.f, t.serial = true, f, s.evaluations
	copy(s.values.Row(i), g)
	s.compare(s.first+uint64(i), s.points.Row(i), f, g)
}

// valueless says whether the objective or a constraint has no value.
func valueless(f float64, g []float64) bool {
	return math.IsNaN(f) || slices.ContainsFunc(g, math.IsNaN)
}

// failed answers a failed evaluation by the policy.
func (s *Search) failed(i int) {
	t := &s.tasks[i]
	s.failures++
	s.recentFail[0]++
	switch s.opt.OnFailure {
	case FailureAbort:
		s.finish(TooManyFailures, "an evaluation failed")
	case FailureResample:
		if r, ok := s.strat.(resampler); ok && t.attempt < 10 && s.noise == nil {
			t.attempt++
			t.handed = false
			s.space.toX(s.points.Row(i), r.resample(t.slot, t.attempt), s.stretch)
			return
		}
	}
	s.withoutValue(i)
}

// withoutValue books task i as failed for good: it ranks last, and its constraint values are NaN.
func (s *Search) withoutValue(i int) {
	t := &s.tasks[i]
	t.told, t.failed, t.f = true, true, math.Inf(1)
	g := s.values.Row(i)
	for k := range g {
		g[k] = math.NaN()
	}
}

// resampler is implemented by strategies that can draw one candidate anew; attempt counts from 1.
type resampler interface {
	resample(i, attempt int) []float64
}

// compare keeps the best point, of equal ones that with the lowest identifier, whenever it came.
func (s *Search) compare(id uint64, x []float64, f float64, g []float64) {
	violation := 0.0
	if s.lagrangian != nil {
		violation = s.lagrangian.violation(g)
	}
	b := &s.best
	if b.Evaluation > 0 {
		if c := cmp.Or(cmp.Compare(violation, b.Violation), cmp.Compare(f, b.F), cmp.Compare(id, s.bestID)); c >= 0 {
			return
		}
	}
	s.bestID = id
	b.X, b.G = append(b.X[:0], x...), append(b.G[:0], g...)
	b.F, b.Violation, b.Evaluation = f, violation, s.evaluations
	if s.opt.Target != nil && violation == 0 && f <= *s.opt.Target {
		s.finish(TargetReached, "")
	}
}

func (s *Search) finish(c Code, detail string) {
	if s.stop == nil {
		s.stop = []Reason{because(c, detail)}
	}
}

// advance goes on as far as the results permit: to the next stage, generation or run.
func (s *Search) advance() {
	if s.stop != nil {
		return
	}
	complete, cut := s.complete()
	budget := s.opt.MaxEvaluations > 0 && s.evaluations >= s.opt.MaxEvaluations
	if !complete {
		if budget {
			s.finish(BudgetUsed, "")
		}
		return
	}
	if s.tooManyFailures() {
		return
	}
	if cut {
		s.finish(BudgetUsed, "")
		return
	}
	if s.moreTasks() {
		if complete, _ := s.complete(); complete { // the budget covers none of them
			s.finish(BudgetUsed, "")
		}
		return
	}
	s.close()
	if budget {
		s.finish(BudgetUsed, "")
	}
}

// complete says whether no task waits any more, and whether the budget cut some of them off.
func (s *Search) complete() (complete, cut bool) {
	complete = true
	for i := range s.tasks {
		complete = complete && !s.waiting(i)
		cut = cut || s.tasks[i].skipped && !s.tasks[i].told
	}
	return complete, cut
}

// moreTasks starts the next stage of the generation if there is one.
func (s *Search) moreTasks() bool {
	if s.model != nil {
		more := s.model.more(s)
		if more {
			s.trimToBudget()
		}
		return more
	}
	if s.stage == stageSample && s.noise != nil {
		s.stage = stageRepeat
		s.noise.schedule(s)
		s.trimToBudget()
		return true
	}
	return false
}

func (s *Search) tooManyFailures() bool {
	limit := s.opt.MaxFailureRate
	if limit == 0 {
		limit = 0.5
	}
	bad, all := s.recentFail[0]+s.recentFail[1], s.recentAll[0]+s.recentAll[1]
	if limit < 1 && float64(bad) > limit*float64(all) {
		s.finish(TooManyFailures, itoa(bad)+" of the last "+itoa(all)+" evaluations failed")
		return true
	}
	return false
}

// close tells the strategy the generation and looks at what follows.
func (s *Search) close() {
	rows := s.strat.Ask()
	s.fitness = resize(s.fitness, len(rows))
	for i := range rows {
		s.fitness[i] = s.slotValue(i)
	}
	s.assess(rows)
	if err := s.strat.Tell(s.fitness); err != nil {
		s.finish(NotFinite, err.Error())
		return
	}
	s.first += uint64(len(s.tasks))
	s.open, s.stage = false, stageSample
	s.tasks = s.tasks[:0]
	s.injected = slices.Delete(s.injected, 0, s.placed)
	s.placed = 0
	s.generations++
	if s.margin != nil {
		s.margin.update(s)
	}
	reasons := s.strat.Stop()
	if reasons == nil && s.noise == nil && s.lagrangian == nil {
		if detail, yes := s.outlook.hopeless(s.fitness, s.book.run == 0); yes {
			reasons = []Reason{because(WorseOptimum, detail)}
		}
	}
	if reasons != nil {
		s.lastRun = reasons
		s.restart(reasons)
	}
}

// assess turns the values of the generation into what the strategy ranks.
func (s *Search) assess(rows [][]float64) {
	if s.noise != nil {
		s.noise.average(s)
	}
	if s.model != nil {
		s.model.complete(s, rows)
	}
	if s.lagrangian != nil {
		s.lagrangian.assess(s)
	}
	if s.penalty != nil {
		s.penalty.assess(s, rows)
	}
	if s.noise != nil {
		s.noise.answer(s)
	}
}
