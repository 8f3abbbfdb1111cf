package net

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

func gaussian(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

// model is a network around an entry's layer, with a Linear layer before it where its inputs may be anything, so that the gradient at its inputs is
// checked too, and a curved loss behind it.
func model(e Entry, seed uint64) (*Net[float64], *Batch[float64]) {
	r := source(seed)
	x := e.Example(r)
	b := &Batch[float64]{X: x.X, N: x.N, Step: 3}
	layers := []Layer[float64]{x.Layer}
	if !e.Tokens {
		before := NewLinear[float64](r, x.X.Cols, x.X.Cols, LinearOptions{})
		layers = []Layer[float64]{before, x.Layer}
	}
	out := probeSize(Chain(layers...), b)
	layers = append(layers, NewActivation[float64](Sigmoid), NewLinear[float64](r, out.Cols, 3, LinearOptions{}))
	b.Target.Values = dense.Wrap(out.Rows, 3, gaussian(r, 3*out.Rows))
	n := New[float64](Chain(layers...), NewSquare[float64](false), 42)
	for _, p := range n.Blocks() {
		for i := range p.Value {
			p.Value[i] += 0.3 * r.NormFloat64()
		}
	}
	return n, b
}

func probeSize(l Layer[float64], b *Batch[float64]) Matrix[float64] {
	return l.Forward(&Pass[float64]{N: b.N, Train: true}, Dual[float64]{V: b.X}).V
}

// point moves the parameters of n along a line.
type point struct {
	n         *Net[float64]
	at, along []float64
}

func lineFrom(n *Net[float64], along []float64) point {
	p := point{n: n, along: along}
	for _, b := range n.Blocks() {
		p.at = append(p.at, b.Value...)
	}
	return p
}

func (p point) move(t float64) {
	i := 0
	for _, b := range p.n.Blocks() {
		for j := range b.Value {
			b.Value[j] = p.at[i] + t*p.along[i]
			i++
		}
	}
}

func gradientOf(n *Net[float64], b *Batch[float64]) (g []float64, loss float64) {
	loss = n.Gradient(b)
	for _, block := range n.Blocks() {
		g = append(g, block.Grad...)
	}
	return g, loss
}

// trainingOutputs are the outputs of a pass with the masks of dropout.
func trainingOutputs(n *Net[float64], b *Batch[float64]) []float64 {
	out := n.forward(b, true, false).V
	return slices.Clone(out.Data[:out.Rows*out.Cols])
}

// slope demands that the remainder of the first-order expansion f(t) = f(0) + t d + O(t^2) has order 2, or is rounding.
func slope(t *testing.T, what string, f func(t float64) []float64, d []float64) {
	t.Helper()
	zero := f(0)
	size := norm(zero) + norm(d)
	var ts, errs []float64
	for h := 0.05; h > 1e-5; h /= 2 {
		v := f(h)
		for i := range v {
			v[i] -= zero[i] + h*d[i]
		}
		if e := norm(v); e > 1e-12*size {
			ts, errs = append(ts, math.Log(h)), append(errs, math.Log(e))
		}
	}
	f(0)
	if len(ts) < 3 {
		return // exact up to rounding
	}
	// the steepest stretch of five halvings: larger steps see higher orders, smaller ones rounding
	best := math.Inf(-1)
	for i := 0; i+5 < len(ts); i++ {
		best = max(best, (errs[i]-errs[i+5])/(ts[i]-ts[i+5]))
	}
	if len(ts) < 6 {
		best = (errs[0] - errs[len(errs)-1]) / (ts[0] - ts[len(ts)-1])
	}
	if best < 1.9 {
		t.Errorf("%s: the remainder has order %.2f, want 2 (errors %.3g ... %.3g)", what, best, math.Exp(errs[0]), math.Exp(errs[len(errs)-1]))
	}
}

func norm(v []float64) float64 { return math.Sqrt(dense.Dot(v, v)) }

func TestLayers(t *testing.T) {
	for _, e := range Layers() {
		t.Run(e.Name, func(t *testing.T) {
			for seed := range uint64(3) {
				checkLayer(t, e, seed)
			}
		})
	}
}

func checkLayer(t *testing.T, e Entry, seed uint64) {
	n, b := model(e, seed)
	r := source(seed + 100)
	v, u := gaussian(r, n.Dim()), gaussian(r, n.Dim())
	name := func(what string) string { return fmt.Sprintf("%s of seed %d", what, seed) }

	g, _ := gradientOf(n, b)
	line := lineFrom(n, v)
	slope(t, name("gradient"), func(h float64) []float64 {
		line.move(h)
		return []float64{n.Loss.Evaluate(n.forward(b, true, false), &b.Target, Dual[float64]{})}
	}, []float64{dense.Dot(g, v)})

	jvp := slices.Clone(n.JVP(b, v).Data)
	slope(t, name("JVP"), func(h float64) []float64 { line.move(h); return trainingOutputs(n, b) }, jvp)

	hv, hu := make([]float64, n.Dim()), make([]float64, n.Dim())
	n.HVP(b, v, hv)
	if !slices.Equal(n.Blocks()[0].Grad, g[:n.Blocks()[0].Len()]) {
		t.Errorf("%s: the gradient that HVP leaves differs", name("HVP"))
	}
	n.HVP(b, u, hu)
	slope(t, name("HVP"), func(h float64) []float64 { line.move(h); g, _ := gradientOf(n, b); return g }, hv)
	near(t, name("u'Hv - v'Hu"), dense.Dot(u, hv), dense.Dot(v, hu), 1e-11*norm(u)*norm(hv))

	n.GGNVP(b, v, hv)
	n.GGNVP(b, u, hu)
	near(t, name("u'Gv - v'Gu"), dense.Dot(u, hv), dense.Dot(v, hu), 1e-11*norm(u)*norm(hv))
	factor := n.Loss.Factor(b.Target.Values, &b.Target)
	near(t, name("v'Gv"), dense.Dot(v, hv), factor*dense.Dot(jvp, jvp), 1e-11*norm(v)*norm(hv))
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s: %.17g, want %.17g (tolerance %.1g)", what, got, want, tol)
	}
}

