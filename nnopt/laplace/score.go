package laplace

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Score says how well predictions agree with targets.
type Score struct {
	Loss     float64 // mean negative log-likelihood of a row: of its class, of its yes or no, or of its values in regression
	Accuracy float64 // share of rows whose likeliest class, or of outputs whose likelier answer, is right; 0 for regression
	RMSE     float64 // of regression: root of the mean squared difference between outputs and targets
	Rows     int     // that count
}

// Scoring says which predictions are scored. The zero value is Probit.
type Scoring struct {
	Link    Link   // default Probit
	Samples int    // of Sampled; default 100
	Seed    uint64 // of Sampled
}

func (s *Scoring) samples() int {
	if s.Samples == 0 {
		return 100
	}
	return s.Samples
}

func (s *Scoring) rand() *rand.Rand {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(s.Seed >> (8 * i))
	}
	return rand.New(rand.NewChaCha8(key))
}

// Score predicts batches and compares with their targets.
func (p *Posterior[T]) Score(data iter.Seq[*net.Batch[T]], s Scoring) (Score, error) {
	scores, err := p.scores(data, s, []Hyper{p.hyper}, []precision{p.precision})
	if err != nil {
		return Score{}, err
	}
	return scores[0], nil
}

// scores returns the score at each of several hyperparameters; precisions that are nil are formed anew for every piece of a batch.
func (p *Posterior[T]) scores(data iter.Seq[*net.Batch[T]], s Scoring, hypers []Hyper, precisions []precision) ([]Score, error) {
	if data == nil {
		return nil, optionError("data", "are nil")
	}
	totals := make([]Score, len(hypers))
	empty := true
	for b := range data {
		empty = false
		if err := p.checkTargets(b); err != nil {
			return nil, err
		}
		row := 0
		err := p.eachLocal(b, func(l *local) error {
			for k, h := range hypers {
				q := precisions[k]
				if q == nil {
					var err error
					if _, q, err = p.at(h); err != nil {
						return err
					}
				}
				one := &Prediction{Mean: l.out, Cov: p.covariances(l, q), likelihood: p.likelihood, noise: h.filled().Noise}
				if err := addScore(one, &b.Target, row, s, &totals[k]); err != nil {
					return err
				}
			}
			row += l.out.Rows
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if empty {
		return nil, &curvature.DataError{What: "data", Why: "there are no batches"}
	}
	for k := range totals {
		totals[k].finish(p.likelihood)
	}
	return totals, nil
}

// checkTargets demands targets that fit the outputs and are finite.
func (p *Posterior[T]) checkTargets(b *net.Batch[T]) error {
	if err := p.checkInputs(b); err != nil {
		return err
	}
	var out net.Matrix[T]
	if err := guard(func() { out = p.net.Forward(b) }); err != nil {
		return err
	}
	if err := p.net.Loss.Check(out.Rows, out.Cols, &b.Target); err != nil {
		return &curvature.DataError{What: "targets", Why: err.Error()}
	}
	for i, v := range b.Target.Values.Data {
		if v-v != 0 {
			return &curvature.DataError{What: "targets", Why: fmt.Sprintf("element %d is %v", i, v)}
		}
	}
	return nil
}

// addScore adds the terms of the rows of a prediction, whose targets begin at a row.
func addScore[T net.Float](one *Prediction, t *net.Target[T], from int, s Scoring, total *Score) error {
	if one.likelihood == Regression {
		for i := range one.Mean.Rows {
			if err := addNormal(one, i, t.Values.Row(from+i), total); err != nil {
				return err
			}
		}
		return nil
	}
	probabilities, err := one.Probabilities(s.Link, s.samples(), s.rand())
	if err != nil {
		return err
	}
	for i := range probabilities.Rows {
		row := probabilities.Row(i)
		switch {
		case one.likelihood == Binary:
			addBinary(row, t.Values.Row(from+i), total)
		case t.Classes != nil:
			if t.Classes[from+i] >= 0 {
				addClass(row, int(t.Classes[from+i]), total)
			}
		default:
			addSoft(row, t.Values.Row(from+i), total)
		}
	}
	return nil
}

// tiny keeps the logarithm of a probability finite.
const tiny = 1e-300

func addClass(row []float64, class int, total *Score) {
	total.Rows++
	total.Loss -= math.Log(max(row[class], tiny))
	if argmax(row) == class {
		total.Accuracy++
	}
}

func addSoft[T net.Float](row []float64, target []T, total *Score) {
	total.Rows++
	best := 0
	for j, v := range target {
		total.Loss -= float64(v) * math.Log(max(row[j], tiny))
		if v > target[best] {
			best = j
		}
	}
	if argmax(row) == best {
		total.Accuracy++
	}
}

func addBinary[T net.Float](row []float64, target []T, total *Score) {
	total.Rows++
	for j, v := range row {
		y := float64(target[j])
		total.Loss -= y*math.Log(max(v, tiny)) + (1-y)*math.Log(max(1-v, tiny))
		if (v > 0.5) == (y > 0.5) {
			total.Accuracy += 1 / float64(len(row))
		}
	}
}

func argmax(row []float64) int {
	best := 0
	for j, v := range row {
		if v > row[best] {
			best = j
		}
	}
	return best
}

// addNormal adds the negative logarithm of the predictive density of a row of targets, which is normal with the covariance of the outputs and the noise.
func addNormal[T net.Float](p *Prediction, i int, target []T, total *Score) error {
	c := p.Cov[i].Clone()
	d := dense.New[float64](c.Rows, 1)
	var squares float64
	for j := range c.Rows {
		c.Set(j, j, c.At(j, j)+p.noise*p.noise)
		d.Data[j] = float64(target[j]) - p.Mean.At(i, j)
		squares += d.Data[j] * d.Data[j]
	}
	if k := dense.Cholesky(c); k >= 0 {
		return &SingularError{fmt.Sprintf("pivot %d of the covariance of the targets", k), c.At(k, k)}
	}
	dense.SolveLower(dense.NoTrans, c, d)
	total.Rows++
	total.RMSE += squares / float64(c.Rows)
	total.Loss += dense.Dot(d.Data, d.Data)/2 + float64(c.Rows)*math.Log(2*math.Pi)/2
	for j := range c.Rows {
		total.Loss += math.Log(c.At(j, j))
	}
	return nil
}

func (s *Score) finish(l Likelihood) {
	if s.Rows == 0 {
		return
	}
	n := float64(s.Rows)
	s.Loss /= n
	s.Accuracy /= n
	if l == Regression {
		s.RMSE = math.Sqrt(s.RMSE / n)
	}
}
