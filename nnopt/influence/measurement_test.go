package influence

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TestMeasurements: the derivatives of every measurement in the outputs are its slopes, to second order in the step.
func TestMeasurements(t *testing.T) {
	n := net.New[float64](linear(1, 3, 4), &net.CrossEntropy[float64]{}, 1)
	out := random(2, 6, 4) // two positions for each of three examples
	b := &net.Batch[float64]{N: 3, X: random(3, 6, 3), Target: net.Target[float64]{Classes: []int32{0, 3, -1, 2, 1, 1}}}
	for name, m := range map[string]Measurement[float64]{
		"loss": &LossMeasurement[float64]{}, "margin": Margin[float64]{}, "squared output": SquaredOutput[float64]{},
		"weighted": &LossMeasurement[float64]{Weight: func(_ *net.Batch[float64], i int) float64 { return float64(i + 1) }},
		"function": MeasurementFunc[float64](SquaredOutput[float64]{}.Measure),
	} {
		values, u, scratch := make([]float64, 3), dense.New[float64](6, 4), dense.New[float64](6, 4)
		at := func(x Matrix[float64], u Matrix[float64]) []float64 {
			if err := m.Measure(n, b, x, values, u); err != nil {
				t.Fatal(err)
			}
			return append([]float64(nil), values...)
		}
		before := at(out, u)
		direction := random(4, 6, 4)
		for example := range 3 {
			var slope float64
			for r := 2 * example; r < 2*example+2; r++ {
				slope += dense.Dot(direction.Row(r), u.Row(r))
			}
			errors := [2]float64{}
			for k, h := range []float64{1e-2, 1e-3} {
				moved := out.Clone()
				dense.Axpy(h, direction.Data, moved.Data)
				errors[k] = math.Abs(at(moved, scratch)[example] - before[example] - h*slope)
			}
			if order := math.Log10(errors[0] / errors[1]); order < 1.9 || order > 2.1 {
				t.Errorf("%s, example %d: the remainder falls with order %.2f", name, example, order)
			}
		}
	}
}

// TestMarginAndLoss: the gradient of cross-entropy is -(1-p) times that of the margin.
func TestMarginAndLoss(t *testing.T) {
	n := net.New[float64](linear(1, 3, 4), &net.CrossEntropy[float64]{}, 1)
	out := random(2, 3, 4)
	b := &net.Batch[float64]{N: 3, X: random(3, 3, 3), Target: net.Target[float64]{Classes: []int32{0, 3, 2}}}
	var u, v = dense.New[float64](3, 4), dense.New[float64](3, 4)
	margins, losses := make([]float64, 3), make([]float64, 3)
	if err := (Margin[float64]{}).Measure(n, b, out, margins, u); err != nil {
		t.Fatal(err)
	}
	if err := (&LossMeasurement[float64]{}).Measure(n, b, out, losses, v); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		p := math.Exp(-losses[i])
		near(t, "margin", margins[i], math.Log(p/(1-p)), 1e-12)
		for j, g := range v.Row(i) {
			near(t, "gradient", g, -(1-p)*u.At(i, j), 1e-12)
		}
	}
}

// TestOtherMeasurement: scores for a measurement that is not the loss predict how it moves along a small step of the training loss: with the identity,
// the change of m_q along minus the gradient of the term of an example.
func TestOtherMeasurement(t *testing.T) {
	m := models()[0]
	e := m.estimator(t, Options{Preconditioner: Identity})
	s := pairwise(t, e, Side[float64]{m.queries(), Margin[float64]{}}, Side[float64]{Examples: m.train()}, ScoreOptions{})
	last := m.batches[len(m.batches)-1]
	measure := func() []float64 {
		values := make([]float64, last.N)
		out := m.net.Forward(last).Clone()
		if err := (Margin[float64]{}).Measure(m.net, last, out, values, dense.New[float64](out.Rows, out.Cols)); err != nil {
			t.Fatal(err)
		}
		return values
	}
	before := measure()
	for i, g := range terms(t, &m) {
		var errors [2]float64
		for k, h := range []float64{1e-2, 1e-3} {
			step := func(h float64) {
				rest := g
				for _, b := range m.net.Blocks() {
					dense.Axpy(h, rest[:b.Len()], b.Value)
					rest = rest[b.Len():]
				}
			}
			step(h)
			errors[k] = math.Abs(measure()[1] - before[1] - h*s.Values.At(1, i))
			step(-h)
		}
		if order := math.Log10(errors[0] / errors[1]); order < 1.9 || order > 2.1 {
			t.Errorf("example %d: the remainder falls with order %.2f", i, order)
		}
	}
}

