package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/nnopt/curvature"
)

// topOutput is the JSON object of "curvature topk".
type topOutput struct {
	curvatureHead
	Method      string `json:"method"`
	Which       string `json:"which"`
	Products    int    `json:"products"`
	Converged   bool   `json:"converged"`
	Eigenvalues []num  `json:"eigenvalues"`
	Residuals   []num  `json:"residuals"`
}

func (a *app) curvatureTop() *cobra.Command {
	f := &curvatureFlags{}
	o := curvature.TopOptions{}
	method, which := "", ""
	cmd := f.verb(a, "topk", "Find extreme eigenpairs", func(folder string) (func() error, error) {
		if o.K < 1 {
			return nil, usagef("--k must be positive, not %d", o.K)
		}
		if err := oneOf("--method", method, "lanczos", "lobpcg"); err != nil {
			return nil, err
		}
		t, r, err := f.load(a, folder)
		if err != nil {
			return nil, err
		}
		op, err := f.make(r)
		if err != nil {
			return nil, curvatureError(err)
		}
		o.Which, o.Rand = curvature.Which(which), seeded(f.seed)
		var top *curvature.Top
		if method == "lobpcg" {
			top, err = curvature.TopLOBPCG(op, nil, o)
		} else {
			top, err = curvature.TopLanczos(op, o)
		}
		var unfinished *curvature.ConvergenceError
		if err != nil && !errors.As(err, &unfinished) {
			return nil, usageOfEstimator(err)
		}
		out := topOutput{curvatureHead: f.head(folder, t, r), Method: method, Which: which, Products: top.Products, Converged: err == nil}
		for i, v := range top.Values {
			out.Eigenvalues, out.Residuals = append(out.Eigenvalues, num(v)), append(out.Residuals, num(top.Residuals[i]))
		}
		return func() error {
			if err := a.reportTop(&out); err != nil || unfinished == nil {
				return err
			}
			return &unmetError{unfinished.Error()}
		}, nil
	})
	flags := cmd.Flags()
	flags.StringVar(&method, "method", "lanczos", "lanczos or lobpcg")
	flags.StringVar(&which, "which", "largest", "largest, smallest, or magnitude (lanczos)")
	flags.IntVar(&o.K, "k", 5, "eigenpairs")
	flags.Float64Var(&o.Tol, "tol", 1e-4, "largest residual over the largest eigenvalue")
	flags.IntVar(&o.MaxProducts, "products", 1000, "products at most")
	return cmd
}

func (a *app) reportTop(out *topOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	a.printHead(&out.curvatureHead, [2]string{"method", fmt.Sprintf("%s, %d products", out.Method, out.Products)})
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "eigenvalue\tresidual\t")
	for i, v := range out.Eigenvalues {
		fmt.Fprintf(w, "%.6g\t%.2g\t\n", float64(v), float64(out.Residuals[i]))
	}
	return w.Flush()
}

// factorsOutput is the JSON object of "curvature factors".
type factorsOutput struct {
	curvatureHead
	Layers  []layerOutput `json:"layers"`
	Skipped []string      `json:"skipped,omitempty"`
	Picture string        `json:"picture,omitempty"`
}

type layerOutput struct {
	Name    string `json:"name"`
	Outputs int    `json:"outputs"`
	Inputs  int    `json:"inputs"`
	TraceB  num    `json:"trace_b"`
	TraceA  num    `json:"trace_a"`
}

