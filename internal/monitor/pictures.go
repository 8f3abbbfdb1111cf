package monitor

import (
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/report"
)

// Curves draws the series of the run, a panel for each; nil if there is nothing to draw yet.
func (v *View) Curves() *report.Curves {
	c := &report.Curves{Title: v.Title()}
	for _, s := range v.Series {
		if c.X == "" {
			c.X = s.X
		}
		if s.constant() {
			continue
		}
		p := report.Panel{Y: words(s.Name), Log: s.spread()}
		for i, line := range s.Lines {
			name := ""
			if len(s.Lines) > 1 {
				name = fmt.Sprint(i + 1)
			}
			p.Curves = append(p.Curves, report.Curve{Name: name, Points: line})
		}
		c.Panels = append(c.Panels, p)
		if s.Name == "best" && !p.Log {
			c.Panels = append(c.Panels, s.above())
		}
	}
	if len(c.Panels) == 0 {
		return nil
	}
	return c
}

// above shows how far each value is above the last one, the way to see convergence to a value that is not zero.
func (s *Series) above() report.Panel {
	line := s.Lines[0]
	last := line[len(line)-1][1]
	points := make([][2]float64, 0, len(line))
	for _, p := range line {
		points = append(points, [2]float64{p[0], p[1] - last})
	}
	return report.Panel{Y: words(s.Name) + " above the last", Log: true, Curves: []report.Curve{{Points: points}}}
}

// constant reports whether nothing moves.
func (s *Series) constant() bool {
	for _, line := range s.Lines {
		for _, p := range line {
			if p[1] != line[0][1] {
				return false
			}
		}
	}
	return true
}

// spread reports whether the values are positive and so far apart that their logarithms tell more.
func (s *Series) spread() bool {
	low, high := math.Inf(1), 0.0
	for _, line := range s.Lines {
		for _, p := range line {
			if !(p[1] > 0) {
				return false
			}
			low, high = min(low, p[1]), max(high, p[1])
		}
	}
	return high > 100*low
}

// Compare draws one series of several runs, or what they all have in common if name is empty, a panel for each series.
func Compare(views []*View, name string) *report.Curves {
	c := &report.Curves{Title: "comparison"}
	for _, s := range views[0].Series {
		if name != "" && s.Name != name {
			continue
		}
		p := report.Panel{Y: words(s.Name), Log: true}
		for _, v := range views {
			k := slices.IndexFunc(v.Series, func(o *Series) bool { return o.Name == s.Name && o.X == s.X })
			if k < 0 || len(v.Series[k].Lines) != 1 {
				break
			}
			p.Log = p.Log && v.Series[k].spread()
			p.Curves = append(p.Curves, report.Curve{Name: v.Name(), Points: v.Series[k].Lines[0]})
		}
		if len(p.Curves) == len(views) {
			c.X = s.X
			c.Panels = append(c.Panels, p)
		}
	}
	if len(c.Panels) == 0 {
		return nil
	}
	return c
}
