package curvature

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// objective is the loss of a model for the optimizer KFAC. With bend it adds what a test wants to a loss.
type objective struct {
	m    *model
	bend func(loss float64) float64
}

func (o *objective) Loss() float64 {
	loss, _ := o.m.net.Evaluate(o.m.batch)
	if o.bend != nil {
		return o.bend(loss)
	}
	return loss
}

func (o *objective) CurvatureTo(dst, v []float64) { o.m.net.GGNVP(o.m.batch, v, dst) }

// kfacOptimizer returns the optimizer for a model, and what takes a step with statistics of the gradient.
func kfacOptimizer(t testing.TB, m *model, o nnopt.KFAC, f nnopt.Objective[float64]) (opt nnopt.Optimizer[float64], step func() nnopt.Report) {
	t.Helper()
	o.Empirical = true
	opt, err := nnopt.NewKFAC[float64](o)
	if err != nil {
		t.Fatal(err)
	}
	observer := opt.(nnopt.StatsObserver[float64])
	observer.SetLayers(m.net.Layers())
	opt.(nnopt.ObjectiveUser[float64]).SetObjective(f)
	if err := opt.Init(m.net.Blocks()); err != nil {
		t.Fatal(err)
	}
	var stats []nnopt.Stats[float64]
	blocks := m.net.Blocks()
	return opt, func() nnopt.Report {
		m.net.Gradient(m.batch)
		stats = m.net.Stats(stats[:0])
		if err := observer.Observe(stats); err != nil {
			t.Fatal(err)
		}
		report, err := opt.Step(blocks, nnopt.StepInfo{LRScale: 1, BatchSize: m.batch.N})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
}

func valuesOf(n *net.Net[float64]) (all []float64) {
	for _, b := range n.Blocks() {
		all = append(all, b.Value...)
	}
	return all
}

func counterOf(o nnopt.Optimizer[float64], name string) float64 {
	s := o.State()
	return s.Counters[slices.IndexFunc(s.Counters, func(c nnopt.Counter) bool { return c.Name == name })].Value
}

// TestOptimizerDirection: the first fixed step is the learning rate times the inverse of the collected factors applied to the gradient, for every kind of
// inverse, for means and sums, and for shared positions.
func TestOptimizerDirection(t *testing.T) {
	const d = 0.2
	for index := range models() {
		for kind, damping := range map[nnopt.InverseKind]Damping{
			nnopt.InversePi: {Pi, d}, nnopt.InversePlain: {Plain, d}, nnopt.InverseExact: {Exact, d}, nnopt.InverseTracked: {Exact, d},
		} {
			for _, reduce := range []bool{false, true} {
				m := models()[index]
				if m.name == "transformer" {
					continue // blocks of no layer move by Adam
				}
				r := m.risk(t)
				s := Settings{Flavour: Empirical, Convention: InOutput}
				if reduce {
					s.Sharing = Reduce
				}
				inverse, err := mustKFAC(t, r, s).Inverse(damping)
				if err != nil {
					t.Fatal(err)
				}
				want, g := valuesOf(m.net), make([]float64, r.Dim())
				r.Gradient(g)
				inverse.MulTo(g, g)
				dense.Axpy(-0.1, g, want)
				o := nnopt.KFAC{Fixed: true, Damping: d, Inverse: kind, Reduce: reduce, FixedDamping: true}
				o.LR = 0.1
				_, step := kfacOptimizer(t, &m, o, &objective{m: &m})
				step()
				vectorNear(t, m.name+" "+string(kind), valuesOf(m.net), want, 1e-8)
			}
		}
	}
}

// TestOptimizerModel: learning rate and momentum are those that minimise the quadratic model over the two directions: what is left of the model's gradient
// at the step is orthogonal to both.
func TestOptimizerModel(t *testing.T) {
	const d = 0.05
	for _, index := range []int{0, 3, 6} {
		m := models()[index]
		_, step := kfacOptimizer(t, &m, nnopt.KFAC{Damping: d, FixedDamping: true}, &objective{m: &m})
		var last []float64
		for k := range 4 {
			r := m.risk(t)
			g, before, after := make([]float64, r.Dim()), valuesOf(m.net), []float64(nil)
			r.Gradient(g)
			rest := make([]float64, r.Dim())
			curvature := Damped(NewGGN(r), d)
			curvature.MulTo(rest, make([]float64, r.Dim()))
			step()
			after = valuesOf(m.net)
			dense.Axpy(-1, before, after)
			moved := slices.Clone(after)
			restore(m.net, before)
			curvature.MulTo(rest, moved)
			dense.Axpy(1, g, rest)
			restore(m.net, sumOfVectors(before, moved))
			if e := math.Abs(dense.Dot(rest, moved)); e > 1e-9*norm(g)*norm(moved) {
				t.Errorf("%s, step %d: the model's gradient has %g along the step", m.name, k, e)
			}
			if last != nil {
				if e := math.Abs(dense.Dot(rest, last)); e > 1e-9*norm(g)*norm(last) {
					t.Errorf("%s, step %d: the model's gradient has %g along the last step", m.name, k, e)
				}
			}
			last = moved
		}
	}
}

// TestOptimizerModelByFactors: with the factors as the curvature of the model the first step is that along the preconditioned gradient which minimises
// it, with and without an objective.
func TestOptimizerModelByFactors(t *testing.T) {
	const d = 0.05
	for _, with := range []bool{false, true} {
		m := models()[0]
		r := m.risk(t)
		k := mustKFAC(t, r, Settings{Flavour: Empirical})
		inverse, err := k.Inverse(Damping{Pi, d})
		if err != nil {
			t.Fatal(err)
		}
		before, g, delta, product := valuesOf(m.net), make([]float64, r.Dim()), make([]float64, r.Dim()), make([]float64, r.Dim())
		r.Gradient(g)
		inverse.MulTo(delta, g)
		Damped(k, d).MulTo(product, delta)
		var f nnopt.Objective[float64]
		if with {
			f = &objective{m: &m}
		}
		_, step := kfacOptimizer(t, &m, nnopt.KFAC{Damping: d, FixedDamping: true, Model: nnopt.ModelFactors}, f)
		step()
		dense.Axpy(-dense.Dot(g, delta)/dense.Dot(delta, product), delta, before)
		vectorNear(t, "values", valuesOf(m.net), before, 1e-9)
		for range 20 {
			step()
		}
		if end, _ := m.net.Evaluate(m.batch); !(end < 0.5*r.Loss()) {
			t.Errorf("loss %g, then %g", r.Loss(), end)
		}
	}
}

func restore(n *net.Net[float64], x []float64) {
	for _, b := range n.Blocks() {
		x = x[copy(b.Value, x):]
	}
}

func sumOfVectors(a, b []float64) []float64 {
	c := slices.Clone(a)
	dense.Axpy(1, b, c)
	return c
}

// regression is a problem whose quadratic model is exact.
func regression() *model {
	return &model{
		net:   net.New[float64](net.Chain(linear(1, 3, 2)), net.NewSquare[float64](false), 1),
		batch: &net.Batch[float64]{N: 10, X: randomMatrix(2, 10, 3), Target: net.Target[float64]{Values: randomMatrix(3, 10, 2)}},
	}
}

// TestOptimizerDamping: where the model is exact the damping falls by the stated factor, where the loss does not follow, or is no number, it rises; it
// stays within its bounds.
func TestOptimizerDamping(t *testing.T) {
	power := math.Pow(0.95, 5)
	for name, c := range map[string]struct {
		bend func(float64) float64
		o    nnopt.KFAC
		want float64 // after five steps
	}{
		"exact model": {nil, nnopt.KFAC{Damping: 0.1}, 0.1 * power},
		"bound":       {nil, nnopt.KFAC{Damping: 0.1, MinDamping: 0.09}, 0.09},
		"constant":    {func(float64) float64 { return 1 }, nnopt.KFAC{Damping: 0.1}, 0.1 / power},
		"NaN":         {func(float64) float64 { return math.NaN() }, nnopt.KFAC{Damping: 0.1}, 0.1 / power},
		"upper bound": {func(float64) float64 { return math.NaN() }, nnopt.KFAC{Damping: 0.9e16}, 1e16},
		"fixed":       {nil, nnopt.KFAC{Damping: 0.1, FixedDamping: true}, 0.1},
	} {
		m := regression()
		opt, step := kfacOptimizer(t, m, c.o, &objective{m, c.bend})
		for range 4 {
			step()
		}
		near(t, name+" before it is time", counterOf(opt, "damping")/c.o.Damping, 1, 1e-15)
		step()
		near(t, name, counterOf(opt, "damping")/c.want, 1, 1e-12)
	}
}

// TestOptimizerRejects: a step after which the loss is larger leaves the parameters bit for bit, forgets the momentum and raises the damping.
func TestOptimizerRejects(t *testing.T) {
	m := regression()
	calls := 0
	rising := func(float64) float64 { calls++; return float64(calls) }
	opt, step := kfacOptimizer(t, m, nnopt.KFAC{Damping: 0.1, Reject: true}, &objective{m, rising})
	before := valuesOf(m.net)
	step()
	if !equalBits(before, valuesOf(m.net)) || calls != 2 {
		t.Errorf("the step was not taken back; %d losses", calls)
	}
	near(t, "damping", counterOf(opt, "damping"), 0.1/math.Pow(0.95, 5), 1e-12)
	for _, slot := range opt.State().Slots {
		if slot.Name == "last step" && slices.ContainsFunc(slot.Data, func(v float64) bool { return v != 0 }) {
			t.Error("the rejected step is still the last one")
		}
	}
	m = regression()
	_, step = kfacOptimizer(t, m, nnopt.KFAC{Damping: 0.1, Reject: true}, &objective{m: m})
	before = valuesOf(m.net)
	step()
	if equalBits(before, valuesOf(m.net)) {
		t.Error("a good step was taken back")
	}
}

// TestOptimizerNormConstraint: a step is shortened until lr^2 <Delta, gradient> is the bound, and only then.
func TestOptimizerNormConstraint(t *testing.T) {
	for _, bound := range []float64{1e-4, 1e6} {
		m := models()[0]
		r := m.risk(t)
		inverse, err := mustKFAC(t, r, Settings{Flavour: Empirical}).Inverse(Damping{Pi, 0.1})
		if err != nil {
			t.Fatal(err)
		}
		g, delta := make([]float64, r.Dim()), make([]float64, r.Dim())
		r.Gradient(g)
		inverse.MulTo(delta, g)
		before := valuesOf(m.net)
		o := nnopt.KFAC{Fixed: true, FixedDamping: true, Damping: 0.1, NormConstraint: bound}
		o.LR = 0.5
		_, step := kfacOptimizer(t, &m, o, nil)
		step()
		moved := valuesOf(m.net)
		dense.Axpy(-1, before, moved)
		lr := norm(moved) / norm(delta)
		want := min(0.5, math.Sqrt(bound/dense.Dot(g, delta)))
		near(t, "learning rate", lr, want, 1e-9)
	}
}

// TestOptimizerSolves: a linear regression is solved to rounding; with burn-in the first steps move nothing.
func TestOptimizerSolves(t *testing.T) {
	m := regression()
	_, step := kfacOptimizer(t, m, nnopt.KFAC{Damping: 1e-6, BurnIn: 2}, &objective{m: m})
	before := valuesOf(m.net)
	step()
	step()
	if !equalBits(before, valuesOf(m.net)) {
		t.Error("parameters moved during burn-in")
	}
	for range 12 {
		step()
	}
	g := make([]float64, m.net.Dim())
	m.risk(t).Gradient(g)
	if norm(g) > 1e-6 {
		t.Errorf("gradient %g after 12 steps", norm(g))
	}
}

// TestOptimizerMisuse: statistics of other sizes are refused.
func TestOptimizerMisuse(t *testing.T) {
	m := regression()
	opt, _ := kfacOptimizer(t, m, nnopt.KFAC{}, nil)
	m.net.Gradient(m.batch)
	stats := m.net.Stats(nil)
	stats[0].In = randomMatrix(1, 10, 7)
	if err := opt.(nnopt.StatsObserver[float64]).Observe(stats); err == nil {
		t.Error("inputs of another width were accepted")
	}
	for _, o := range []nnopt.KFAC{{Inverse: "odd"}, {Model: "odd"}, {Momentum: 1}, {Damping: -1}, {Average: 2}, {Loss: "odd"}, {Interval: -1}, {NormConstraint: math.NaN()}} {
		if _, err := nnopt.NewKFAC[float64](o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestOptimizerOverflow: a direction that overflows in float32 moves nothing of a layer and counts as a failure.
func TestOptimizerOverflow(t *testing.T) {
	opt, err := nnopt.NewKFAC[float32](nnopt.KFAC{Damping: 1e-30, FixedDamping: true, Inverse: nnopt.InversePlain})
	if err != nil {
		t.Fatal(err)
	}
	opt.(nnopt.StatsObserver[float32]).SetLayers([]nnopt.Layer{{Weight: "w"}})
	w := []nnopt.Block[float32]{{Name: "w", Rows: 1, Cols: 2, Value: []float32{3, 4}, Grad: []float32{1, 1}}}
	if err := opt.Init(w); err != nil {
		t.Fatal(err)
	}
	report, err := opt.Step(w, nnopt.StepInfo{LRScale: 1})
	if err != nil || report.Failures != 1 || w[0].Value[0] != 3 || w[0].Value[1] != 4 {
		t.Errorf("%+v, %v, values %v", report, err, w[0].Value)
	}
}

// TestOptimizerAllocations: steps with statistics and an objective allocate nothing, also those that refresh the inverses.
func TestOptimizerAllocations(t *testing.T) {
	for _, kind := range []nnopt.InverseKind{nnopt.InversePi, nnopt.InverseExact, nnopt.InverseTracked} {
		for _, index := range []int{0, 5, 7} {
			m := models()[index]
			_, step := kfacOptimizer(t, &m, nnopt.KFAC{Inverse: kind, Reject: true, Reduce: true}, &objective{m: &m})
			for range 11 {
				step()
			}
			if n := allocs.PerRun(11, func() { step() }); n != 0 {
				t.Errorf("%s, %s: %v allocations per step", kind, m.name, n)
			}
		}
	}
}

// TestSampledOptimizer: with statistics at sampled targets the optimizer gets as far as with those of the gradients, for the same steps.
func TestSampledOptimizer(t *testing.T) {
	m := models()[0]
	opt, err := nnopt.NewKFAC[float64](nnopt.KFAC{Damping: 0.03})
	if err != nil {
		t.Fatal(err)
	}
	observer := opt.(nnopt.StatsObserver[float64])
	if observer.WantsStats() != nnopt.SampledStats {
		t.Fatal("sampled statistics are not the default")
	}
	observer.SetLayers(m.net.Layers())
	opt.(nnopt.ObjectiveUser[float64]).SetObjective(&objective{m: &m})
	if err := opt.Init(m.net.Blocks()); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	start, _ := m.net.Evaluate(m.batch)
	for range 40 {
		m.net.SampledGradient(m.batch, r)
		if err := observer.Observe(m.net.Stats(nil)); err != nil {
			t.Fatal(err)
		}
		m.net.Gradient(m.batch)
		if _, err := opt.Step(m.net.Blocks(), nnopt.StepInfo{LRScale: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if end, _ := m.net.Evaluate(m.batch); !(end < 0.05*start) {
		t.Errorf("loss %g, then %g", start, end)
	}
}
