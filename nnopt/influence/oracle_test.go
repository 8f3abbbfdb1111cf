package influence

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/golden"
	"github.com/spdopt/spdopt/nnopt/net"
)

func source(seed uint64) *rand.Rand {
	var key [32]byte
	key[0] = byte(seed)
	return rand.New(rand.NewChaCha8(key))
}

func random(seed uint64, rows, cols int) Matrix[float64] {
	m, r := dense.New[float64](rows, cols), source(seed)
	for i := range m.Data {
		m.Data[i] = r.NormFloat64()
	}
	return m
}

// near demands equality to tol times one plus the size of what is wanted.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if d := math.Abs(got - want); !(d <= tol*(1+math.Abs(want))) {
		t.Fatalf("%s: %v, want %v within %g", what, got, want, tol)
	}
}

func nearAll(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i := range want {
		near(t, what, got[i], want[i], tol)
	}
}

func nearMatrix(t *testing.T, what string, got, want Matrix[float64], tol float64) {
	t.Helper()
	if got.Rows != want.Rows || got.Cols != want.Cols {
		t.Fatalf("%s: %d x %d, want %d x %d", what, got.Rows, got.Cols, want.Rows, want.Cols)
	}
	for i := range got.Rows {
		nearAll(t, what, got.Row(i), want.Row(i), tol)
	}
}

func rowsOf(v [][]float64) Matrix[float64] {
	m := dense.New[float64](len(v), len(v[0]))
	for i, row := range v {
		copy(m.Row(i), row)
	}
	return m
}

// half is half the square of the error: the loss of the golden file, where that of net.NewSquare is the square.
func half() Measurement[float64] {
	return &LossMeasurement[float64]{Weight: func(*net.Batch[float64], int) float64 { return 0.5 }}
}

// regression returns a linear network without bias at the given parameters, its data and queries.
func regression(theta []float64, x Matrix[float64], y []float64, xq Matrix[float64], yq []float64) (n *net.Net[float64], train, queries Examples[float64]) {
	layer := net.NewLinear[float64](source(1), x.Cols, 1, net.LinearOptions{NoBias: true})
	copy(layer.Weight.Value.V.Data, theta)
	n = net.New[float64](layer, net.NewSquare[float64](false), 1)
	batch := func(x Matrix[float64], y []float64) Examples[float64] {
		return Fixed(&net.Batch[float64]{N: x.Rows, X: x, Target: net.Target[float64]{Values: dense.Wrap(len(y), 1, y)}})
	}
	return n, batch(x, y), batch(xq, yq)
}

