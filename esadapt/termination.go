package esadapt

import (
	"fmt"
	"math"
	"slices"
)

// Tolerances says when a run of a strategy ends. For each number 0 means the default and a negative value switches the test off.
// The tests are those of Hansen's implementation (version 4.4), where XStagnation does not wait for sigma; the defaults too where not said otherwise.
type Tolerances struct {
	X              float64 // TolX: largest standard deviation and length of the path. Default 1e-11
	UpX            float64 // TolUpX: growth of a standard deviation over its start. Default 1e3
	Fun            float64 // TolFun: range of values in the generation and in the recent history. Default 1e-11
	FunHistory     float64 // TolFunHistory: range of the recent best values. Default 1e-12
	FunRel         float64 // TolFunRel: range of values over the progress of the median since the start. Default off
	Stagnation     float64 // generations without improvement of medians. Default 100 + 100 n^1.5/lambda
	XStagnation    float64 // distance that the mean must move in 20 generations + a tenth of all, unless sigma falls by half in them. Default 1e-9
	UpSigma        float64 // TolUpSigma: growth of sigma beyond that of the longest axis. Default 1e20
	Condition      float64 // TolCondition: condition of C. Default 1e24: a factored C keeps its small axes (the reference stops at 1e14, but starts C anew at 1e12, once)
	FlatFitness    float64 // generations of equal values tolerated. Default 1
	MaxGenerations float64 // of one run. Default 100 + 150 (n+3)^2/sqrt(lambda)
	NoRounding     bool    // leave out NoEffectAxis and NoEffectCoord
}

func (t *Tolerances) validate() error {
	for _, v := range []struct {
		name  string
		value float64
	}{{"X", t.X}, {"UpX", t.UpX}, {"Fun", t.Fun}, {"FunHistory", t.FunHistory}, {"FunRel", t.FunRel}, {"Stagnation", t.Stagnation}, {"XStagnation", t.XStagnation},
		{"UpSigma", t.UpSigma}, {"Condition", t.Condition}, {"FlatFitness", t.FlatFitness}, {"MaxGenerations", t.MaxGenerations}} {
		if math.IsNaN(v.value) {
			return fmt.Errorf("esadapt: Tolerances.%s is NaN", v.name)
		}
	}
	return nil
}

// resolve fills in the defaults; switched-off tests become values that never trigger.
func (t Tolerances) resolve(n, lambda int) Tolerances {
	d, l := float64(n), float64(lambda)
	set := func(p *float64, def, never float64) {
		switch {
		case *p == 0:
			*p = def
		case *p < 0:
			*p = never
		}
	}
	inf := math.Inf(1)
	set(&t.X, 1e-11, 0)
	set(&t.UpX, 1e3, inf)
	set(&t.Fun, 1e-11, 0)
	set(&t.FunHistory, 1e-12, 0)
	set(&t.FunRel, 0, 0)
	set(&t.Stagnation, math.Floor(100+100*math.Pow(d, 1.5)/l), inf)
	set(&t.XStagnation, 1e-9, -1)
	set(&t.UpSigma, 1e20, inf)
	set(&t.Condition, 1e24, inf)
	set(&t.FlatFitness, 1, inf)
	set(&t.MaxGenerations, 100+math.Floor(150*(d+3)*(d+3)/math.Sqrt(l)), inf)
	return t
}

// shape is what termination looks at: the present distribution of a strategy.
type shape struct {
	generation int
	mean       []float64
	sigma      float64
	cov        spread
	path       []float64 // path of C, or nil
}

// spread is the covariance model as termination sees it.
type spread interface {
	diagonal(dst []float64, scale float64)
	extremes() (lo, hi float64)
	axis(dst []float64, k int) // column k of a square root of C
}

// termination keeps the histories and decides when a run has ended.
type termination struct {
	tol       Tolerances
	n, lambda int
	sigma0    float64
	recent    ring      // best values of the last 10 + 30 n/lambda generations
	best      []float64 // every best value at first, then every fifth, thinned when long
	median    []float64
	stride    int
	first     int // generation of the best value so far
	fBest     float64
	low, high float64 // of this generation
	median0   float64 // first median, smallest median
	medianMin float64
	flat      int       // generations in a row with equal values
	varied    bool      // the values have ever differed within a generation
	sd        []float64 // standard deviations without sigma at the last turn
	axis      []float64
	anchor    []float64 // mean that the present one is compared with
	anchored  int       // its generation
	sigma     float64   // sigma then
	scratch   []float64
	stalled   bool
}

// longest is how long the histories of medians may grow before they are thinned by half.
const longest = 4096

