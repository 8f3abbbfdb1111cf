package report

import (
	"math"
	"strings"
	"testing"
)

func TestProfileSVG(t *testing.T) {
	p := &Profile{Title: "a < b", Max: 4, Methods: []Method{{"one & only", "0.75", []float64{1, 2.5, math.Inf(1), 4}}, {Name: "none", Ratios: []float64{math.Inf(1), math.NaN()}}}}
	for range 18 {
		p.Methods = append(p.Methods, Method{Name: "more", Ratios: []float64{1}})
	}
	svg := p.SVG()
	wellFormed(t, svg)
	// from (70, 450) to (620, 50): a quarter at 1, a half from 2.5 on, three quarters at the end
	for _, part := range []string{`d="M70.00 350.00H345.00V250.00H620.00V150.00H620.00"`, `d="M70.00 450.00H620.00"`, "a &lt; b", "one &amp; only 0.75"} {
		if !strings.Contains(svg, part) {
			t.Errorf("%q is missing in %.600s", part, svg)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Count(svg, "more</text>") != 18 {
		t.Errorf("%s", svg)
	}
	if empty := (&Profile{Max: 4}).SVG(); strings.Contains(empty, "NaN") {
		t.Errorf("nothing to draw: %s", empty)
	}
}
