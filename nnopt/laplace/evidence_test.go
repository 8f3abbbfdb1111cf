package laplace

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// slopeOrder returns how fast the error of the first-order model of f shrinks with the step: 2 if the slope is right.
func slopeOrder(f func(x float64) float64, slope float64) float64 {
	const h = 0.02
	miss := func(h float64) float64 { return math.Abs(f(h) - f(0) - h*slope) }
	return math.Log2(miss(h) / miss(h/2))
}

// TestSlopes checks the slopes of the evidence in the logarithms of all hyperparameters.
func TestSlopes(t *testing.T) {
	for _, m := range models() {
		all := variants(&m)
		damped := all[len(all)-1].o
		damped.Damped = true
		for _, v := range append(all, variant{"damped", damped}) {
			p := m.fit(t, v.o)
			lengths := []int{1, len(p.Groups())}
			if p.o.structure() != Kronecker {
				lengths = append(lengths, p.Dim())
			}
			for _, count := range lengths {
				h := p.Hyper()
				h.Prior = nil
				for k := range count {
					h.Prior = append(h.Prior, 0.5+0.1*float64(k%7))
				}
				if err := p.SetHyper(h); err != nil {
					t.Fatal(err)
				}
				checkSlopes(t, fmt.Sprintf("%s, %s, %d precisions", m.name, v.name, count), p)
			}
		}
	}
}

func checkSlopes(t *testing.T, name string, p *Posterior[float64]) {
	t.Helper()
	s := p.Slopes()
	check := func(what string, slope float64, set func(h *Hyper, factor float64)) {
		order := slopeOrder(func(x float64) float64 {
			h := p.Hyper()
			set(&h, math.Exp(x))
			e, err := p.EvidenceAt(h)
			if err != nil {
				t.Fatal(name, err)
			}
			return e.Value
		}, slope)
		if !(order > 1.8 && order < 3.2) { // 3 where the second derivative happens to vanish
			t.Errorf("%s: %s: slope %g, order %.2f", name, what, slope, order)
		}
	}
	for _, k := range []int{0, len(s.Prior) / 2} {
		check(fmt.Sprintf("prior %d", k), s.Prior[k], func(h *Hyper, f float64) { h.Prior[k] *= f })
	}
	check("temperature", s.Temperature, func(h *Hyper, f float64) { h.Temperature *= f })
	if p.Likelihood() == Regression {
		check("noise", s.Noise, func(h *Hyper, f float64) { h.Noise *= f })
	} else if s.Noise != 0 {
		t.Errorf("%s: slope %g in the noise", name, s.Noise)
	}
}

