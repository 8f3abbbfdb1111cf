package esadapt

import (
	"fmt"
	"math"
	"strconv"
)

func itoa(v int) string { return strconv.Itoa(v) }

// runSetup is what one run between restarts was started with.
type runSetup struct {
	lambda         int // wished for, 0 means the strategy's default; in Search.run the strategy's
	sigma          float64
	maxGenerations float64 // 0 means the tolerance's own
	large          bool
	axes           bool // the search along the axes that follows the first run
}

// ledger keeps the account of the restarts.
type ledger struct {
	run       int // number of restarts made
	doublings int // k: the large population is 2^k times the first one
	small     int // evaluations of the small regime, the first run included
	large     int
	axes      int // of the search along the axes
	spent     int // evaluations when the present run started
	lambda0   int // population of the first run
	limit0    float64
}

func (s *Search) firstRun() runSetup {
	return runSetup{lambda: s.opt.PopSize, sigma: s.space.sigma0}
}

// startRun makes the strategy of the run that the ledger counts.
func (s *Search) startRun(r runSetup) error {
	for i := range s.stretch {
		s.stretch[i] = 1
	}
	mean := make([]float64, s.space.m)
	name := s.StrategyName()
	setup := Setup{Mean: mean, Sigma: r.sigma, Lambda: r.lambda, Seed: s.opt.Seed, Run: uint64(s.book.run), Tuning: s.opt.Tuning}
	random := newStream(s.opt.Seed, uint64(s.book.run)).at(0, drawRestart)
	s.space.start(mean, s.book.run == 0, random)
	if r.axes {
		name = "axis"
		s.space.toU(mean, s.best.X, s.stretch)
		setup.Lower, setup.Upper = s.space.region(mean)
		setup.Closed = s.space.closed
	}
	if r.maxGenerations > 0 {
		setup.Tuning.Tolerances.MaxGenerations = r.maxGenerations
	}
	strat, err := NewStrategy(name, setup)
	if err != nil {
		return err
	}
	looked := s.run.axes
	s.strat, s.run = strat, r
	s.run.lambda = len(strat.Ask()) // some strategies have a population of their own
	if s.book.run == 0 {
		s.book.lambda0 = s.run.lambda
		s.book.limit0 = s.opt.Tuning.Tolerances.resolve(s.space.m, s.run.lambda).MaxGenerations
	}
	s.book.spent = s.evaluations
	s.outlook.reset(s.space.m, s.run.lambda, s.best.F, looked)
	if s.margin != nil {
		s.margin.update(s)
	}
	if s.penalty != nil {
		s.penalty.reset()
	}
	return nil
}

// rule is the restart rule in force.
func (s *Search) rule() Restarts {
	if s.opt.Restarts != RestartAuto {
		return s.opt.Restarts
	}
	if s.opt.MaxEvaluations > 0 {
		return RestartBIPOP
	}
	return RestartNone
}

// restart books the finished run and starts the next one, or ends the search.
func (s *Search) restart(reasons []Reason) {
	used := s.evaluations - s.book.spent
	switch {
	case s.run.axes:
		s.book.axes += used
	case s.run.large:
		s.book.large += used
	default:
		s.book.small += used
	}
	if s.rule() == RestartNone || s.opt.MaxEvaluations > 0 && s.evaluations >= s.opt.MaxEvaluations {
		if s.rule() == RestartNone {
			s.stop = reasons
		}
		return
	}
	if s.opt.MaxRestarts > 0 && s.book.run >= s.opt.MaxRestarts {
		s.finish(RestartsUsed, fmt.Sprintf("%d restarts", s.book.run))
		return
	}
	s.book.run++
	next := s.nextIPOP
	switch {
	case s.book.run == 1 && s.axesApply():
		next = s.nextAxes
	case s.rule() == RestartBIPOP:
		next = s.nextBIPOP
	}
	if err := s.startRun(next()); err != nil {
		s.finish(NotFinite, err.Error())
	}
}

// axesApply says whether a search along the axes may follow the first run: several variables but not too many, one exact objective.
func (s *Search) axesApply() bool {
	return !s.wholeRuns && s.space.m > 1 && s.space.m < tooManyVariables && s.best.Evaluation > 0 && s.noise == nil && s.lagrangian == nil && s.penalty == nil && s.model == nil
}

// nextAxes looks from the best point whether the objective is separable, which costs a few evaluations per variable if it is not.
func (s *Search) nextAxes() runSetup {
	return runSetup{lambda: s.space.m + 1, sigma: s.space.sigma0, axes: true}
}

// largest caps the population at ten times the square of the dimension, or at the first population if that is larger, and at what fits in memory.
func (s *Search) largest() int {
	return min(max(10*s.space.m*s.space.m, s.book.lambda0), largestSample/(s.space.n+s.opt.Constraints))
}

// firstSize is the population of the first run, the default one before it is rounded: 25 and 51 follow 12 in 20 dimensions, not 24 and 48. Where the chance of a run grows fast with
// its population that matters: of single runs on f17 in 20 dimensions 17 % reach 1e-8 with 48, 26 % with 51, 50 % with 64 (240 each).
func (s *Search) firstSize() float64 {
	if s.book.lambda0 == defaultLambda(s.space.m) {
		return defaultSize(s.space.m)
	}
	return float64(s.book.lambda0)
}

func (s *Search) nextIPOP() runSetup {
	s.book.doublings++
	lambda := min(s.largest(), int(s.firstSize()*math.Ldexp(1, min(s.book.doublings, 40))))
	return runSetup{lambda: lambda, sigma: s.space.sigma0, maxGenerations: s.book.limit0, large: true}
}

// nextBIPOP runs the regime that has spent less: large populations that double, or small ones with a smaller step and at most half the evaluations.
func (s *Search) nextBIPOP() runSetup {
	if s.book.small >= s.book.large {
		return s.nextIPOP()
	}
	u := newStream(s.opt.Seed, uint64(s.book.run)).at(1, drawRestart)
	a, b := u.Float64(), u.Float64()
	factor := math.Pow(math.Ldexp(1, min(s.book.doublings, 40)), b*b)
	lambda := min(s.largest(), int(s.firstSize()*factor))
	limit := min(s.book.limit0, math.Ceil(float64(s.book.large)/(2*float64(lambda))))
	return runSetup{lambda: lambda, sigma: s.space.sigma0 * math.Pow(10, -2*a), maxGenerations: max(1, limit)}
}
