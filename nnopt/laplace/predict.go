package laplace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Link says how the normal distribution of the outputs becomes probabilities.
type Link string

// The links.
const (
	Probit     Link = "probit"      // softmax or sigmoid of f / sqrt(1 + pi/8 var f) (MacKay 1992)
	Bridge     Link = "bridge"      // mean of the Dirichlet distribution of the Laplace bridge (Hobbhahn et al., arXiv:2003.01227); classification only
	BridgeNorm Link = "bridge-norm" // the same after the variances are scaled to a mean of sqrt(K/2) for K classes, and the outputs with them
	Sampled    Link = "mc"          // mean over draws of the outputs
	Plugin     Link = "map"         // the outputs at the mode, without variance
)

// Links lists the links.
func Links() []Link { return []Link{Probit, Bridge, BridgeNorm, Sampled, Plugin} }

// Prediction is the normal distribution of the outputs of the network that is linear in its parameters around the mode (Immer et al., arXiv:2008.08400).
type Prediction struct {
	Mean nnopt.Matrix[float64]   // a row for each row of the outputs
	Cov  []nnopt.Matrix[float64] // of the outputs of each row; for regression without the noise

	likelihood Likelihood
	noise      float64
}

// Predict returns the distribution of the outputs for the inputs of a batch. Kronecker and Diagonal take a vector back for every output of an example and
// never form Jacobians (LastLayer: one vector); Full, and layers without statistics, differentiate one example at a time. A batch that does not fit
// or is not finite is a *curvature.DataError, a network that has changed since Fit an *OptionError.
func (p *Posterior[T]) Predict(b *net.Batch[T]) (*Prediction, error) {
	all := &Prediction{likelihood: p.likelihood, noise: p.hyper.Noise}
	err := p.eachLocal(b, func(l *local) error {
		all.Mean = below(all.Mean, l.out)
		all.Cov = append(all.Cov, p.covariances(l, p.precision)...)
		return nil
	})
	return all, err
}

// below returns a with the rows of b under it.
func below(a, b dense.Matrix[float64]) dense.Matrix[float64] {
	if a.Data == nil {
		return b
	}
	return dense.Wrap(a.Rows+b.Rows, b.Cols, append(a.Data, b.Data...))
}

// eachLocal checks the inputs of a batch and calls f for its pieces.
func (p *Posterior[T]) eachLocal(b *net.Batch[T], f func(*local) error) error {
	if err := p.checkInputs(b); err != nil {
		return err
	}
	defer p.enter()()
	if err := p.separable(b); err != nil {
		return err
	}
	var failed error
	err := guard(func() {
		for l := range p.locals(b) {
			for i, v := range l.out.Data {
				if v-v != 0 {
					failed = &curvature.DataError{What: "batch", Why: fmt.Sprintf("output %d is %v", i, v)}
					return
				}
			}
			if failed = f(l); failed != nil {
				return
			}
		}
	})
	if failed != nil {
		return failed
	}
	return err
}

func (p *Posterior[T]) checkInputs(b *net.Batch[T]) error {
	if err := p.unchanged(); err != nil {
		return err
	}
	if b == nil {
		return &curvature.DataError{What: "batch", Why: "is nil"}
	}
	if b.N < 1 || b.X.Rows%b.N != 0 {
		return &curvature.DataError{What: "batch", Why: fmt.Sprintf("has %d rows for %d examples", b.X.Rows, b.N)}
	}
	for i := range b.X.Rows {
		for j, v := range b.X.Row(i) {
			if v-v != 0 {
				return &curvature.DataError{What: "batch", Why: fmt.Sprintf("input (%d, %d) is %v", i, j, v)}
			}
		}
	}
	return nil
}

// separable demands that the first example gives the same outputs alone as among the others.
func (p *Posterior[T]) separable(b *net.Batch[T]) (err error) {
	if b.N == 1 {
		return nil
	}
	var whole, alone []T
	coupled := false
	if err := guard(func() { whole = slices.Clone(p.net.Linearize(b).Row(0)) }); err != nil {
		return err
	}
	one := examples(b, 0, 1)
	err = guard(func() { alone = p.net.Linearize(&one).Row(0) })
	for i := range alone {
		if math.Abs(float64(alone[i]-whole[i])) > 1e-3*(1+math.Abs(float64(whole[i]))) {
			coupled = true
		}
	}
	if coupled || err != nil {
		return &curvature.DataError{What: "batch", Why: "its examples are not independent (a graph?): variances of their outputs are not supported"}
	}
	return nil
}

// Variances returns the variance of each output: for regression that of the targets, with the noise.
func (p *Prediction) Variances() nnopt.Matrix[float64] {
	v := dense.New[float64](p.Mean.Rows, p.Mean.Cols)
	for i, cov := range p.Cov {
		for j := range v.Cols {
			v.Set(i, j, cov.At(j, j))
			if p.likelihood == Regression {
				v.Set(i, j, cov.At(j, j)+p.noise*p.noise)
			}
		}
	}
	return v
}

