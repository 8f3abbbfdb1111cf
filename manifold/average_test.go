package manifold

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

// goldenMeans is testdata/means.json, written by means.py there.
type goldenMeans struct {
	Matrices   [][][]float64          `json:"matrices"`
	Means      map[string][][]float64 `json:"means"`
	Kullback01 float64                `json:"kullback_01"`
	Kullback10 float64                `json:"kullback_10"`
}

func readGoldenMeans(t *testing.T) (g goldenMeans, ms []mat.Symmetric) {
	t.Helper()
	text, err := os.ReadFile("testdata/means.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	for _, m := range g.Matrices {
		ms = append(ms, ofRows(m))
	}
	return g, ms
}

func ofRows(rows [][]float64) *mat.SymDense {
	return mat.NewSymDense(len(rows), slices.Concat(rows...))
}

// properties of the means of Averages, beside equivariance under congruence, which all have.
var averageProperties = map[string]string{
	"stein":    "inversion weights",
	"thompson": "weights",
	"kullback": "inversion weights",
	"power":    "weights",
	"ale":      "geometric determinant weights",
	"alm":      "geometric determinant inversion",
	"bmp":      "geometric determinant inversion",
	"cheap":    "geometric inversion weights",
}

// TestAverages runs every entry through golden numbers of other software, the invariances that it promises, and bad input.
func TestAverages(t *testing.T) {
	golden, known := readGoldenMeans(t)
	powers := []float64{0.02, 0.5, 3, 7}
	for _, a := range Averages() {
		has := func(what string) bool { return strings.Contains(averageProperties[a.Name], what) }
		mean := func(t *testing.T, ms []mat.Symmetric, w []float64) *mat.SymDense {
			t.Helper()
			x, r, err := a.Mean(ms, w, AverageOptions{})
			if err != nil || !(r.Residual >= 0) || !(r.Spread >= 0) {
				t.Fatalf("%v, %+v", err, r)
			}
			return x
		}
		t.Run(a.Name, func(t *testing.T) {
			if averageProperties[a.Name] == "" || a.What == "" {
				t.Fatal("no list of properties or no description")
			}
			if want, ok := golden.Means[a.Name]; ok {
				near(t, "golden", mean(t, known, nil), ofRows(want), 1e-8)
			} else if a.Name != "thompson" {
				t.Error("no golden mean")
			}
			const seed = 71
			rng := source(seed)
			ms := []mat.Symmetric{randomSPD(rng, 5, 30), randomSPD(rng, 5, 9), randomSPD(rng, 5, 20)}
			x := mean(t, ms, nil)
			g := combine(1, randomSPD(rng, 5, 20), 0.3, randomSym(rng, 5)) // not symmetric after the next line
			g.Set(0, 1, g.At(0, 1)+0.4)
			image := func(f func(mat.Symmetric) *mat.SymDense) (out []mat.Symmetric) {
				for _, s := range ms {
					out = append(out, f(s))
				}
				return out
			}
			moved := image(func(s mat.Symmetric) *mat.SymDense { return congruent(g, s) })
			near(t, "congruence", mean(t, moved, nil), congruent(g, x), 1e-7)
			near(t, "order", mean(t, []mat.Symmetric{ms[2], ms[0], ms[1]}, nil), x, 1e-7)
			if has("inversion") {
				near(t, "inversion", mean(t, image(func(s mat.Symmetric) *mat.SymDense { return inverseOf(s) }), nil), inverseOf(x), 1e-7)
			}
			near(t, "equal matrices", mean(t, []mat.Symmetric{ms[0], ms[0], ms[0]}, nil), ms[0].(*mat.SymDense), 1e-7)
			near(t, "one matrix", mean(t, ms[:1], nil), ms[0].(*mat.SymDense), 1e-9)
			if has("geometric") {
				q := gallery.Orthogonal(9, 4)
				want, commuting := make([]float64, 4), []mat.Symmetric{}
				for k := range 3 {
					w := slices.Clone(powers)
					slices.Reverse(w[k:])
					for i, v := range w {
						want[i] += math.Log(v) / 3
					}
					commuting = append(commuting, mat.NewSymDense(4, gallery.Compose(q, w).Data))
				}
				for i, v := range want {
					want[i] = math.Exp(v)
				}
				near(t, "commuting", mean(t, commuting, nil), mat.NewSymDense(4, gallery.Compose(q, want).Data), 1e-8)
				middle, err := Geodesic(ms[0], ms[1], 0.5)
				if err != nil {
					t.Fatal(err)
				}
				near(t, "two matrices", mean(t, ms[:2], nil), middle, 1e-8)
			}
			if has("determinant") {
				var want float64
				for _, s := range ms {
					l, _ := mat.LogDet(s)
					want += l / 3
				}
				if l, _ := mat.LogDet(x); math.Abs(l-want) > 1e-8 {
					t.Errorf("log determinant %v, want %v", l, want)
				}
			}
			if has("weights") {
				twice := mean(t, []mat.Symmetric{ms[0], ms[1], ms[1], ms[2]}, nil)
				near(t, "weights", mean(t, ms, []float64{1, 2, 1}), twice, 1e-7)
			} else if _, _, err := a.Mean(ms, []float64{1, 2, 1}, AverageOptions{}); err == nil || !strings.Contains(err.Error(), "has no weights") {
				t.Errorf("unequal weights: %v", err)
			}
			refusesBadInput(t, a, ms)
		})
	}
}

