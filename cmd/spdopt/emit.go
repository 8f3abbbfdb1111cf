package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
)

// schema is the version of every JSON object: fields are added, never renamed.
const schema = 1

// printable is the size up to which a matrix is printed among the results.
const printable = 10

// num is a float64 that JSON can hold whatever its value: NaN and infinities become strings.
type num = run.Num

// printJSON prints one object on standard output.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// rows is a matrix as a JSON array of rows.
func rows(s *mat.SymDense) json.RawMessage { return matio.AppendRows(nil, full(s)) }

// full returns the symmetric s as a row-major matrix of its own.
func full(s *mat.SymDense) dense.Matrix[float64] {
	var d mat.Dense
	d.CloneFrom(s)
	return dense.Of(d.RawMatrix())
}

// pairs prints aligned lines of name and value.
func (a *app) pairs(lines ...[2]string) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		if l[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", l[0], l[1])
		}
	}
	w.Flush()
}

// printMatrix prints a small matrix for reading.
func (a *app) printMatrix(m dense.Matrix[float64]) {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range m.Rows {
		for _, v := range m.Row(i) {
			fmt.Fprintf(w, "%.6g\t", v)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}