// TestDamped compares with the Kronecker product of the damped factors.
func TestDamped(t *testing.T) {
	m := models()[1]
	p := m.fit(t, Options{Damped: true, Hyper: Hyper{Prior: []float64{0.3}, Temperature: 2}})
	s := p.o.Curvature
	r, err := curvature.NewRisk(m.net, m.data(), curvature.RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := curvature.CollectKFAC(r, s)
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	for _, f := range k.Blocks {
		out, in := f.Dims()
		for _, c := range []struct {
			m     dense.Matrix[float64]
			times int
		}{{f.B, in}, {f.A, out}} {
			d := mat.NewDense(c.m.Rows, c.m.Cols, slices.Clone(c.m.Data))
			d.Scale(1/math.Sqrt(2*k.Factor), d)
			for i := range c.m.Rows {
				d.Set(i, i, d.At(i, i)+math.Sqrt(0.3))
			}
			det, _ := mat.LogDet(d)
			want += float64(c.times) * det
		}
	}
	near(t, "log-determinant", p.Evidence().LogDetPosterior, want, 1e-9)
	plain := m.fit(t, Options{Hyper: Hyper{Prior: []float64{0.3}, Temperature: 2}})
	if e := plain.Evidence().LogDetPosterior; !(e < want-0.1) {
		t.Errorf("damping changes nothing: %v and %v", e, want)
	}
}

// TestMacKayFixedPoint tunes the evidence of the linear model; at its maximum delta = gamma/||theta||^2 and sigma^2 = SSE/(N - gamma).
func TestMacKayFixedPoint(t *testing.T) {
	n, b, g := linearGaussian(t, false)
	p, err := Fit(n, slices.Values([]*net.Batch[float64]{b}), Options{Structure: Full})
	if err != nil {
		t.Fatal(err)
	}
	start := p.Evidence().Value
	course, err := p.TuneEvidence(TuneOptions{Steps: 1500, LR: 0.02, Noise: true})
	if err != nil {
		t.Fatal(err)
	}
	e, h := p.Evidence(), p.Hyper()
	if !(e.Value > start) || e.Value < course[len(course)-1].Evidence {
		t.Errorf("evidence %v after a start at %v and an end at %v", e.Value, start, course[len(course)-1].Evidence)
	}
	var norm, sse float64
	for _, v := range g.Linear.Theta {
		norm += v * v
	}
	for i, row := range g.Linear.X {
		d := g.Linear.Y[i]
		for k, v := range row {
			d -= v * g.Linear.Theta[k]
		}
		sse += d * d
	}
	trace := make([]float64, 3)
	p.Variances(trace)
	gamma := 3 - h.Prior[0]*(trace[0]+trace[1]+trace[2])
	near(t, "effective parameters", e.Effective, gamma, 1e-12)
	near(t, "prior precision", h.Prior[0], gamma/norm, 1e-4)
	near(t, "noise", h.Noise*h.Noise, sse/(8-gamma), 1e-4)
	s := p.Slopes()
	near(t, "slope", s.Prior[0], 0, 1e-4)
	near(t, "slope in the noise", s.Noise, 0, 1e-4)
}

// cut returns the batch of a model in pieces.
func (m *model) cut(sizes ...int) (all []*net.Batch[float64]) {
	rows, positions, from := m.batch.X.Rows/m.batch.N, m.net.Forward(m.batch).Rows/m.batch.N, 0
	for _, n := range sizes {
		b := &net.Batch[float64]{N: n, X: m.batch.X.View(from*rows, 0, n*rows, m.batch.X.Cols)}
		if c := m.batch.Target.Classes; c != nil {
			b.Target.Classes = c[from*positions:][:n*positions]
		} else {
			b.Target.Values = m.batch.Target.Values.View(from*positions, 0, n*positions, m.batch.Target.Values.Cols)
		}
		all = append(all, b)
		from += n
	}
	return all
}

// TestSplitsAndUpdates: batches of any split, or data that come later, give the posterior of all data at once.
func TestSplitsAndUpdates(t *testing.T) {
	for _, m := range models() {
		for _, v := range variants(&m) {
			whole := m.fit(t, v.o)
			parts := m.cut(1, m.batch.N-1)
			split, err := Fit(m.net, slices.Values(parts), v.o)
			if err != nil {
				t.Fatal(err)
			}
			later, err := Fit(m.net, slices.Values(parts[:1]), v.o)
			if err != nil {
				t.Fatal(err)
			}
			few := later.Evidence().Value
			if err := later.Update(slices.Values(parts[1:])); err != nil {
				t.Fatal(err)
			}
			want, d := make([]float64, whole.Dim()), make([]float64, whole.Dim())
			whole.Variances(want)
			for name, p := range map[string]*Posterior[float64]{"split": split, "update": later} {
				near(t, m.name+", "+v.name+": "+name, p.Evidence().Value, whole.Evidence().Value, 1e-9)
				p.Variances(d)
				vectorNear(t, m.name+", "+v.name+": "+name+": variances", d, want, 1e-9)
				if p.Examples() != m.batch.N {
					t.Errorf("%d examples", p.Examples())
				}
			}
			if math.Abs(few-whole.Evidence().Value) < 1e-6 {
				t.Errorf("%s, %s: the update changes nothing", m.name, v.name)
			}
		}
	}
}

// TestFlavours: the posterior of sampled targets tends to that of the Gauss-Newton matrix, and that of the empirical Fisher matrix is J^T g g^T J.
func TestFlavours(t *testing.T) {
	m := models()[1]
	exact := m.fit(t, Options{Structure: Full}).Evidence().LogDetPosterior
	for _, structure := range Structures() {
		want := m.fit(t, Options{Structure: structure}).Evidence().LogDetPosterior
		p := m.fit(t, Options{Structure: structure, Curvature: curvature.Settings{Flavour: curvature.MonteCarlo, Samples: 3000, Seed: 3}})
		if got := p.Evidence().LogDetPosterior; math.Abs(got-want) > 0.05*math.Abs(want) {
			t.Errorf("%s: log-determinant %v with sampled targets, exactly %v", structure, got, want)
		}
	}
	empirical := m.fit(t, Options{Structure: Full, Curvature: curvature.Settings{Flavour: curvature.Empirical}})
	if e := empirical.Evidence().LogDetPosterior; math.Abs(e-exact) < 1e-3 {
		t.Error("the empirical Fisher matrix is that of Gauss and Newton")
	}
	j := jacobianOf(m.net, m.batch)
	d := m.net.Dim()
	sum := mat.NewDense(d, d, nil)
	out := m.net.Forward(m.batch)
	for r := range out.Rows {
		row := slices.Clone(out.Row(r))
		softmax(row)
		row[m.batch.Target.Classes[r]]--
		var g mat.VecDense
		g.MulVec(j.Slice(r*out.Cols, (r+1)*out.Cols, 0, d).T(), mat.NewVecDense(out.Cols, row))
		sum.RankOne(sum, 1, &g, &g)
	}
	for i := range d {
		sum.Set(i, i, sum.At(i, i)+1)
	}
	want, _ := mat.LogDet(sum)
	near(t, "empirical", empirical.Evidence().LogDetPosterior, want, 1e-8)
}

// TestCorrected: the eigenvalues of EKFAC keep the trace of the Gauss-Newton matrix, which those of KFAC do not.
func TestCorrected(t *testing.T) {
	m := models()[1]
	inner, _ := hessianOf(m.fit(t, Options{}), m.batch)
	trace := mat.Trace(gaussNewton(jacobianOf(m.net, m.batch), inner))
	sum := func(o Options) (s float64) {
		for _, b := range m.fit(t, o).h.(*kronCurvature).spectra {
			for _, v := range b.Values.Data {
				s += v
			}
		}
		return s
	}
	near(t, "trace", sum(Options{Corrected: true}), trace, 1e-8)
	if plain := sum(Options{}); math.Abs(plain-trace) < 1e-6*trace {
		t.Error("the plain factors have the trace already")
	}
	p := m.fit(t, Options{Corrected: true})
	if err := p.Update(m.data()); err == nil {
		t.Error("an update of corrected eigenvalues is an error")
	}
}

// TestLastLayerIsFullWithTheRestFrozen compares three ways to say the same.
func TestLastLayerIsFullWithTheRestFrozen(t *testing.T) {
	m := models()[1]
	var indices []int
	for at := 16; at < m.net.Dim(); at++ {
		indices = append(indices, at)
	}
	names := curvature.Layout(m.net)
	last := m.fit(t, Options{Structure: Full, LastLayer: true})
	for what, o := range map[string]Options{
		"indices": {Structure: Full, Indices: indices},
		"blocks":  {Structure: Full, Blocks: []string{names[2].Name, names[3].Name}},
	} {
		p := m.fit(t, o)
		if !slices.Equal(p.Indices(), last.Indices()) {
			t.Fatalf("%s: parameters %v, want %v", what, p.Indices(), last.Indices())
		}
		near(t, what, p.Evidence().Value, last.Evidence().Value, 1e-12)
	}
	k := m.fit(t, Options{LastLayer: true})
	if !slices.Equal(k.Indices(), last.Indices()) || len(k.Groups()) != 1 {
		t.Errorf("the Kronecker posterior of the last layer has parameters %v in groups %v", k.Indices(), k.Groups())
	}
}

// TestPriorMean: the scatter is around the mean of the prior.
func TestPriorMean(t *testing.T) {
	m := models()[1]
	p := m.fit(t, Options{Mean: []float64{0.3}, Hyper: Hyper{Prior: []float64{2}}})
	var want float64
	for _, v := range p.Mode() {
		want += 2 * (v - 0.3) * (v - 0.3)
	}
	near(t, "scatter", p.Evidence().Scatter, want, 1e-12)
	p = m.fit(t, Options{Mean: p.Mode()})
	near(t, "scatter around the mode", p.Evidence().Scatter, 0, 1e-15)
}

// TestGraph: the nodes of a graph are not independent; their full posterior is that of the dense formula, and predictions are refused.
func TestGraph(t *testing.T) {
	g := &net.Graph{Start: []int{0, 2, 3, 5, 6, 6}, Neighbours: []int32{1, 2, 0, 0, 3, 2}}
	m := model{"graph", net.New(chain(net.NewAggregate[float64](g), linear(1, 6, 4), tanh(), net.NewAggregate[float64](g), linear(2, 8, 3)), &net.CrossEntropy[float64]{}, 1),
		&net.Batch[float64]{N: 5, X: randomMatrix(3, 5, 3), Target: net.Target[float64]{Classes: []int32{0, 2, -1, 1, 1}}}, true}
	o := Options{Structure: Full, Hyper: Hyper{Prior: []float64{0.7}}}
	p := m.fit(t, o)
	var c mat.Cholesky
	if !c.Factorize(precisionOf(t, &m, p, p.Hyper())) {
		t.Fatal("oracle is singular")
	}
	near(t, "log-determinant", p.Evidence().LogDetPosterior, c.LogDet(), 1e-8)
	var data *curvature.DataError
	if _, err := p.Predict(m.batch); !errors.As(err, &data) {
		t.Error(err)
	}
	if err := p.Update(m.data()); err != nil {
		t.Fatal(err)
	}
	twice := p.Hyper()
	twice.Temperature = 0.5
	q := m.fit(t, o)
	if err := q.SetHyper(twice); err != nil {
		t.Fatal(err)
	}
	near(t, "the same data again", p.Evidence().LogDetPosterior, q.Evidence().LogDetPosterior, 1e-9)
}