func refusesBadInput(t *testing.T, a Average, ms []mat.Symmetric) {
	var pe *PointError
	if _, _, err := a.Mean([]mat.Symmetric{ms[0], mat.NewSymDense(5, nil)}, nil, AverageOptions{}); !errors.As(err, &pe) || !strings.Contains(err.Error(), "matrix 1") {
		t.Errorf("bad matrix: %v", err)
	}
	for what, call := range map[string]func() error{
		"none": func() error { _, _, err := a.Mean(nil, nil, AverageOptions{}); return err },
		"sizes": func() error {
			_, _, err := a.Mean([]mat.Symmetric{ms[0], mat.NewSymDense(2, nil)}, nil, AverageOptions{})
			return err
		},
		"weights": func() error { _, _, err := a.Mean(ms, []float64{1, math.NaN(), 1}, AverageOptions{}); return err },
		"options": func() error {
			_, _, err := a.Mean(ms, nil, AverageOptions{MeanOptions: MeanOptions{Tolerance: 2}})
			return err
		},
	} {
		if call() == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if a.Name == "kullback" {
		return // a closed form
	}
	var ce *ConvergenceError
	for what, o := range map[string]MeanOptions{
		"one iteration": {MaxIterations: 1, Tolerance: 1e-12},
		"stopped":       {Stop: func(r MeanReport) bool { return true }, Tolerance: 1e-12},
	} {
		x, r, err := a.Mean(ms, nil, AverageOptions{MeanOptions: o})
		if !errors.As(err, &ce) || ce.Stopped != (o.Stop != nil) || r.Residual == 0 || x == nil || CheckSPD(x) != nil {
			t.Errorf("%s: %+v %v", what, r, err)
		}
	}
}

func TestAverageByName(t *testing.T) {
	if a, err := AverageByName("bmp"); err != nil || a.Name != "bmp" {
		t.Error(a, err)
	}
	if _, err := AverageByName("identity"); err == nil || !strings.Contains(err.Error(), "ale, alm, bmp") {
		t.Error(err)
	}
}

// TestRecursiveMeansRefuseMany matrices, and say what to take in their place.
func TestRecursiveMeansRefuseMany(t *testing.T) {
	one := mat.NewSymDense(1, []float64{1})
	many := []mat.Symmetric{one, one, one, one, one, one, one, one}
	for _, of := range []func([]mat.Symmetric, MeanOptions) (*mat.SymDense, error){ALMMean, BMPMean} {
		if _, err := of(many, MeanOptions{}); err == nil || !strings.Contains(err.Error(), "take the cheap") {
			t.Error(err)
		}
		if _, err := of(many[:5], MeanOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestCheapMean agrees with the Karcher mean to third order in the spread of the data.
func TestCheapMean(t *testing.T) {
	rng := source(73)
	us := []*mat.SymDense{randomSym(rng, 4), randomSym(rng, 4), randomSym(rng, 4)}
	center := randomSPD(rng, 4, 10)
	gap := func(h float64) float64 {
		var ms []mat.Symmetric
		for _, u := range us {
			var v mat.SymDense
			v.ScaleSym(h/mat.Norm(u, 2), u)
			ms = append(ms, congruent(root(center), function(&v, math.Exp)))
		}
		karcher, err1 := PowerMean(ms, nil, 0, MeanOptions{Tolerance: 1e-14})
		cheap, err2 := CheapMean(ms, nil, MeanOptions{Tolerance: 1e-14})
		d, err3 := Distance(karcher, cheap)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if order := math.Log2(gap(0.8) / gap(0.4)); order < 2.7 {
		t.Errorf("the gap to the Karcher mean falls with the power %v of the spread", order)
	}
}

// TestJointDiagonalizer: exact where it can be, stationary elsewhere, the same matrix whatever the coordinates.
func TestJointDiagonalizer(t *testing.T) {
	rng := source(79)
	mix := combine(1, randomSPD(rng, 5, 30), 1, randomSym(rng, 5))
	mix.Set(0, 2, mix.At(0, 2)+0.5)
	var exact []mat.Symmetric
	for range 4 {
		d := mat.NewSymDense(5, nil)
		for i := range 5 {
			d.SetSym(i, i, math.Exp(rng.NormFloat64()))
		}
		exact = append(exact, congruent(mix, d))
	}
	w := []float64{1, 2, 0.5, 1}
	if off := offDiagonal(t, exact, w); off > 1e-12 {
		t.Errorf("matrices that one change of variables makes diagonal: criterion %v", off)
	}
	rough := []mat.Symmetric{randomSPD(rng, 5, 30), randomSPD(rng, 5, 9), randomSPD(rng, 5, 20), randomSPD(rng, 5, 100)}
	b, err := JointDiagonalizer(rough, w, MeanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	best := criterion(rough, w, b)
	for range 20 {
		near := combine(1, b, 1e-3*mat.Norm(b, 2), mat.DenseCopyOf(randomSym(rng, 5)))
		near.Set(1, 3, near.At(1, 3)+1e-3)
		if c := criterion(rough, w, near); c < best-1e-12 {
			t.Errorf("a matrix nearby has criterion %v below %v", c, best)
		}
	}
	var moved []mat.Symmetric
	for _, s := range rough {
		moved = append(moved, congruent(mix, s))
	}
	if c := offDiagonal(t, moved, w); math.Abs(c-best) > 1e-9*best {
		t.Errorf("criterion %v after a change of variables, %v before", c, best)
	}
	if _, err := JointDiagonalizer(rough, w, MeanOptions{MaxIterations: 1, Tolerance: 1e-14}); !errors.As(err, new(*ConvergenceError)) {
		t.Errorf("one sweep: %v", err)
	}
}

func offDiagonal(t *testing.T, ms []mat.Symmetric, w []float64) float64 {
	t.Helper()
	b, err := JointDiagonalizer(ms, w, MeanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return criterion(ms, w, b)
}

// criterion is sum w_k [log det diag(B A_k B') - log det(B A_k B')].
func criterion(ms []mat.Symmetric, w []float64, b *mat.Dense) (c float64) {
	for k, s := range ms {
		d := congruent(b, s)
		l, _ := mat.LogDet(d)
		c -= w[k] * l
		for i := range d.SymmetricDim() {
			c += w[k] * math.Log(d.At(i, i))
		}
	}
	return c
}

// TestKullbackDivergence: golden numbers, zero for equal matrices, small differences to full precision, and the mean that minimizes the symmetrised sum.
func TestKullbackDivergence(t *testing.T) {
	golden, ms := readGoldenMeans(t)
	for i, want := range []float64{golden.Kullback01, golden.Kullback10} {
		if d, err := KullbackDivergence(ms[i], ms[1-i]); err != nil || math.Abs(d-want) > 1e-12*want {
			t.Errorf("divergence %v, want %v (%v)", d, want, err)
		}
	}
	a := mat.NewSymDense(2, []float64{1, 0, 0, 1})
	b := mat.NewSymDense(2, []float64{1 + 1e-6, 0, 0, 1})
	if d, err := KullbackDivergence(a, b); err != nil || math.Abs(d/2.5e-13-1) > 1e-5 {
		t.Errorf("divergence %v of close matrices, want 2.5e-13 (%v)", d, err)
	}
	x, err := KullbackMean(ms, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := source(83)
	for range 5 {
		u := randomSym(rng, 4)
		slope := derivative(func(h float64) mat.Matrix {
			var f float64
			y := sym(combine(1, x, h, u))
			for _, s := range ms {
				d, _ := KullbackDivergence(y, s)
				e, _ := KullbackDivergence(s, y)
				f += d + e
			}
			return mat.NewDense(1, 1, []float64{f})
		}, 1e-3).At(0, 0)
		if math.Abs(slope) > 1e-7 {
			t.Errorf("the sum of divergences has slope %v at the mean", slope)
		}
	}
	if _, err := KullbackDivergence(a, mat.NewSymDense(2, nil)); err == nil {
		t.Error("a zero matrix was accepted")
	}
}

// TestBuresMedianIsNotCaughtByADataPoint: on ill-conditioned data many a matrix is a local median of the Bures-Wasserstein metric, in a small neighbourhood.
func TestBuresMedianIsNotCaughtByADataPoint(t *testing.T) {
	bures, err := MetricByName("bures-wasserstein")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		var ms []mat.Symmetric
		for k := range uint64(4) {
			ms = append(ms, mat.NewSymDense(5, gallery.SPD(10*seed+k, 5, 1e6).Data))
		}
		cost := func(x mat.Symmetric) (sum float64) {
			for _, a := range ms {
				d, err := bures.Distance(x, a)
				if err != nil {
					t.Fatal(err)
				}
				sum += d / 4
			}
			return sum
		}
		x, err := bures.Median(ms, nil)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			continue
		}
		mean, err := bures.Mean(ms, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, a := range append(ms, mean) {
			if c := cost(a); cost(x) > c*(1+1e-5) {
				t.Errorf("seed %d: cost %v, at matrix %d %v", seed, cost(x), k, c)
			}
		}
	}
}

// TestMeansOfMatricesEqualToRounding: matrices that differ by rounding alone have a mean and a median in every metric, and every average, in any units: a step
// may be shorter than what the entries of a matrix can tell apart.
func TestMeansOfMatricesEqualToRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for range 20 {
		n := 1 + rng.IntN(8)
		for _, scale := range []float64{1, 1e-60, 1e60} {
			var ms []mat.Symmetric
			for range 1 + rng.IntN(5) {
				a := mat.NewSymDense(n, nil)
				for i := range n {
					a.SetSym(i, i, scale*(1+float64(rng.IntN(7)-3)*0x1p-53))
				}
				ms = append(ms, a)
			}
			for _, g := range Metrics() {
				if _, err := g.Mean(ms, nil); err != nil {
					t.Errorf("mean, %s, n = %d, scale %g: %v", g.Name, n, scale, err)
				}
				if _, err := g.Median(ms, nil); err != nil {
					t.Errorf("median, %s, n = %d, scale %g: %v", g.Name, n, scale, err)
				}
			}
			for _, a := range Averages() {
				if _, _, err := a.Mean(ms, nil, AverageOptions{}); err != nil {
					t.Errorf("%s, n = %d, scale %g: %v", a.Name, n, scale, err)
				}
			}
		}
	}
}
