package laplace

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/golden"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

type goldenFile struct {
	Linear struct {
		X        [][]float64
		Y        []float64
		Sigma2   float64
		Prior    float64   `json:"prior_prec"`
		Theta    []float64 `json:"theta_map"`
		LogLik   float64   `json:"log_lik"`
		Evidence float64   `json:"log_marglik_laplace"`
		Exact    float64   `json:"log_marglik_exact"`
	} `json:"linear_gaussian"`
	Kron struct {
		B, A, Bias [][]float64
		Factor     float64   `json:"H_factor"`
		Prior      []float64 `json:"prior_prec_per_param"`
		LogDet     float64
		Dense      [][]float64
		V          []float64
		PrecV      []float64 `json:"prec_v"`
		CovV       []float64 `json:"cov_v"`
		RootV      []float64 `json:"sqrtcov_v"`
		Variances  []float64 `json:"diag_cov"`
	}
}

func goldenNumbers(t testing.TB) (g goldenFile) {
	t.Helper()
	golden.Load(t, "laplace.json", &g)
	return g
}

func matrixOf(rows [][]float64) dense.Matrix[float64] {
	m := dense.New[float64](len(rows), len(rows[0]))
	for i, row := range rows {
		copy(m.Row(i), row)
	}
	return m
}

// linearGaussian is the model of the golden file: one linear map without bias and squared errors.
func linearGaussian(t testing.TB, sum bool) (*net.Net[float64], *net.Batch[float64], goldenFile) {
	g := goldenNumbers(t)
	l := net.NewLinear[float64](source(1), 3, 1, net.LinearOptions{NoBias: true})
	copy(l.Weight.Value.V.Data, g.Linear.Theta)
	b := &net.Batch[float64]{N: 8, X: matrixOf(g.Linear.X), Target: net.Target[float64]{Values: dense.Wrap(8, 1, g.Linear.Y)}}
	return net.New[float64](l, net.NewSquare[float64](sum), 1), b, g
}

func TestGoldenEvidence(t *testing.T) {
	for _, sum := range []bool{false, true} {
		n, b, g := linearGaussian(t, sum)
		for _, structure := range []Structure{Full, Kronecker} { // one output: the Kronecker product is exact
			p, err := Fit(n, slices.Values([]*net.Batch[float64]{b}), Options{
				Structure: structure, Hyper: Hyper{Prior: []float64{g.Linear.Prior}, Noise: math.Sqrt(g.Linear.Sigma2)},
			})
			if err != nil {
				t.Fatal(err)
			}
			e := p.Evidence()
			near(t, string(structure)+": log-likelihood", e.LogLikelihood, g.Linear.LogLik, 1e-9)
			near(t, string(structure)+": evidence", e.Value, g.Linear.Evidence, 1e-9)
			near(t, string(structure)+": evidence against the exact one", e.Value, exactEvidence(g), 1e-9)
			near(t, "golden exact evidence", exactEvidence(g), g.Linear.Exact, 1e-9)
		}
	}
}

// exactEvidence is the normal density of the targets with the parameters integrated out.
func exactEvidence(g goldenFile) float64 {
	n := len(g.Linear.Y)
	x := mat.NewDense(n, 3, matrixOf(g.Linear.X).Data)
	var c mat.Dense
	c.Mul(x, x.T())
	c.Scale(1/g.Linear.Prior, &c)
	for i := range n {
		c.Set(i, i, c.At(i, i)+g.Linear.Sigma2)
	}
	y := mat.NewVecDense(n, g.Linear.Y)
	var s mat.VecDense
	if err := s.SolveVec(&c, y); err != nil {
		return math.NaN()
	}
	det, _ := mat.LogDet(&c)
	return -(mat.Dot(y, &s) + det + float64(n)*math.Log(2*math.Pi)) / 2
}

