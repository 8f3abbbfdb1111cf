package solve

import (
	"testing"

	"github.com/spdopt/spdopt/manifold"
)

// BenchmarkSolvers fits a log-determinant model of 100 rows at condition 1e6 from the identity to a relative gradient of 1e-8; the Hessian
// products are exact.
func BenchmarkSolvers(b *testing.B) {
	const n = 100
	m := affine(b, n, manifold.AffineOptions{})
	for _, s := range Solvers() {
		b.Run(s.Name, func(b *testing.B) {
			for b.Loop() {
				r, err := s.Run(m, exactLogdet{newLogdet(n, 1e6, 1)}, manifold.IdentityFrame(n, 1), nil)
				if err != nil || !r.Converged {
					b.Fatalf("%+v %v", r, err)
				}
				b.ReportMetric(float64(r.Iterations), "iterations")
				b.ReportMetric(float64(r.Evaluations), "evaluations")
				b.ReportMetric(float64(r.HessianProducts), "products")
			}
		})
	}
}

// BenchmarkSpecial runs every solver that needs more of its objective on the problem of the contract test.
func BenchmarkSpecial(b *testing.B) {
	for _, s := range Special() {
		c := contractOf(b, s.Name)
		b.Run(s.Name, func(b *testing.B) {
			for b.Loop() {
				r, err := s.Run(c.m, c.objective(), manifold.IdentityFrame(c.m.Dim(), 1), c.options())
				if err != nil || !r.Converged {
					b.Fatalf("%+v %v", r, err)
				}
				b.ReportMetric(float64(r.Iterations), "iterations")
				b.ReportMetric(float64(r.Evaluations), "evaluations")
			}
		})
	}
}

// BenchmarkBetas is BenchmarkSolvers for the rules of ConjugateGradient.
func BenchmarkBetas(b *testing.B) {
	const n = 100
	m := affine(b, n, manifold.AffineOptions{})
	for _, rule := range Betas() {
		b.Run(rule.String(), func(b *testing.B) {
			for b.Loop() {
				r, err := ConjugateGradient(m, newLogdet(n, 1e6, 1), manifold.IdentityFrame(n, 1), &Options{Beta: rule})
				if err != nil || !r.Converged {
					b.Fatalf("%+v %v", r, err)
				}
				b.ReportMetric(float64(r.Iterations), "iterations")
				b.ReportMetric(float64(r.Evaluations), "evaluations")
			}
		})
	}
}

// exactLogdet is logdet with its Hessian and without the eigendecomposition of scaledLogdet.
type exactLogdet struct{ *logdet }

func (e exactLogdet) NewMemo() Memo { return (&scaledLogdet{e.logdet}).NewMemo() }

func (e exactLogdet) Evaluate(p manifold.Point, grad []float64, memo Memo) (float64, error) {
	c, err := e.logdet.Evaluate(p, grad, nil)
	memo.(*scaledMemo).m.Copy(e.m)
	return c, err
}

func (e exactLogdet) HessianVec(dst []float64, p manifold.Point, v []float64, memo Memo) error {
	return (&scaledLogdet{e.logdet}).HessianVec(dst, p, v, memo)
}
