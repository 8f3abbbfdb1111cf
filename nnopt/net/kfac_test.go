package net

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

type kfacFactors struct {
	A, B [][]float64
}

// outputVectors returns the vectors at the outputs that define a flavour of curvature: for "empirical" the gradient of c, for "type-2" the columns of a
// root of the Hessian of c, each for all examples at once.
func outputVectors(flavour string, n *Net[float64], b *Batch[float64]) (all []Matrix[float64]) {
	_, view := n.Evaluate(b)
	out := view.Clone()
	if flavour == "empirical" {
		g := Dual[float64]{V: dense.New[float64](out.Rows, out.Cols)}
		n.Loss.Evaluate(Dual[float64]{V: out}, &b.Target, g)
		for i := range g.V.Data {
			g.V.Data[i] /= n.Loss.Factor(out, &b.Target)
		}
		return []Matrix[float64]{g.V}
	}
	positions := out.Rows / b.N
	for s := range positions {
		for c := range out.Cols {
			v := dense.New[float64](out.Rows, out.Cols)
			for k := range b.N {
				row := v.Row(k*positions + s)
				row[c] = 1
				if b.Target.Classes != nil { // column c of diag(sqrt p) - p sqrt(p)'
					p, total := make([]float64, out.Cols), 0.0
					for j, v := range out.Row(k) {
						p[j] = math.Exp(v)
						total += p[j]
					}
					for j := range p {
						p[j] /= total
					}
					for j := range row {
						row[j] = math.Sqrt(p[c]) * (row[j] - p[j])
					}
				}
			}
			all = append(all, v)
		}
	}
	return all
}

// TestStatsGiveKFAC computes the Kronecker factors of the golden file, expand mode, from the statistics of the layers alone:
// A = R sum x x' with the inputs x extended by 1, and B the mean of g g' over the positions, summed over the vectors.
func TestStatsGiveKFAC(t *testing.T) {
	data, err := os.ReadFile("../../testdata/golden/kfac_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		kfacCase
		KFAC map[string]map[string]kfacFactors
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range cases {
		for _, flavour := range []string{"type-2", "empirical"} {
			factors := c.KFAC[flavour+"/expand"]
			if factors == nil {
				continue
			}
			n, b := c.build(t)
			_, out := n.Evaluate(b)
			factor := n.Loss.Factor(out, &b.Target)
			sums := make([]Matrix[float64], len(c.Layers))
			for _, v := range outputVectors(flavour, n, b) {
				n.Evaluate(b)
				n.PullBack(v)
				for k, s := range n.Stats(nil) {
					if sums[k].Data == nil {
						sums[k] = dense.New[float64](s.Out.Cols, s.Out.Cols)
						compare(t, c.Name+" A", c.inputFactor(k, s.In, factor), factors[c.Layers[k].Layer].A)
					}
					dense.Gemm(dense.Transposed, dense.NoTrans, 1/float64(s.Out.Rows), s.Out, s.Out, 1, sums[k])
				}
			}
			for k, sum := range sums {
				compare(t, c.Name+" "+flavour+" B", sum, factors[c.Layers[k].Layer].B)
				checked++
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d factors were compared", checked)
	}
}

// inputFactor returns A of layer k, in the order of the golden file.
func (c *kfacCase) inputFactor(k int, in Matrix[float64], factor float64) Matrix[float64] {
	extended := dense.New[float64](in.Rows, in.Cols+1)
	pixels := 1
	if l := c.Layers[k]; l.Type == "Conv2d" {
		pixels = l.Kernel[0] * l.Kernel[1]
	}
	channels := in.Cols / pixels
	for i := range in.Rows {
		for j, v := range in.Row(i) {
			extended.Set(i, j%channels*pixels+j/channels, v)
		}
		extended.Set(i, in.Cols, 1)
	}
	a := dense.New[float64](in.Cols+1, in.Cols+1)
	dense.Gemm(dense.Transposed, dense.NoTrans, factor, extended, extended, 0, a)
	return a
}

func compare(t *testing.T, what string, got Matrix[float64], want [][]float64) {
	t.Helper()
	if len(want) != got.Rows {
		t.Fatalf("%s: %d rows, want %d", what, got.Rows, len(want))
	}
	for i, row := range want {
		for j, v := range row {
			near(t, what, got.At(i, j), v, 1e-9*(1+math.Abs(v)))
		}
	}
}
