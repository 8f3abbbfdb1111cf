package curvature

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// TestAveragedPatches: the input factors of convolutions by reduce, from sums of pixels, are those of the averages of unfolded patches; with groups of
// different inputs, with weights that two convolutions share, and for every way to cut the data.
func TestAveragedPatches(t *testing.T) {
	for _, groups := range []int{1, 2} {
		conv := net.NewConv2d[float64](source(3), net.ConvOptions{In: 4, Out: 4, Height: 5, Width: 6, Padding: 1, Groups: groups})
		twin := net.NewConv2d[float64](source(4), net.ConvOptions{In: 4, Out: 4, Height: 5, Width: 6, Padding: 1, Groups: groups})
		twin.Weight, twin.Bias = conv.Weight, conv.Bias
		n := net.New[float64](net.Chain[float64](conv, net.NewActivation[float64](net.Tanh), twin, net.NewGlobalPool[float64](net.Mean)), net.NewSquare[float64](false), 1)
		var batches []*net.Batch[float64]
		for k, size := range []int{2, 1} {
			batches = append(batches, &net.Batch[float64]{N: size, X: randomMatrix(uint64(k), size*30, 4), Target: net.Target[float64]{Values: randomMatrix(9, size, 4)}})
		}
		r, err := NewRisk(n, slices.Values(batches), RiskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		in := conv.Weight.Value.V.Cols
		want := dense.New[float64](in+1, in+1)
		for _, b := range batches {
			n.Linearize(b)
			stats := n.Stats(nil)
			for i := range b.N {
				sum := make([]float64, in+1)
				for _, s := range stats {
					for p := range s.Reps {
						for j, v := range s.In.Row(i*s.Reps + p) {
							sum[j%in] += v / float64(groups)
						}
						sum[in]++
					}
				}
				for p, v := range sum {
					dense.Axpy(r.Factor()*v, sum, want.Row(p))
				}
			}
		}
		k := mustKFAC(t, r, Settings{Sharing: Reduce})
		if len(k.Blocks) != 1 {
			t.Fatalf("%d blocks", len(k.Blocks))
		}
		matrixNear(t, "input factor", k.Blocks[0].A, want, 1e-12)
	}
}

// TestOnly: a collector of some layers has the factors, corrected eigenvalues and best factors that one of all layers has for them, bit for bit.
func TestOnly(t *testing.T) {
	m := models()[0]
	r := m.risk(t)
	all := Settings{Flavour: MonteCarlo, Samples: 2, Seed: 3}
	k := mustKFAC(t, r, all)
	e, err := CollectEKFAC(r, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range k.Blocks {
		some := all
		some.Only = []string{f.Name()}
		own := mustKFAC(t, r, some)
		if len(own.Blocks) != 1 || own.Blocks[0].Name() != f.Name() || own.Skipped != nil {
			t.Fatalf("blocks %d, skipped %v", len(own.Blocks), own.Skipped)
		}
		matrixNear(t, f.Name(), own.Blocks[0].A, f.A, 0)
		matrixNear(t, f.Name(), own.Blocks[0].B, f.B, 0)
		corrected, err := CollectEKFAC(r, some)
		if err != nil {
			t.Fatal(err)
		}
		matrixNear(t, f.Name(), corrected.Spectra[0].Values, e.Spectra[i].Values, 0)
	}
	m = models()[8]
	var support *SupportError
	if _, err := CollectKFAC(m.risk(t), Settings{Only: []string{"0.table"}}); !errors.As(err, &support) || !slices.Equal(support.Blocks, []string{"0.table"}) {
		t.Errorf("a layer without factors: %v", err)
	}
	var de *DataError
	if _, err := CollectKFAC(r, Settings{Only: []string{"nobody"}}); !errors.As(err, &de) {
		t.Errorf("unknown layer: %v", err)
	}
	for _, o := range []KFOCOptions{{MaxIterations: -1}, {Tol: math.NaN()}, {Tol: -1}} {
		if _, err := CollectKFOC(r, Settings{}, o); !errors.As(err, &de) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
