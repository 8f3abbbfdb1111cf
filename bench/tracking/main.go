// Command tracking measures how well one bounded-angle sweep per step follows a moving average, and how many sweeps Follow needs, under the
// two norm bounds of spectral.Step. It prints two Markdown tables:
//
//	go run ./bench/tracking -n 200
//	go run ./bench/tracking -optimizer 10000
package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

var rules = []struct {
	name string
	step spectral.Step
}{
	{"guaranteed norm", spectral.Step{GuaranteedNorm: true}},
	{"estimated norm (default)", spectral.Step{}},
	{"no bound", spectral.Step{MaxNorm: math.Inf(1)}},
}

func main() {
	n := flag.Int("n", 200, "dimension")
	steps := flag.Int("steps", 600, "largest number of steps")
	optimizer := flag.Int("optimizer", 0, "instead: follow the statistics of nnopt.Spectral for so many steps")
	flag.Parse()
	if *optimizer > 0 {
		trackOptimizers(*optimizer)
		return
	}
	header("k | beta")
	for _, k := range []int{1, 16} {
		for _, beta := range []float64{0.001, 0.01, 0.1} {
			fmt.Printf("| %d | %v |", k, beta)
			for _, r := range rules {
				fmt.Printf(" %.3f |", track(*n, k, beta, min(*steps, max(100, int(2/beta))), r.step))
			}
			fmt.Println()
		}
	}
	fmt.Println()
	header("start | condition")
	for _, near := range []float64{1e-5, 1e-3, 1e-2, 1e-1, math.Inf(1)} {
		for _, cond := range []float64{10, 1e3, 1e6} {
			fmt.Printf("| %v | %.0e |", near, cond)
			for _, r := range rules {
				fmt.Printf(" %d |", follow(*n, near, cond, r.step))
			}
			fmt.Println()
		}
	}
}

func header(first string) {
	fmt.Printf("| %s |", first)
	for _, r := range rules {
		fmt.Printf(" %s |", r.name)
	}
	fmt.Println("\n|--:|--:|--:|--:|--:|")
}

// factor has eigenvalues spread geometrically over [1, cond] and a random basis.
func factor(rng *rand.Rand, n int, cond float64) *spectral.Factor {
	g := mat.NewDense(n, n, nil)
	for i := range n {
		for j := range n {
			g.Set(i, j, rng.NormFloat64())
		}
	}
	var qr mat.QR
	qr.Factorize(g)
	var q mat.Dense
	qr.QTo(&q)
	d := make([]float64, n)
	for i := range d {
		d[i] = math.Pow(cond, float64(i)/float64(n-1))
	}
	f, err := spectral.FromEigen(&q, d)
	if err != nil {
		panic(err)
	}
	return f
}

func source(seed byte) *rand.Rand { return rand.New(rand.NewChaCha8([32]byte{seed})) }

// track returns ||S - EMA||_F/||EMA||_F after the steps S <- (1-beta) S + beta/k sum g g^T, g from N(0, C), one sweep each.
func track(n, k int, beta float64, steps int, o spectral.Step) float64 {
	rng := source(1)
	truth, f := factor(rng, n, 1e3), spectral.Identity(n, 1)
	ema := mat.NewSymDense(n, nil)
	f.ToSym(ema)
	rows, weights := mat.NewDense(k, n, nil), make([]float64, k)
	for i := range weights {
		weights[i] = beta / float64(k)
	}
	for range steps {
		truth.SampleRows(rng, rows)
		v := mat.DenseCopyOf(rows.T())
		f.Update(spectral.Increment{Decay: beta, Vectors: v, Weights: weights}, &o)
		ema.ScaleSym(1-beta, ema)
		for l := range k {
			ema.SymRankOne(ema, weights[l], v.ColView(l))
		}
	}
	var s mat.SymDense
	f.ToSym(&s)
	var diff mat.Dense
	diff.Sub(&s, ema)
	return mat.Norm(&diff, 2) / mat.Norm(ema, 2)
}

// follow returns the sweeps to a coupling of 1e-12 for S^(1/2) (I + near E) S^(1/2) from S, E random of norm about 1, or for S from the
// identity where near is infinite.
func follow(n int, near, cond float64, o spectral.Step) int {
	rng := source(2)
	f := factor(rng, n, cond)
	var target mat.SymDense
	f.ToSym(&target)
	o.MaxSweeps = 500
	if math.IsInf(near, 1) {
		return spectral.Identity(n, 1).Follow(&target, &o).Sweeps
	}
	e := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			e.SetSym(i, j, near*rng.NormFloat64()/(2*math.Sqrt(float64(n))))
		}
		e.SetSym(i, i, 1+e.At(i, i))
	}
	var root mat.SymDense
	f.PowSym(0.5, &root)
	var p mat.Dense
	p.Product(&root, e, &root)
	for i := range n {
		for j := i; j < n; j++ {
			target.SetSym(i, j, (p.At(i, j)+p.At(j, i))/2)
		}
	}
	return f.Follow(&target, &o).Sweeps
}
