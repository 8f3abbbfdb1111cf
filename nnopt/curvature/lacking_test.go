package curvature

import (
	"errors"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/nnopt/net"
)

// TestLacking: what a call lacks is a *DataError.
func TestLacking(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	square := NewDense(net.Matrix[float64]{Rows: 1, Cols: 1, Stride: 1, Data: []float64{2}})
	probes := Probes{Products: 6, Rand: r}
	small := net.New[float64](net.NewLinear[float64](r, 1, 1, net.LinearOptions{}), net.NewSquare[float64](false), 1)
	for name, call := range map[string]func() error{
		"trace":             func() error { _, err := HutchinsonTrace(nil, probes); return err },
		"trace, better":     func() error { _, err := HutchPP(nil, probes); return err },
		"trace, exchanged":  func() error { _, err := XTrace(nil, probes); return err },
		"diagonal":          func() error { _, err := HutchinsonDiagonal(nil, probes); return err },
		"norm":              func() error { _, err := SquaredFrobenius(nil, probes); return err },
		"norm, no source":   func() error { _, err := SquaredFrobenius(square, Probes{Products: 6}); return err },
		"eigenpairs":        func() error { _, err := TopLanczos(nil, TopOptions{Rand: r}); return err },
		"density":           func() error { _, err := SpectralDensity(nil, DensityOptions{}, r); return err },
		"bounds":            func() error { _, _, err := Bounds(nil, 0.1, 5, r); return err },
		"bounds, no source": func() error { _, _, err := Bounds(square, 0.1, 5, nil); return err },
		"cg":                func() error { _, err := NewCG(nil, SolveOptions{}); return err },
		"lsmr":              func() error { _, err := NewLSMR(nil, 0, SolveOptions{}); return err },
		"neumann":           func() error { _, err := NewNeumann(nil, NeumannOptions{}); return err },
		"check":             func() error { _, err := Check(nil, r); return err },
		"check, no source":  func() error { _, err := Check(square, nil); return err },
		"risk":              func() error { _, err := NewRisk[float64](nil, nil, RiskOptions{}); return err },
		"risk, no data":     func() error { _, err := NewRisk(small, nil, RiskOptions{}); return err },
		"risk, no batch": func() error {
			_, err := NewRisk(small, iter.Seq[*net.Batch[float64]](func(yield func(*net.Batch[float64]) bool) { yield(nil) }), RiskOptions{})
			return err
		},
		"factors":          func() error { _, err := CollectKFAC[float64](nil, Settings{}); return err },
		"factors, zero":    func() error { _, err := CollectKFAC(&Risk[float64]{}, Settings{}); return err },
		"spectra":          func() error { _, err := CollectEKFAC[float64](nil, Settings{}); return err },
		"closest factors":  func() error { _, err := CollectKFOC[float64](nil, Settings{}, KFOCOptions{}); return err },
		"GGN diagonal":     func() error { _, err := GGNDiagonal[float64](nil, Settings{}); return err },
		"sampled GGN":      func() error { _, err := NewMonteCarloGGN[float64](nil, 1, 1); return err },
		"correct":          func() error { return Correct[float64](&Eigen{}, nil, Settings{}) },
		"correct, nothing": func() error { return Correct(nil, &Risk[float64]{}, Settings{}) },
		"tracked":          func() error { _, err := NewTrackedInverse(nil, 1, nil); return err },
		"collector":        func() error { _, err := NewCollector[float64](nil, Settings{}); return err },
	} {
		var lacking *DataError
		if err := call(); !errors.As(err, &lacking) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
