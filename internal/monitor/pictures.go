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
	for _, s := range v.important() {
		if c.X == "" {
			c.X = s.X
		}
		if s.constant() {
			continue
		}
		p := report.Panel{Y: words(s.Name), Log: s.spread()}
		for i, line := range s.Lines {
			name := ""
			if len(s.Lines) > 1 && len(s.Lines) <= mostNamed && s.Name != "axes" {
				name = fmt.Sprint(i + 1)
			}
			p.Curves = append(p.Curves, report.Curve{Name: name, Points: line})
		}
		if s.Name != "best" || p.Log || !s.flat() {
			c.Panels = append(c.Panels, p)
		}
		if s.Name == "best" && !p.Log {
			line := s.Lines[0]
			c.Panels = append(c.Panels, report.Panel{Y: "best above the last", Log: true, Curves: []report.Curve{{Points: above(line, line[len(line)-1][1])}}})
		}
	}
	if len(c.Panels) == 0 {
		return nil
	}
	return c
}

// mostNamed is the number of lines of a series up to which their names are more use than hindrance.
const mostNamed = 6

// first are the series that people look at first.
var first = []string{"best", "loss", "axes", "axis_ratio"}

// important returns the series with the most important ones first.
func (v *View) important() []*Series {
	rank := func(s *Series) int {
		if k := slices.Index(first, s.Name); k >= 0 {
			return k
		}
		return len(first)
	}
	all := slices.Clone(v.Series)
	slices.SortStableFunc(all, func(a, b *Series) int { return rank(a) - rank(b) })
	return all
}

// above shows how far each value is above one, the way to see convergence to a value that is not zero.
func above(line [][2]float64, low float64) [][2]float64 {
	points := make([][2]float64, 0, len(line))
	for _, p := range line {
		points = append(points, [2]float64{p[0], p[1] - low})
	}
	return points
}

// flat reports whether half of a falling line lies within a hundredth of its range: as a picture it shows nothing.
func (s *Series) flat() bool {
	line := s.Lines[0]
	last, middle := line[len(line)-1][1], line[len(line)/2][1]
	return middle-last < 0.01*(line[0][1]-last)
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
	low, high := s.span()
	return low > 0 && high > 100*low
}

// span returns the smallest and the largest value; NaN counts as below all others.
func (s *Series) span() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, line := range s.Lines {
		for _, p := range line {
			if math.IsNaN(p[1]) {
				return math.Inf(-1), high
			}
			low, high = min(low, p[1]), max(high, p[1])
		}
	}
	return low, high
}

// Compare draws one series of several runs, or what they all have in common if name is empty, a panel for each series.
func Compare(views []*View, name string) *report.Curves {
	c := &report.Curves{Title: "comparison"}
	for _, s := range views[0].important() {
		if name != "" && s.Name != name {
			continue
		}
		p := report.Panel{Y: words(s.Name)}
		moves, low, lowest, highest := false, math.Inf(1), math.Inf(1), math.Inf(-1)
		for _, v := range views {
			k := slices.IndexFunc(v.Series, func(o *Series) bool { return o.Name == s.Name && o.X == s.X })
			if k < 0 || len(v.Series[k].Lines) != 1 {
				break
			}
			line := v.Series[k].Lines[0]
			low = min(low, line[len(line)-1][1])
			moves = moves || !v.Series[k].constant()
			bottom, top := v.Series[k].span()
			lowest, highest = min(lowest, bottom), max(highest, top)
			p.Curves = append(p.Curves, report.Curve{Name: v.Name(), Points: line})
		}
		p.Log = lowest > 0 && highest > 100*lowest
		if s.Name == "best" && !p.Log {
			p.Y, p.Log = "best above the lowest", true
			for i := range p.Curves {
				p.Curves[i].Points = above(p.Curves[i].Points, low)
			}
		}
		if len(p.Curves) == len(views) && (moves || name != "") {
			c.X = s.X
			c.Panels = append(c.Panels, p)
		}
	}
	if len(c.Panels) == 0 {
		return nil
	}
	return c
}
