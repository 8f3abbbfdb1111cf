package solve_test

import (
	"fmt"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

func ExampleBFGS() {
	m, f := model()
	r, err := solve.BFGS(m, f, manifold.IdentityFrame(2, 1), nil)
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// bfgs converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

func ExampleUpdates() {
	m, f := model()
	for _, u := range solve.Updates() {
		r, err := solve.BFGS(m, f, manifold.IdentityFrame(2, 1), &solve.Options{Update: u})
		if err != nil {
			panic(err)
		}
		fmt.Println(u, r.Converged)
	}
	// Output:
	// bfgs true
	// broyden true
	// dfp true
	// sr1 true
}

func ExampleParticleSwarm() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	target, err := manifold.NewFrame(mat.NewSymDense(2, []float64{2, 1, 1, 2}))
	if err != nil {
		panic(err)
	}
	cost := solve.Cost(func(p manifold.Point) (float64, error) {
		d, err := m.Distance(p, target)
		return d * d, err
	})
	r, err := solve.ParticleSwarm(m, cost, manifold.IdentityFrame(2, 1), &solve.Options{
		Stochastic: solve.StochasticOptions{Source: rand.NewChaCha8([32]byte{1})}})
	if err != nil {
		panic(err)
	}
	show(r)
	// Output:
	// particle-swarm converged: true
	// ⎡2.0000  1.0000⎤
	// ⎣1.0000  2.0000⎦
}

// between is half the mean square affine-invariant distance from matrices, on an interval in the order of matrices, with the Euclidean metric.
type between struct {
	*manifold.Interval
	m    manifold.Matrices
	data []mat.Symmetric
}

func (b between) Evaluate(p manifold.Point, grad []float64, _ solve.Memo) (float64, error) {
	var s mat.SymDense
	b.m.MatrixOf(&s, p)
	var inverse, sum mat.Dense
	if err := inverse.Inverse(&s); err != nil {
		return 0, err
	}
	var cost float64
	n := s.SymmetricDim()
	total := mat.NewDense(n, n, nil)
	for _, a := range b.data {
		d, err := manifold.Distance(&s, a)
		if err != nil {
			return 0, err
		}
		xi, err := manifold.Log(&s, a)
		if err != nil {
			return 0, err
		}
		cost += d * d / float64(2*len(b.data))
		sum.Mul(&inverse, xi) // the Euclidean gradient is -S^-1 Log_S(A) S^-1
		sum.Mul(&sum, &inverse)
		sum.Scale(-1/float64(len(b.data)), &sum)
		total.Add(total, &sum)
	}
	b.m.Gradient(grad, p, total)
	return cost, nil
}

func (b between) Extreme(dst, _ manifold.Point, grad []float64) error {
	return b.Interval.Extreme(dst, grad)
}

func ExampleFrankWolfe() {
	// The Karcher mean lies between the harmonic and the arithmetic mean.
	data := []mat.Symmetric{mat.NewSymDense(2, []float64{1, 0, 0, 4}), mat.NewSymDense(2, []float64{3, 1, 1, 1}), mat.NewSymDense(2, []float64{2, -1, -1, 5})}
	m, err := manifold.NewPowerEuclidean(2, manifold.PowerOptions{Alpha: 1})
	if err != nil {
		panic(err)
	}
	mean := func(metric string) *mat.SymDense {
		g, err := manifold.MetricByName(metric)
		if err != nil {
			panic(err)
		}
		x, err := g.Mean(data, nil)
		if err != nil {
			panic(err)
		}
		return x
	}
	interval, err := manifold.NewInterval(m, mean("inverse-euclidean"), mean("euclidean"))
	if err != nil {
		panic(err)
	}
	_, start := interval.Ends()
	r, err := solve.FrankWolfe(m, between{interval, m, data}, start, &solve.Options{Tolerance: 1e-6})
	if err != nil {
		panic(err)
	}
	var s mat.SymDense
	m.MatrixOf(&s, r.Point)
	fmt.Printf("%v\n%.4f\n", r.Converged, mat.Formatted(&s))
	fmt.Printf("%.4f\n", mat.Formatted(mean("affine-invariant")))
	// Output:
	// true
	// ⎡1.7307  0.1701⎤
	// ⎣0.1701  2.4204⎦
	// ⎡1.7307  0.1701⎤
	// ⎣0.1701  2.4204⎦
}

func ExampleExactPenalty() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	b, err := manifold.NewFrame(mat.NewSymDense(2, []float64{8, 0, 0, 2}))
	if err != nil {
		panic(err)
	}
	r, err := solve.ExactPenalty(m, unimodular{pulled{m: m, b: b}}, manifold.IdentityFrame(2, 3), nil)
	if err != nil {
		panic(err)
	}
	s := r.Point.(*manifold.Frame).Sym()
	fmt.Printf("%v: %.4f %.4f, multiplier %.4f\n", r.Converged, s.At(0, 0), s.At(1, 1), r.Multipliers[0])
	// Output: true: 2.0000 0.5000, multiplier 1.3863
}

// capped is |log S - log B|^2/2 in the affine-invariant metric under the bound log det S <= 0.
type capped struct{ unimodular }

func (capped) Constraints() (int, int) { return 0, 1 }

func ExampleBarrier() {
	m, err := manifold.NewAffine(2, manifold.AffineOptions{})
	if err != nil {
		panic(err)
	}
	b, err := manifold.NewFrame(mat.NewSymDense(2, []float64{8, 0, 0, 2}))
	if err != nil {
		panic(err)
	}
	r, err := solve.Barrier(m, capped{unimodular{pulled{m: m, b: b}}}, manifold.IdentityFrame(2, 0.5), nil)
	if err != nil {
		panic(err)
	}
	s := r.Point.(*manifold.Frame).Sym()
	fmt.Printf("%v: %.4f %.4f, multiplier %.4f\n", r.Converged, s.At(0, 0), s.At(1, 1), r.Multipliers[0])
	// Output: true: 2.0000 0.5000, multiplier 1.3863
}
