package esadapt

import (
	"fmt"
	"hash/crc32"
	"slices"
)

// stateFormat opens every saved search. Its predecessor, which Restore reads too, does not say how many injected points are in the generation under way: all that it has room for.
const (
	stateFormat = "spdopt search 4"
	oldFormat   = "spdopt search 3"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint64 { return uint64(crc32.Checksum(b, castagnoli)) }

// MarshalBinary saves the search with its options and everything told so far, also in the middle of a generation. Restore continues it with
// the same bits.
func (s *Search) MarshalBinary() ([]byte, error) {
	a := &archive{}
	a.tag(stateFormat)
	s.opt.archive(a)
	s.archive(a)
	sum := checksum(a.buf)
	a.word(&sum)
	return a.buf, a.err
}

// Restore makes a search from what MarshalBinary returned. Candidates that were handed out and not told are listed by Pending and handed out again
// by Ask, with the same identifiers.
func Restore(data []byte) (*Search, error) {
	a, err := openState(data)
	if err != nil {
		return nil, err
	}
	a.old = a.tagOr(stateFormat, oldFormat)
	var o Options
	o.archive(a)
	if a.err != nil {
		return nil, a.err
	}
	if n := o.dim(); n > len(data)/8 || o.Constraints > len(data)/8 || !plausible(o.PopSize, n+o.Constraints, len(data)) || o.MaxRepeats > len(data) {
		return nil, fmt.Errorf("%w: %d variables, population %d, %d constraints do not fit %d bytes", errState, n, o.PopSize, o.Constraints, len(data))
	}
	s, err := New(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	s.archive(a)
	if err := a.end(); err != nil {
		return nil, err
	}
	return s, nil
}

// openState checks the sum at the end of a state and returns a reader of what comes before.
func openState(data []byte) (*archive, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%w: ends too early", errState)
	}
	body := data[:len(data)-8]
	a := &archive{buf: data[len(data)-8:], reading: true}
	var sum uint64
	a.word(&sum)
	if checksum(body) != sum {
		return nil, fmt.Errorf("%w: damaged: the checksum does not fit", errState)
	}
	a.buf = body
	return a, nil
}

// plausible says whether a sample of that many candidates and numbers for each can belong to a state of that many bytes.
func plausible(lambda, width, bytes int) bool {
	return lambda >= 0 && width >= 0 && (lambda == 0 || width <= 1000*bytes/lambda)
}

// Options returns a copy of the options the search was made with.
func (s *Search) Options() Options { return s.opt }

func (o *Options) archive(a *archive) {
	a.int(&o.Dim)
	for _, p := range []*[]float64{&o.X0, &o.Scale, &o.Lower, &o.Upper, &o.StartLower, &o.StartUpper} {
		set := *p != nil
		a.bool(&set)
		if set {
			a.floats(p)
		}
	}
	a.float(&o.Sigma0)
	for _, p := range []*[]int{&o.Fixed, &o.Integers, &o.Equalities} {
		a.ints(p)
	}
	a.string(&o.Strategy)
	a.word(&o.Seed)
	for _, p := range []*int{
		(*int)(&o.Bounds), &o.PopSize, &o.Constraints, &o.MaxRepeats, (*int)(&o.Restarts), &o.MaxRestarts, &o.MaxEvaluations,
		(*int)(&o.OnFailure), &o.Workers, (*int)(&o.Tuning.StepSize), &o.Tuning.Batch, &o.Tuning.Sweeps,
	} {
		a.int(p)
	}
	for _, p := range []*bool{&o.Noise, &o.Surrogate, &o.Tuning.NoActive, &o.Tuning.LearnRate, &o.Tuning.Exact, &o.Tuning.Tolerances.NoRounding} {
		a.bool(p)
	}
	t := &o.Tuning.Tolerances
	for _, p := range []*float64{
		&o.MaxFailureRate, &t.X, &t.UpX, &t.Fun, &t.FunHistory, &t.FunRel, &t.Stagnation, &t.XStagnation, &t.UpSigma, &t.Condition,
		&t.FlatFitness, &t.MaxGenerations,
	} {
		a.float(p)
	}
	set := o.Target != nil
	a.bool(&set)
	if set {
		if a.reading {
			o.Target = new(float64)
		}
		a.float(o.Target)
	}
}

// archive covers all that changes after New.
func (s *Search) archive(a *archive) {
	a.int(&s.book.run)
	for _, p := range []*int{&s.book.doublings, &s.book.small, &s.book.large, &s.book.axes, &s.book.spent, &s.book.lambda0} {
		a.int(p)
	}
	a.float(&s.book.limit0)
	a.int(&s.run.lambda)
	a.float(&s.run.sigma)
	a.float(&s.run.maxGenerations)
	a.bool(&s.run.large)
	a.bool(&s.run.axes)
	for _, p := range []*int{&s.evaluations, &s.generations, &s.failures, &s.recentFail[0], &s.recentFail[1], &s.recentAll[0], &s.recentAll[1]} {
		a.int(p)
	}
	s.best.archive(a)
	a.word(&s.bestID)
	if a.reading && a.err == nil && s.run.axes && (len(s.best.X) != s.space.n || !s.axesApply()) {
		a.fail("a search along the axes without a point to start from")
	}
	if a.reading && a.err == nil {
		if !plausible(s.run.lambda, s.space.n+s.opt.Constraints, len(a.buf)) {
			a.fail("population %d", s.run.lambda)
			return
		}
		book, evaluations := s.book, s.evaluations
		if err := s.startRun(s.run); err != nil {
			a.fail("%v", err)
			return
		}
		s.book, s.evaluations = book, evaluations
	}
	a.fixed(s.stretch)
	s.outlook.archive(a)
	s.archiveStrategy(a)
	s.archiveHandlers(a)
	archiveReasons(a, &s.stop)
	archiveReasons(a, &s.lastRun)
	n := a.length(len(s.injected), 8)
	s.injected = resize(s.injected, n)
	for i := range s.injected {
		a.floats(&s.injected[i])
		if a.err == nil && len(s.injected[i]) != s.space.n {
			a.fail("an injected point has %d variables", len(s.injected[i]))
		}
	}
	if a.old {
		s.placed = min(len(s.injected), s.run.lambda)
	} else {
		a.int(&s.placed)
	}
	if a.err == nil && (s.placed < 0 || s.placed > len(s.injected)) {
		a.fail("%d of %d injected points in a generation", s.placed, len(s.injected))
	}
	if a.err == nil {
		s.archiveGeneration(a)
	}
}

// archiveHandlers covers the parts that the options ask for.
func (s *Search) archiveHandlers(a *archive) {
	if s.penalty != nil {
		s.penalty.archive(a)
	}
	if s.lagrangian != nil {
		s.lagrangian.archive(a)
	}
	if s.noise != nil {
		s.noise.archive(a)
	}
	if s.model != nil {
		s.model.archive(a)
	}
}

func (s *Search) archiveStrategy(a *archive) {
	var raw []byte
	if !a.reading {
		var err error
		if raw, err = s.strat.MarshalBinary(); err != nil {
			a.fail("%v", err)
		}
	}
	a.bytes(&raw)
	if a.reading && a.err == nil {
		if err := s.strat.UnmarshalBinary(raw); err != nil {
			a.fail("%v", err)
		}
	}
}

// archiveGeneration covers the generation under way: its points follow from the strategy's state, what has been told does not.
func (s *Search) archiveGeneration(a *archive) {
	a.word(&s.first)
	a.bool(&s.open)
	stage := int(s.stage)
	a.int(&stage)
	tasks := a.length(len(s.tasks), 8)
	if !s.open || a.err != nil {
		return
	}
	if a.reading {
		first, fail, all := s.first, s.recentFail, s.recentAll
		waiting := slices.Clone(s.injected[s.placed:])
		s.injected, s.open = s.injected[:s.placed], false
		s.prepare()
		s.injected = append(s.injected, waiting...)
		if stage == int(stageRepeat) && s.noise != nil {
			if have := len(s.strat.Ask()); len(s.noise.old) != have {
				a.fail("values of %d candidates where there are %d", len(s.noise.old), have)
				return
			}
			s.stage = stageRepeat
			s.noise.append(s)
		}
		s.first, s.recentFail, s.recentAll = first, fail, all
		if len(s.tasks) != tasks {
			a.fail("%d tasks where %d belong", tasks, len(s.tasks))
			return
		}
	}
	for i := range s.tasks {
		t := &s.tasks[i]
		a.int(&t.attempt)
		a.bool(&t.handed)
		a.bool(&t.told)
		a.bool(&t.failed)
		a.bool(&t.skipped)
		a.bool(&t.held)
		a.bool(&t.added)
		a.float(&t.f)
		a.int(&t.serial)
		if t.told {
			a.fixed(s.values.Row(i))
		}
		if r, ok := s.strat.(resampler); ok && a.reading && t.attempt > 0 && a.err == nil {
			s.space.toX(s.points.Row(i), r.resample(t.slot, t.attempt), s.stretch)
		}
	}
}

func (p *Point) archive(a *archive) {
	a.floats(&p.X)
	a.floats(&p.G)
	a.float(&p.F)
	a.float(&p.Violation)
	a.int(&p.Evaluation)
}

func archiveReasons(a *archive, r *[]Reason) {
	n := a.length(len(*r), 8)
	if a.reading && n > 0 {
		*r = make([]Reason, n)
	}
	for i := range (*r)[:n] {
		v := &(*r)[i]
		code := string(v.Code)
		a.string(&code)
		v.Code = Code(code)
		a.bool(&v.Success)
		a.string(&v.Detail)
		a.string(&v.Next)
	}
}
