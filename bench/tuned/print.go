package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spdopt/spdopt/internal/report"
)

// curve is the mean over the seeds of an optimizer at its best learning rate.
type curve struct {
	name         string
	lr           float64
	steps        []int
	loss, metric []float64
	final        []float64 // of each seed
	seconds      float64
}

func mean(x []float64) (m float64) {
	for _, v := range x {
		m += v / float64(len(x))
	}
	return m
}

func (c *comparison) curve(workload, optimizer string) *curve {
	runs := c.best(workload, optimizer)
	if len(runs) == 0 {
		return nil
	}
	m := &curve{name: optimizer, lr: runs[0].LR}
	for _, r := range runs {
		m.final = append(m.final, r.loss())
		m.seconds += r.Seconds / float64(len(runs))
	}
	for k, p := range runs[0].History {
		var loss, metric []float64
		for _, r := range runs {
			loss, metric = append(loss, r.History[k].Loss), append(metric, r.History[k].Metric)
		}
		m.steps, m.loss, m.metric = append(m.steps, p.Step), append(m.loss, mean(loss)), append(m.metric, mean(metric))
	}
	return m
}

// reaches returns the share of all steps after which the loss is at most target, between evaluations by interpolation; 0 is never.
func (m *curve) reaches(target float64) float64 {
	last := float64(m.steps[len(m.steps)-1])
	for k, v := range m.loss {
		switch {
		case v > target:
		case k == 0:
			return float64(m.steps[0]) / last
		default:
			before, now := float64(m.steps[k-1]), float64(m.steps[k])
			return (before + (now-before)*(m.loss[k-1]-target)/(m.loss[k-1]-v)) / last
		}
	}
	return 0
}

// print writes the tables, the best optimizer first, and the pictures.
func (c *comparison) print() error {
	for _, w := range workloads {
		var all []*curve
		for _, o := range candidates {
			if m := c.curve(w.name, o.title()); m != nil {
				all = append(all, m)
			}
		}
		base := slices.IndexFunc(all, func(m *curve) bool { return m.name == "adamw" })
		if base < 0 {
			continue
		}
		target, seconds := slices.Min(all[base].loss), all[base].seconds
		slices.SortStableFunc(all, func(a, b *curve) int {
			if mean(a.final) < mean(b.final) {
				return -1
			}
			return 1
		})
		fmt.Printf("\n%s, %d steps\n\n| optimizer | rate | validation loss (seeds) | metric | steps to AdamW's best loss | time / AdamW's | time to AdamW's best loss |\n|---|--:|---|--:|--:|--:|--:|\n",
			w.name, all[base].steps[len(all[base].steps)-1])
		picture := &report.Curves{Title: w.name + ", tuned, mean of the seeds", X: "step", Panels: []report.Panel{{Y: "validation loss"}}}
		for k, m := range all {
			m.row(target, seconds)
			if k < 5 || m.name == "adamw" { // as many as there are colours
				line := report.Curve{Name: m.name}
				for i, s := range m.steps {
					line.Points = append(line.Points, [2]float64{float64(s), m.loss[i]})
				}
				picture.Panels[0].Curves = append(picture.Panels[0].Curves, line)
			}
		}
		if err := os.WriteFile(filepath.Join(c.out, w.name+".svg"), []byte(picture.SVG()), 0o666); err != nil {
			return err
		}
	}
	return nil
}

func (m *curve) row(target, seconds float64) {
	share, cost := "never", "-"
	if s := m.reaches(target); s > 0 {
		share, cost = fmt.Sprintf("%.0f %%", 100*s), fmt.Sprintf("%.2f", s*m.seconds/seconds)
	}
	fmt.Printf("| %s | %.3g | %.4f (", m.name, m.lr, mean(m.final))
	for k, v := range m.final {
		if k > 0 {
			fmt.Print(" ")
		}
		fmt.Printf("%.4f", v)
	}
	fmt.Printf(") | %.4f | %s | %.2f | %s |\n", m.metric[len(m.metric)-1], share, m.seconds/seconds, cost)
}
