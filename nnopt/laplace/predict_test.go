package laplace

import (
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TestVarianceGrows: variances of outputs are not negative and grow away from the data.
func TestVarianceGrows(t *testing.T) {
	m := models()[1]
	for _, structure := range Structures() {
		p := m.fit(t, Options{Structure: structure})
		var before float64
		for _, scale := range []float64{1, 4, 16} {
			far := &net.Batch[float64]{N: m.batch.N, X: m.batch.X.Clone()}
			dense.Scale(scale, far.X.Data, far.X.Data)
			f, err := p.Predict(far)
			if err != nil {
				t.Fatal(err)
			}
			var sum float64
			for i, v := range f.Variances().Data {
				if v < 0 {
					t.Errorf("%s: variance %d is %v", structure, i, v)
				}
				sum += v
			}
			if sum <= before {
				t.Errorf("%s: the variance is %v at %v times the data, %v before", structure, sum, scale, before)
			}
			before = sum
		}
	}
}

// TestTemperatureZero: as the temperature goes to 0 the prediction becomes that of the mode.
func TestTemperatureZero(t *testing.T) {
	for _, m := range models() {
		if m.name == "positions" || m.name == "groups" || !m.kron {
			continue
		}
		p := m.fit(t, Options{Structure: Full, Hyper: Hyper{Temperature: 1e-12, Prior: []float64{1e9}}})
		f, err := p.Predict(m.batch)
		if err != nil {
			t.Fatal(err)
		}
		if p.Likelihood() == Regression {
			for _, v := range f.Variances().Data {
				near(t, m.name+": variance without parameters'", v, 1, 1e-6)
			}
			continue
		}
		want, err := f.Probabilities(Plugin, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range []Link{Probit, Sampled} {
			got, err := f.Probabilities(link, 5, source(1))
			if err != nil {
				t.Fatal(err)
			}
			vectorNear(t, m.name+", "+string(link), got.Data, want.Data, 1e-3)
		}
	}
}

func predictionOf(mean []float64, cov ...float64) *Prediction {
	c := len(mean)
	return &Prediction{Mean: dense.Wrap(1, c, mean), Cov: []nnopt.Matrix[float64]{dense.Wrap(c, c, cov)}, likelihood: Classification}
}

func probabilities(t *testing.T, p *Prediction, link Link, samples int) []float64 {
	t.Helper()
	m, err := p.Probabilities(link, samples, source(9))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, v := range m.Data {
		sum += v
	}
	near(t, string(link)+": sum", sum, 1, 1e-12)
	return m.Data
}

// TestLinks compares the links with their formulas, and where they must agree with each other.
func TestLinks(t *testing.T) {
	p := predictionOf([]float64{0.4, -0.3, 1.1}, 0.5, 0.1, 0.05, 0.1, 0.4, -0.1, 0.05, -0.1, 0.7)
	want := []float64{0.4 / math.Sqrt(1+math.Pi/8*0.5), -0.3 / math.Sqrt(1+math.Pi/8*0.4), 1.1 / math.Sqrt(1+math.Pi/8*0.7)}
	softmax(want)
	vectorNear(t, "probit", probabilities(t, p, Probit, 0), want, 1e-14)

	f, v := bridgeInputs(p)
	for _, normalise := range []bool{false, true} {
		link := Bridge
		if normalise {
			link = BridgeNorm
		}
		vectorNear(t, string(link), probabilities(t, p, link, 0), dirichletMean(f, v, normalise), 1e-12)
	}
	mc := probabilities(t, p, Sampled, 40000)
	vectorNear(t, "probit near sampling", probabilities(t, p, Probit, 0), mc, 0.03)

	extreme := predictionOf([]float64{900, -900, 0}, 1, 0, 0, 0, 1, 0, 0, 0, 1)
	for _, link := range Links() {
		got := probabilities(t, extreme, link, 10)
		vectorNear(t, "extreme "+string(link), got, []float64{1, 0, 0}, 1e-9)
	}
	certain := predictionOf([]float64{1, 2, 3}, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	vectorNear(t, "no variance", probabilities(t, certain, Bridge, 0), probabilities(t, certain, Plugin, 0), 1e-14)
}

// bridgeInputs conditions on a sum of zero by the formulas.
func bridgeInputs(p *Prediction) (f, v []float64) {
	c := p.Mean.Cols
	var total, mean float64
	rows := make([]float64, c)
	for i := range c {
		for j := range c {
			rows[i] += p.Cov[0].At(i, j)
			total += p.Cov[0].At(i, j)
		}
		mean += p.Mean.At(0, i)
	}
	for i := range c {
		f = append(f, p.Mean.At(0, i)-rows[i]*mean/total)
		v = append(v, p.Cov[0].At(i, i)-rows[i]*rows[i]/total)
	}
	return f, v
}

// dirichletMean is the Laplace bridge without care for overflow.
func dirichletMean(f, v []float64, normalise bool) []float64 {
	k := float64(len(f))
	f, v = slices.Clone(f), slices.Clone(v)
	if normalise {
		var mean float64
		for _, x := range v {
			mean += x / k
		}
		mean /= math.Sqrt(k / 2)
		for i := range f {
			f[i] /= math.Sqrt(mean)
			v[i] /= mean
		}
	}
	var back, sum float64
	for _, x := range f {
		back += math.Exp(-x)
	}
	alpha := make([]float64, len(f))
	for i, x := range f {
		alpha[i] = (1 - 2/k + math.Exp(x)/(k*k)*back) / v[i]
		sum += alpha[i]
	}
	for i := range alpha {
		alpha[i] /= sum
	}
	return alpha
}

// TestSamplesHaveTheCovariance: second moments of draws tend to P^-1.
func TestSamplesHaveTheCovariance(t *testing.T) {
	m := models()[1]
	for _, structure := range Structures() {
		p := m.fit(t, Options{Structure: structure})
		d, r := p.Dim(), source(4)
		const draws = 20000
		x, unit, column := make([]float64, d), make([]float64, d), make([]float64, d)
		second := dense.New[float64](d, d)
		for range draws {
			p.Sample(r, x)
			for i := range x {
				x[i] -= p.mode[i]
			}
			dense.Ger(1.0/draws, x, x, second)
		}
		for j := range d {
			clear(unit)
			unit[j] = 1
			p.Covariance(column, unit)
			for i, v := range column {
				if math.Abs(second.At(i, j)-v) > 0.06 { // six standard errors of variances of at most 1
					t.Errorf("%s: covariance (%d, %d) of draws (seed 4) is %v, want %v", structure, i, j, second.At(i, j), v)
				}
			}
		}
	}
}

// TestBridgeInvertsDirichlet: the bridge finds the Dirichlet distribution again whose Laplace approximation in the softmax basis it is given
// (arXiv:2003.01227, equations 23 and 24).
func TestBridgeInvertsDirichlet(t *testing.T) {
	alpha := []float64{0.7, 2.5, 1.2, 9}
	k := float64(len(alpha))
	var logs, inverses, sum float64
	for _, a := range alpha {
		logs += math.Log(a) / k
		inverses += 1 / a
		sum += a
	}
	mean, cov, want := make([]float64, 4), make([]float64, 16), make([]float64, 4)
	for i, a := range alpha {
		mean[i], want[i] = math.Log(a)-logs, a/sum
		for j, b := range alpha {
			cov[i*4+j] = -(1/a+1/b)/k + inverses/(k*k)
			if i == j {
				cov[i*4+j] += 1 / a
			}
		}
	}
	p := predictionOf(mean, cov...)
	vectorNear(t, "mean of the Dirichlet distribution", probabilities(t, p, Bridge, 0), want, 1e-12)
	for i := range mean { // along the direction that the softmax does not see
		mean[i] += 3
		for j := range mean {
			cov[i*4+j] += 0.5
		}
	}
	vectorNear(t, "shifted", probabilities(t, predictionOf(mean, cov...), Bridge, 0), want, 1e-12)
}

// TestPredictWeights: in a linear model draws of the weights and of the outputs agree; the network gets its parameters back.
func TestPredictWeights(t *testing.T) {
	m := models()[1]
	p := m.fit(t, Options{LastLayer: true})
	before := slices.Clone(p.values)
	got, err := p.PredictWeights(m.batch, 20000, source(6))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.unchanged(); err != nil || !slices.Equal(before, p.values) {
		t.Fatal("the parameters have changed: ", err)
	}
	f, err := p.Predict(m.batch)
	if err != nil {
		t.Fatal(err)
	}
	want, err := f.Probabilities(Sampled, 20000, source(7))
	if err != nil {
		t.Fatal(err)
	}
	vectorNear(t, "draws of the last layer and of its outputs (seeds 6, 7)", got.Data, want.Data, 0.012)
}

// TestPieces: what is predicted does not depend on how much is done at a time.
func TestPieces(t *testing.T) {
	m := models()[6]
	p := m.fit(t, Options{})
	whole, err := p.Predict(m.batch)
	if err != nil {
		t.Fatal(err)
	}
	row := 0
	for _, b := range m.cut(2, 1) {
		part, err := p.Predict(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range part.Cov {
			vectorNear(t, "mean", part.Mean.Row(i), whole.Mean.Row(row), 1e-13)
			vectorNear(t, "covariance", part.Cov[i].Data, whole.Cov[row].Data, 1e-12)
			row++
		}
	}
}

// TestRegressionDensity compares the score of the linear model with the density that follows from all of its parts.
func TestRegressionDensity(t *testing.T) {
	n, b, g := linearGaussian(t, false)
	p, err := Fit(n, slices.Values([]*net.Batch[float64]{b}), Options{Structure: Full, Hyper: Hyper{Prior: []float64{g.Linear.Prior}, Noise: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Score(slices.Values([]*net.Batch[float64]{b}), Scoring{})
	if err != nil {
		t.Fatal(err)
	}
	var loss float64
	solved := make([]float64, 3)
	for i, x := range g.Linear.X {
		p.Covariance(solved, x)
		v := dense.Dot(solved, x) + 0.25
		d := g.Linear.Y[i] - dense.Dot(x, g.Linear.Theta)
		loss += (d*d/v + math.Log(2*math.Pi*v)) / 2 / 8
	}
	near(t, "loss", s.Loss, loss, 1e-9)
}
