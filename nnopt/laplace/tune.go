package laplace

import (
	"cmp"
	"iter"
	"math"

	"github.com/spdopt/spdopt/nnopt/net"
)

// TuneOptions say how TuneEvidence moves. The zero value takes 100 steps of Adam with learning rate 0.1 in the logarithms of the prior precisions.
type TuneOptions struct {
	Steps       int     // default 100
	LR          float64 // default 0.1
	FixPrior    bool    // the prior stays
	Noise       bool    // the noise moves too; regression only
	Temperature bool    // the temperature moves too
}

// Validate reports the first option that cannot be.
func (o *TuneOptions) Validate() error {
	switch {
	case o.Steps < 0:
		return optionError("steps", "must not be negative, not %d", o.Steps)
	case !(o.LR >= 0) || o.LR-o.LR != 0:
		return optionError("learning rate", "must be positive and finite, not %v", o.LR)
	case o.FixPrior && !o.Noise && !o.Temperature:
		return optionError("tuning", "has nothing to move: the prior is fixed")
	}
	return nil
}

// TuneStep is one point of a course of tuning.
type TuneStep struct {
	Hyper
	Evidence float64
}

// ascent is Adam in the logarithms of hyperparameters (Kingma and Ba, arXiv:1412.6980).
type ascent struct {
	lr   float64
	m, v []float64
	t    int
}

// move takes a step of each x along its slope.
func (a *ascent) move(x []*float64, slopes []float64) {
	if a.m == nil {
		a.m, a.v = make([]float64, len(x)), make([]float64, len(x))
	}
	const beta1, beta2, eps = 0.9, 0.999, 1e-8
	a.t++
	first, second := 1-math.Pow(beta1, float64(a.t)), 1-math.Pow(beta2, float64(a.t))
	for i, g := range slopes {
		a.m[i] = beta1*a.m[i] + (1-beta1)*g
		a.v[i] = beta2*a.v[i] + (1-beta2)*g*g
		*x[i] *= math.Exp(a.lr * a.m[i] / first / (math.Sqrt(a.v[i]/second) + eps))
	}
}

// TuneEvidence maximises the evidence over hyperparameters and leaves the posterior at the best ones seen. It returns the course, beginning with the start.
// Prior keeps its length: set one number, one for each group or one for each parameter beforehand.
func (p *Posterior[T]) TuneEvidence(o TuneOptions) ([]TuneStep, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Noise && p.likelihood != Regression {
		return nil, optionError("noise", "is no hyperparameter of %s", p.likelihood)
	}
	if err := p.fitted(); err != nil {
		return nil, err
	}
	a := newAscent(o.LR)
	return p.climb(a, o, cmp.Or(o.Steps, 100))
}

func newAscent(lr float64) *ascent {
	if lr == 0 {
		lr = 0.1
	}
	return &ascent{lr: lr}
}

// climb takes steps and leaves the posterior at the best point.
func (p *Posterior[T]) climb(a *ascent, o TuneOptions, steps int) (course []TuneStep, err error) {
	best := 0
	for k := range steps + 1 {
		e := p.evidence(p.hyper, p.prior, p.precision)
		course = append(course, TuneStep{p.Hyper(), e.Value})
		if e.Value > course[best].Evidence {
			best = k
		}
		if k == steps {
			break
		}
		h := p.Hyper()
		s := p.Slopes()
		var x []*float64
		var slopes []float64
		if !o.FixPrior {
			for i := range h.Prior {
				x = append(x, &h.Prior[i])
			}
			slopes = append(slopes, s.Prior...)
		}
		if o.Noise {
			x, slopes = append(x, &h.Noise), append(slopes, s.Noise)
		}
		if o.Temperature {
			x, slopes = append(x, &h.Temperature), append(slopes, s.Temperature)
		}
		a.move(x, slopes)
		if err := p.SetHyper(h); err != nil {
			return course, err
		}
	}
	return course, p.SetHyper(course[best].Hyper)
}

// GridOptions say which prior precisions TuneGrid tries. The zero value tries 100 from 1e-4 to 1e4, evenly in the logarithm, by the loss of Probit.
type GridOptions struct {
	From, To float64 // default 1e-4, 1e4
	Points   int     // default 100
	Accuracy bool    // the best accuracy is wanted, and the loss decides between equal ones; not of regression
	Scoring
}

// mostPoints bounds a grid.
const mostPoints = 1 << 16

// Validate reports the first option that cannot be.
func (o *GridOptions) Validate() error {
	if o.From != 0 || o.To != 0 {
		if !(o.From > 0 && o.To > o.From) || math.IsInf(o.To, 1) {
			return optionError("grid", "must go from a positive number to a larger one, not from %v to %v", o.From, o.To)
		}
	}
	if o.Points < 0 || o.Points == 1 || o.Points > mostPoints {
		return optionError("grid", "needs 2 to %d points, not %d", mostPoints, o.Points)
	}
	return nil
}

// Grid returns the prior precisions.
func (o *GridOptions) Grid() []float64 {
	from, to, points := o.From, o.To, cmp.Or(o.Points, 100)
	if from == 0 {
		from, to = 1e-4, 1e4
	}
	all := make([]float64, points)
	for i := range all {
		all[i] = from * math.Pow(to/from, float64(i)/float64(points-1))
	}
	return all
}

// GridPoint is what TuneGrid found at one prior precision.
type GridPoint struct {
	Prior    float64
	Evidence float64
	Score
}

// TuneGrid scores one prior precision after the other on validation data and leaves the posterior at the best one. What precisions share (Jacobians, what
// was pulled back) is computed once for each batch.
func (p *Posterior[T]) TuneGrid(validation iter.Seq[*net.Batch[T]], o GridOptions) ([]GridPoint, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Accuracy && p.likelihood == Regression {
		return nil, optionError("grid", "cannot go by the accuracy in regression")
	}
	var hypers []Hyper
	var points []GridPoint
	for _, prior := range o.Grid() {
		h := p.Hyper()
		h.Prior = []float64{prior}
		e, err := p.EvidenceAt(h)
		if err != nil {
			return nil, err
		}
		hypers, points = append(hypers, h), append(points, GridPoint{Prior: prior, Evidence: e.Value})
	}
	scores, err := p.scores(validation, o.Scoring, hypers, make([]precision, len(hypers)))
	if err != nil {
		return nil, err
	}
	best := 0
	for k, s := range scores {
		points[k].Score = s
		if s.better(&scores[best], o.Accuracy) {
			best = k
		}
	}
	return points, p.SetHyper(hypers[best])
}

func (s *Score) better(than *Score, accuracy bool) bool {
	if accuracy && s.Accuracy != than.Accuracy {
		return s.Accuracy > than.Accuracy
	}
	return s.Loss < than.Loss
}