// Probabilities returns those of the classes of each row, or of yes for each output. samples and r are those of Sampled; r may be nil otherwise. It is an
// *OptionError for regression, whose predictive distribution Mean and Variances are.
func (p *Prediction) Probabilities(link Link, samples int, r *rand.Rand) (nnopt.Matrix[float64], error) {
	out := p.Mean.Clone()
	bridge := link == Bridge || link == BridgeNorm
	switch {
	case p.likelihood == Regression:
		return out, optionError("link", "%q is for classification; the mean and the variances are the prediction of regression", link)
	case bridge && p.likelihood != Classification:
		return out, optionError("link", "%q is for classes; use probit, mc or map", link)
	case link == Sampled && (samples < 1 || r == nil):
		return out, optionError("samples", "must be positive, with a source of random numbers, not %d", samples)
	}
	for i := range out.Rows {
		row := out.Row(i)
		switch link {
		case Probit, "":
			for j, v := range row {
				row[j] = v / math.Sqrt(1+math.Pi/8*p.Cov[i].At(j, j))
			}
			squash(p.likelihood, row)
		case Plugin:
			squash(p.likelihood, row)
		case Bridge, BridgeNorm:
			laplaceBridge(row, p.Cov[i], link == BridgeNorm)
		case Sampled:
			if err := p.sampled(row, p.Cov[i], samples, r); err != nil {
				return out, err
			}
		default:
			return out, optionError("link", "must be one of %v, not %q", Links(), link)
		}
	}
	return out, nil
}

// squash turns the outputs of a row into what they predict.
func squash(l Likelihood, row []float64) {
	switch l {
	case Classification:
		softmax(row)
	case Binary:
		for i, v := range row {
			row[i] = sigmoid(v)
		}
	}
}

// sampled replaces the means of a row by the mean of what draws around them predict.
func (p *Prediction) sampled(row []float64, cov dense.Matrix[float64], samples int, r *rand.Rand) error {
	q, w := cov.Clone(), make([]float64, len(row))
	if !eigen.Sym(q, w) {
		return &curvature.DataError{What: "covariance of the outputs", Why: "is not finite"}
	}
	mean, draw, z := make([]float64, len(row)), make([]float64, len(row)), make([]float64, len(row))
	for range samples {
		for k, v := range w {
			z[k] = r.NormFloat64() * math.Sqrt(max(v, 0))
		}
		copy(draw, row)
		dense.Gemv(dense.NoTrans, 1, q, z, 1, draw)
		squash(p.likelihood, draw)
		dense.Axpy(1/float64(samples), draw, mean)
	}
	copy(row, mean)
	return nil
}

// laplaceBridge replaces the means of a row by the mean of the Dirichlet distribution with
// alpha_k = (1 - 2/K + exp(f_k)/K^2 sum_j exp(-f_j))/var_kk, after means and covariance are conditioned on a sum of zero. Without any variance the result is
// the softmax.
func laplaceBridge(f []float64, cov dense.Matrix[float64], normalise bool) {
	k := float64(len(f))
	sums, total, mean, diagonal := make([]float64, len(f)), 0.0, 0.0, 0.0
	for i := range f {
		diagonal += cov.At(i, i)
		for _, v := range cov.Row(i) {
			sums[i] += v
		}
		total += sums[i]
		mean += f[i]
	}
	variance := make([]float64, len(f))
	average := 0.0
	for i := range f {
		if total > 0x1p-40*diagonal {
			f[i] -= sums[i] * mean / total
			variance[i] = cov.At(i, i) - sums[i]*sums[i]/total
		} else {
			variance[i] = cov.At(i, i)
		}
		average += variance[i] / k
	}
	for _, v := range variance {
		if !(v > 0) {
			softmax(f)
			return
		}
	}
	if normalise {
		average /= math.Sqrt(k / 2)
		for i := range f {
			f[i] /= math.Sqrt(average)
			variance[i] /= average
		}
	}
	bridgeMean(f, variance)
}

// bridgeMean computes in logarithms what could overflow.
func bridgeMean(f, variance []float64) {
	k := float64(len(f))
	low := f[0]
	for _, v := range f {
		low = min(low, v)
	}
	sum := 0.0
	for _, v := range f {
		sum += math.Exp(low - v)
	}
	spread := math.Log(sum) - low // log sum_j exp(-f_j)
	rest := math.Inf(-1)
	if k > 2 {
		rest = math.Log(1 - 2/k)
	}
	for i, v := range f {
		t := v + spread - 2*math.Log(k)
		high := max(t, rest)
		f[i] = high + math.Log(math.Exp(t-high)+math.Exp(rest-high)) - math.Log(variance[i])
	}
	softmax(f)
}

func softmax(row []float64) {
	top := math.Inf(-1)
	for _, v := range row {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range row {
		row[i] = math.Exp(v - top)
		sum += row[i]
	}
	dense.Scale(1/sum, row, row)
}

func sigmoid(v float64) float64 {
	if v >= 0 {
		return 1 / (1 + math.Exp(-v))
	}
	e := math.Exp(v)
	return e / (1 + e)
}