// TestLosses checks gradient and Hessian in the outputs, that the sampler's gradients have mean zero, and that a linear model has equal Hessian and
// Gauss-Newton products.
func TestLosses(t *testing.T) {
	const rows, cols = 6, 4
	for _, e := range Losses() {
		for _, sum := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/sum=%v", e.Name, sum), func(t *testing.T) {
				r := source(5)
				loss := e.New(sum)
				x := dense.Wrap(rows, 3, gaussian(r, 3*rows))
				n := New[float64](NewLinear[float64](r, 3, cols, LinearOptions{}), loss, 1)
				b := &Batch[float64]{X: x, N: rows, Target: e.Targets(r, rows, cols)}
				if err := loss.Check(rows, cols, &b.Target); err != nil {
					t.Fatal(err)
				}
				v := gaussian(r, n.Dim())
				g, value := gradientOf(n, b)
				if again, _ := n.Evaluate(b); again != value {
					t.Errorf("Evaluate gives %v, Gradient %v", again, value)
				}
				line := lineFrom(n, v)
				slope(t, "gradient", func(h float64) []float64 { line.move(h); _, l := gradientOf(n, b); return []float64{l} },
					[]float64{dense.Dot(g, v)})
				hv, gv := make([]float64, n.Dim()), make([]float64, n.Dim())
				n.HVP(b, v, hv)
				slope(t, "HVP", func(h float64) []float64 { line.move(h); g, _ := gradientOf(n, b); return g }, hv)
				n.GGNVP(b, v, gv)
				for i := range hv {
					near(t, "GGN against Hessian of a linear model", gv[i], hv[i], 1e-13*(1+math.Abs(hv[i])))
				}
				checkSampler(t, e, loss)
			})
		}
	}
}

// checkSampler draws many targets at one row of outputs: gradients of c average to 0 and, where it says so, have the Hessian as covariance.
func checkSampler(t *testing.T, e LossEntry, loss Loss[float64]) {
	const draws, cols = 20000, 4
	r := source(6)
	row := gaussian(r, cols)
	out := dense.New[float64](draws, cols)
	for i := range draws {
		copy(out.Row(i), row)
	}
	target := e.Targets(r, draws, cols)
	loss.Sample(out, r, &target)
	g := Dual[float64]{V: dense.New[float64](draws, cols), D: dense.New[float64](draws, cols)}
	direction := dense.New[float64](draws, cols)
	for i := range draws {
		copy(direction.Row(i), []float64{1, -2, 0.5, 1})
	}
	loss.Evaluate(Dual[float64]{out, direction}, &target, g)
	factor := loss.Factor(out, &target)
	if s, ok := loss.(*CrossEntropy[float64]); ok && s.Smoothing > 0 {
		return // the sampler draws from the model, which smoothed targets are not
	}
	along, hess := make([]float64, cols), make([]float64, cols)
	mean := make([]float64, cols)
	for i := range draws {
		c := dense.Dot(g.V.Row(i), direction.Row(i)) / factor
		for j, v := range g.V.Row(i) {
			mean[j] += v / factor / draws
			along[j] += c * v / factor / draws
			hess[j] += g.D.Row(i)[j] / factor / draws
		}
	}
	for j := range mean {
		near(t, "mean of sampled gradients", mean[j], 0, 5/math.Sqrt(draws))
		if e.Exact {
			near(t, "covariance of sampled gradients", along[j], hess[j], 25/math.Sqrt(draws))
		}
	}
}
