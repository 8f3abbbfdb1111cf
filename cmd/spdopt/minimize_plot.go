package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/atomicfile"
	"github.com/spdopt/spdopt/internal/report"
)

// searchPlot records a search for the picture of --svg: four panels over the evaluations. A nil one records nothing.
type searchPlot struct {
	file    *atomicfile.File
	path    string
	every   int // generations from one moment to the next
	moments []moment
	fOpt    float64 // NaN if it is not known
}

// moment is the state of a search between two generations.
type moment struct {
	evaluations            int
	best, sigma            float64
	axes, deviations, mean []float64
}

// mostMoments is how many are kept; then every second one is dropped.
const mostMoments = 1024

// newSearchPlot prepares to write the file, so that a run does not end with finding that it can't.
func newSearchPlot(path string, function *bbob.Function) (*searchPlot, error) {
	file, err := reserve(path)
	if err != nil || file == nil {
		return nil, err
	}
	p := &searchPlot{file: file, path: path, every: 1, fOpt: math.NaN()}
	if function != nil {
		p.fOpt = function.FOpt
	}
	return p, nil
}

// abort leaves no file behind when there is no picture.
func (p *searchPlot) abort() {
	if p != nil {
		p.file.Abort()
	}
}

// add records the state of a search unless it is too soon after the last one.
func (p *searchPlot) add(s *esadapt.Search) {
	if p == nil || s.Generations()%p.every != 0 {
		return
	}
	if len(p.moments) == mostMoments {
		for i := range mostMoments / 2 {
			p.moments[i] = p.moments[2*i+1]
		}
		p.moments = p.moments[:mostMoments/2]
		p.every *= 2
	}
	m := moment{evaluations: s.Evaluations(), best: s.Best().F}
	if d, ok := s.Strategy().(esadapt.Distribution); ok {
		m.sigma, m.axes, m.mean = d.Sigma(), slices.Clone(d.AxisLengths(nil)), s.Mean()
		m.deviations = make([]float64, len(d.Mean()))
		d.Deviations(m.deviations)
		for i := range m.axes {
			m.axes[i] *= m.sigma
		}
		slices.Sort(m.axes)
	}
	p.moments = append(p.moments, m)
}

// curve collects one number from every moment that has it.
func (p *searchPlot) curve(name string, value func(*moment) (float64, bool)) report.Curve {
	c := report.Curve{Name: name}
	for i := range p.moments {
		if v, ok := value(&p.moments[i]); ok {
			c.Points = append(c.Points, [2]float64{float64(p.moments[i].evaluations), v})
		}
	}
	return c
}

// each makes one curve for every element of a list, at most as many as can be told apart.
func (p *searchPlot) each(name string, list func(*moment) []float64) (all []report.Curve) {
	most := 0
	for i := range p.moments {
		most = max(most, len(list(&p.moments[i])))
	}
	step := max(1, (most+mostCurves-1)/mostCurves)
	for k := 0; k < most; k += step {
		all = append(all, p.curve(fmt.Sprintf("%s%d", name, k), func(m *moment) (float64, bool) {
			v := list(m)
			if k >= len(v) {
				return 0, false
			}
			return v[k], true
		}))
	}
	return all
}

// mostCurves is how many curves a panel shows; of more variables every second, third and so on.
const mostCurves = 24

// write draws the picture.
func (p *searchPlot) write(title string) error {
	if p == nil {
		return nil
	}
	base, y := 0.0, "best f"
	if len(p.moments) > 0 {
		base, y = p.moments[len(p.moments)-1].best, "best f above the final one"
	}
	if !math.IsNaN(p.fOpt) {
		base, y = p.fOpt, "best f above the optimum"
	}
	convergence := report.Panel{Y: y + ", sigma", Log: true, Curves: []report.Curve{
		p.curve("best f", func(m *moment) (float64, bool) { return m.best - base, true }),
		p.curve("sigma", func(m *moment) (float64, bool) { return m.sigma, true }),
	}}
	picture := report.Curves{Title: title, X: "evaluations", Panels: []report.Panel{
		convergence,
		{Y: "axis lengths", Log: true, Curves: p.each("axis ", func(m *moment) []float64 { return m.axes })},
		{Y: "standard deviations", Log: true, Curves: p.each("x", func(m *moment) []float64 { return m.deviations })},
		{Y: "coordinates of the mean", Curves: p.each("x", func(m *moment) []float64 { return m.mean })},
	}}
	return fill(p.file, p.path, func(w io.Writer) error {
		_, err := io.WriteString(w, picture.SVG())
		return err
	})
}
