package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Curves is a picture of curves over a shared axis, in panels one below the other.
type Curves struct {
	Title  string
	X      string // what the shared axis is
	LogX   bool   // logarithmic; points with x <= 0 are left out
	Panels []Panel
}

// Panel holds curves that share the vertical axis.
type Panel struct {
	Y      string
	Log    bool // logarithmic; points with y <= 0 are left out
	Curves []Curve
}

// Curve is a line through points (x, y); points that are not finite are left out.
type Curve struct {
	Name   string
	Points [][2]float64
}

const (
	curveWidth, panelHeight = 640.0, 240.0
	curveLeft, curveRight   = 70.0, 20.0
	curveTop, panelGap      = 50.0, 60.0
)

// namedCurves is how many names fit into a panel.
const namedCurves = 13

// curveColours can be told apart without colour vision (Okabe and Ito).
var curveColours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// SVG draws the curves as a file of its own.
func (c *Curves) SVG() string {
	var b strings.Builder
	height := curveTop + float64(len(c.Panels))*(panelHeight+panelGap)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="sans-serif" font-size="12">`,
		curveWidth, height, curveWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="%g" y="22" font-size="15">%s</text>`, curveLeft, html.EscapeString(c.Title))
	for k, p := range c.Panels {
		p.scaled(c.LogX).draw(&b, c, curveTop+float64(k)*(panelHeight+panelGap))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// scaled returns the panel with the logarithms of coordinates on logarithmic axes.
func (p Panel) scaled(logX bool) *Panel {
	of := func(log bool, v float64) float64 {
		switch {
		case !log:
			return v
		case v > 0:
			return math.Log10(v)
		}
		return math.NaN()
	}
	curves := p.Curves
	p.Curves = nil
	for _, c := range curves {
		points := make([][2]float64, len(c.Points))
		for i, q := range c.Points {
			points[i] = [2]float64{of(logX, q[0]), of(p.Log, q[1])}
		}
		p.Curves = append(p.Curves, Curve{c.Name, points})
	}
	return &p
}

// label writes a tick of an axis.
func label(log bool, v float64) string {
	if log {
		return fmt.Sprintf("1e%.3g", v)
	}
	return fmt.Sprintf("%.4g", v)
}

func (p *Panel) draw(b *strings.Builder, c *Curves, top float64) {
	x, y := p.axis(0), p.axis(1)
	right, bottom := curveWidth-curveRight, top+panelHeight
	placeX := func(v float64) float64 { return curveLeft + (right-curveLeft)*x.share(v) }
	placeY := func(v float64) float64 { return bottom - panelHeight*y.share(v) }
	for _, v := range y.ticks() {
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			curveLeft, placeY(v), right, curveLeft-6, placeY(v)+4, label(p.Log, v))
	}
	for _, v := range x.ticks() {
		fmt.Fprintf(b, `<path d="M%.1f %.1fv4" stroke="#888"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, placeX(v), bottom, placeX(v), bottom+17, label(c.LogX, v))
	}
	fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1fH%.1f" fill="none" stroke="#888"/>`, curveLeft, top, bottom, right)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, (curveLeft+right)/2, bottom+33, html.EscapeString(c.X))
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`, curveLeft, top-8, html.EscapeString(p.Y))
	for k, c := range p.Curves {
		colour := curveColours[k%len(curveColours)]
		var path strings.Builder
		for _, q := range c.Points {
			if !isFinite(q[0]) || !isFinite(q[1]) {
				continue
			}
			step := "L"
			if path.Len() == 0 {
				step = "M"
			}
			fmt.Fprintf(&path, "%s%.2f %.2f", step, placeX(q[0]), placeY(q[1]))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8"/>`, path.String(), colour)
		if k < namedCurves {
			fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end" fill="%s">%s</text>`, right-4, top+16+16*float64(k), colour, html.EscapeString(c.Name))
		}
	}
}

func isFinite(v float64) bool { return v-v == 0 }

// span is the range of an axis and the distance of its ticks.
type span struct{ low, high, step float64 }

// axis returns the range of coordinate k of all points, widened to whole ticks.
func (p *Panel) axis(k int) span {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range p.Curves {
		for _, q := range c.Points {
			if isFinite(q[k]) {
				low, high = min(low, q[k]), max(high, q[k])
			}
		}
	}
	switch {
	case low > high:
		low, high = 0, 1
	case low == high:
		low, high = low-0.5*max(1, math.Abs(low)), high+0.5*max(1, math.Abs(high))
	}
	unit := math.Pow(10, math.Floor(math.Log10((high-low)/5)))
	step := unit
	for _, f := range []float64{2, 5, 10} {
		if (high-low)/step > 6 {
			step = f * unit
		}
	}
	return span{math.Floor(low/step) * step, math.Ceil(high/step) * step, step}
}

func (s span) share(v float64) float64 { return (v - s.low) / (s.high - s.low) }

func (s span) ticks() (all []float64) {
	for k := 0; ; k++ {
		v := s.low + float64(k)*s.step
		if v > s.high+s.step/2 {
			return all
		}
		if math.Abs(v) < s.step/1e6 {
			v = 0
		}
		all = append(all, v)
	}
}
