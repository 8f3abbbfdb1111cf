package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"unicode/utf8"
)

// Curves is a picture of curves over a shared axis, in panels one below the other.
type Curves struct {
	Title  string
	X      string // what the shared axis is
	LogX   bool   // it is logarithmic; points that are not positive are left out
	Panels []Panel
}

// Panel holds curves that share the vertical axis.
type Panel struct {
	Y      string
	Log    bool // of a logarithmic axis; points that are not positive are left out
	Curves []Curve

	logX bool
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

// SVG draws the curves as a file of its own.
func (c *Curves) SVG() string {
	var b strings.Builder
	height := curveTop + float64(len(c.Panels))*(panelHeight+panelGap)
	begin(&b, curveWidth, height, curveLeft, c.Title)
	for k, p := range c.Panels {
		p.logX = c.LogX
		p.draw(&b, c.X, curveTop+float64(k)*(panelHeight+panelGap))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// Inline draws the curves for a page.
func (c *Curves) Inline() template.HTML { return template.HTML(c.SVG()) }

func (p *Panel) draw(b *strings.Builder, xName string, top float64) {
	x, y := p.axis(0), p.axis(1)
	right, bottom := curveWidth-curveRight, top+panelHeight
	placeX := func(v float64) float64 { return curveLeft + (right-curveLeft)*x.share(v) }
	placeY := func(v float64) float64 { return bottom - panelHeight*y.share(v) }
	for _, v := range y.ticks() {
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			curveLeft, placeY(v), right, curveLeft-6, placeY(v)+4, label(v, p.Log))
	}
	for _, v := range x.ticks() {
		fmt.Fprintf(b, `<path d="M%.1f %.1fv4" stroke="#888"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, placeX(v), bottom, placeX(v), bottom+17, label(v, p.logX))
	}
	fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1fH%.1f" fill="none" stroke="#888"/>`, curveLeft, top, bottom, right)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, (curveLeft+right)/2, bottom+33, html.EscapeString(xName))
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f">%s</text>`, curveLeft, top-8, html.EscapeString(p.Y))
	for k, c := range p.Curves {
		colour := curveColours[k%len(curveColours)]
		var path strings.Builder
		for _, q := range c.Points {
			if q = p.scaled(q); !isFinite(q[0]) || !isFinite(q[1]) {
				continue
			}
			step := "L"
			if path.Len() == 0 {
				step = "M"
			}
			fmt.Fprintf(&path, "%s%.2f %.2f", step, placeX(q[0]), placeY(q[1]))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.8"%s/>`, path.String(), colour, dashOf(k))
	}
	p.names(b, top)
}

// Widths of the names of curves, on the generous side.
const (
	letter = 6.8
	swatch = 20.0
)

// names says which colour is which curve: above the panel if there is room beside the name of the axis, otherwise in its upper right corner.
func (p *Panel) names(b *strings.Builder, top float64) {
	right := curveWidth - curveRight
	wide := letter * float64(utf8.RuneCountInString(p.Y))
	for _, c := range p.Curves {
		wide += letter*float64(utf8.RuneCountInString(c.Name)) + swatch + 20
	}
	above := wide < right-curveLeft
	x, y := right, top+16
	if above {
		y = top - 8
	}
	for i := range min(namedCurves, len(p.Curves)) {
		k := i
		if above {
			k = len(p.Curves) - 1 - i // from right to left
		}
		c := p.Curves[k]
		if c.Name == "" {
			continue
		}
		fmt.Fprintf(b, `<path d="M%.1f %.1fh%.1f" stroke="%s" stroke-width="3"%s/><text class="ink name" x="%.1f" y="%.1f" text-anchor="end" stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke">%s</text>`,
			x-swatch, y-4, swatch, curveColours[k%len(curveColours)], dashOf(k), x-swatch-6, y, html.EscapeString(c.Name))
		if above {
			x -= letter*float64(utf8.RuneCountInString(c.Name)) + swatch + 20
		} else {
			y += 16
		}
	}
}

// label writes the value v of an axis, the power of ten on a logarithmic one.
func label(v float64, log bool) string {
	if log {
		return fmt.Sprintf("%.3g", math.Pow(10, v))
	}
	return fmt.Sprintf("%.4g", v)
}

// scaled is the point as the axes count; NaN stands for what a logarithmic axis cannot show.
func (p *Panel) scaled(q [2]float64) [2]float64 {
	for k, log := range [2]bool{p.logX, p.Log} {
		switch {
		case log && q[k] <= 0:
			q[k] = math.NaN()
		case log:
			q[k] = math.Log10(q[k])
		}
	}
	return q
}

func isFinite(v float64) bool { return v-v == 0 }

// span is the range of an axis and the distance of its ticks.
type span struct{ low, high, step float64 }

// axis returns the range of coordinate k of all points, widened to whole ticks.
func (p *Panel) axis(k int) span {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range p.Curves {
		for _, q := range c.Points {
			if q = p.scaled(q); isFinite(q[k]) {
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
