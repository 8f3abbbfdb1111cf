package esadapt

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// Search is the ask/tell object that callers hold: a strategy with everything around it. It is not safe for concurrent use; evaluations may run
// anywhere, in any order.
//
//	for s.Stop() == nil {
//		x := s.Ask()
//		... evaluate ...
//		s.Tell(f)
//	}
//
// Take and Report are the finer form of Ask and Tell: single candidates with identifiers, reported one by one, in any order.
type Search struct {
	opt   Options
	space *space
	strat Strategy
	run   runSetup
	book  ledger

	tasks    []task
	points   dense.Matrix[float64] // of the tasks
	values   dense.Matrix[float64] // constraint values of the tasks
	batch    [][]float64           // rows handed out by Ask
	asked    []int                 // their tasks
	open     bool                  // a generation is under way
	first    uint64                // identifier of task 0
	stage    stage
	fitness  []float64
	stretch  []float64   // per coordinate, see margin
	injected [][]float64 // points that the caller put in
	placed   int         // how many of them, the first ones, are in the generation under way

	penalty    *boundPenalty
	lagrangian *lagrangian
	margin     *margin
	noise      *uncertainty
	model      *surrogate
	outlook    outlook

	best        Point
	bestID      uint64 // its identifier
	evaluations int    // told, failed ones included
	generations int
	failures    int
	recentFail  [2]int // failures of this and the last generation
	recentAll   [2]int
	stop        []Reason
	lastRun     []Reason

	wholeRuns bool // no look along the axes: results come in no order
}

// Point is an evaluated point.
type Point struct {
	X          []float64
	F          float64
	G          []float64 // constraint values
	Violation  float64   // sum of the violated constraint values, 0 if feasible
	Evaluation int       // how many evaluations had been told with it; 0 means that there is none
}

// Candidate is a point that waits for its evaluation.
type Candidate struct {
	ID uint64    // counts all candidates of a search
	X  []float64 // a view, valid until its generation is complete
}

// Evaluation is the outcome of evaluating one candidate.
type Evaluation struct {
	ID     uint64
	F      float64
	G      []float64 // as many as Options.Constraints
	Failed bool      // there is no value; NaN as F means the same
}

// task is one evaluation of the generation under way.
type task struct {
	slot    int // candidate of the strategy
	attempt int // redraws after failures
	handed  bool
	told    bool
	failed  bool
	f       float64
	serial  int  // evaluations told when it was
	extra   bool // a re-evaluation
	held    bool // the model speaks for it
	added   bool // the model knows it
	skipped bool // beyond the budget
}

// stage is where the generation under way stands.
type stage int

const (
	stageSample stage = iota // candidates of the strategy
	stageRepeat              // re-evaluations of some of them
)

// ErrFinished is returned by Tell and Report once the search has stopped.
var ErrFinished = errors.New("esadapt: the search has stopped")

// New checks the options and prepares a search.
func New(o Options) (*Search, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Search{opt: o, space: newSpace(&o)}
	s.best.F, s.best.Violation = math.Inf(1), math.Inf(1)
	s.attachHandlers()
	if err := s.startRun(s.firstRun()); err != nil {
		return nil, err
	}
	if _, ok := s.strat.(whitener); s.model != nil && !ok {
		return nil, fmt.Errorf("esadapt: Surrogate needs a strategy with a full covariance, such as cma; %q has none", o.Strategy)
	}
	return s, nil
}

// attachHandlers makes the parts that the options ask for.
func (s *Search) attachHandlers() {
	o, m := &s.opt, s.space.m
	s.stretch = slices.Repeat([]float64{1}, m)
	if o.Bounds == BoundPenalty && (o.Lower != nil || o.Upper != nil) {
		s.penalty = newBoundPenalty(s.space)
	}
	if o.Constraints > 0 {
		s.lagrangian = newLagrangian(m, o.Constraints, o.Equalities)
	}
	if len(o.Integers) > 0 {
		s.margin = newMargin(s.space)
	}
	if o.Noise {
		s.noise = newUncertainty(o.MaxRepeats)
	}
	if o.Surrogate {
		s.model = newSurrogate(m)
	}
}

