package laplace_test

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/laplace"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Sizes of a classifier with one hidden layer, and its examples.
const (
	inputs   = 3
	units    = 6
	classes  = 4
	examples = 13
)

// classifier has the weights of both layers, with the bias as last column, and the data.
type classifier struct {
	first, second, x [][]float64
	y                []int32
}

func newClassifier(r *rand.Rand) classifier {
	matrix := func(rows, cols int) [][]float64 {
		m := make([][]float64, rows)
		for i := range m {
			m[i] = make([]float64, cols)
			for j := range m[i] {
				m[i][j] = r.NormFloat64()
			}
		}
		return m
	}
	c := classifier{matrix(units, inputs+1), matrix(classes, units+1), matrix(examples, inputs), make([]int32, examples)}
	for i := range c.y {
		c.y[i] = int32(r.IntN(classes))
	}
	return c
}

// build returns the network and its data, cut into batches of the given sizes.
func (c classifier) build(sizes ...int) (*net.Net[float64], iter.Seq[*net.Batch[float64]]) {
	r := rand.New(rand.NewPCG(1, 1))
	one, two := net.NewLinear[float64](r, inputs, units, net.LinearOptions{}), net.NewLinear[float64](r, units, classes, net.LinearOptions{})
	for k, layer := range []*net.Linear[float64]{one, two} {
		for i, row := range [][][]float64{c.first, c.second}[k] {
			last := len(row) - 1
			copy(layer.Weight.Value.V.Row(i), row[:last])
			layer.Bias.Value.V.Row(0)[i] = row[last]
		}
	}
	n := net.New[float64](net.Chain[float64](one, net.NewActivation[float64](net.Tanh), two), &net.CrossEntropy[float64]{}, 1)
	var batches []*net.Batch[float64]
	at := 0
	for _, size := range sizes {
		x := net.Matrix[float64]{Rows: size, Cols: inputs, Stride: inputs, Data: slices.Concat(c.x[at : at+size]...)}
		batches = append(batches, &net.Batch[float64]{N: size, X: x, Target: net.Target[float64]{Classes: c.y[at : at+size]}})
		at += size
	}
	return n, slices.Values(batches)
}

// facts are numbers that say nothing about the order of parameters: spectra of curvature, parts of the evidence.
func facts(t *testing.T, n *net.Net[float64], data iter.Seq[*net.Batch[float64]]) map[string][]float64 {
	risk, err := curvature.NewRisk(n, data, curvature.RiskOptions{})
	check(err)
	kfac, err := curvature.CollectKFAC(risk, curvature.Settings{})
	check(err)
	ekfac, err := curvature.CollectEKFAC(risk, curvature.Settings{})
	check(err)
	all := map[string][]float64{
		"loss": {risk.Loss()}, "Hessian": eigenvalues(t, curvature.NewHessian(risk)), "Gauss-Newton": eigenvalues(t, curvature.NewGGN(risk)),
		"empirical Fisher": eigenvalues(t, curvature.NewEmpiricalFisher(risk)), "KFAC": eigenvalues(t, kfac), "EKFAC": eigenvalues(t, ekfac),
	}
	for _, s := range []laplace.Structure{laplace.Full, laplace.Kronecker, laplace.Diagonal} {
		p, err := laplace.Fit(n, data, laplace.Options{Structure: s, Hyper: laplace.Hyper{Prior: []float64{2}}})
		check(err)
		e := p.Evidence()
		all["evidence, "+string(s)] = []float64{e.Value, e.LogLikelihood, e.LogDetPosterior, e.LogDetPrior, e.Scatter, e.Effective}
	}
	return all
}

func eigenvalues(t *testing.T, a curvature.Operator) []float64 {
	d := curvature.ToGonum(a)
	n, _ := d.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			s.SetSym(i, j, d.At(i, j))
		}
	}
	var e mat.EigenSym
	if !e.Factorize(s, false) {
		t.Fatal("no eigenvalues")
	}
	return e.Values(nil)
}

// TestInvariances: spectra of curvature and evidence are those of the function and its prior. Names of hidden units and of classes, signs of odd units, the axes of the inputs and
// how the data are cut into batches do not matter.
func TestInvariances(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	c := newClassifier(r)
	n, data := c.build(examples)
	want := facts(t, n, data)
	unit, class := r.Perm(units), r.Perm(classes)
	rotation := gallery.Orthogonal(5, inputs)
	for what, change := range map[string]func(c *classifier){
		"units": func(c *classifier) {
			c.first = reordered(c.first, unit)
			for i, row := range c.second {
				c.second[i] = append(reordered(row[:units], unit), row[units])
			}
		},
		"classes": func(c *classifier) {
			c.second = reordered(c.second, class)
			for i, y := range c.y {
				c.y[i] = int32(class[y])
			}
		},
		"signs": func(c *classifier) {
			for j := range c.first[2] {
				c.first[2][j] *= -1
			}
			for _, row := range c.second {
				row[2] *= -1
			}
		},
		"axes": func(c *classifier) {
			for _, row := range slices.Concat(c.first, c.x) {
				copy(row, rotated(rotation, row[:inputs]))
			}
		},
		"batches": nil,
	} {
		c, sizes := newClassifier(rand.New(rand.NewPCG(5, 6))), []int{examples}
		if change == nil {
			sizes = []int{4, 8, 1}
		} else {
			change(&c)
		}
		n, data := c.build(sizes...)
		for name, got := range facts(t, n, data) {
			if what == "axes" && name == "evidence, "+string(laplace.Diagonal) { // which knows axes
				continue
			}
			size := max(slices.Max(want[name]), -slices.Min(want[name]))
			for k, v := range got {
				if !(math.Abs(v-want[name][k]) <= 1e-11*size) {
					t.Errorf("%s: %s %v, want %v", what, name, got, want[name])
					break
				}
			}
		}
	}
}

// reordered puts element i of v in place place[i].
func reordered[E any](v []E, place []int) []E {
	out := make([]E, len(v))
	for i, e := range v {
		out[place[i]] = e
	}
	return out
}

func rotated(q dense.Matrix[float64], v []float64) []float64 {
	out := make([]float64, len(v))
	for i := range out {
		out[i] = dense.Dot(q.Row(i), v)
	}
	return out
}
