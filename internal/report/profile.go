package report

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Profile is a picture of performance profiles: for each method the share of problems that it solves within a factor of the best method's time, a curve
// of steps.
type Profile struct {
	Title   string
	Max     float64 // factors from 1 to Max are shown
	Methods []Method
}

// Method is one curve. Ratios holds its time over the best for each problem, +Inf where it was not solved; Label stands behind the name.
type Method struct {
	Name, Label string
	Ratios      []float64
}

const (
	profileHeight = 360.0
	profileLegend = 250.0
)

// SVG draws the profiles as a file of its own.
func (p *Profile) SVG() string {
	var b strings.Builder
	left, right, top := curveLeft, curveWidth-curveRight, curveTop
	bottom := top + max(profileHeight, 20*float64(len(p.Methods)))
	width, height := curveWidth+profileLegend, bottom+panelGap
	begin(&b, width, height, left, p.Title)
	x := func(v float64) float64 { return left + (right-left)*(v-1)/(p.Max-1) }
	y := func(v float64) float64 { return bottom - (bottom-top)*v }
	for k := range 6 {
		v := float64(k) / 5
		fmt.Fprintf(&b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%.4g</text>`, left, y(v), right, left-6, y(v)+4, v)
	}
	for k := range 7 {
		v := 1 + (p.Max-1)*float64(k)/6
		fmt.Fprintf(&b, `<path d="M%.1f %.1fv4" stroke="#888"/><text x="%.1f" y="%.1f" text-anchor="middle">%.4g</text>`, x(v), bottom, x(v), bottom+17, v)
	}
	fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1fH%.1f" fill="none" stroke="#888"/>`, left, top, bottom, right)
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle">time over that of the fastest</text>`, (left+right)/2, bottom+35)
	fmt.Fprintf(&b, `<text x="%.1f" y="%.1f">share of workloads</text>`, left, top-8)
	for k, m := range p.Methods {
		style := fmt.Sprintf(`stroke="%s" stroke-width="2"%s`, curveColours[k%len(curveColours)], dashOf(k))
		fmt.Fprintf(&b, `<path d="%s" fill="none" %s/>`, p.path(m.Ratios, x, y), style)
		at := top + 10 + 20*float64(k)
		fmt.Fprintf(&b, `<path d="M%.1f %.1fh30" %s/><text x="%.1f" y="%.1f">%s</text>`, right+15, at, style, right+52, at+4,
			html.EscapeString(strings.TrimSpace(m.Name+" "+m.Label)))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// path is a line of steps up at the ratios.
func (p *Profile) path(ratios []float64, x, y func(float64) float64) string {
	share := func(tau float64) float64 {
		n := 0
		for _, r := range ratios {
			if r <= tau {
				n++
			}
		}
		return float64(n) / float64(max(1, len(ratios)))
	}
	var steps []float64
	for _, r := range ratios {
		if r > 1 && r <= p.Max {
			steps = append(steps, r)
		}
	}
	slices.Sort(steps)
	var b strings.Builder
	fmt.Fprintf(&b, "M%.2f %.2f", x(1), y(share(1)))
	for _, r := range steps {
		fmt.Fprintf(&b, "H%.2fV%.2f", x(r), y(share(r)))
	}
	fmt.Fprintf(&b, "H%.2f", x(p.Max))
	return b.String()
}