// Ask returns the candidates that wait for their values, in the variables of the objective: usually the whole generation. The rows stay valid until
// Tell. After the end of the search there are none.
func (s *Search) Ask() [][]float64 {
	s.batch, s.asked = s.batch[:0], s.asked[:0]
	if s.stop != nil {
		return nil
	}
	s.prepare()
	for i := range s.tasks {
		if s.waiting(i) {
			s.tasks[i].handed = true
			s.batch, s.asked = append(s.batch, s.points.Row(i)), append(s.asked, i)
		}
	}
	return s.batch
}

// Tell gives the values of the rows of the last Ask, in their order; with constraints their values follow, one slice per row. NaN means
// failed. An error (wrong number, -Inf) changes nothing.
func (s *Search) Tell(f []float64, g ...[]float64) error {
	if s.stop != nil {
		return ErrFinished
	}
	if len(s.tasks) == 0 {
		return fmt.Errorf("esadapt: Tell without Ask")
	}
	if len(f) != len(s.asked) {
		return fmt.Errorf("esadapt: %d values for %d candidates", len(f), len(s.asked))
	}
	if len(g) != len(f) && (s.opt.Constraints > 0 || len(g) > 0) {
		return fmt.Errorf("esadapt: constraint values for %d of %d candidates", len(g), len(f))
	}
	row := func(k int) []float64 {
		if len(g) > 0 {
			return g[k]
		}
		return nil
	}
	for k := range f {
		if err := s.checkResult(f[k], row(k)); err != nil {
			return fmt.Errorf("%w (candidate %d)", err, k)
		}
	}
	for k, i := range s.asked {
		if s.stop == nil && !s.tasks[i].told {
			s.accept(i, f[k], row(k), false)
		}
	}
	s.asked = s.asked[:0]
	s.advance()
	return nil
}

// Take hands out up to n candidates that nobody has taken yet. It returns fewer, or none, when the rest of the generation must be reported first.
func (s *Search) Take(n int) []Candidate {
	if s.stop != nil {
		return nil
	}
	s.prepare()
	var out []Candidate
	for i := range s.tasks {
		if len(out) >= n {
			break
		}
		if s.waiting(i) && !s.tasks[i].handed {
			s.tasks[i].handed = true
			out = append(out, Candidate{ID: s.first + uint64(i), X: s.points.Row(i)})
		}
	}
	return out
}

// Pending returns the candidates that were handed out and not yet reported, for instance after a resume.
func (s *Search) Pending() []Candidate {
	var out []Candidate
	for i, t := range s.tasks {
		if t.handed && s.waiting(i) {
			out = append(out, Candidate{ID: s.first + uint64(i), X: s.points.Row(i)})
		}
	}
	return out
}

// Report takes one result. A result that came already, or whose generation is complete, is ignored; an identifier that was never handed out is an
// error, as are -Inf and the wrong number of constraint values; errors change nothing.
func (s *Search) Report(r Evaluation) error {
	if s.stop != nil {
		return ErrFinished
	}
	if r.ID < s.first {
		return nil
	}
	i := int(min(r.ID-s.first, uint64(len(s.tasks))))
	switch {
	case i == len(s.tasks) || !s.tasks[i].handed:
		return fmt.Errorf("esadapt: candidate %d was never handed out", r.ID)
	case s.tasks[i].told:
		return nil
	}
	if !r.Failed {
		if err := s.checkResult(r.F, r.G); err != nil {
			return err
		}
	}
	s.accept(i, r.F, r.G, r.Failed)
	s.advance()
	return nil
}

func (s *Search) checkResult(f float64, g []float64) error {
	if math.IsInf(f, -1) {
		return fmt.Errorf("esadapt: the value is -Inf: the objective is unbounded or wrong there")
	}
	if len(g) != s.opt.Constraints && !math.IsNaN(f) {
		return fmt.Errorf("esadapt: %d constraint values where %d belong", len(g), s.opt.Constraints)
	}
	return nil
}

