package esadapt

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// snes is the separable natural evolution strategy; Schaul, Glasmachers, Schmidhuber: "High dimensions and heavy tails for natural evolution
// strategies" (GECCO 2011).
type snes struct {
	gaussian
	diag    *diagonalModel
	utility []float64
	eta     float64
	grad    []float64
}

func newSNES(s Setup) (Strategy, error) {
	lambda, err := lambdaOr(&s, "snes", 2)
	if err != nil {
		return nil, err
	}
	n := len(s.Mean)
	x := &snes{gaussian: newGaussian(&s, lambda), utility: utilities(lambda), diag: newDiagonalModel(n), grad: make([]float64, n)}
	x.eta = (3 + math.Log(float64(n))) / (5 * math.Sqrt(float64(n)))
	x.model = x.diag
	return x, nil
}

// Ask implements Strategy.
func (x *snes) Ask() [][]float64 {
	return x.sample(func() { x.diag.color(x.y, x.z, x.z) })
}

// Tell implements Strategy.
func (x *snes) Tell(f []float64) error {
	if err := x.rank(f); err != nil {
		return err
	}
	clear(x.grad)
	for r, u := range x.utility {
		i := x.ranking[r].i
		dense.Axpy(u*x.sigma, x.y.Row(i), x.mean)
		for j, z := range x.z.Row(i) {
			x.grad[j] += u * (z*z - 1)
		}
	}
	for j, g := range x.grad {
		x.diag.sd[j] *= math.Exp(x.eta / 2 * g)
	}
	x.end.turned(x.shape())
	x.finish()
	return nil
}

// Inject implements Injector.
func (x *snes) Inject(i int, p []float64) { x.inject(x.diag, i, p) }

func (x *snes) resample(i, attempt int) []float64 { return x.redraw(x.diag, i, attempt) }

// AxisLengths implements Distribution.
func (x *snes) AxisLengths(dst []float64) []float64 { return append(dst[:0], x.diag.sd...) }

// Mahalanobis implements Distribution.
func (x *snes) Mahalanobis(p []float64) float64 {
	var s float64
	for j, m := range x.mean {
		z := (p[j] - m) / (x.sigma * x.diag.sd[j])
		s += z * z
	}
	return math.Sqrt(s)
}

// MarshalBinary implements Strategy.
func (x *snes) MarshalBinary() ([]byte, error) { return marshal(x) }

// UnmarshalBinary implements Strategy.
func (x *snes) UnmarshalBinary(data []byte) error { return unmarshal(x, data) }

func (x *snes) archive(a *archive) {
	x.gaussian.archive(a, "snes 2")
	x.diag.archive(a)
}
