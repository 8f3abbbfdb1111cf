package roots

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
)

// TestRefinedAccuracy holds the correction against the 240-bit oracle: a few units of rounding whatever the condition number up to 1e10, where
// the decomposition alone loses what the condition number takes. The remainder of the expansion is second order in what the decomposition happens to lose: at 1e10 one
// draw out of ten has more than ten times the error of most, so that the median over draws is what is small.
func TestRefinedAccuracy(t *testing.T) {
	rng := newRand(41)
	const n, draws = 12, 5
	queries := []Query{{Power: -0.5}, {Power: 0.5}, {Power: -0.25}, {Power: -1}, {Power: 0.37}, {Power: -2.5}, {Kind: KindLog}}
	for _, cond := range []float64{1e2, 1e4, 1e6, 1e8, 1e10} {
		off := make([][]float64, len(queries))
		for range draws {
			a := withSpectrum(randomBasis(rng, n), geometric(n, 3, cond))
			e := newExact(a)
			for k, q := range queries {
				var x, y mat.SymDense
				rep, err := Compute(&x, a, q, &Options{Method: "refined"})
				require.NoError(t, err)
				got := relativeTo(x.At, e.form(q))
				off[k] = append(off[k], got)
				require.LessOrEqual(t, got, rep.Bound, "%v %g at %g", q.Kind, q.Power, cond)
				require.Less(t, rep.Bound, 1e-13+1e-19*cond, "%v %g at %g", q.Kind, q.Power, cond)
				_, err = Compute(&y, a, q, &Options{Method: "eigen", NoResidual: true})
				require.NoError(t, err)
				if cond >= 1e6 && q.Power < 0 {
					require.Greater(t, relativeTo(y.At, e.form(q)), 20*got, "%v %g at %g", q.Kind, q.Power, cond)
				}
			}
		}
		for k, q := range queries {
			slices.Sort(off[k])
			require.Less(t, off[k][draws/2], 1e-14+1e-22*cond, "%v %g at %g", q.Kind, q.Power, cond)
		}
	}
}

// TestRefinedFallsBack checks that a spectrum whose smallest eigenvalue is lost in rounding gets the decomposition's result and bound.
func TestRefinedFallsBack(t *testing.T) {
	a := withSpectrum(randomBasis(newRand(42), 20), geometric(20, 1, 2e14))
	var x mat.SymDense
	rep, err := Pow(&x, a, 0.5, nil)
	require.NoError(t, err)
	require.Equal(t, "refined", rep.Method)
	require.Greater(t, rep.Bound, 1e-12)
	require.LessOrEqual(t, relativeTo(x.At, newExact(a).form(Query{Power: 0.5})), rep.Bound)
}

// TestAutoRefines checks that auto goes on to the correction exactly where the decomposition does not promise the tolerance.
func TestAutoRefines(t *testing.T) {
	for _, n := range []int{20, 70} {
		a := withSpectrum(randomBasis(newRand(43), n), geometric(n, 1, 1e8))
		for _, p := range []float64{-0.5, -1, 0.37} {
			for tol, want := range map[float64]bool{1e-4: false, 1e-11: true, 0: true} {
				var x mat.SymDense
				rep, err := Pow(&x, a, p, &Options{Tol: tol})
				require.NoError(t, err)
				if p != 0.37 || tol == 0 {
					require.Equal(t, want, rep.Method == "refined", "n %d p %g tol %g: %s", n, p, tol, rep.Method)
				}
				if tol > 0 {
					require.LessOrEqual(t, rep.Bound, tol)
				}
			}
		}
	}
}

// TestExactProduct checks that the leading part has no rounding error and the rest carries what is missing, by products in 240 bits.
func TestExactProduct(t *testing.T) {
	rng := newRand(44)
	for _, n := range []int{1, 3, 17, 40} {
		a, q := dense.New[float64](n, n), dense.New[float64](n, n)
		for i := range a.Data {
			a.Data[i], q.Data[i] = rng.NormFloat64()*math.Pow(10, 6*rng.Float64()), rng.NormFloat64()
		}
		p, rest := exactProduct(a, q)
		for i := range n {
			for k := range n {
				sum, size := bf(0), 0.0
				for l := range n {
					sum = badd(sum, bmul(bf(a.At(i, l)), bf(q.At(l, k))))
					size += math.Abs(a.At(i, l) * q.At(l, k))
				}
				miss, _ := bsub(bsub(sum, bf(p.At(i, k))), bf(rest.At(i, k))).Float64()
				require.LessOrEqual(t, math.Abs(miss), size*math.Ldexp(float64(n), -53-splitBits(n)+4), "n %d", n)
			}
		}
	}
	z := dense.New[float64](2, 2)
	p, rest := exactProduct(z, z)
	require.Zero(t, maxAbs(p)+maxAbs(rest))
}

// TestCouplingOfASkewedBasis: with a basis that is neither orthogonal nor made of eigenvectors, each by 1e-6, the coupling is that of the orthogonalised basis up to
// terms of second order.
func TestCouplingOfASkewedBasis(t *testing.T) {
	rng := newRand(42)
	const n, size = 9, 1e-6
	a := withSpectrum(randomBasis(rng, n), geometric(n, 1, 1e3))
	q, w := dense.Of(mat.DenseCopyOf(a).RawMatrix()), make([]float64, n)
	require.True(t, decompose(q, w))
	for i := range q.Data {
		q.Data[i] += size * rng.NormFloat64()
	}
	j := &job[float64]{Query: Query{N: n}, a: dense.Of(mat.DenseCopyOf(a).RawMatrix()), rep: &Report{}}
	e, r := j.coupling(q, w)

	skewed := mat.NewDense(n, n, q.Data)
	var defect, half, p, want mat.Dense
	defect.Mul(skewed.T(), skewed)
	half.Scale(-0.5, &defect)
	for i := range n {
		half.Set(i, i, 1.5+half.At(i, i))
	}
	p.Mul(skewed, &half)
	want.Mul(p.T(), a)
	want.Mul(&want, &p)
	for i := range n {
		want.Set(i, i, want.At(i, i)-w[i])
		defect.Set(i, i, defect.At(i, i)-1)
		for k := i; k < n; k++ {
			require.InDelta(t, want.At(i, k), e.At(i, k), 100*size*size*w[n-1], "element (%d,%d)", i, k)
			require.InDelta(t, -defect.At(i, k), r.At(i, k), 1e-14)
		}
	}
}
