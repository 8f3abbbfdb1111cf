package algoperf

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spdopt/spdopt/internal/report"
)

// WriteTable writes the scores as a table in Markdown: the score, the exact integral, the geometric mean of the times over those of the reference, and for each
// workload the time in seconds, in brackets where it does not count. A line below says why.
func (s *Scores) WriteTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| submission | score | exact |")
	rule := "|---|---|---|"
	if s.Reference != "" {
		fmt.Fprintf(&b, " time / %s |", s.Reference)
		rule += "---|"
	}
	for _, name := range s.Workloads {
		fmt.Fprintf(&b, " %s |", name)
		rule += "---|"
	}
	fmt.Fprintf(&b, "\n%s\n", rule)
	for _, row := range s.Rows {
		fmt.Fprintf(&b, "| %s | %.4f | %.4f |", row.Submission, row.Score, row.Exact)
		if s.Reference != "" {
			fmt.Fprintf(&b, " %.3f |", row.Speed)
		}
		for j, v := range row.Seconds {
			fmt.Fprintf(&b, " %s |", cell(v, row.Ratios[j]))
		}
		b.WriteByte('\n')
	}
	s.reasons(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(seconds, ratio float64) string {
	switch {
	case math.IsNaN(seconds):
		return "not run"
	case math.IsInf(seconds, 1):
		return "missed"
	case math.IsInf(ratio, 1):
		return fmt.Sprintf("(%.3g)", seconds)
	}
	return fmt.Sprintf("%.3g", seconds)
}

// reasons lists the times in brackets, and what was not run.
func (s *Scores) reasons(b *strings.Builder) {
	for _, row := range s.Rows {
		var all []string
		for j, why := range row.Why {
			if why != "" && why != "missed" && why != "not run" {
				all = append(all, s.Workloads[j]+": "+why)
			}
		}
		if len(row.Missing) > 0 {
			all = append(all, "not run: "+strings.Join(row.Missing, ", "))
		}
		if all != nil {
			fmt.Fprintf(b, "\n%s: %s\n", row.Submission, strings.Join(all, "; "))
		}
	}
}

// SVG draws the performance profiles, with the scores in the legend.
func (s *Scores) SVG(title string) string {
	p := &report.Profile{Title: title, Max: s.Rules.MaxRatio}
	for _, row := range s.Rows {
		p.Methods = append(p.Methods, report.Method{Name: row.Submission, Label: fmt.Sprintf("(%.3f)", row.Score), Ratios: row.Ratios})
	}
	return p.SVG()
}