func (a *app) curvatureFactors() *cobra.Command {
	f := &curvatureFlags{}
	picture, layer := "", ""
	cmd := f.verb(a, "factors", "Kronecker factors of every layer, with a heat map", func(folder string) (func() error, error) {
		f.operator = "kfac"
		t, r, err := f.load(a, folder)
		if err != nil {
			return nil, err
		}
		k, err := curvature.CollectKFAC(r, f.settings())
		if err != nil {
			return nil, curvatureError(err)
		}
		out := factorsOutput{curvatureHead: f.head(folder, t, r), Skipped: k.Skipped, Picture: picture}
		raster := &report.Raster{Title: out.Workload + ": Kronecker factors"}
		for i := range k.Blocks {
			b := &k.Blocks[i]
			rows, cols := b.Dims()
			out.Layers = append(out.Layers, layerOutput{b.Name(), rows, cols, num(traceOf(b.B.At, rows)), num(traceOf(b.A.At, cols))})
			if layer == "" || layer == b.Name() {
				raster.Panels = append(raster.Panels, report.RasterPanel{Name: "A of " + b.Name(), Rows: cols, Cols: cols, At: b.A.At},
					report.RasterPanel{Name: "B of " + b.Name(), Rows: rows, Cols: rows, At: b.B.At})
			}
		}
		if len(raster.Panels) == 0 {
			return nil, usagef("--layer: no layer %q has factors", layer)
		}
		return func() error {
			if err := writePicture(picture, raster); err != nil {
				return err
			}
			return a.reportFactors(&out)
		}, nil
	})
	pictureFlag(cmd, &picture, "a heat map")
	cmd.Flags().StringVar(&layer, "layer", "", "of this layer only in the heat map, by the name of its weights")
	cmd.Flags().MarkHidden("operator")
	return cmd
}

func traceOf(at func(i, j int) float64, n int) (t float64) {
	for i := range n {
		t += at(i, i)
	}
	return t
}

func (a *app) reportFactors(out *factorsOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	a.printHead(&out.curvatureHead, [2]string{"picture", out.Picture})
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "layer\tB\ttrace\tA\ttrace\t")
	for _, l := range out.Layers {
		fmt.Fprintf(w, "%s\t%d\t%.4g\t%d\t%.4g\t\n", l.Name, l.Outputs, float64(l.TraceB), l.Inputs, float64(l.TraceA))
	}
	for _, name := range out.Skipped {
		fmt.Fprintf(w, "%s\tno factors\t\t\t\t\n", name)
	}
	return w.Flush()
}

// curvatureReport is the JSON object of "curvature check".
type curvatureReport struct {
	curvatureHead
	Passed    bool `json:"passed"`
	Repeats   bool `json:"repeats"`
	Adjoint   num  `json:"adjoint"`
	Linearity num  `json:"linearity"`
}

// checkLimit bounds what rounding of float32 networks does to the identities that "curvature check" measures.
const checkLimit = 1e-4

func (a *app) curvatureCheck() *cobra.Command {
	f := &curvatureFlags{}
	return f.verb(a, "check", "Check that the risk is deterministic and the operator repeatable, linear and symmetric", func(folder string) (func() error, error) {
		t, r, err := f.load(a, folder)
		var random *curvature.RandomError
		if errors.As(err, &random) {
			return nil, &unmetError{random.Error()}
		}
		if err != nil {
			return nil, err
		}
		op, err := f.make(r)
		if err != nil {
			return nil, curvatureError(err)
		}
		c, err := curvature.Check(op, seeded(f.seed))
		if err != nil {
			return nil, err
		}
		passed := c.Repeats && c.Adjoint <= checkLimit && c.Linearity <= checkLimit
		out := curvatureReport{f.head(folder, t, r), passed, c.Repeats, num(c.Adjoint), num(c.Linearity)}
		return func() error { return a.reportCurvatureCheck(&out) }, nil
	})
}

func (a *app) reportCurvatureCheck(out *curvatureReport) error {
	if a.json {
		if err := a.printJSON(out); err != nil {
			return err
		}
	} else {
		a.printHead(&out.curvatureHead, [2]string{"repeats", fmt.Sprint(out.Repeats)},
			[2]string{"adjoint", fmt.Sprintf("%.2g (limit %g)", float64(out.Adjoint), checkLimit)},
			[2]string{"linearity", fmt.Sprintf("%.2g (limit %g)", float64(out.Linearity), checkLimit)})
	}
	if !out.Passed {
		return &unmetError{"curvature check: the operator failed"}
	}
	return nil
}
