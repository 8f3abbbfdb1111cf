package laplace

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TestGrid: every point of the grid is what Score gives at its precision, and the posterior is left at the best.
func TestGrid(t *testing.T) {
	for _, m := range models() {
		for _, v := range variants(&m)[:1+len(variants(&m))/2] {
			p := m.fit(t, v.o)
			points, err := p.TuneGrid(m.data(), GridOptions{From: 0.01, To: 100, Points: 5})
			if err != nil {
				t.Fatal(m.name, err)
			}
			best := points[0]
			for _, point := range points {
				if point.Loss < best.Loss {
					best = point
				}
			}
			if got := p.Hyper().Prior; len(got) != 1 || got[0] != best.Prior {
				t.Errorf("%s: left at %v, the best is %v", m.name, got, best.Prior)
			}
			h := p.Hyper()
			h.Prior = []float64{points[1].Prior}
			if err := p.SetHyper(h); err != nil {
				t.Fatal(err)
			}
			s, err := p.Score(m.data(), Scoring{})
			if err != nil {
				t.Fatal(err)
			}
			near(t, m.name+": loss", s.Loss, points[1].Loss, 1e-12)
			near(t, m.name+": evidence", p.Evidence().Value, points[1].Evidence, 1e-12)
			near(t, m.name+": grid", points[2].Prior, 1, 1e-12)
		}
	}
}

// TestTuneEvidence: the evidence at the end is the best of the course, and its slope is small against that of the start.
func TestTuneEvidence(t *testing.T) {
	for _, m := range models()[1:7] {
		for _, structure := range Structures() {
			p := m.fit(t, Options{Structure: structure, Hyper: Hyper{Prior: []float64{0.05}}})
			start := math.Abs(p.Slopes().Prior[0])
			course, err := p.TuneEvidence(TuneOptions{Steps: 200})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range course {
				if s.Evidence > p.Evidence().Value+1e-9 {
					t.Errorf("%s: left at %v, the course reached %v", m.name, p.Evidence().Value, s.Evidence)
				}
			}
			if end := math.Abs(p.Slopes().Prior[0]); end > 0.02*start {
				t.Errorf("%s, %s: slope %v after %v at the start", m.name, structure, end, start)
			}
		}
	}
}

// TestGroupsHaveMoreEvidence: a precision for each layer, or each weight, is at least as good as one for all.
func TestGroupsHaveMoreEvidence(t *testing.T) {
	m := models()[1]
	var before float64
	for k, count := range []int{1, 2, m.net.Dim()} {
		h := Hyper{Prior: slices.Repeat([]float64{1}, count)}
		p := m.fit(t, Options{Structure: Diagonal, Hyper: h})
		if _, err := p.TuneEvidence(TuneOptions{Steps: 150}); err != nil {
			t.Fatal(err)
		}
		if e := p.Evidence().Value; k > 0 && e < before {
			t.Errorf("evidence %v with %d precisions, %v with fewer", e, count, before)
		}
		before = p.Evidence().Value
	}
}

func sgd(lr, decay float64) func() (nnopt.Optimizer[float64], error) {
	return func() (nnopt.Optimizer[float64], error) {
		return nnopt.NewSGD[float64](nnopt.SGD{Settings: nnopt.Settings{LR: lr, Decay: decay}})
	}
}

// TestTrainFindsTheMode: in the linear model training with a prior that stays ends at the closed form of the mode, for mean and sum, and with the noise and
// the temperature in their places.
func TestTrainFindsTheMode(t *testing.T) {
	for _, sum := range []bool{false, true} {
		n, b, g := linearGaussian(t, sum)
		clear(n.Blocks()[0].Value)
		lr := 0.15
		if sum {
			lr /= 8
		}
		trained, err := Train(n, slices.Values([]*net.Batch[float64]{b}), OnlineOptions[float64]{
			Options:   Options{Structure: Full, Hyper: Hyper{Prior: []float64{1.4}, Noise: 0.5, Temperature: 0.5}}, // 1.4 and T = 1/2 act on the mode like 0.7 and T = 1
			Optimizer: sgd(lr, 0), Epochs: 400, BurnIn: 399, Steps: 1, LR: 1e-9,
		})
		if err != nil {
			t.Fatal(err)
		}
		vectorNear(t, "mode", trained.Posterior.Mode(), g.Linear.Theta, 1e-6)
	}
}

