package problem

import (
	"math"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// noisyPairs are m matrices and their images under a rotation, to which a random positive semidefinite matrix is added that is noise times as large.
func noisyPairs(seed uint64, n, m int, kappa, noise float64) Data {
	s, q := gallery.NewStream(seed), gallery.Orthogonal(seed+1, n)
	a := gallery.KarcherScatter(seed+2, n, m, kappa)
	d := Data{Matrices: symmetrics(a)}
	for _, x := range a {
		b, e := dense.New[float64](n, n), dense.New[float64](n, n)
		turnBack(q, x, b)
		for i := range e.Data {
			e.Data[i] = s.Normal()
		}
		size := noise * b.Trace() / float64(n*n)
		dense.Gemm(dense.NoTrans, dense.Transposed, size, e, e, 1, b)
		d.Matrices = append(d.Matrices, symmetric(b))
	}
	return d
}

// TestProcrustesLastStep: what is stated after a step without an evaluation is an upper bound of the gradient, the cost and the distances there, with and without products in bfloat16 and in bytes.
func TestProcrustesLastStep(t *testing.T) {
	lastSteps(t, func(m *procrustesModel) {})
	if s := dense.NewByteSandwiches(1, 1); s != nil {
		lastSteps(t, func(m *procrustesModel) {
			m.coarse = newByteOperator(m.n, len(m.scale))
		})
	}
}

// lastSteps checks runs of prepared models.
func lastSteps(t *testing.T, prepare func(m *procrustesModel)) {
	stated := 0
	for seed := range uint64(52) {
		s := gallery.NewStream(900 + seed)
		n, m := 12+int(s.Uniform()*36), 2+int(s.Uniform()*4)
		if seed >= 48 {
			n += 80
		}
		kappa, noise := math.Pow(10, 0.3+2*s.Uniform()), []float64{0.01, 0.02, 0.05, 0.1}[seed%4]
		d := noisyPairs(1000+10*seed, n, m, kappa, noise)
		frames, err := factorMatrices(d.Matrices)
		if err != nil {
			t.Fatal(err)
		}
		o := newProcrustes(d.Matrices, frames)
		p, err := o.begin()
		if err != nil {
			t.Fatal(err)
		}
		var scales, determinants []float64
		for k, a := range o.a {
			scales, determinants = append(scales, relativeScale(a, o.b[k])), append(determinants, a.LogDet()-o.b[k].LogDet())
		}
		f := o.fit(p, scales, determinants, newRotations(n))
		prepare(f.model)
		f.target = 1e-8 * math.Sqrt(float64(n))
		evaluations := 0 // before the last step
		if !f.run(func() bool {
			done := f.at.norm <= f.target
			if !done {
				evaluations = f.evaluations
			}
			return done
		}) {
			t.Fatalf("seed %d: no solution", seed)
		}
		if f.evaluations > evaluations {
			continue
		}
		stated++
		grad, memo := make([]float64, n*n), o.NewMemo().(*procrustesMemo)
		cost, err := o.Evaluate(&rotation{r: f.rotation(p)}, grad, memo)
		if g := norm(grad); err != nil || g > f.at.norm+1e-10 || math.Abs(f.at.cost-cost) > 1e-9*cost {
			t.Errorf("seed %d: gradient %g, stated %g, cost %v, stated %v %v", seed, g, f.at.norm, cost, f.at.cost, err)
		}
		for k, logs := range memo.logs {
			if want := dense.Dot(logs, logs); math.Abs(f.at.squares[k]-want) > 1e-7*want {
				t.Errorf("seed %d: squared distance %v of pair %d, stated %v", seed, want, k, f.at.squares[k])
			}
		}
	}
	if stated < 16 {
		t.Errorf("%d last steps without an evaluation", stated)
	}
}

// TestProcrustesCurvature: with it the secant operator is the Hessian up to terms of fourth order in the logarithms.
func TestProcrustesCurvature(t *testing.T) {
	const n = 30
	f, p, o := fitOf(t, turned(n, 3, 0.1), false)
	f.at.factors.extendLast(f.lender)
	f.closing, f.rough, f.kept = true, false, false
	if !f.pass(f.at) {
		t.Fatal("no evaluation")
	}
	m := f.model
	m.use(f.at.factors)
	m.last = newLastSolve(n, 3, f.lender)
	u, turnedU := skewIn(60, p.qb)
	dense.ScaleSingle(1, u.Data, m.step)
	m.applySingle(m.step, m.res)
	memo := o.NewMemo().(*procrustesMemo)
	want, back := make([]float64, n*n), dense.New[float64](n, n)
	if _, err := o.Evaluate(p.rotation(), make([]float64, n*n), memo); err != nil {
		t.Fatal(err)
	}
	if err := o.HessianVec(want, p.rotation(), turnedU.Data, memo); err != nil {
		t.Fatal(err)
	}
	m.curve()
	off := func() float64 {
		dense.ToDouble(m.res, u.Data)
		turnBack(p.qb, u, back)
		dense.Axpy(-1, want, back.Data)
		return norm(back.Data) / norm(want)
	}
	secant := off()
	dense.Axpy(1, m.last.curvature, m.res)
	if all := off(); all > 0.05*secant {
		t.Errorf("off by %g, by %g without the curvature", all, secant)
	}
	var forms float64
	for _, v := range m.last.forms {
		forms += v / 3
	}
	dense.Axpy(-1, m.last.curvature, m.res)
	if form := float64(dense.Dot(m.step, m.res)); math.Abs(forms-form) > 0.01*form {
		t.Errorf("forms of the pairs have the mean %g, that of the operator is %g", forms, form)
	}
}
