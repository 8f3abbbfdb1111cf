package solve

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
)

// TestCubicSubproblem: the step in the space satisfies the conditions that characterise the global minimizer of the cubic model,
// (T + sigma |y| I) y = -g e1 with T + sigma |y| I positive semidefinite, for definite and indefinite T; where the basis is not orthonormal, |y| is the length of the
// vector.
func TestCubicSubproblem(t *testing.T) {
	const seed = 21
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	for trial := range 200 {
		n := 1 + rng.IntN(8)
		k := &krylov{size: n, sigma: math.Exp(3 * rng.NormFloat64())}
		for _, v := range []*[]float64{&k.alpha, &k.beta, &k.pivot, &k.multiple, &k.coeff} {
			*v = make([]float64, n)
		}
		a := mat.NewSymDense(n, nil)
		for i := range n {
			k.alpha[i], k.beta[i] = rng.NormFloat64(), math.Abs(rng.NormFloat64())
			a.SetSym(i, i, k.alpha[i])
			if i > 0 {
				a.SetSym(i-1, i, k.beta[i-1])
			}
		}
		if trial%2 == 1 {
			basis := mat.NewDense(n, n, nil)
			for i := range n {
				for j := range n {
					basis.Set(i, j, math.Exp(2*rng.NormFloat64())*rng.NormFloat64())
				}
			}
			for i := range n {
				k.gram = append(k.gram, make([]float64, i+1))
				for j := range i + 1 {
					k.gram[i][j] = mat.Dot(basis.RowView(i), basis.RowView(j))
				}
			}
		}
		g := math.Exp(rng.NormFloat64())
		lambda, length := k.minimize(g)
		var eig mat.EigenSym
		eig.Factorize(a, false)
		if least := eig.Values(nil)[0]; least+lambda < -1e-12 || math.Abs(lambda-k.sigma*length) > 1e-9*lambda {
			t.Errorf("seed %d, trial %d: lambda %v, sigma |y| %v, least eigenvalue %v", seed, trial, lambda, k.sigma*length, least)
		}
		var residual mat.VecDense
		y := mat.NewVecDense(n, k.coeff)
		residual.MulVec(a, y)
		residual.AddScaledVec(&residual, lambda, y)
		residual.SetVec(0, residual.AtVec(0)+g)
		if mat.Norm(&residual, 2) > 1e-10*(g+(mat.Norm(a, 2)+lambda)*mat.Norm(y, 2)) {
			t.Errorf("seed %d, trial %d: residual %v", seed, trial, mat.Norm(&residual, 2))
		}
	}
}

// saddle is the double well (u^2-1)^2/4 of u = log det S, concave around u = 0.
type saddle struct{}

func (saddle) Evaluate(p manifold.Point, grad []float64, _ Memo) (float64, error) {
	u := p.(*manifold.Frame).LogDet()
	clear(grad)
	grad[0] = u * (u*u - 1)
	grad[3] = grad[0]
	return (u*u - 1) * (u*u - 1) / 4, nil
}

// TestLeavesSaddle: from a point of negative curvature the methods with curvature reach a minimizer log det S = +-1.
func TestLeavesSaddle(t *testing.T) {
	for _, s := range []Solver{arc, trust} {
		r, err := s.Run(affine(t, 2, manifold.AffineOptions{}), saddle{}, manifold.IdentityFrame(2, 1.0001), nil)
		if err != nil || !r.Converged {
			t.Errorf("%s: %+v %v", s.Name, r, err)
			continue
		}
		if u := r.Point.(*manifold.Frame).LogDet(); math.Abs(math.Abs(u)-1) > 1e-6 {
			t.Errorf("%s: stopped at log det S = %v, want 1 or -1", s.Name, u)
		}
	}
}

// TestCubicKeepsSpace: a rejected step costs evaluations but no Hessian product.
func TestCubicKeepsSpace(t *testing.T) {
	m := affine(t, 10, manifold.AffineOptions{})
	first := func(rejected int) (evaluations, products int) {
		l := &scaledLogdet{newLogdet(10, 1e4, 8)}
		l.fail = func(k int) (float64, error) {
			if k > 1 && k <= 1+rejected {
				return math.Inf(1), nil
			}
			return 0, nil
		}
		if _, err := CubicRegularization(m, l, manifold.IdentityFrame(10, 1), &Options{Callback: func(s *Status) bool {
			evaluations, products = s.Evaluations, s.HessianProducts
			return true
		}}); err != nil {
			t.Fatal(err)
		}
		return evaluations, products
	}
	e0, p0 := first(0)
	if e3, p3 := first(3); e3 != e0+3 || p3 != p0 || p0 == 0 {
		t.Errorf("%d evaluations, %d products; %d, %d without rejections", e3, p3, e0, p0)
	}
}
