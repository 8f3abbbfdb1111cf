package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/manifold/problem"
)

// parameterFlags are the flags of "solve" that only some problems use, and those of what a problem finds besides its solution.
type parameterFlags struct {
	rho, nu, quantile, floor, gamma, power, threshold float64
	components, rows, pairs                           int
	labels, parts                                     string
}

// parameterNames are the flags that problem.Problem.Uses may name, apart from seed, which --start random uses too.
var parameterNames = []string{"rho", "nu", "quantile", "floor", "components", "rows", "normalize", "gamma", "pairs", "power", "threshold"}

func (f *parameterFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Float64Var(&f.rho, "rho", 0, "penalty on off-diagonal entries (glasso; default 0.1 times the largest covariance)")
	flags.Float64Var(&f.nu, "nu", 0, "degrees of freedom (student; default 3)")
	flags.Float64Var(&f.quantile, "quantile", 0, "share of Gaussian samples that count in full (huber; default 0.9)")
	flags.Float64Var(&f.floor, "floor", 0, "smallest eigenvalue (nearest-correlation; default 0), or that relative to the largest (nearest-spd; default 1e-8)")
	flags.IntVar(&f.components, "components", 0, "number of components (gmm), groups (cluster), axes (tangent by principal) or filters (csp); default 2, for csp 4")
	flags.Float64Var(&f.gamma, "gamma", 0, "weight of the slacks (metric-learning by itml; default 1)")
	flags.Float64Var(&f.power, "power", 0, "order of mean --metric power, or the power of --metric power-euclidean (mean, median; default 0.5)")
	flags.Float64Var(&f.threshold, "threshold", 0, "score from which on a matrix is an outlier (outliers; default 3)")
	flags.IntVar(&f.pairs, "pairs", 0, "largest number of pairs of samples, drawn with the seed (metric-learning by itml; default 10000)")
	flags.IntVar(&f.rows, "rows", 0, "rows p of each sample where the data are N x pq (kron-mle)")
	flags.StringVar(&f.labels, "labels", "", "class of each datum, a whole number, negative for unknown: 0,1,1 or a file (classify, csp, metric-learning), or its domain (recenter)")
}

// parameters checks the flags.
func (f *parameterFlags) parameters(seed uint64) (problem.Parameters, error) {
	if f.rows < 0 {
		return problem.Parameters{}, usagef("--rows must be at least 1, not %d", f.rows)
	}
	p := problem.Parameters{Rho: f.rho, Nu: f.nu, Quantile: f.quantile, Floor: f.floor, Components: f.components,
		Gamma: f.gamma, Power: f.power, Pairs: f.pairs, Threshold: f.threshold, Seed: seed}
	if err := p.Validate(); err != nil {
		name, rest, _ := strings.Cut(strings.TrimPrefix(err.Error(), "problem: "), " ")
		return p, usagef("--%s %s", strings.ToLower(name), rest)
	}
	return p, nil
}

// readLabels returns nil if there are none.
func (f *parameterFlags) readLabels(src matio.Source) ([]int, error) {
	if f.labels == "" {
		return nil, nil
	}
	numbers, ok := parseNumbers(f.labels)
	if !ok {
		var err error
		if numbers, err = readNumbers(f.labels, src); err != nil {
			return nil, err
		}
	}
	labels := make([]int, len(numbers))
	for i, v := range numbers {
		switch {
		case v != math.Trunc(v):
			return nil, &problem.DataError{Where: "labels", Err: fmt.Errorf("label %d is %v, not a whole number", i, v)}
		case math.Abs(v) > 1<<30:
			return nil, &problem.DataError{Where: "labels", Err: fmt.Errorf("label %d is %v, want a magnitude of at most %d", i, v, 1<<30)}
		}
		labels[i] = int(v)
	}
	return labels, nil
}

// asVectors lays every matrix of a stack out as one row.
func asVectors(all []matio.Matrix) {
	for k, m := range all {
		all[k].Matrix = dense.Wrap(1, m.Rows*m.Cols, m.Clone().Data)
	}
}

// createParts opens the file of --parts; nil means that none was asked for.
func (f *parameterFlags) createParts() (*matio.Writer, error) {
	if f.parts == "" {
		return nil, nil
	}
	if !matio.FormatOf(f.parts).Named() {
		return nil, usagef("--parts holds several arrays and must end in .npz or .safetensors, not %q; --json prints them", f.parts)
	}
	return matio.Create(matio.Target{Path: f.parts, Stack: true})
}

// writeParts writes the solution and the parts, the matrices of a list with their number: means_0, means_1.
func writeParts(w *matio.Writer, r *problem.Result) error {
	if err := w.Add("solution", full(r.Solution)); err != nil {
		return err
	}
	for _, p := range r.Parts {
		for k, m := range p.Matrices {
			name := p.Name
			if len(p.Matrices) > 1 {
				name = fmt.Sprintf("%s_%d", p.Name, k)
			}
			if err := w.Add(name, dense.Of(m.RawMatrix())); err != nil {
				return err
			}
		}
	}
	return w.Commit()
}

// partsObject shows numbers as numbers, vectors as arrays, matrices as arrays of rows.
func partsObject(r *problem.Result) map[string]any {
	object := map[string]any{}
	for _, p := range r.Parts {
		var all []any
		for _, m := range p.Matrices {
			all = append(all, partValue(m))
		}
		object[p.Name] = any(all)
		if len(all) == 1 {
			object[p.Name] = all[0]
		}
	}
	return object
}

func partValue(m *mat.Dense) any {
	r, c := m.Dims()
	if c > 1 {
		return json.RawMessage(matio.AppendRows(nil, dense.Of(mat.DenseCopyOf(m).RawMatrix())))
	}
	column := make([]num, r)
	for i := range column {
		column[i] = num(m.At(i, 0))
	}
	if r == 1 {
		return column[0]
	}
	return column
}

// partLines shows numbers and short vectors, and the shape of everything else.
func partLines(r *problem.Result) (lines [][2]string) {
	for _, p := range r.Parts {
		m := p.Matrices[0]
		rows, cols := m.Dims()
		text := fmt.Sprintf("%d x %d (use --json or --parts)", rows, cols)
		switch {
		case len(p.Matrices) > 1:
			text = fmt.Sprintf("%d matrices of %s", len(p.Matrices), text)
		case cols == 1 && rows <= printable:
			var all []string
			for i := range rows {
				all = append(all, fmt.Sprintf("%.6g", m.At(i, 0)))
			}
			text = strings.Join(all, " ")
		}
		lines = append(lines, [2]string{strings.ReplaceAll(p.Name, "_", " "), text})
	}
	return lines
}