// TestTrain: at the end the hyperparameters of the linear model are at MacKay's fixed point and the parameters at the mode for them.
func TestTrain(t *testing.T) {
	n, _, _ := linearGaussian(t, false)
	clear(n.Blocks()[0].Value)
	b := &net.Batch[float64]{N: 20, X: randomMatrix(3, 20, 3), Target: net.Target[float64]{Values: randomMatrix(4, 20, 1)}}
	for i := range b.N {
		b.Target.Values.Data[i] = dense.Dot(b.X.Row(i), []float64{1, -2, 0.5}) + 0.3*b.Target.Values.Data[i]
	}
	seen := 0
	trained, err := Train(n, slices.Values([]*net.Batch[float64]{b}), OnlineOptions[float64]{
		Options: Options{Structure: Full}, Optimizer: sgd(0.15, 0), Epochs: 300, BurnIn: 5, Steps: 5, LR: 0.02, Progress: func(OnlineEpoch) { seen++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	p := trained.Posterior
	e, h := p.Evidence(), p.Hyper()
	var norm float64
	for _, v := range p.Mode() {
		norm += v * v
	}
	near(t, "prior precision", h.Prior[0], e.Effective/norm, 5e-3)
	near(t, "noise", h.Noise*h.Noise, 2*p.terms/(20-e.Effective), 5e-3)
	near(t, "evidence of the posterior", e.Value, trained.Evidence, 1e-12)
	if seen != 300 || len(trained.History) != 300 || !math.IsNaN(trained.History[0].Evidence) {
		t.Errorf("%d epochs seen, %d in the history", seen, len(trained.History))
	}
	for _, epoch := range trained.History {
		if epoch.Evidence > trained.Evidence {
			t.Errorf("epoch %d has the evidence %v, the best is said to be %v", epoch.Epoch, epoch.Evidence, trained.Evidence)
		}
	}
}

// TestTrainRaisesEvidence trains a network with an optimizer that wants statistics of the layers.
func TestTrainRaisesEvidence(t *testing.T) {
	m := models()[1]
	trained, err := Train(m.net, m.data(), OnlineOptions[float64]{
		Optimizer: func() (nnopt.Optimizer[float64], error) { return nnopt.New[float64]("singd", []byte(`{"lr":0.02}`)) }, Epochs: 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	if first := trained.History[0].Evidence; trained.Evidence < first+1 {
		t.Errorf("evidence %v, after the first epoch %v", trained.Evidence, first)
	}
	if len(trained.Posterior.Hyper().Prior) != 2 {
		t.Errorf("prior precisions %v, want one for each layer", trained.Posterior.Hyper().Prior)
	}
}

// digits makes pictures of 6 x 6 in ten classes: a pattern for each class, and noise.
func digits(n int, seed uint64) *net.Batch[float64] {
	patterns, r := randomMatrix(99, 10, 36), source(seed)
	b := &net.Batch[float64]{N: n, X: dense.New[float64](n, 36)}
	for i := range n {
		c := r.IntN(10)
		b.Target.Classes = append(b.Target.Classes, int32(c))
		for k, v := range patterns.Row(c) {
			b.X.Set(i, k, v+1.8*r.NormFloat64())
		}
	}
	return b
}

func digitNet() *net.Net[float64] {
	r := source(5)
	return net.New(chain(net.NewLinear[float64](r, 36, 16, net.LinearOptions{}), tanh(), net.NewLinear[float64](r, 16, 10, net.LinearOptions{})), &net.CrossEntropy[float64]{}, 1)
}

func adam() (nnopt.Optimizer[float64], error) {
	return nnopt.NewAdamW[float64](nnopt.AdamW{Settings: nnopt.Settings{LR: 0.02}})
}

// accuracyAt trains with a prior that stays and returns the accuracy on the validation data.
func accuracyAt(t *testing.T, prior float64, train, valid *net.Batch[float64]) float64 {
	o := OnlineOptions[float64]{Options: Options{Structure: Diagonal, Hyper: Hyper{Prior: []float64{prior}}}, Optimizer: adam, Epochs: 100, BurnIn: 99, FixPrior: true}
	trained, err := Train(digitNet(), slices.Values([]*net.Batch[float64]{train}), o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := trained.Posterior.Score(slices.Values([]*net.Batch[float64]{valid}), Scoring{Link: Plugin})
	if err != nil {
		t.Fatal(err)
	}
	return s.Accuracy
}

// TestEvidenceFindsThePrior: training by the evidence, without validation data, is within 1 % of the best accuracy on them of a grid of priors, each with a
// training of its own; the ends of the grid are worse by more than that.
func TestEvidenceFindsThePrior(t *testing.T) {
	train, valid := digits(400, 1), digits(2000, 2)
	grid := []float64{0.001, 0.1, 1, 3, 10, 30, 200}
	var best float64
	var accuracies []float64
	for _, prior := range grid {
		a := accuracyAt(t, prior, train, valid)
		accuracies = append(accuracies, a)
		best = max(best, a)
	}
	trained, err := Train(digitNet(), slices.Values([]*net.Batch[float64]{train}), OnlineOptions[float64]{Optimizer: adam, Epochs: 100, Every: 10})
	if err != nil {
		t.Fatal(err)
	}
	s, err := trained.Posterior.Score(slices.Values([]*net.Batch[float64]{valid}), Scoring{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("grid %v: accuracies %v; by evidence %v with precisions %v", grid, accuracies, s.Accuracy, trained.Posterior.Hyper().Prior)
	if s.Accuracy < best-0.01 {
		t.Errorf("accuracy %v by evidence, %v by grid", s.Accuracy, best)
	}
	for _, k := range []int{0, len(grid) - 1} {
		if accuracies[k] > best-0.01 {
			t.Errorf("precision %v is as good as any: the test shows nothing", grid[k])
		}
	}
}

// TestTrainBest: of trainings with priors that stay the one with the most evidence is kept, with the network that it belongs to, and its accuracy on other
// data is within 1 % of the best of them.
func TestTrainBest(t *testing.T) {
	train, valid := digits(400, 1), slices.Values([]*net.Batch[float64]{digits(2000, 2)})
	data := slices.Values([]*net.Batch[float64]{train})
	o := OnlineOptions[float64]{Options: Options{Structure: Diagonal}, Optimizer: adam, Epochs: 60}
	accuracy := func(trained *Trained[float64]) float64 {
		s, err := trained.Posterior.Score(valid, Scoring{Link: Plugin})
		if err != nil {
			t.Fatal(err)
		}
		return s.Accuracy
	}
	var evidence []float64
	var most float64
	priors := [][]float64{{0.01}, {2}, {10}, {-1}, {3, 20}, {500}}
	for _, prior := range priors {
		fixed := o
		fixed.Prior, fixed.FixPrior, fixed.Final, fixed.BurnIn = prior, true, true, 59
		trained, err := Train(digitNet(), data, fixed)
		if err != nil {
			evidence = append(evidence, math.NaN())
			continue
		}
		evidence = append(evidence, trained.Evidence)
		most = max(most, accuracy(trained))
	}
	n, trained, all, err := TrainBest(digitNet, data, priors, o)
	if err != nil {
		t.Fatal(err)
	}
	best := 0
	for k, c := range all {
		if failed := c.Err != nil; failed != (k == 3) || !failed && c.Evidence != evidence[k] {
			t.Errorf("prior %v: %+v, want the evidence %v", priors[k], c, evidence[k])
		}
		if c.Evidence > all[best].Evidence {
			best = k
		}
	}
	if best == 0 || best == len(all)-1 || trained.Evidence != all[best].Evidence || !slices.Equal(trained.Posterior.Hyper().Prior, priors[best]) {
		t.Errorf("%v with evidence %v is kept of %+v", trained.Posterior.Hyper().Prior, trained.Evidence, all)
	}
	if n != trained.Posterior.net {
		t.Error("the network is not that of the posterior")
	}
	if a := accuracy(trained); a < most-0.01 {
		t.Errorf("accuracy %v, the best is %v", a, most)
	}
	var option *OptionError
	if _, _, _, err := TrainBest(digitNet, data, [][]float64{{-1}, {-2}}, o); !errors.As(err, &option) {
		t.Errorf("no training succeeds: %v", err)
	}
	if _, _, _, err := TrainBest(nil, data, [][]float64{{1}}, o); !errors.As(err, &option) {
		t.Errorf("no network: %v", err)
	}
	if _, _, _, err := TrainBest(digitNet, data, nil, o); !errors.As(err, &option) {
		t.Errorf("no priors: %v", err)
	}
}

func TestBadOnlineOptions(t *testing.T) {
	m := models()[1]
	var option *OptionError
	for what, o := range map[string]OnlineOptions[float64]{
		"no optimizer":   {},
		"nil optimizer":  {Optimizer: func() (nnopt.Optimizer[float64], error) { return nil, nil }},
		"weight decay":   {Optimizer: sgd(0.1, 0.01)},
		"averages":       {Optimizer: func() (nnopt.Optimizer[float64], error) { return nnopt.New[float64]("schedule-free-adamw", nil) }},
		"negative":       {Optimizer: sgd(0.1, 0), Epochs: -1},
		"rate":           {Optimizer: sgd(0.1, 0), LR: math.NaN()},
		"no measurement": {Optimizer: sgd(0.1, 0), Epochs: 2, BurnIn: 2},
		"prior":          {Optimizer: sgd(0.1, 0), Options: Options{Hyper: Hyper{Prior: []float64{-1}}}},
	} {
		if _, err := Train(m.net, m.data(), o); !errors.As(err, &option) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
