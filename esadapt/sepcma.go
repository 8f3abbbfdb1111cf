package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/spectral"
)

// newSepCMA is CMA-ES restricted to a diagonal C; Ros and Hansen: "A simple modification in CMA-ES achieving linear time and space
// complexity" (PPSN 2008), with the learning rates of the second author's implementation 4.4.
func newSepCMA(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "sep-cma", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	r := defaultRates(n, lambda, !s.Tuning.NoActive)
	d, root := float64(n), math.Sqrt(float64(n))
	r.c1 = 1 / (d + 2*root + r.muEff/d)
	r.cMu = min(1-r.c1, (0.25+r.muEff+1/r.muEff-2)/(d+4*root+r.muEff/2))
	r.cC = (1 + 1/d + r.muEff/d) / (root + 1/d + 2*r.muEff/d)
	// The bound that keeps a full C positive definite does not bind a diagonal one.
	r.bound = 1
	r.setNegative()
	return assembleCMA(&s, "sep-cma", lambda, r, newDiagonalModel(n)), nil
}

// diagonalModel is a C with no off-diagonal elements.
type diagonalModel struct {
	sd      []float64
	keep    float64
	pending []float64 // weighted sum of z_i^2
}

func newDiagonalModel(n int) *diagonalModel {
	d := &diagonalModel{sd: make([]float64, n), keep: 1, pending: make([]float64, n)}
	for i := range d.sd {
		d.sd[i] = 1
	}
	return d
}

func (d *diagonalModel) axes() []float64 { return d.sd }

func (d *diagonalModel) toAmbient([]float64) {}

func (d *diagonalModel) color(y, z, _ dense.Matrix[float64]) {
	for i := range z.Rows {
		d.colorOne(y.Row(i), z.Row(i))
	}
}

func (d *diagonalModel) colorOne(y, z []float64) {
	for j, s := range d.sd {
		y[j] = s * z[j]
	}
}

func (d *diagonalModel) whitenOne(z, y []float64) {
	for j, s := range d.sd {
		z[j] = y[j] / s
	}
}

func (d *diagonalModel) decay(a float64) {
	d.keep *= 1 - a
	for j := range d.pending {
		d.pending[j] *= 1 - a
	}
}

func (d *diagonalModel) add(w float64, z []float64) {
	for j, v := range z {
		d.pending[j] += w * v * v
	}
}

// fold moves the variances to the pending ones, by no less than a factor of e each: negative weights cannot make them vanish.
func (d *diagonalModel) fold(...[]float64) spectral.Report {
	for j, p := range d.pending {
		d.sd[j] *= math.Sqrt(max(d.keep+p, math.Exp(-1)))
		d.pending[j] = 0
	}
	d.keep = 1
	return spectral.Report{}
}

func (d *diagonalModel) diagonal(dst []float64, scale float64) {
	for j, s := range d.sd {
		dst[j] = scale * s
	}
}

func (d *diagonalModel) extremes() (lo, hi float64) { return extremes(d.sd) }

func (d *diagonalModel) axis(dst []float64, k int) {
	clear(dst)
	dst[k] = d.sd[k]
}

func (d *diagonalModel) archive(a *archive) {
	a.fixed(d.sd)
	a.float(&d.keep)
	a.fixed(d.pending)
}

// extremes returns the smallest and the largest of v.
func extremes(v []float64) (lo, hi float64) {
	lo, hi = v[0], v[0]
	for _, x := range v[1:] {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}
