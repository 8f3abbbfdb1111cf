package main

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/nnopt/laplace"
	"github.com/spdopt/spdopt/nnopt/train"
)

// laplaceOutput is the JSON object of "laplace".
type laplaceOutput struct {
	Schema          int            `json:"schema"`
	Run             string         `json:"run"`
	Workload        string         `json:"workload"`
	Structure       string         `json:"structure"`
	Likelihood      string         `json:"likelihood"`
	Parameters      int            `json:"parameters"`
	Examples        int            `json:"examples"`
	Tune            string         `json:"tune"`
	Groups          []string       `json:"groups"`
	Prior           []num          `json:"prior"`
	Noise           num            `json:"noise"`
	Temperature     num            `json:"temperature"`
	Before          num            `json:"evidence_before"`
	Evidence        num            `json:"evidence"`
	LogLikelihood   num            `json:"log_likelihood"`
	LogDetPosterior num            `json:"log_det_posterior"`
	LogDetPrior     num            `json:"log_det_prior"`
	Scatter         num            `json:"scatter"`
	Effective       num            `json:"effective_parameters"`
	Scores          []laplaceScore `json:"validation"`
	Curve           laplaceCurve   `json:"curve"`
	Picture         string         `json:"picture,omitempty"`
}

type laplaceScore struct {
	Link     string `json:"link"`
	Loss     num    `json:"loss"`
	Accuracy num    `json:"accuracy"`
	RMSE     num    `json:"rmse"`
}

// laplaceCurve is the evidence over one prior precision for all, and after a grid the scores.
type laplaceCurve []laplace.GridPoint

// MarshalJSON leaves out scores that were not measured.
func (c laplaceCurve) MarshalJSON() ([]byte, error) {
	type point struct {
		Prior    num  `json:"prior"`
		Evidence num  `json:"evidence"`
		Loss     *num `json:"loss,omitempty"`
		Accuracy *num `json:"accuracy,omitempty"`
	}
	points := make([]point, len(c))
	for i, p := range c {
		points[i] = point{Prior: num(p.Prior), Evidence: num(p.Evidence)}
		if p.Rows > 0 {
			loss, accuracy := num(p.Loss), num(p.Accuracy)
			points[i].Loss, points[i].Accuracy = &loss, &accuracy
		}
	}
	return json.Marshal(points)
}

// evidence takes over the parts of the evidence.
func (o *laplaceOutput) evidence(p *laplace.Posterior[float32]) {
	e, h := p.Evidence(), p.Hyper()
	for _, v := range h.Prior {
		o.Prior = append(o.Prior, num(v))
	}
	o.Noise, o.Temperature = num(h.Noise), num(h.Temperature)
	o.Evidence, o.LogLikelihood, o.Effective = num(e.Value), num(e.LogLikelihood), num(e.Effective)
	o.LogDetPosterior, o.LogDetPrior, o.Scatter = num(e.LogDetPosterior), num(e.LogDetPrior), num(e.Scatter)
}

// score predicts the validation data without and with the uncertainty of the parameters.
func (o *laplaceOutput) score(p *laplace.Posterior[float32], t *train.Trained, s laplace.Scoring) error {
	links := []laplace.Link{laplace.Plugin, s.Link}
	if p.Likelihood() == laplace.Regression {
		links = links[1:]
	}
	for _, link := range links {
		s.Link = link
		got, err := p.Score(t.Validation(), s)
		if err != nil {
			return fmt.Errorf("validation: %w (--no-score leaves it out)", err)
		}
		name := string(link)
		if p.Likelihood() == laplace.Regression {
			name = "normal"
		}
		o.Scores = append(o.Scores, laplaceScore{name, num(got.Loss), num(got.Accuracy), num(got.RMSE)})
	}
	return nil
}

// curves draws the evidence over the logarithm of the prior precision, and after a grid the loss and the accuracy below it.
func (o *laplaceOutput) curves(scores bool) *report.Curves {
	line := func(name string, value func(p *laplace.GridPoint) float64) report.Panel {
		c := report.Curve{Name: o.Structure}
		for i := range o.Curve {
			c.Points = append(c.Points, [2]float64{math.Log10(o.Curve[i].Prior), value(&o.Curve[i])})
		}
		return report.Panel{Y: name, Curves: []report.Curve{c}}
	}
	out := &report.Curves{
		Title:  fmt.Sprintf("%s: evidence of one prior precision, %d parameters", o.Workload, o.Parameters),
		X:      "log10 of the prior precision",
		Panels: []report.Panel{line("log evidence", func(p *laplace.GridPoint) float64 { return p.Evidence })},
	}
	if scores {
		out.Panels = append(out.Panels, line("validation loss", func(p *laplace.GridPoint) float64 { return p.Loss }))
		if o.Likelihood != string(laplace.Regression) {
			out.Panels = append(out.Panels, line("validation accuracy", func(p *laplace.GridPoint) float64 { return p.Accuracy }))
		}
	}
	return out
}
