package roots

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// hadamard returns A = H diag(2^e) H^T / n for the Sylvester matrix H, exact in float64, with eigenvalues 2^e, e from 0 down to -bits and
// permuted, and the exact function of it.
func hadamard(n, bits int) (a *mat.SymDense, f func(q Query) *mat.SymDense) {
	e := make([]int, n)
	for i := range e {
		e[(7*i+3)%n] = -bits * i / (n - 1)
	}
	sign := func(i, k int) float64 {
		s := 1.0
		for v := i & k; v > 0; v &= v - 1 {
			s = -s
		}
		return s
	}
	build := func(g func(e int) float64) *mat.SymDense {
		s := mat.NewSymDense(n, nil)
		values := make([]float64, n)
		for k := range n {
			values[k] = g(e[k])
		}
		for i := range n {
			for j := i; j < n; j++ {
				// Summed from the smallest term on, as compensation.
				var sum, c float64
				for k := range n {
					y := sign(i, k)*sign(j, k)*values[k] - c
					t := sum + y
					c = (t - sum) - y
					sum = t
				}
				s.SetSym(i, j, sum/float64(n))
			}
		}
		return s
	}
	a = build(func(e int) float64 { return math.Ldexp(1, e) })
	return a, func(q Query) *mat.SymDense {
		return build(func(e int) float64 {
			switch q.Kind {
			case KindLog:
				return float64(e) * math.Ln2
			case KindExp:
				return math.Exp(math.Ldexp(1, e))
			}
			return math.Exp2(float64(e) * q.Power)
		})
	}
}

func relativeSym(x, y mat.Symmetric) float64 { return relative(symmetric(x), symmetric(y)) }

// TestContract runs every registered method on every kind and a list of powers against exact matrices of condition 2^12 and 2^36: the result
// is symmetric by type, within the promised bound and a fixed tolerance; the report is complete; the input is unchanged; the second call
// gives the same bits; and what a method cannot do is a MethodError.
func TestContract(t *testing.T) {
	queries := []Query{{Kind: KindSqrt}, {Kind: KindInv}, {Kind: KindLog}, {Kind: KindExp}}
	for _, p := range []float64{0.5, -0.5, -0.25, -1, 0.37, -0.37, -1. / 3, -0.75, 2, -2} {
		queries = append(queries, Query{Power: p})
	}
	for _, bits := range []int{12, 36} {
		a, exact := hadamard(32, bits)
		cond := math.Ldexp(1, bits)
		start := mat.NewDense(32, 32, nil)
		for i := range 32 {
			for k := range 32 {
				s := 1 / math.Sqrt(32)
				for v := i & k; v > 0; v &= v - 1 {
					s = -s
				}
				start.Set(i, k, s)
			}
		}
		for _, q := range queries {
			name := q
			require.NoError(t, name.normalise())
			want := exact(name)
			for _, m := range Methods() {
				t.Run(fmt.Sprintf("%s/%v/%g/2^%d", m.Name, q.Kind, name.Power, bits), func(t *testing.T) {
					o := &Options{Method: m.Name, Start: start}
					ask := name
					ask.Start, ask.N, ask.Cond, ask.Top = true, 32, cond, 1
					var x, again mat.SymDense
					before := mat.NewSymDense(32, append([]float64(nil), a.RawSymmetric().Data...))
					rep, err := Compute(&x, a, q, o)
					if !m.Can(ask) {
						var e *MethodError
						require.ErrorAs(t, err, &e)
						require.Equal(t, m.Name, e.Method)
						return
					}
					require.NoError(t, err)
					require.Equal(t, before.RawSymmetric().Data, a.RawSymmetric().Data)
					e := relativeSym(&x, want)
					// The reference is rounded as well.
					require.LessOrEqual(t, e, rep.Bound+1e-15)
					require.Less(t, e, 1e-14*cond)
					require.Equal(t, m.Name, rep.Method)
					require.Equal(t, 32, rep.Rank)
					require.NotEmpty(t, rep.ResidualOf)
					require.GreaterOrEqual(t, rep.Residual, 0.0)
					require.Less(t, rep.Residual, 1e-13*cond*cond)
					require.Positive(t, rep.Work)
					require.NotEmpty(t, rep.Reason)
					if q.Kind != KindExp && q.Kind != KindLog && rep.LambdaMin > 0 {
						require.InEpsilon(t, 1, rep.LambdaMax, 0.2)
						require.InEpsilon(t, 1/cond, rep.LambdaMin, 1)
					}
					require.Positive(t, m.Work(ask))
					_, err = Compute(&again, a, q, o)
					require.NoError(t, err)
					require.Equal(t, x.RawSymmetric().Data, again.RawSymmetric().Data)
				})
			}
		}
	}
}