func goldenKron(t testing.TB, g goldenFile) precision {
	one := dense.New[float64](1, 1)
	one.Data[0] = 1
	k := curvature.NewKFAC([]curvature.Factors{
		{Weight: curvature.Block{Name: "weight", Rows: 2, Cols: 3}, A: matrixOf(g.Kron.A), B: matrixOf(g.Kron.B)},
		{Bias: curvature.Block{Name: "bias", Start: 6, Rows: 1, Cols: 2}, A: one, B: matrixOf(g.Kron.Bias)},
	}, 8)
	e, err := k.Decompose()
	if err != nil {
		t.Fatal(err)
	}
	prior := make([]float64, 8)
	for i := range prior {
		prior[i] = g.Kron.Prior[i/6]
	}
	q, err := newKron(e.Blocks, e.Spectra, 8, 1, false, []int{0, 1, 2, 3, 4, 5, 6, 7}).at(g.Kron.Factor, prior)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestGoldenKronecker(t *testing.T) {
	g := goldenNumbers(t)
	q := goldenKron(t, g)
	near(t, "log-determinant", q.logDet(), g.Kron.LogDet, 1e-9)
	x := make([]float64, 8)
	q.mul(x, g.Kron.V)
	vectorNear(t, "precision", x, g.Kron.PrecV, 1e-9)
	row := dense.Wrap(1, 8, slices.Clone(g.Kron.V))
	q.whiten(row)
	vectorNear(t, "root", row.Data, g.Kron.RootV, 1e-9)
	q.colour(row)
	vectorNear(t, "covariance", row.Data, g.Kron.CovV, 1e-9)
	q.variances(x)
	vectorNear(t, "variances", x, g.Kron.Variances, 1e-9)
	for j := range 8 {
		unit := make([]float64, 8)
		unit[j] = 1
		q.mul(x, unit)
		for i := range x {
			near(t, fmt.Sprintf("dense (%d, %d)", i, j), x[i], g.Kron.Dense[i][j], 1e-9)
		}
	}
}

// precisionOf is the dense posterior precision by an independent path: Jacobians by differences, closed forms of the loss, and for Kronecker the factors
// multiplied out.
func precisionOf(t testing.TB, m *model, p *Posterior[float64], h Hyper) *mat.SymDense {
	t.Helper()
	full := p.net.Dim()
	var hess mat.Matrix
	if p.o.structure() == Kronecker {
		hess = kroneckerOf(t, m, p)
	} else {
		inner, _ := hessianOf(p, m.batch)
		hess = gaussNewton(jacobianOf(p.net, m.batch), inner)
	}
	if r, _ := hess.Dims(); r != full {
		t.Fatal(r)
	}
	s := 1 / h.Temperature
	if p.Likelihood() == Regression {
		s /= h.Noise * h.Noise
	}
	prior, err := p.spread("", h.Prior, 1)
	if err != nil {
		t.Fatal(err)
	}
	sym := mat.NewSymDense(len(p.places), nil)
	for i, a := range p.places {
		for j, b := range p.places[:i+1] {
			v := s * hess.At(a, b)
			if p.o.structure() == Diagonal && i != j {
				v = 0
			}
			if i == j {
				v += prior[i]
			}
			sym.SetSym(i, j, v)
		}
	}
	return sym
}

func kroneckerOf(t testing.TB, m *model, p *Posterior[float64]) *mat.Dense {
	t.Helper()
	r, err := curvature.NewRisk(p.net, m.data(), curvature.RiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := p.o.Curvature
	s.Convention, s.Skip = curvature.InOutput, true
	k, err := curvature.CollectKFAC(r, s)
	if err != nil {
		t.Fatal(err)
	}
	all := mat.NewDense(r.Dim(), r.Dim(), nil)
	for _, f := range k.Blocks {
		out, in := f.Dims()
		at := func(i, j int) int {
			if j < f.Weight.Cols {
				return f.Weight.Start + i*f.Weight.Cols + j
			}
			return f.Bias.Start + i
		}
		for a := range out * in {
			for b := range out * in {
				all.Set(at(a/in, a%in), at(b/in, b%in), f.B.At(a/in, b/in)*f.A.At(a%in, b%in)/k.Factor)
			}
		}
	}
	return all
}

type variant struct {
	name string
	o    Options
}

func variants(m *model) (all []variant) {
	h := Hyper{Prior: []float64{0.6}, Noise: 0.8, Temperature: 1.3}
	all = []variant{{"full", Options{Structure: Full, Hyper: h}}, {"diagonal", Options{Structure: Diagonal, Hyper: h}}}
	if m.name != "transformer" {
		all = append(all, variant{"full, last layer", Options{Structure: Full, LastLayer: true, Hyper: h}},
			variant{"diagonal, last layer", Options{Structure: Diagonal, LastLayer: true, Hyper: h}},
			variant{"diagonal, some", Options{Structure: Diagonal, Indices: []int{1, 4, 5, 9}, Hyper: h}},
			variant{"full, some", Options{Structure: Full, Indices: []int{0, 2, 7, 13}, Hyper: h}})
	}
	kron := Options{Hyper: h, Curvature: curvature.Settings{Skip: !m.kron}}
	last, separate, reduce := kron, kron, kron
	last.LastLayer = true
	separate.Curvature.SeparateBias = true
	reduce.Curvature.Sharing = curvature.Reduce
	return append(all, variant{"kronecker", kron}, variant{"kronecker, last layer", last}, variant{"kronecker, separate", separate}, variant{"kronecker, reduce", reduce})
}

func TestAgainstDense(t *testing.T) {
	for _, m := range models() {
		for _, v := range variants(&m) {
			name := m.name + ", " + v.name
			p := m.fit(t, v.o)
			d := p.Dim()
			h := p.Hyper()
			h.Prior = nil
			for k := range p.Groups() {
				h.Prior = append(h.Prior, 0.4+0.3*float64(k))
			}
			if err := p.SetHyper(h); err != nil {
				t.Fatal(name, err)
			}
			sym := precisionOf(t, &m, p, h)
			var c mat.Cholesky
			if !c.Factorize(sym) {
				t.Fatal(name, "oracle is singular")
			}
			checkEvidence(t, name, &m, p, h, c.LogDet())
			x, got, want := source(5), make([]float64, d), mat.NewVecDense(d, nil)
			vec := mat.NewVecDense(d, nil)
			for i := range d {
				vec.SetVec(i, x.NormFloat64())
			}
			want.MulVec(sym, vec)
			p.Precision(got, vec.RawVector().Data)
			vectorNear(t, name+": precision", got, want.RawVector().Data, 1e-7)
			if err := c.SolveVecTo(want, vec); err != nil {
				t.Fatal(err)
			}
			p.Covariance(got, vec.RawVector().Data)
			vectorNear(t, name+": covariance", got, want.RawVector().Data, 1e-7)
			var inverse mat.SymDense
			if err := c.InverseTo(&inverse); err != nil {
				t.Fatal(err)
			}
			p.Variances(got)
			for i := range d {
				near(t, name+": variance", got[i], inverse.At(i, i), 1e-7)
			}
			checkPrediction(t, name, &m, p, &inverse)
		}
	}
}

func checkEvidence(t *testing.T, name string, m *model, p *Posterior[float64], h Hyper, logDet float64) {
	t.Helper()
	_, sum := hessianOf(p, m.batch)
	fit := -sum / h.Temperature
	if p.Likelihood() == Regression {
		fit = -sum/h.Temperature/(h.Noise*h.Noise) - float64(len(m.batch.Target.Values.Data))*math.Log(h.Noise*math.Sqrt(2*math.Pi))
	}
	prior, _ := p.spread("", h.Prior, 1)
	var logPrior, scatter float64
	for i, v := range prior {
		logPrior += math.Log(v)
		scatter += v * p.mode[i] * p.mode[i]
	}
	e := p.Evidence()
	near(t, name+": log-likelihood", e.LogLikelihood, fit, 1e-9)
	near(t, name+": log-determinant", e.LogDetPosterior, logDet, 1e-7)
	near(t, name+": evidence", e.Value, fit-(logDet-logPrior+scatter)/2, 1e-7)
}

// checkPrediction compares J P^-1 J^T, and the two ways in which it is computed here with each other.
func checkPrediction(t *testing.T, name string, m *model, p *Posterior[float64], inverse *mat.SymDense) {
	t.Helper()
	all := jacobianOf(p.net, m.batch)
	rows, _ := all.Dims()
	j := mat.NewDense(rows, len(p.places), nil)
	for k, at := range p.places {
		for r := range rows {
			j.Set(r, k, all.At(r, at))
		}
	}
	var jc, cov mat.Dense
	jc.Mul(j, inverse)
	cov.Mul(&jc, j.T())
	fast := p.fast
	for _, way := range []string{"streams", "Jacobians"} {
		if way == "Jacobians" {
			p.fast = nil
		}
		f, err := p.Predict(m.batch)
		if err != nil {
			t.Fatal(name, err)
		}
		c := f.Mean.Cols
		for r, got := range f.Cov {
			for a := range c {
				for b := range c {
					near(t, fmt.Sprintf("%s: %s: covariance of outputs (%d, %d, %d)", name, way, r, a, b), got.At(a, b), cov.At(r*c+a, r*c+b), 1e-7)
				}
			}
		}
	}
	p.fast = fast
}

func TestFastPathIsTaken(t *testing.T) {
	for _, m := range models() {
		for _, v := range variants(&m) {
			p := m.fit(t, v.o)
			want := p.o.structure() != Full && m.name != "groups" && (m.kron || p.o.structure() == Kronecker)
			if (p.fast != nil) != want {
				t.Errorf("%s, %s: %d fast blocks", m.name, v.name, len(p.fast))
			}
		}
	}
}