func newTermination(n, lambda int, sigma0 float64, tol Tolerances) *termination {
	t := &termination{n: n, lambda: lambda, sigma0: sigma0, tol: tol.resolve(n, lambda), stride: 1}
	t.recent.values = make([]float64, 10+30*n/lambda)
	t.best, t.median = make([]float64, 0, longest), make([]float64, 0, longest)
	t.scratch = make([]float64, longest)
	t.sd, t.axis, t.anchor = make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range t.sd {
		t.sd[i] = 1
	}
	t.fBest, t.medianMin = math.Inf(1), math.Inf(1)
	return t
}

// turned refreshes what depends on the covariance.
func (t *termination) turned(s shape) { s.cov.diagonal(t.sd, 1) }

// record takes the ranked values of the generation that has just been told; s is the distribution after it.
func (t *termination) record(ranking []ranked, s shape) {
	g := s.generation
	t.low, t.high = ranking[0].f, ranking[len(ranking)-1].f
	median := ranking[len(ranking)/2].f
	if g == 1 {
		t.median0 = median
		t.settle(s)
	}
	t.medianMin = min(t.medianMin, median)
	if t.low < t.fBest {
		t.fBest, t.first = t.low, g
	}
	t.recent.push(t.low)
	t.varied = t.varied || t.low < t.high || t.lambda == 1
	t.flat++
	if t.low < ranking[3*len(ranking)/4].f {
		t.flat = 0
	}
	t.remember(g, median)
	t.watchMean(s)
}

func (t *termination) remember(g int, median float64) {
	if g >= 100 && t.stride < 5 {
		t.stride = 5
	}
	if g%t.stride != 0 {
		return
	}
	if len(t.best) == longest {
		for i := range longest / 2 {
			t.best[i], t.median[i] = t.best[2*i+1], t.median[2*i+1]
		}
		t.best, t.median = t.best[:longest/2], t.median[:longest/2]
		t.stride *= 2
	}
	t.best, t.median = append(t.best, t.low), append(t.median, median)
	t.stalled = t.stagnates(g)
}

// stagnates compares the medians of the older and the newer part of the history.
func (t *termination) stagnates(g int) bool {
	n, l := float64(t.n), float64(t.lambda)
	if float64(g) <= n*(5+100/l) || len(t.best) <= 100 || float64(g-t.first) <= t.tol.Stagnation/2 {
		return false
	}
	part := int(max(t.tol.Stagnation/10*5/float64(max(5, t.stride)), float64(len(t.best))/10))
	k := len(t.best)
	if 2*part >= k || part < 1 {
		return false
	}
	return t.middle(t.median[k-part:]) >= t.middle(t.median[k-2*part:k-part]) &&
		t.middle(t.best[k-part:]) >= t.middle(t.best[k-2*part:k-part])
}

