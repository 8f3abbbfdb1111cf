package laplace

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Evidence is the logarithm of the marginal likelihood in Laplace's approximation, with its parts:
//
//	Value = LogLikelihood - (LogDetPosterior - LogDetPrior + Scatter)/2
//
// (MacKay 1992; Immer et al., arXiv:2104.04975).
type Evidence struct {
	Value float64
	// LogLikelihood is that of the data at the mode: -sum c over the temperature, for regression over the variance of the noise too and with
	// -log(noise sqrt(2 pi)) for each output, which the temperature does not divide.
	LogLikelihood   float64
	LogDetPosterior float64
	LogDetPrior     float64
	Scatter         float64 // sum of prior precision times (mode - prior mean)^2
	// Effective is the number of parameters that the data determine: the trace of P^-1 (P - prior), P the posterior precision.
	Effective float64
}

// Slopes are the derivatives of the evidence in the logarithms of the hyperparameters.
type Slopes struct {
	Prior       []float64 // as many as Hyper.Prior
	Noise       float64   // 0 but for regression
	Temperature float64
}

// Evidence returns the evidence at the hyperparameters of the posterior.
func (p *Posterior[T]) Evidence() Evidence {
	e := p.evidence(p.hyper, p.prior, p.precision)
	e.Effective = p.precision.slopes(p.group, make([]float64, len(p.groups)))
	return e
}

// EvidenceAt returns the evidence at other hyperparameters, without the effective number of parameters.
func (p *Posterior[T]) EvidenceAt(h Hyper) (Evidence, error) {
	prior, q, err := p.at(h)
	if err != nil {
		return Evidence{}, err
	}
	return p.evidence(h.filled(), prior, q), nil
}

func (p *Posterior[T]) evidence(h Hyper, prior []float64, q precision) Evidence {
	e := Evidence{LogLikelihood: -p.scale(h) * p.terms, LogDetPosterior: q.logDet()}
	if p.likelihood == Regression {
		e.LogLikelihood -= float64(p.outputs) * math.Log(h.Noise*math.Sqrt(2*math.Pi))
	}
	for i, v := range prior {
		d := p.mode[i] - p.mean[i]
		e.LogDetPrior += math.Log(v)
		e.Scatter += v * d * d
	}
	e.Value = e.LogLikelihood - (e.LogDetPosterior-e.LogDetPrior+e.Scatter)/2
	return e
}

// Slopes returns the derivatives of the evidence. Full costs the inverse of its Cholesky factor.
func (p *Posterior[T]) Slopes() Slopes {
	s := Slopes{Prior: make([]float64, len(p.hyper.Prior))}
	index := p.indexer(len(s.Prior))
	scale := p.precision.slopes(index, s.Prior)
	dense.Scale(-0.5, s.Prior, s.Prior)
	for i, v := range p.prior {
		d := p.mode[i] - p.mean[i]
		s.Prior[index[i]] += (1 - v*d*d) / 2
	}
	fit := p.scale(p.hyper) * p.terms
	s.Temperature = fit + scale/2
	if p.likelihood == Regression {
		s.Noise = 2*fit + scale - float64(p.outputs)
	}
	return s
}

// Precision sets dst to the posterior precision times x, both of Dim elements.
func (p *Posterior[T]) Precision(dst, x []float64) { p.precision.mul(dst, x) }

// Covariance sets dst to the posterior covariance times x, both of Dim elements.
func (p *Posterior[T]) Covariance(dst, x []float64) {
	copy(dst, x)
	row := dense.Wrap(1, len(dst), dst)
	p.precision.whiten(row)
	p.precision.colour(row)
}

// Variances sets dst to the diagonal of the posterior covariance.
func (p *Posterior[T]) Variances(dst []float64) { p.precision.variances(dst) }
