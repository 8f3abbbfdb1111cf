package train

import "github.com/spdopt/spdopt/internal/report"

// curves returns the history as a picture.
func (r *run) curves() *report.Curves {
	c := &report.Curves{Title: r.w.Name + ", " + r.o.Optimizer, X: "step"}
	train, valid, metric := report.Curve{Name: "training loss"}, report.Curve{Name: "validation loss"}, report.Curve{Name: r.w.Metric}
	for _, p := range r.result.History {
		x := float64(p.Step)
		train.Points = append(train.Points, [2]float64{x, p.TrainLoss})
		valid.Points = append(valid.Points, [2]float64{x, p.Loss})
		metric.Points = append(metric.Points, [2]float64{x, p.Metric})
	}
	c.Panels = []report.Panel{{Y: "loss", Curves: []report.Curve{train, valid}}, {Y: r.w.Metric, Curves: []report.Curve{metric}}}
	return c
}
