package report

import (
	"fmt"
	"html"
	"strings"
)

// begin opens a picture: its size, its ground, and its title at left. Texts have 12 points unless they say otherwise.
func begin(b *strings.Builder, width, height, left float64, title string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="sans-serif" font-size="12">`, width, height, width, height)
	fmt.Fprintf(b, `<rect class="paper" width="100%%" height="100%%" fill="#fff"/><text x="%g" y="22" font-size="15">%s</text>`, left, html.EscapeString(title))
}

// curveColours can be told apart without colour vision (Okabe and Ito).
var curveColours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// curveDashes tell curves apart where there is no colour; with the colours, whose number has no factor in common with theirs, they make thirty.
var curveDashes = []string{"", ` stroke-dasharray="7 3"`, ` stroke-dasharray="2 2.5"`, ` stroke-dasharray="9 3 2 3"`, ` stroke-dasharray="14 4"`}

// dashOf is the attribute that tells curve k from its neighbours.
func dashOf(k int) string { return curveDashes[k%len(curveDashes)] }