func TestGoldenRidge(t *testing.T) {
	var g struct {
		X            [][]float64
		Y, Theta, Xq []float64
		Lam, Yq      float64
	}
	var names struct {
		Predicted    []float64 `json:"influence_if_removed"`
		TrueLOO      []float64 `json:"true_loo_change"`
		TrueLinearly []float64 `json:"true_loo_linearised"`
	}
	golden.Load(t, "influence_linear_regression.json", &g)
	golden.Load(t, "influence_linear_regression.json", &names)
	x := rowsOf(g.X)
	ridge, err := NewRidge(x, g.Y, g.Lam)
	if err != nil {
		t.Fatal(err)
	}
	nearAll(t, "theta", ridge.Theta, g.Theta, 1e-9)
	n, train, queries := regression(ridge.Theta, x, g.Y, dense.Wrap(1, len(g.Xq), g.Xq), []float64{g.Yq})
	for _, kind := range []Preconditioner{KFAC, EKFAC} {
		e, err := New(n, train, Options{Preconditioner: kind, Damping: Damping{Scale: Absolute, Value: 2 * g.Lam}}) // the loss here is twice that of the file
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Pairwise(Side[float64]{queries, half()}, Side[float64]{Examples: train}, ScoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		nearAll(t, string(kind), s.Values.Row(0), names.Predicted, 1e-9)
		rho, err := Spearman(s.Values.Row(0), names.TrueLOO)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(rho-0.988) > 0.001 {
			t.Errorf("rank correlation with leaving one out: %v, the file has .988", rho)
		}
		var changes, linear []float64
		loss := func(theta []float64) float64 { d := dense.Dot(theta, g.Xq) - g.Yq; return d * d / 2 }
		for i := range g.Y {
			without := ridge.Without(i)
			changes = append(changes, loss(without)-loss(ridge.Theta))
			linear = append(linear, names.Predicted[i]/(1-ridge.Leverage(i)))
		}
		nearAll(t, "leave one out", changes, names.TrueLOO, 1e-9)
		nearAll(t, "linearised", linear, names.TrueLinearly, 1e-9)
	}
}

// TestLeaveOneOut: on a random regression the solutions without an example are those of the normal equations, and influence times 1/(1-h) is the exact
// change of the parameters along the gradient of the query.
func TestLeaveOneOut(t *testing.T) {
	const rows, cols, lambda = 12, 4, 0.3
	x, y := random(2, rows, cols), random(3, rows, 1).Data
	xq, yq := random(4, 3, cols), random(5, 3, 1).Data
	ridge, err := NewRidge(x, y, lambda)
	if err != nil {
		t.Fatal(err)
	}
	n, train, queries := regression(ridge.Theta, x, y, xq, yq)
	e, err := New(n, train, Options{Preconditioner: KFAC, Damping: Damping{Scale: Absolute, Value: 2 * lambda}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Pairwise(Side[float64]{queries, half()}, Side[float64]{Examples: train}, ScoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		gram, right := mat.NewSymDense(cols, nil), mat.NewVecDense(cols, nil)
		for k := range rows {
			if k != i {
				v := mat.NewVecDense(cols, x.Row(k))
				gram.SymRankOne(gram, 1./rows, v)
				right.AddScaledVec(right, y[k]/rows, v)
			}
		}
		for j := range cols {
			gram.SetSym(j, j, gram.At(j, j)+lambda)
		}
		var theta mat.VecDense
		if err := theta.SolveVec(gram, right); err != nil {
			t.Fatal(err)
		}
		nearAll(t, "without", ridge.Without(i), theta.RawVector().Data, 1e-12)
		for q := range yq {
			residual := dense.Dot(xq.Row(q), ridge.Theta) - yq[q]
			var change float64
			for j := range cols {
				change += residual * xq.At(q, j) * (theta.AtVec(j) - ridge.Theta[j])
			}
			near(t, "influence", s.Values.At(q, i)/(1-ridge.Leverage(i)), change, 1e-12)
		}
	}
}

func TestGoldenLDS(t *testing.T) {
	var g struct {
		Scores   [][]float64   `json:"influence_scores_query_by_train"`
		Numbers  []int         `json:"train_idx"`
		Subsets  [][]int       `json:"subsets"`
		Measured [][][]float64 `json:"measurements_subset_seed_query"`
		Sums     [][]float64   `json:"estimated_sum_over_removed"`
		PerQuery []float64     `json:"spearman_per_query"`
		Mean     float64       `json:"lds_mean"`
		StdErr   float64       `json:"lds_sem"`
	}
	golden.Load(t, "lds.json", &g)
	position := map[int]int{}
	for i, n := range g.Numbers {
		position[n] = i
	}
	for _, subset := range g.Subsets {
		for i, n := range subset {
			subset[i] = position[n]
		}
	}
	scores := rowsOf(g.Scores)
	p, err := Predict(scores, g.Subsets)
	if err != nil {
		t.Fatal(err)
	}
	nearMatrix(t, "predicted", p, rowsOf(g.Sums), 1e-9)
	r, err := LDS(scores, g.Subsets, g.Measured)
	if err != nil {
		t.Fatal(err)
	}
	nearAll(t, "per query", r.PerQuery, g.PerQuery, 1e-9)
	near(t, "mean", r.Mean.Value, g.Mean, 1e-9)
	near(t, "standard error", r.Mean.StdErr, g.StdErr, 1e-9)
}
