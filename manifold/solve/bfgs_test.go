package solve

import (
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
)

// TestUpdates: every rule reaches rounding, in fewer iterations than steepest descent, also where every kept vector has to be carried.
func TestUpdates(t *testing.T) {
	m := affine(t, 6, manifold.AffineOptions{})
	e := embedded{m}
	start := manifold.IdentityFrame(6, 1)
	for _, u := range Updates() {
		r, err := BFGS(m, newLogdet(6, 1e3, 21), start, &Options{Update: u, Tolerance: 1e-11})
		if err != nil || !r.Converged {
			t.Errorf("%v: %+v %v", u, r, err)
			continue
		}
		carried, err := BFGS(e, rotated{newLogdet(6, 1e3, 21), e}, start, &Options{Update: u, Tolerance: 1e-11})
		if err != nil || !carried.Converged {
			t.Errorf("%v with transport: %+v %v", u, carried, err)
			continue
		}
		if d, err := m.Distance(r.Point, carried.Point); err != nil || d > 1e-8 {
			t.Errorf("%v: %g apart with and without transport (%v)", u, d, err)
		}
		checkResume(t, "bfgs by "+u.String(), 3, func(o *Options) (*Result, error) {
			o.Update = u
			return BFGS(e, rotated{newLogdet(6, 1e3, 21), e}, start, o)
		})
	}
	if len(Updates()) != 4 || Update(9).String() != "unknown" {
		t.Errorf("%v", Updates())
	}
}

// TestUpdatesSatisfyTheSecantEquation: H y = s after every update, and the rules of the convex class keep H symmetric and positive definite.
func TestUpdatesSatisfyTheSecantEquation(t *testing.T) {
	for _, u := range Updates() {
		m := affine(t, 3, manifold.AffineOptions{})
		r, err := begin("bfgs", m, newLogdet(3, 100, 22), manifold.IdentityFrame(3, 1), &Options{Update: u})
		if err != nil {
			t.Fatal(err)
		}
		q, err := newFullMatrix(r)
		if err != nil || len(q.basis) != 6 {
			t.Fatalf("%d vectors in the basis (%v)", len(q.basis), err)
		}
		q.project(q.g, r.x.grad)
		for range 4 {
			slope := q.direction()
			step, ok, err := r.lineSearch(q.d, slope, 0.5, r.x.cost, true)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			r.accept(step)
			s := append([]float64(nil), q.s...)
			dense.Scale(step, s, s)
			if err := q.learn(step); err != nil {
				t.Fatal(err)
			}
			dense.Gemv(dense.NoTrans, 1, q.h, q.y, -1, s)
			if e := math.Sqrt(dense.Dot(s, s)); e > 1e-12 {
				t.Errorf("%v: |H y - s| = %g", u, e)
			}
			h := q.h.Clone()
			for i := range h.Rows {
				for j := range i {
					if d := math.Abs(h.At(i, j) - h.At(j, i)); d > 1e-13 {
						t.Errorf("%v: entry (%d,%d) differs from its mirror by %g", u, i, j, d)
					}
				}
			}
			if u != SR1Update && dense.Cholesky(h) >= 0 {
				t.Errorf("%v: H is not positive definite", u)
			}
		}
	}
}

// TestBFGSIsExactOnQuadratics: on a flat space, where searches along the line are nearly exact, d steps learn the Hessian of a quadratic cost.
func TestBFGSIsExactOnQuadratics(t *testing.T) {
	flat, err := manifold.NewLogEuclidean(2)
	if err != nil {
		t.Fatal(err)
	}
	start := flat.RandomPoint(newRand(23))
	target := flat.RandomPoint(newRand(24))
	r, err := BFGS(flat, attraction{flat, target}, start, &Options{Tolerance: 1e-12})
	if err != nil || !r.Converged || r.Iterations > 4 {
		t.Errorf("%+v %v", r, err)
	}
	if d, err := flat.Distance(r.Point, target); err != nil || d > 1e-10 {
		t.Errorf("distance %g to the minimizer (%v)", d, err)
	}
}

func TestBFGSTooLarge(t *testing.T) {
	m := affine(t, 70, manifold.AffineOptions{})
	if _, err := BFGS(m, newLogdet(70, 10, 1), manifold.IdentityFrame(70, 1), nil); err == nil || !strings.Contains(err.Error(), "use lbfgs") {
		t.Errorf("%v", err)
	}
	small := affine(t, 4, manifold.AffineOptions{})
	if b, err := tangentBasis("test", small, manifold.IdentityFrame(4, 1), 10); err != nil || len(b) != 10 {
		t.Errorf("%d vectors (%v)", len(b), err)
	}
	if _, err := tangentBasis("test", small, manifold.IdentityFrame(4, 1), 9); err == nil {
		t.Error("ten dimensions passed for nine")
	}
	if _, err := BFGS(small, newLogdet(4, 10, 1), manifold.IdentityFrame(4, 1), &Options{Update: 7}); err == nil {
		t.Error("an unknown update was accepted")
	}
}
