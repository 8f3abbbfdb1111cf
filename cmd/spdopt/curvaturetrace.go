package main

import (
	"fmt"
	"math"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/report"
	"github.com/spdopt/spdopt/nnopt/curvature"
)

// traceOutput is the JSON object of "curvature trace".
type traceOutput struct {
	curvatureHead
	Method   string `json:"method"`
	Products int    `json:"products"`
	Trace    num    `json:"trace"`
	StdErr   num    `json:"std_err"`
}

func (a *app) curvatureTrace() *cobra.Command {
	f := &curvatureFlags{}
	method, products := "", 0
	cmd := f.verb(a, "trace", "Estimate the trace", func(folder string) (func() error, error) {
		if err := oneOf("--method", method, "hutchinson", "hutch++", "xtrace", "exact"); err != nil {
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
		out := traceOutput{curvatureHead: f.head(folder, t, r), Method: method, Products: products}
		var e curvature.Estimate
		switch p := (curvature.Probes{Products: products, Rand: seeded(f.seed)}); method {
		case "exact":
			e.Value, err = exactTrace(op)
			out.Products = 0
		case "hutchinson":
			e, err = curvature.HutchinsonTrace(op, p)
		case "hutch++":
			e, err = curvature.HutchPP(op, p)
		default:
			e, err = curvature.XTrace(op, p)
		}
		if err != nil {
			return nil, usageOfEstimator(err)
		}
		out.Trace, out.StdErr = num(e.Value), num(e.StdErr)
		return func() error { return a.reportTrace(&out) }, nil
	})
	cmd.Flags().StringVar(&method, "method", "hutch++", "hutchinson, hutch++, xtrace, or exact (kfac and ekfac)")
	cmd.Flags().IntVar(&products, "products", 60, "products with the operator; a multiple of 3 for hutch++, of 2 for xtrace")
	return cmd
}

func (a *app) reportTrace(out *traceOutput) error {
	if a.json {
		return a.printJSON(out)
	}
	value := fmt.Sprintf("%.6g", float64(out.Trace))
	if out.StdErr > 0 {
		value += fmt.Sprintf(" +- %.2g", float64(out.StdErr))
	}
	a.printHead(&out.curvatureHead, [2]string{"trace", fmt.Sprintf("%s (%s, %d products)", value, out.Method, out.Products)})
	return nil
}

// exactTrace returns the trace of an operator that knows it.
func exactTrace(op curvature.Operator) (float64, error) {
	known, ok := op.(interface{ Trace() float64 })
	if !ok {
		return 0, usagef("--method exact: only kfac and ekfac know their trace")
	}
	return known.Trace(), nil
}

// usageOfEstimator turns complaints about the number of products into mistakes of usage.
func usageOfEstimator(err error) error {
	if d, ok := err.(*curvature.DataError); ok && d.What != "product" && d.What != "operator" {
		return usagef("--%s %s", d.What, d.Why)
	}
	return err
}

// spectrumOutput is the JSON object of "curvature spectrum".
type spectrumOutput struct {
	curvatureHead
	Log     bool      `json:"log"`
	Steps   int       `json:"steps"`
	Repeats int       `json:"repeats"`
	Grid    []float64 `json:"grid"`
	Density []float64 `json:"density"`
	Picture string    `json:"picture,omitempty"`
}

func (a *app) curvatureSpectrum() *cobra.Command {
	f := &curvatureFlags{}
	o := curvature.DensityOptions{}
	logarithmic, picture := false, ""
	cmd := f.verb(a, "spectrum", "Estimate the density of the eigenvalues by Lanczos", func(folder string) (func() error, error) {
		t, r, err := f.load(a, folder)
		if err != nil {
			return nil, err
		}
		op, err := f.make(r)
		if err != nil {
			return nil, curvatureError(err)
		}
		estimate := curvature.SpectralDensity
		if logarithmic {
			estimate = curvature.LogSpectralDensity
		}
		d, err := estimate(op, o, seeded(f.seed))
		if err != nil {
			return nil, usageOfEstimator(err)
		}
		out := spectrumOutput{f.head(folder, t, r), logarithmic, o.Steps, o.Repeats, d.Grid, d.Values, picture}
		return func() error {
			if err := writePicture(picture, spectrumCurves(&out.curvatureHead, d, logarithmic)); err != nil {
				return err
			}
			return a.printSpectrum(&out, d)
		}, nil
	})
	flags := cmd.Flags()
	flags.BoolVar(&logarithmic, "log-grid", false, "density of the sizes on a logarithmic grid")
	flags.IntVar(&o.Steps, "steps", 64, "steps of Lanczos, a product each")
	flags.IntVar(&o.Repeats, "repeats", 1, "start vectors to average over")
	flags.IntVar(&o.Points, "points", 256, "points of the grid")
	flags.Float64Var(&o.Kappa, "kappa", 0, "above 1; smaller is smoother; default 3, with --log-grid 1.04")
	pictureFlag(cmd, &picture, "the density")
	return cmd
}

// spectrumCurves draws the logarithm of a density, over the logarithm of the eigenvalue if the grid is logarithmic.
func spectrumCurves(h *curvatureHead, d *curvature.Density, logarithmic bool) *report.Curves {
	x := "eigenvalue"
	if logarithmic {
		x = "log10 of the size of the eigenvalue"
	}
	c := report.Curve{Name: h.Operator}
	for i, v := range d.Values {
		at := d.Grid[i]
		if logarithmic {
			at = math.Log10(at)
		}
		c.Points = append(c.Points, [2]float64{at, math.Log10(max(v, 1e-8))})
	}
	return &report.Curves{
		Title: fmt.Sprintf("%s: spectral density of %s", h.Workload, h.Operator), X: x,
		Panels: []report.Panel{{Y: "log10 of the density (-8 is 1e-8 and below)", Curves: []report.Curve{c}}},
	}
}

// printSpectrum prints the head and the shares of the spectrum in ten equal parts of the grid.
func (a *app) printSpectrum(out *spectrumOutput, d *curvature.Density) error {
	if a.json {
		return a.printJSON(out)
	}
	a.printHead(&out.curvatureHead, [2]string{"picture", out.Picture})
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "from\tto\tshare\t")
	const parts = 10
	last := len(d.Grid) - 1
	for k := range parts {
		from, to := k*last/parts, (k+1)*last/parts
		var share float64
		for i := from; i < to; i++ {
			share += (d.Grid[i+1] - d.Grid[i]) * (d.Values[i] + d.Values[i+1]) / 2
		}
		fmt.Fprintf(w, "%.4g\t%.4g\t%.4f\t\n", d.Grid[from], d.Grid[to], share)
	}
	return w.Flush()
}
