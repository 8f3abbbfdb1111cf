package laplace

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

func TestBadOptions(t *testing.T) {
	m := models()[1]
	for what, o := range map[string]Options{
		"structure":           {Structure: "banded"},
		"zero precision":      {Hyper: Hyper{Prior: []float64{0}}},
		"negative precision":  {Hyper: Hyper{Prior: []float64{1, -2}}},
		"precision NaN":       {Hyper: Hyper{Prior: []float64{math.NaN()}}},
		"infinite precision":  {Hyper: Hyper{Prior: []float64{math.Inf(1)}}},
		"count of precisions": {Hyper: Hyper{Prior: []float64{1, 1, 1}}},
		"noise":               {Hyper: Hyper{Noise: -1}},
		"temperature":         {Hyper: Hyper{Temperature: math.NaN()}},
		"mean":                {Mean: []float64{math.Inf(1)}},
		"two subsets":         {Structure: Full, LastLayer: true, Indices: []int{1}},
		"indices, kronecker":  {Indices: []int{1}},
		"indices, order":      {Structure: Full, Indices: []int{2, 2}},
		"indices, range":      {Structure: Full, Indices: []int{5000}},
		"no parameters":       {Structure: Full, Indices: []int{}},
		"weights alone":       {Blocks: []string{curvature.Layout(m.net)[0].Name}},
		"bias alone":          {Blocks: []string{curvature.Layout(m.net)[1].Name}},
		"damped":              {Structure: Full, Damped: true},
		"damped corrected":    {Damped: true, Corrected: true},
		"forward-only":        {Curvature: curvature.Settings{Flavour: curvature.ForwardOnly}},
	} {
		var option *OptionError
		if _, err := Fit(m.net, m.data(), o); !errors.As(err, &option) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var data *curvature.DataError
	if _, err := Fit(m.net, m.data(), Options{Blocks: []string{"nowhere"}}); !errors.As(err, &data) {
		t.Error(err)
	}
	perWeight := slices.Repeat([]float64{1}, m.net.Dim())
	perWeight[3] = 2
	if _, err := Fit(m.net, m.data(), Options{Hyper: Hyper{Prior: perWeight}}); err == nil || !strings.Contains(err.Error(), "one number for a block") {
		t.Error(err)
	}
}

func TestBadData(t *testing.T) {
	for _, structure := range Structures() {
		m := models()[1]
		m.batch.X.Data[4] = math.NaN()
		var data *curvature.DataError
		if _, err := Fit(m.net, m.data(), Options{Structure: structure}); !errors.As(err, &data) || !strings.Contains(err.Error(), "batch 0") {
			t.Errorf("inputs: %v", err)
		}
		m = models()[3]
		m.batch.Target.Values.Data[1] = math.Inf(1)
		if _, err := Fit(m.net, m.data(), Options{Structure: structure}); !errors.As(err, &data) {
			t.Errorf("targets: %v", err)
		}
		m = models()[1]
		m.net.Blocks()[0].Value[2] = math.NaN()
		if _, err := Fit(m.net, m.data(), Options{Structure: structure}); !errors.As(err, &data) {
			t.Errorf("parameters: %v", err)
		}
		m = models()[1]
		if _, err := Fit(m.net, slices.Values([]*net.Batch[float64]{}), Options{Structure: structure}); !errors.As(err, &data) {
			t.Errorf("no data: %v", err)
		}
		m.net.Loss = net.NewAbsolute[float64](false)
		if _, err := Fit(m.net, m.data(), Options{Structure: structure}); !errors.As(err, &data) {
			t.Errorf("loss: %v", err)
		}
	}
}

// TestSingular: curvature that is not positive in floating point is named, not turned into NaN.
func TestSingular(t *testing.T) {
	h := dense.New[float64](2, 2)
	for i := range h.Data {
		h.Data[i] = -1
	}
	var singular *SingularError
	if _, err := (&fullCurvature{h}).at(1, []float64{0.5, 0.5}); !errors.As(err, &singular) || !strings.Contains(err.Error(), "raise the prior precision") {
		t.Error(err)
	}
	if _, err := (&diagonalCurvature{[]float64{1, -3}}).at(1, []float64{1, 1}); !errors.As(err, &singular) {
		t.Error(err)
	}
	huge := models()[3]
	dense.Scale(1e9, huge.batch.X.Data, huge.batch.X.Data)
	p, err := Fit(huge.net, huge.data(), Options{Structure: Full, LastLayer: true, Hyper: Hyper{Prior: []float64{1e-300}}})
	if !errors.As(err, &singular) {
		t.Errorf("saturated units, one column per sign: %v, %v", p, err)
	}
}

// TestUnsupportedLayers: layers without Kronecker factors are named, and left out only when asked to be.
func TestUnsupportedLayers(t *testing.T) {
	all := models()
	m := all[len(all)-1]
	var support *curvature.SupportError
	if _, err := Fit(m.net, m.data(), Options{}); !errors.As(err, &support) || len(support.Blocks) != 4 {
		t.Fatalf("%v", err)
	}
	p := m.fit(t, Options{Curvature: curvature.Settings{Skip: true}})
	for _, name := range support.Blocks {
		if slices.Contains(p.Groups(), name) {
			t.Errorf("%s has a posterior", name)
		}
	}
	if p = m.fit(t, Options{Structure: Diagonal}); p.Dim() != m.net.Dim() {
		t.Errorf("the diagonal posterior has %d of %d parameters", p.Dim(), m.net.Dim())
	}
}

// TestLastLayerMustBeLast: the option is refused where the network does not end with the layer.
func TestLastLayerMustBeLast(t *testing.T) {
	m := models()[1]
	m.net = net.New(chain(linear(1, 3, 3), tanh()), &net.CrossEntropy[float64]{}, 1)
	var option *OptionError
	if _, err := Fit(m.net, m.data(), Options{LastLayer: true}); !errors.As(err, &option) {
		t.Error(err)
	}
	m.net = net.New(tanh(), &net.CrossEntropy[float64]{}, 1)
	if _, err := Fit(m.net, m.data(), Options{LastLayer: true}); !errors.As(err, &option) {
		t.Error(err)
	}
}

// TestAnotherNetwork: a posterior is not used with other parameters than those that it was fitted at, nor with inputs of another shape.
func TestAnotherNetwork(t *testing.T) {
	m := models()[1]
	p := m.fit(t, Options{})
	var data *curvature.DataError
	wide := &net.Batch[float64]{N: 2, X: randomMatrix(1, 2, 5)}
	if _, err := p.Predict(wide); !errors.As(err, &data) {
		t.Error(err)
	}
	if _, err := p.Predict(nil); !errors.As(err, &data) {
		t.Error(err)
	}
	if _, err := p.PredictWeights(wide, 2, source(1)); !errors.As(err, &data) {
		t.Error(err)
	}
	if _, err := p.Predict(&net.Batch[float64]{N: 2, X: randomMatrix(1, 3, 3)}); !errors.As(err, &data) {
		t.Error(err)
	}
	bad := &net.Batch[float64]{N: 1, X: dense.Wrap(1, 3, []float64{1, math.Inf(1), 0})}
	if _, err := p.Predict(bad); !errors.As(err, &data) {
		t.Error(err)
	}
	if _, err := p.Score(slices.Values([]*net.Batch[float64]{{N: 1, X: randomMatrix(1, 1, 3), Target: net.Target[float64]{Classes: []int32{7}}}}), Scoring{}); !errors.As(err, &data) {
		t.Error(err)
	}
	if _, err := p.Score(slices.Values([]*net.Batch[float64]{}), Scoring{}); !errors.As(err, &data) {
		t.Error(err)
	}
	m.net.Blocks()[1].Value[0]++
	var option *OptionError
	if _, err := p.Predict(m.batch); !errors.As(err, &option) || !strings.Contains(err.Error(), "Refit") {
		t.Error(err)
	}
	if err := p.Update(m.data()); !errors.As(err, &option) {
		t.Error(err)
	}
	if err := p.Refit(slices.Values([]*net.Batch[float64]{bad})); !errors.As(err, &data) {
		t.Error(err)
	}
	for what, f := range map[string]func() error{
		"Predict":      func() error { _, err := p.Predict(m.batch); return err },
		"Update":       func() error { return p.Update(m.data()) },
		"SetHyper":     func() error { return p.SetHyper(Hyper{}) },
		"EvidenceAt":   func() error { _, err := p.EvidenceAt(Hyper{}); return err },
		"TuneEvidence": func() error { _, err := p.TuneEvidence(TuneOptions{}); return err },
	} {
		if err := f(); !errors.As(err, &option) || !strings.Contains(err.Error(), "Refit") {
			t.Errorf("%s after a Refit that failed: %v", what, err)
		}
	}
	if err := p.Refit(m.data()); err != nil {
		t.Error(err)
	}
	fresh := m.fit(t, Options{})
	near(t, "refitted", p.Evidence().Value, fresh.Evidence().Value, 1e-12)
	if err := p.SetHyper(Hyper{Prior: []float64{-1}}); !errors.As(err, &option) || p.Hyper().Prior[0] != 1 {
		t.Error(err)
	}
}

func TestBadRequests(t *testing.T) {
	m, squares, yesNo := models()[1], models()[3], models()[5]
	p := m.fit(t, Options{})
	f, err := p.Predict(m.batch)
	if err != nil {
		t.Fatal(err)
	}
	g, err := squares.fit(t, Options{}).Predict(squares.batch)
	if err != nil {
		t.Fatal(err)
	}
	b, err := yesNo.fit(t, Options{}).Predict(yesNo.batch)
	if err != nil {
		t.Fatal(err)
	}
	failures := map[string]error{}
	_, failures["unknown link"] = f.Probabilities("cubic", 0, nil)
	_, failures["no samples"] = f.Probabilities(Sampled, 0, source(1))
	_, failures["no source"] = f.Probabilities(Sampled, 3, nil)
	_, failures["probabilities of regression"] = g.Probabilities(Probit, 0, nil)
	_, failures["bridge of yes and no"] = b.Probabilities(Bridge, 0, nil)
	_, failures["no draws"] = p.PredictWeights(m.batch, 0, source(1))
	_, failures["no source of draws"] = p.PredictWeights(m.batch, 2, nil)
	_, failures["no network"] = Fit(nil, m.data(), Options{})
	_, failures["no data to score"] = p.Score(nil, Scoring{})
	_, failures["no data for the grid"] = p.TuneGrid(nil, GridOptions{})
	_, failures["noise of classes"] = p.TuneEvidence(TuneOptions{Noise: true})
	_, failures["nothing to tune"] = p.TuneEvidence(TuneOptions{FixPrior: true})
	_, failures["steps"] = p.TuneEvidence(TuneOptions{Steps: -1})
	_, failures["rate"] = p.TuneEvidence(TuneOptions{LR: math.Inf(1)})
	_, failures["grid"] = p.TuneGrid(m.data(), GridOptions{From: 2, To: 1})
	_, failures["grid of zero"] = p.TuneGrid(m.data(), GridOptions{From: 0, To: 1})
	_, failures["points to hold"] = p.TuneGrid(m.data(), GridOptions{Points: 1 << 40})
	_, failures["points"] = p.TuneGrid(m.data(), GridOptions{Points: 1})
	_, failures["accuracy of regression"] = squares.fit(t, Options{}).TuneGrid(squares.data(), GridOptions{Accuracy: true})
	for what, err := range failures {
		var option *OptionError
		if !errors.As(err, &option) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
