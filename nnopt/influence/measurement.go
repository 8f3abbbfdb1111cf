package influence

import (
	"math"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Measurement is a number of every example that influence is measured on. It may differ from the loss of training.
type Measurement[T nnopt.Float] interface {
	// Measure sets values to the measurement of each of the b.N examples and u to its derivatives in the outputs of the network, whose rows belong to the
	// examples in turn. Neither couples examples.
	Measure(n *net.Net[T], b *net.Batch[T], out Matrix[T], values []float64, u Matrix[T]) error
}

// LossMeasurement is the loss of the network for each example alone, averaged over its own rows if the loss averages.
type LossMeasurement[T nnopt.Float] struct {
	// Weight, unless nil, is what the loss of example i of a batch is multiplied by, such as a weight of its time in a diffusion model.
	Weight func(b *net.Batch[T], i int) float64
}

// Measure implements Measurement.
func (m *LossMeasurement[T]) Measure(n *net.Net[T], b *net.Batch[T], out Matrix[T], values []float64, u Matrix[T]) error {
	per := out.Rows / b.N
	for i := range b.N {
		target := targetPart(&b.Target, i*per, (i+1)*per)
		rows, slope := out.View(i*per, 0, per, out.Cols), u.View(i*per, 0, per, out.Cols)
		if err := n.Loss.Check(per, out.Cols, &target); err != nil {
			return err
		}
		values[i] = n.Loss.Evaluate(net.Dual[T]{V: rows}, &target, net.Dual[T]{V: slope})
		if m.Weight == nil {
			continue
		}
		w := m.Weight(b, i)
		values[i] *= w
		for r := range per {
			row := slope.Row(r)
			for j := range row {
				row[j] *= T(w)
			}
		}
	}
	return nil
}

// Margin is log p/(1-p) for the probability p = softmax(out) of the class of each row, added up over the rows of an example that have one: the output
// function of TRAK (Park et al., arXiv:2303.14186, equation 7). Its gradient times -(1-p) is that of cross-entropy.
type Margin[T nnopt.Float] struct{}

// Measure implements Measurement.
func (Margin[T]) Measure(n *net.Net[T], b *net.Batch[T], out Matrix[T], values []float64, u Matrix[T]) error {
	if len(b.Target.Classes) != out.Rows {
		return dataError("margin", "needs a class for each of %d outputs, there are %d", out.Rows, len(b.Target.Classes))
	}
	if out.Cols < 2 {
		return dataError("margin", "needs two classes or more")
	}
	if err := n.Loss.Check(out.Rows, out.Cols, &b.Target); err != nil {
		return err
	}
	per := out.Rows / b.N
	clear(values)
	for i, c := range b.Target.Classes {
		if c < 0 {
			clear(u.Row(i))
			continue
		}
		values[i/per] += margin(out.Row(i), int(c), u.Row(i))
	}
	return nil
}

// margin returns z_c - log sum_(j != c) exp z_j and sets slope to its gradient.
func margin[T nnopt.Float](z []T, c int, slope []T) float64 {
	top := math.Inf(-1)
	for j, v := range z {
		if j != c {
			top = max(top, float64(v))
		}
	}
	var sum float64
	for j, v := range z {
		if j != c {
			sum += math.Exp(float64(v) - top)
		}
	}
	for j, v := range z {
		slope[j] = T(-math.Exp(float64(v)-top) / sum)
	}
	slope[c] = 1
	return float64(z[c]) - top - math.Log(sum)
}

// SquaredOutput is the mean square of the outputs of an example, the feature of D-TRAK (Zheng et al., arXiv:2311.00500).
type SquaredOutput[T nnopt.Float] struct{}

// Measure implements Measurement.
func (SquaredOutput[T]) Measure(_ *net.Net[T], b *net.Batch[T], out Matrix[T], values []float64, u Matrix[T]) error {
	per := out.Rows / b.N
	clear(values)
	mean := 1 / float64(per*out.Cols)
	for i := range out.Rows {
		row := u.Row(i)
		for j, v := range out.Row(i) {
			values[i/per] += mean * float64(v) * float64(v)
			row[j] = T(2*mean) * v
		}
	}
	return nil
}

// MeasurementFunc makes a Measurement of a function.
type MeasurementFunc[T nnopt.Float] func(n *net.Net[T], b *net.Batch[T], out Matrix[T], values []float64, u Matrix[T]) error

// Measure implements Measurement.
func (f MeasurementFunc[T]) Measure(n *net.Net[T], b *net.Batch[T], out Matrix[T], values []float64, u Matrix[T]) error {
	return f(n, b, out, values, u)
}