// diffusion returns a small denoiser and its training points, corrupted anew in every draw.
func diffusion(draws int) (*net.Net[float64], Examples[float64], Matrix[float64]) {
	n := net.New[float64](net.Chain(linear(1, 2+net.TimeFeatures, 5), tanh(), linear(2, 5, 2)), net.NewSquare[float64](false), 1)
	x, process := random(8, 7, 2), net.NewDiffusion(10)
	parts := []Matrix[float64]{x.View(0, 0, 4, 2), x.View(4, 0, 3, 2)}
	return n, Examples[float64]{Count: 2, Draws: draws, Batch: func(i, draw int) *net.Batch[float64] {
		b := &net.Batch[float64]{N: parts[i].Rows, X: dense.New[float64](parts[i].Rows, 2+net.TimeFeatures)}
		net.Corrupt(process, source(uint64(10*i+draw)), parts[i], b.X, &b.Target)
		return b
	}}, x
}

// TestDraws: gradients of a loss with noise are means over its draws, in the same units for any number of them.
func TestDraws(t *testing.T) {
	const draws = 6
	n, data, _ := diffusion(draws)
	e, err := New(n, data, Options{Preconditioner: KFAC, Damping: absolute})
	if err != nil {
		t.Fatal(err)
	}
	side := Side[float64]{Examples: data}
	s := pairwise(t, e, lossOf(data), side, ScoreOptions{})
	mean := dense.New[float64](7, 7)
	for d := range draws {
		one := Examples[float64]{Count: 2, Batch: func(i, _ int) *net.Batch[float64] { return data.Batch(i, d) }}
		for q := range draws {
			query := Examples[float64]{Count: 2, Batch: func(i, _ int) *net.Batch[float64] { return data.Batch(i, q) }}
			dense.Axpy(1./(draws*draws), pairwise(t, e, lossOf(query), Side[float64]{Examples: one}, ScoreOptions{}).Values.Data, mean.Data)
		}
	}
	nearMatrix(t, "mean over draws", s.Values, mean, 1e-12)
	// the same noise in all draws is no noise
	same := Examples[float64]{Count: 2, Draws: 3, Batch: func(i, _ int) *net.Batch[float64] { return data.Batch(i, 0) }}
	once := Examples[float64]{Count: 2, Batch: same.Batch}
	want, err := New(n, once, Options{Damping: absolute})
	if err != nil {
		t.Fatal(err)
	}
	got, err := New(n, same, Options{Damping: absolute})
	if err != nil {
		t.Fatal(err)
	}
	nearMatrix(t, "equal draws", pairwise(t, got, lossOf(same), Side[float64]{Examples: same}, ScoreOptions{}).Values,
		pairwise(t, want, lossOf(once), Side[float64]{Examples: once}, ScoreOptions{}).Values, 1e-9)
}

// TestMoreDrawsAgree: scores from many draws scatter less between independent sets of noise than those from few.
func TestMoreDrawsAgree(t *testing.T) {
	n, data, _ := diffusion(1)
	spread := func(draws int) float64 {
		var all [2][]float64
		for k := range all {
			noisy := Examples[float64]{Count: 2, Draws: draws, Batch: func(i, d int) *net.Batch[float64] { return data.Batch(i, 1+d+1000*k) }}
			e, err := New(n, noisy, Options{Damping: Damping{Value: 1}})
			if err != nil {
				t.Fatal(err)
			}
			all[k] = pairwise(t, e, lossOf(noisy), Side[float64]{Examples: noisy}, ScoreOptions{}).Values.Data
		}
		var sum, size float64
		for i, v := range all[0] {
			sum += (v - all[1][i]) * (v - all[1][i])
			size += v * v
		}
		return math.Sqrt(sum / size)
	}
	few, many := spread(2), spread(200)
	if many > few/3 || many > 0.2 {
		t.Errorf("relative difference with 2 draws %v, with 200 %v", few, many)
	}
}