// TestApplyContract is the contract for the applied form.
func TestApplyContract(t *testing.T) {
	a, exact := hadamard(32, 20)
	rng := newRand(5)
	x := mat.NewDense(32, 3, nil)
	for i := range 32 {
		for c := range 3 {
			x.Set(i, c, rng.NormFloat64())
		}
	}
	for _, q := range []Query{{Power: -0.5}, {Power: -0.25}, {Power: 0.37}, {Power: -1.5}, {Power: -1}, {Power: 2.5}, {Kind: KindLog}} {
		want := exact(q)
		top := math.Max(mat.Norm(want, 2)/math.Sqrt(32), 0)
		var e mat.EigenSym
		require.True(t, e.Factorize(want, false))
		for _, v := range e.Values(nil) {
			top = math.Max(top, math.Abs(v))
		}
		var ref mat.Dense
		ref.Mul(want, x)
		for _, m := range Methods() {
			ask := q
			ask.Columns = 3
			if !m.Can(ask) || m == &warmQRMethod {
				continue
			}
			var y mat.Dense
			rep, err := Apply(&y, a, x, q, &Options{Method: m.Name})
			require.NoError(t, err, m.Name)
			y.Sub(&y, &ref)
			got := mat.Norm(&y, 2) / mat.Norm(x, 2) / top
			require.LessOrEqual(t, got, rep.Bound+1e-15, "%s %v %g", m.Name, q.Kind, q.Power)
			require.Less(t, got, 1e-8, "%s %v %g", m.Name, q.Kind, q.Power)
		}
	}
}

func TestRegistry(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Methods() {
		require.NotEmpty(t, m.Name)
		require.NotEmpty(t, m.Title)
		require.NotEmpty(t, m.Source)
		require.False(t, seen[m.Name], m.Name)
		seen[m.Name] = true
		got, err := ByName(m.Name)
		require.NoError(t, err)
		require.Equal(t, m.Name, got.Name)
		require.NotContains(t, m.Name, " ")
	}
	_, err := ByName("eigne")
	require.ErrorContains(t, err, "eigen")
	var x mat.SymDense
	_, err = Pow(&x, mat.NewSymDense(1, []float64{2}), 1, &Options{Method: "eigne"})
	require.ErrorContains(t, err, "unknown method")
	for _, k := range Kinds() {
		back, err := ParseKind(k.String())
		require.NoError(t, err)
		require.Equal(t, k, back)
	}
	_, err = ParseKind("cube")
	require.Error(t, err)
	require.True(t, strings.HasPrefix(Kind(99).String(), "Kind("))
}

// TestTolerance checks that a looser tolerance costs an iterative method less, is met, and that one that cannot be met is an AccuracyError
// with the result.
func TestTolerance(t *testing.T) {
	rng := newRand(11)
	a := withSpectrum(randomBasis(rng, 40), geometric(40, 3, 1e6))
	ref := newReference(a)
	for _, name := range []string{"polar-express", "cholesky-polar", "newton", "order3", "newton-schulz", "denman-beavers", "rational"} {
		var tight, loose mat.SymDense
		full, err := Pow(&tight, a, -0.5, &Options{Method: name})
		require.NoError(t, err)
		quick, err := Pow(&loose, a, -0.5, &Options{Method: name, Tol: 1e-4})
		require.NoError(t, err, name)
		require.Less(t, quick.Work, full.Work, name)
		require.LessOrEqual(t, quick.Bound, 1e-4, name)
		require.LessOrEqual(t, relativeSym(&loose, ref(-0.5)), quick.Bound, name)
		var x mat.SymDense
		rep, err := Pow(&x, a, -0.5, &Options{Method: name, Tol: 1e-15})
		var acc *AccuracyError
		require.True(t, errors.As(err, &acc), name)
		require.Equal(t, rep.Bound, acc.Bound)
		require.Less(t, relativeSym(&x, ref(-0.5)), 1e-9, name)
	}
}

// TestAutoMeetsTolerance checks that auto finds a method for a tolerance that only the more accurate ones promise.
func TestAutoMeetsTolerance(t *testing.T) {
	rng := newRand(12)
	a := withSpectrum(randomBasis(rng, 64), geometric(64, 1, 1e6))
	ref := newReference(a)
	for _, p := range []float64{-1, -0.5, 0.5} {
		for _, tol := range []float64{1e-3, 1e-8} {
			var x mat.SymDense
			rep, err := Pow(&x, a, p, &Options{Tol: tol})
			require.NoError(t, err, "p %g tol %g", p, tol)
			require.LessOrEqual(t, rep.Bound, tol)
			require.LessOrEqual(t, relativeSym(&x, ref(p)), tol)
		}
	}
}

// newReference returns powers of a by gonum's eigendecomposition.
func newReference(a mat.Symmetric) func(p float64) *mat.SymDense {
	var e mat.EigenSym
	if !e.Factorize(a, true) {
		panic("reference decomposition failed")
	}
	w := e.Values(nil)
	var v mat.Dense
	e.VectorsTo(&v)
	return func(p float64) *mat.SymDense {
		d := make([]float64, len(w))
		for i, l := range w {
			d[i] = math.Pow(l, p)
		}
		return withSpectrum(&v, d)
	}
}
