package report

import (
	"math"
	"strings"
	"testing"
)

// TestImagesSVG: the picture is well-formed, shows every caption, and pixels that are no numbers are black.
func TestImagesSVG(t *testing.T) {
	at := func(i, j int) float64 { return []float64{0, 1, math.NaN(), 0.5, -3, 7}[i*3+j] }
	p := &Images{Title: "a < b", Rows: []ImageRow{{"row & one", []Image{{"first", 2, 3, at}, {"second", 2, 3, at}}}, {"empty", nil}}}
	svg := p.SVG()
	wellFormed(t, svg)
	for _, part := range []string{"a &lt; b", "row &amp; one", "first", "second", `d="M1 0h1v1h-1zM2 1h1v1h-1z" fill="#ffffff"`} {
		if !strings.Contains(svg, part) {
			t.Errorf("no %q in %s", part, svg)
		}
	}
	if strings.Contains(svg, "NaN") {
		t.Error("a number that is none is in the picture")
	}
}
