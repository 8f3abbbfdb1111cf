package main

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/nnopt"
)

// optimizers lists the ways of nnopt.Spectral that -optimizer compares, with plain statistics, so that an exact moving average exists.
var optimizers = []struct {
	name    string
	options nnopt.Spectral
}{
	{"every step", nnopt.Spectral{}},
	{"every 10 steps", nnopt.Spectral{Interval: 10}},
	{"every 10 steps, to 0.1", nnopt.Spectral{Interval: 10, Tol: 0.1, MaxSweeps: 8}},
	{"every 10 steps, bfloat16", nnopt.Spectral{Interval: 10, BFloat16: true}},
	{"every 10 steps, bfloat16 products", nnopt.Spectral{Interval: 10, Products: nnopt.ProductsBFloat16}},
	{"every 10 steps, bfloat16 both", nnopt.Spectral{Interval: 10, BFloat16: true, Products: nnopt.ProductsBFloat16}},
	{"every step, dropped", nnopt.Spectral{Drop: true}},
	{"every step, published rule", nnopt.Spectral{Published: true}},
}

const (
	trackRows, trackCols = 64, 48
	trackBeta            = 0.05
)

// trackOptimizers prints how well the factor of the rows follows the exact average E (float64) of G G^T/n in float32, while the covariance of the gradients
// goes from one with condition 1e3 to another: largest and last ||S - E||_F/||E||_F, the same of what preconditions (S diagonal in the basis), largest defect
// ||B^T B - I||_F, and mean coupling max |M_ij|/sqrt(M_ii M_jj). It looks every 250 steps.
func trackOptimizers(steps int) {
	fmt.Println("| rotations | error of S, largest | last | of its diagonal, last | defect | coupling |\n|---|--:|--:|--:|--:|--:|")
	for _, c := range optimizers {
		o := c.options
		o.Statistics, o.Beta2, o.Damping = nnopt.ShampooStatistics, trackBeta, 1e-30
		r := trackOne(o, steps)
		fmt.Printf("| %s | %.1e | %.1e | %.3f | %.1e | %.2f |\n", c.name, r.worst, r.last, r.diagonal, r.defect, r.coupling)
	}
}

type trackResult struct{ worst, last, diagonal, defect, coupling float64 }

func trackOne(o nnopt.Spectral, steps int) (r trackResult) {
	opt, err := nnopt.NewSpectral[float32](o)
	if err != nil {
		panic(err)
	}
	const m, n = trackRows, trackCols
	w := []nnopt.Block[float32]{{Name: "w", Rows: m, Cols: n, Value: make([]float32, m*n), Grad: make([]float32, m*n)}}
	if err := opt.Init(w); err != nil {
		panic(err)
	}
	rng := source(3)
	from, to := factor(rng, m, 1e3), factor(rng, m, 1e3)
	a, b := mat.NewDense(n, m, nil), mat.NewDense(n, m, nil)
	exact, looks := mat.NewDense(m, m, nil), 0.0
	for step := 1; step <= steps; step++ {
		from.SampleRows(rng, a)
		to.SampleRows(rng, b)
		sin, cos := math.Sincos(math.Pi / 2 * float64(step) / float64(steps))
		for i := range m {
			for j := range n {
				w[0].Grad[i*n+j] = float32(cos*a.At(j, i) + sin*b.At(j, i))
			}
		}
		followExact(exact, w[0].Grad, step)
		if _, err := opt.Step(w, nnopt.StepInfo{}); err != nil {
			panic(err)
		}
		if step%250 == 0 {
			looks++
			r.look(opt.State(), exact)
		}
	}
	r.coupling /= looks
	return r
}

// followExact moves the average as the optimizer weighs it.
func followExact(e *mat.Dense, grad []float32, step int) {
	const m, n = trackRows, trackCols
	g := mat.NewDense(m, n, nil)
	for i, v := range grad {
		g.Set(i/n, i%n, float64(v))
	}
	if step == 1 {
		mean := math.Pow(mat.Norm(g, 2), 2) / (m * n)
		for i := range m {
			e.Set(i, i, mean)
		}
	}
	weight := trackBeta / (1 - math.Pow(1-trackBeta, float64(step)+1))
	var gram mat.Dense
	gram.Mul(g, g.T())
	gram.Scale(weight/n, &gram)
	e.Scale(1-weight, e)
	e.Add(e, &gram)
}

func (r *trackResult) look(st nnopt.State[float32], exact *mat.Dense) {
	slots := map[string]*mat.Dense{}
	for _, s := range st.Slots {
		d := mat.NewDense(s.Rows, s.Cols, nil)
		for i, v := range s.Data {
			d.Set(i/s.Cols, i%s.Cols, float64(v))
		}
		slots[s.Name] = d
	}
	b, d := slots["basis0.0"], slots["values0.0"]
	full := mat.NewDense(trackRows, trackRows, nil)
	for i := range trackRows {
		full.Set(i, i, d.At(0, i))
	}
	r.diagonal = relative(b, full, exact)
	if c := slots["coupling0.0"]; c != nil {
		for i := range trackRows {
			for j := i + 1; j < trackRows; j++ {
				full.Set(i, j, c.At(i, j))
				full.Set(j, i, c.At(i, j))
			}
		}
	}
	r.last = relative(b, full, exact)
	r.worst = max(r.worst, r.last)
	var rotated, defect mat.Dense
	rotated.Product(b.T(), exact, b)
	top := 0.0
	for i := range trackRows {
		for j := range i {
			top = max(top, math.Abs(rotated.At(i, j))/math.Sqrt(rotated.At(i, i)*rotated.At(j, j)))
		}
	}
	r.coupling += top
	defect.Mul(b.T(), b)
	for i := range trackRows {
		defect.Set(i, i, defect.At(i, i)-1)
	}
	r.defect = max(r.defect, mat.Norm(&defect, 2))
}

// relative returns ||B M B^T - E||_F/||E||_F.
func relative(b, m, e *mat.Dense) float64 {
	var s mat.Dense
	s.Product(b, m, b.T())
	s.Sub(&s, e)
	return mat.Norm(&s, 2) / mat.Norm(e, 2)
}
