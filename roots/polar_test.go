package roots

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// TestPolar checks U and H against U = P Q^T, H = Q S Q^T from a known singular value decomposition, for square and tall matrices up to
// condition 1e12.
func TestPolar(t *testing.T) {
	rng := newRand(91)
	for _, shape := range [][2]int{{1, 1}, {5, 5}, {30, 30}, {50, 20}} {
		for _, cond := range []float64{1, 1e3, 1e8, 1e12} {
			for _, method := range []string{"", "newton-schulz"} {
				m, n := shape[0], shape[1]
				if n == 1 {
					cond = 1
				}
				p := randomBasis(rng, m).Slice(0, m, 0, n).(*mat.Dense)
				q := randomBasis(rng, n)
				s := geometric(n, 1e5, cond)
				var ps, a, u mat.Dense
				ps.Mul(p, mat.NewDiagDense(n, s))
				a.Mul(&ps, q.T())
				u.Mul(p, q.T())
				h := withSpectrum(q, s)
				var gotU mat.Dense
				var gotH mat.SymDense
				rep, err := Polar(&gotU, &gotH, &a, &Options{Method: method})
				require.NoError(t, err)
				var d mat.Dense
				d.Sub(&gotU, &u)
				e := mat.Norm(&d, 2) / math.Sqrt(float64(n))
				// The rounding of A itself moves U by eps cond.
				require.LessOrEqual(t, e, rep.Bound+4e-16*cond*math.Sqrt(float64(n)), "%v cond %g", shape, cond)
				require.Less(t, relativeSym(&gotH, h), 1e-13)
				require.Less(t, rep.Residual, 1e-13)
				require.InEpsilon(t, 1e5, rep.LambdaMax, 0.2)
			}
		}
	}
}

func TestPolarErrors(t *testing.T) {
	var u mat.Dense
	_, err := Polar(&u, nil, mat.NewDense(2, 3, nil), nil)
	require.ErrorContains(t, err, "transpose")
	_, err = Polar(&u, nil, mat.NewDense(3, 3, nil), nil)
	var e *NotPositiveDefiniteError
	require.ErrorAs(t, err, &e)
	singular := mat.NewDense(3, 2, []float64{1, 2, 2, 4, 3, 6})
	_, err = Polar(&u, nil, singular, nil)
	require.ErrorAs(t, err, &e)
	_, err = Polar(&u, nil, mat.NewDense(1, 1, []float64{math.NaN()}), nil)
	var f *NotFiniteError
	require.ErrorAs(t, err, &f)
	var me *MethodError
	_, err = Polar(&u, nil, mat.NewDense(1, 1, []float64{1}), &Options{Method: "eigen"})
	require.ErrorAs(t, err, &me)
	_, err = Compute(&mat.SymDense{}, mat.NewSymDense(1, []float64{1}), Query{Kind: KindPolar}, nil)
	require.ErrorAs(t, err, &me)
	rep, err := Polar(&u, nil, &mat.Dense{}, nil)
	require.NoError(t, err)
	require.Equal(t, 0, rep.N)
}
