package report

import (
	"math"
	"strings"
	"testing"
)

func TestCurvesSVG(t *testing.T) {
	c := &Curves{Title: "a < b", X: "step", Panels: []Panel{
		{Y: "loss", Curves: []Curve{{Name: "one", Points: [][2]float64{{0, 1}, {10, math.NaN()}, {20, 3}}}, {Name: "two", Points: [][2]float64{{5, 2}}}}},
		{Y: "nothing", Curves: []Curve{{Name: "empty"}}},
	}}
	svg := c.SVG()
	wellFormed(t, svg)
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Errorf("a number that is not finite in %s", svg)
	}
	if !strings.Contains(svg, "a &lt; b") {
		t.Error("the title is not escaped")
	}
	// the first curve runs from the bottom left of its panel to the top right
	if !strings.Contains(svg, `d="M70.00 290.00L620.00 50.00"`) {
		t.Errorf("curve one is not where it belongs: %s", svg)
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct{ low, high float64 }{
		{0, 10}, {0.13, 0.97}, {5, 5}, {-3, 1500}, {1e-9, 2e-9},
	} {
		p := Panel{Curves: []Curve{{Points: [][2]float64{{c.low, 0}, {c.high, 0}}}}}
		s := p.axis(0)
		if s.low > c.low || s.high < c.high || len(s.ticks()) < 3 || len(s.ticks()) > 8 {
			t.Errorf("%v..%v: %+v with ticks %v", c.low, c.high, s, s.ticks())
		}
	}
}

// TestLogarithmicAxis: powers of ten are equally far apart, and what is not positive is left out.
func TestLogarithmicAxis(t *testing.T) {
	c := &Curves{X: "step", Panels: []Panel{{Y: "error", Log: true, Curves: []Curve{{Name: "e", Points: [][2]float64{{0, 1}, {5, 0}, {10, 1e-5}, {20, 1e-10}}}}}}}
	svg := c.SVG()
	if !strings.Contains(svg, `d="M70.00 50.00L345.00 170.00L620.00 290.00"`) {
		t.Errorf("the curve is not straight: %s", svg)
	}
	if !strings.Contains(svg, ">1e-10</text>") || !strings.Contains(svg, ">1</text>") {
		t.Errorf("the axis is not labelled by values: %s", svg)
	}
}

// TestBothAxesLogarithmic: ticks are values, and points that an axis cannot show are left out.
func TestBothAxesLogarithmic(t *testing.T) {
	c := Curves{Title: "t", X: "x", LogX: true, Panels: []Panel{{Y: "y", Log: true, Curves: []Curve{{"a", [][2]float64{{1, 1e-8}, {0, 5}, {100, 1}, {1000, -1}}}}}}}
	svg := c.SVG()
	for _, tick := range []string{">1<", ">100<", ">1e-08<"} {
		if !strings.Contains(svg, tick) {
			t.Errorf("no tick %s in %s", tick, svg)
		}
	}
	if n := strings.Count(svg, "L"); n != 1 {
		t.Errorf("%d line segments: points that have no logarithm must be left out", n)
	}
}
