// Package report writes results as a single HTML file that needs nothing else: no scripts, no fonts, no network.
package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// Page is a report: sections one below the other.
type Page struct {
	Title    string
	Intro    string
	Sections []Section
}

// Section is a heading with a text, a table, a heat map, curves, or several of them.
type Section struct {
	Title  string
	Text   string
	Table  *Table
	Heat   *Heat
	Curves *Curves
}

// Table is a table with one header row, or without: then the first cell of each row names it. Cells are text; Bad marks rows that need attention.
type Table struct {
	Header []string
	Rows   [][]string
	Bad    []bool
}

// Heat is a matrix of numbers shown as coloured cells with the value in each. Zeros on the diagonal are left blank.
type Heat struct {
	Labels []string // of rows and columns
	Values [][]float64
	Format string // of the numbers, such as %.1f
}

// Write renders the page.
func Write(w io.Writer, p *Page) error { return page.Execute(w, p) }

const (
	cell   = 44
	margin = 30
)

// SVG draws the heat map; light is small, dark is large.
func (h *Heat) SVG() template.HTML {
	low, high := math.Inf(1), math.Inf(-1)
	for i, row := range h.Values {
		for j, v := range row {
			if i != j || v != 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	var b strings.Builder
	width, height := margin+cell*len(h.Labels)+1, margin+cell*len(h.Values)+1
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-size="13" text-anchor="middle">`, width, height, width, height)
	for k, label := range h.Labels {
		at := margin + cell*k + cell/2
		text := template.HTMLEscapeString(label)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text><text x="%d" y="%d">%s</text>`, at, margin-10, text, margin/2, at+4, text)
	}
	for i, row := range h.Values {
		for j, v := range row {
			if i == j && v == 0 {
				continue
			}
			share := 0.0
			if high > low {
				share = (v - low) / (high - low)
			}
			x, y := margin+cell*j, margin+cell*i
			ink := "#000"
			if share > 0.55 {
				ink = "#fff"
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/><text x="%d" y="%d" fill="%s">%s</text>`,
				x, y, cell-1, cell-1, colour(share), x+cell/2, y+cell/2+4, ink, fmt.Sprintf(h.Format, v))
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// colour runs from pale yellow over green to dark blue as share goes from 0 to 1; its lightness falls evenly.
func colour(share float64) string {
	stops := [][3]float64{{247, 244, 205}, {161, 210, 180}, {65, 150, 180}, {34, 80, 150}, {20, 30, 90}}
	at := share * float64(len(stops)-1)
	k := min(int(at), len(stops)-2)
	t := at - float64(k)
	var c [3]int
	for i := range c {
		c[i] = int(math.Round(stops[k][i]*(1-t) + stops[k+1][i]*t))
	}
	return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
}

// IsBad reports whether row i is marked.
func (t *Table) IsBad(i int) bool { return i < len(t.Bad) && t.Bad[i] }

// Style is the style sheet of pages, light or dark as the reader's system is set, and for print.
const Style = `:root { color-scheme: light dark; --paper: #fff; --ink: #222; --faint: #ddd; --bad: #b00020; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171b; --ink: #dfe1e5; --faint: #3a3e46; --bad: #ff8a80; --link: #7ab8ff; } svg [stroke="#0072b2"] { stroke: #3d9fdf; } }
@media print { :root { --paper: #fff; --ink: #000; --faint: #bbb; --bad: #b00020; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: var(--ink); background: var(--paper); }
a { color: var(--link); }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 0.25em 1em 0.25em 0; border-bottom: 1px solid var(--faint); font-variant-numeric: tabular-nums; }
td + td, th + td { overflow-wrap: anywhere; }
tr.bad td { color: var(--bad); font-weight: bold; }
svg { max-width: 100%; height: auto; }
svg .paper { fill: var(--paper); }
svg .grid { stroke: var(--faint); }
svg > text:not([fill]), svg text.ink { fill: var(--ink); }
svg text.name { stroke: var(--paper); }`

var page = template.Must(template.New("page").Funcs(template.FuncMap{"style": func() template.CSS { return template.CSS(Style) }}).Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width"/>
<title>{{.Title}}</title>
<style>
{{style}}
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Intro}}</p>
{{range .Sections}}<h2>{{.Title}}</h2>
{{with .Text}}<p>{{.}}</p>
{{end}}{{with .Table}}<table>
{{with .Header}}<tr>{{range .}}<th scope="col">{{.}}</th>{{end}}</tr>
{{end}}{{$t := .}}{{range $i, $row := .Rows}}<tr{{if $t.IsBad $i}} class="bad"{{end}}>{{range $k, $cell := $row}}{{if or $k $t.Header}}<td>{{.}}</td>{{else}}<th scope="row">{{.}}</th>{{end}}{{end}}</tr>
{{end}}</table>
{{end}}{{with .Heat}}{{.SVG}}
{{end}}{{with .Curves}}{{.Inline}}
{{end}}{{end}}</body>
</html>
`))