// waiting says whether task i still needs an evaluation.
func (s *Search) waiting(i int) bool {
	t := &s.tasks[i]
	return !t.told && !t.skipped && !t.held
}

// Inject puts x, in the variables of the objective, in place of a candidate of the next generation, or of a later one while more points wait than a generation has. It counts as a
// sample whose distance from the mean is clipped.
func (s *Search) Inject(x []float64) error {
	if s.wholeRuns {
		return errors.New("esadapt: a search with evaluations in flight takes no points from outside")
	}
	if len(x) != s.space.n {
		return fmt.Errorf("esadapt: the injected point has %d values for %d variables", len(x), s.space.n)
	}
	if _, ok := s.strat.(Injector); !ok {
		return fmt.Errorf("esadapt: strategy %q takes no foreign points", s.StrategyName())
	}
	for i, v := range x {
		if !finite(v) || v < s.space.lower[i] || v > s.space.upper[i] {
			return fmt.Errorf("esadapt: the injected point has %v as variable %d, outside [%v, %v]", v, i, s.space.lower[i], s.space.upper[i])
		}
	}
	s.injected = append(s.injected, slices.Clone(x))
	return nil
}

// Stop returns why the search has ended, nothing while it goes on.
func (s *Search) Stop() []Reason { return s.stop }

// LastRun returns why the last complete run (between restarts) ended.
func (s *Search) LastRun() []Reason { return s.lastRun }

// Best returns the best point told: the feasible one with the lowest value, or the one with the smallest violation while none is feasible. Its
// Evaluation is 0 before the first value.
func (s *Search) Best() Point { return s.best }

// Evaluations returns how many results were told, failed ones included.
func (s *Search) Evaluations() int { return s.evaluations }

// Failures returns how many of them failed.
func (s *Search) Failures() int { return s.failures }

// Generations returns the number of complete generations.
func (s *Search) Generations() int { return s.generations }

// Restarts returns how many restarts there were.
func (s *Search) Restarts() int { return s.book.run }

// PopSize returns the population size of the present run.
func (s *Search) PopSize() int { return s.run.lambda }

// manyVariables is the number from which a fast diagonal pays off. Measured on the 24 functions of the testbed, area below the distribution of running times with it and without:
// .379 and .375 in 5 dimensions, .341 and .343 in 10, .230 and .219 in 20, .136 and .125 in 40.
const manyVariables = 20

// tooManyVariables is the number from which a covariance takes more memory than a default should.
const tooManyVariables = 3000

// StrategyName returns the name of the strategy in use.
func (s *Search) StrategyName() string {
	if s.opt.Strategy != "" {
		return s.opt.Strategy
	}
	if t := s.opt.Tuning; s.space.m < manyVariables || s.margin != nil || t.StepSize != CSA || t.LearnRate || t.Exact || t.Sweeps != 0 {
		return registry[0].Name
	}
	if s.space.m >= tooManyVariables {
		return "lm-ma-es"
	}
	return "dd-cma"
}

// Strategy returns the strategy of the present run, to look at.
func (s *Search) Strategy() Strategy { return s.strat }

// Mean returns the mean of the present distribution in the variables of the objective, nil if the strategy has none. For noisy objectives it is a
// better estimate of the minimum than Best.
func (s *Search) Mean() []float64 {
	d, ok := s.strat.(Distribution)
	if !ok {
		return nil
	}
	x := make([]float64, s.space.n)
	s.space.toX(x, d.Mean(), s.stretch)
	return x
}

// slotValue is the value of candidate i of the strategy: the median of its evaluations, +Inf if they failed.
func (s *Search) slotValue(i int) float64 {
	if s.noise == nil {
		return s.tasks[i].f
	}
	r := s.noise.count()
	return s.noise.median(s.tasks[i*r : (i+1)*r])
}

// constraintsOf returns the constraint values of candidate i of the strategy, those of its first evaluation.
func (s *Search) constraintsOf(i int) []float64 {
	if s.noise == nil {
		return s.values.Row(i)
	}
	return s.values.Row(i * s.noise.count())
}