// middle is the median of v.
func (t *termination) middle(v []float64) float64 {
	s := t.scratch[:len(v)]
	copy(s, v)
	slices.Sort(s)
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

// watchMean moves the anchor along whenever the mean has moved far enough from it, and while sigma falls, by half or more in the time that the mean is given: a search that closes in
// has not come to a halt. On a long axis (a cigar of 1e12) that is how it gets to where it can see it.
func (t *termination) watchMean(s shape) {
	var d2 float64
	for i, m := range s.mean {
		d := m - t.anchor[i]
		d2 += d * d
	}
	delta := t.tol.XStagnation * math.Sqrt(max(1, float64(s.generation-t.anchored)/t.patience(s.generation)))
	if t.tol.XStagnation < 0 || math.Sqrt(d2) > delta || s.sigma < t.sigma/2 {
		t.settle(s)
	}
}

// settle makes the present distribution the one to compare with.
func (t *termination) settle(s shape) {
	copy(t.anchor, s.mean)
	t.anchored, t.sigma = s.generation, s.sigma
}

// patience is the number of generations in which the mean must have moved.
func (t *termination) patience(g int) float64 { return 20 + 0.1*float64(g) }

// reasons lists every test that holds.
func (t *termination) reasons(s shape) []Reason {
	if s.generation == 0 {
		return nil
	}
	var out []Reason
	add := func(c Code, format string, args ...any) { out = append(out, because(c, fmt.Sprintf(format, args...))) }
	lo, hi := s.cov.extremes()
	if float64(s.generation) >= t.tol.MaxGenerations {
		add(GenerationsUsed, "%d generations", s.generation)
	}
	if !finite(lo, hi) || lo <= 0 || s.sigma*hi > outOfRange {
		add(NotFinite, "axes between %g and %g, sigma %g", lo, hi, s.sigma)
		return out
	}
	t.byValues(add)
	t.bySize(s, lo, hi, add)
	if !t.tol.NoRounding {
		t.byRounding(s, add)
	}
	return out
}

func finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

func (t *termination) byValues(add func(Code, string, ...any)) {
	if float64(t.flat) > t.tol.FlatFitness {
		defer add(FlatFitness, "value %.17g in three quarters of %d generations", t.low, t.flat)
	}
	if !t.varied { // equal values are no sign of convergence
		return
	}
	now := t.high - t.low
	if now < t.tol.Fun || t.recent.n > 9 {
		past := t.recent.span()
		if now < t.tol.Fun && past < t.tol.Fun {
			add(TolFun, "values within %.3g, recent best within %.3g", now, past)
		}
		if t.recent.n > 9 && past < t.tol.FunHistory {
			add(TolFunHistory, "recent best values within %.3g", past)
		}
	}
	if now < t.tol.FunRel*(t.median0-t.medianMin) {
		add(TolFunRel, "values within %.3g, progress %.3g", now, t.median0-t.medianMin)
	}
	if t.stalled {
		add(Stagnation, "no better value for %.0f generations or more", t.tol.Stagnation/2)
	}
}

func (t *termination) bySize(s shape, lo, hi float64, add func(Code, string, ...any)) {
	if s.sigma*hi < t.tol.X {
		var longestPath float64
		for _, p := range s.path {
			longestPath = max(longestPath, math.Abs(p))
		}
		if s.sigma*longestPath < t.tol.X {
			add(TolX, "standard deviations below %.3g", s.sigma*hi)
		}
	}
	if up := t.tol.UpX * t.sigma0; s.sigma*hi > up {
		for i, v := range t.sd {
			if s.sigma*v > up {
				add(TolUpX, "coordinate %d: %.3g after %.3g", i, s.sigma*v, t.sigma0)
				break
			}
		}
	}
	if s.sigma/hi > t.sigma0*t.tol.UpSigma {
		add(TolUpSigma, "sigma %.3g, longest axis %.3g", s.sigma, hi)
	}
	if c := hi / lo; c*c > t.tol.Condition {
		add(TolCondition, "condition %.3g", c*c)
	}
	if float64(s.generation-t.anchored) > t.patience(s.generation) {
		add(TolXStagnation, "the mean has not moved for %d generations", s.generation-t.anchored)
	}
}

func (t *termination) byRounding(s shape, add func(Code, string, ...any)) {
	for i, m := range s.mean {
		if m == m+0.2*s.sigma*t.sd[i] {
			add(NoEffectCoord, "coordinate %d at %.17g, standard deviation %.3g", i, m, s.sigma*t.sd[i])
			break
		}
	}
	k := s.generation % t.n
	s.cov.axis(t.axis, k)
	for i, m := range s.mean {
		if m != m+0.1*s.sigma*t.axis[i] {
			return
		}
	}
	add(NoEffectAxis, "axis %d", k)
}

func (t *termination) archive(a *archive) {
	t.recent.archive(a)
	a.floats(&t.best)
	a.floats(&t.median)
	if a.err == nil && (len(t.best) > longest || len(t.median) != len(t.best)) {
		a.fail("histories of %d best values and %d medians", len(t.best), len(t.median))
	}
	if a.reading && a.err == nil {
		t.best, t.median = slices.Grow(t.best, longest-len(t.best)), slices.Grow(t.median, longest-len(t.median))
	}
	a.int(&t.stride)
	if a.err == nil && t.stride < 1 {
		a.fail("every %d generations remembered", t.stride)
	}
	a.int(&t.first)
	a.float(&t.fBest)
	a.float(&t.low)
	a.float(&t.high)
	a.float(&t.median0)
	a.float(&t.medianMin)
	a.int(&t.flat)
	a.bool(&t.varied)
	a.fixed(t.sd)
	a.fixed(t.anchor)
	a.int(&t.anchored)
	a.float(&t.sigma)
	a.bool(&t.stalled)
}

// ring keeps the last values pushed.
type ring struct {
	values []float64
	n      int // pushed in all
}

func (r *ring) push(v float64) {
	r.values[r.n%len(r.values)] = v
	r.n++
}

// span is the range of the values kept.
func (r *ring) span() float64 {
	v := r.values[:min(r.n, len(r.values))]
	lo, hi := extremes(v)
	return hi - lo
}

func (r *ring) archive(a *archive) {
	a.int(&r.n)
	if a.err == nil && r.n < 0 {
		a.fail("negative count")
	}
	a.fixed(r.values)
}
