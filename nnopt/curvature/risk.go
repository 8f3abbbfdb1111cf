package curvature

import (
	"fmt"
	"iter"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Risk is the loss of a network over data: R sum_n c(f(x_n), y_n) over the examples of all batches, R as the loss has it for all of them together, so that
// the way the data are cut into batches changes nothing but rounding.
type Risk[T nnopt.Float] struct {
	Net  *net.Net[T]
	Data iter.Seq[*net.Batch[T]] // the same batches in every pass; a batch need not outlive its turn

	training  bool
	loss      float64
	factor    float64 // R
	examples  int
	rows      int // of the outputs
	cols      int
	curved    net.Curved[T]
	batches   int
	positions int // rows of the outputs per example
}

// RiskOptions say how a risk is evaluated.
type RiskOptions struct {
	// Training takes derivatives as in training: dropout on, batch normalisation with the statistics of the batch. NewRisk refuses networks for which
	// that makes the risk random or couples the examples. The default is as in evaluation.
	Training bool
	// AllowRandom skips that check.
	AllowRandom bool
}

// NewRisk checks the data (finite, targets that fit, at least one example), evaluates the loss once over all of it and returns the risk. Errors are
// *DataError and name the batch, or *RandomError.
func NewRisk[T nnopt.Float](n *net.Net[T], data iter.Seq[*net.Batch[T]], o RiskOptions) (*Risk[T], error) {
	switch {
	case n == nil:
		return nil, errNoNetwork
	case data == nil:
		return nil, dataError("data", "are nil")
	}
	r := &Risk[T]{Net: n, Data: data, training: o.Training}
	curved, ok := n.Loss.(net.Curved[T])
	if !ok {
		return nil, dataError("loss", "%T has no root of its Hessian (net.Curved)", n.Loss)
	}
	r.curved = curved
	for _, b := range n.Blocks() {
		if k := notFinite(b.Value); k >= 0 {
			return nil, dataError("parameters "+b.Name, "element %d is %v", k, b.Value[k])
		}
	}
	defer r.enter()()
	var inverse, terms float64
	for b := range data {
		where := fmt.Sprintf("batch %d", r.batches)
		if err := r.check(b, where); err != nil {
			return nil, err
		}
		var loss float64
		var out net.Matrix[T]
		if err := net.Guard(func() { loss, out = r.value(b) }); err != nil {
			return nil, dataError(where, "does not fit the network: %v", err)
		}
		if r.batches > 0 && (out.Rows != b.N*r.positions || out.Cols != r.cols) {
			return nil, dataError(where, "gives %d x %d outputs for %d examples, batch 0 gives %d positions of %d", out.Rows, out.Cols, b.N, r.positions, r.cols)
		}
		if loss-loss != 0 {
			return nil, dataError(where, "the loss is %v: %s", loss, n.Suspect(b))
		}
		if err := n.Loss.Check(out.Rows, out.Cols, &b.Target); err != nil {
			return nil, dataError(where, "%v", err)
		}
		f := n.Loss.Factor(out, &b.Target)
		terms += loss / f
		inverse += 1 / f
		r.factor = f
		r.examples += b.N
		r.rows += out.Rows
		r.cols, r.positions = out.Cols, out.Rows/b.N
		r.batches++
	}
	if r.batches == 0 {
		return nil, dataError("data", "there are no batches")
	}
	if curved.Averages() {
		r.factor = 1 / inverse
	}
	r.loss = r.factor * terms
	if !o.AllowRandom {
		if err := r.deterministic(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// exists reports a risk that NewRisk did not make.
func (r *Risk[T]) exists() error {
	if r == nil || r.curved == nil {
		return errNoRisk
	}
	return nil
}

// mustExist is exists for functions that return no error.
func (r *Risk[T]) mustExist() {
	if err := r.exists(); err != nil {
		fail("%v", err)
	}
}

func (r *Risk[T]) check(b *net.Batch[T], where string) error {
	if b == nil || b.N < 1 {
		return dataError(where, "has no examples")
	}
	if k := notFinite(b.X.Data); k >= 0 {
		return dataError(where, "element %d of the inputs is %v", k, b.X.Data[k])
	}
	if k := notFinite(b.Target.Values.Data); k >= 0 {
		return dataError(where, "element %d of the targets is %v", k, b.Target.Values.Data[k])
	}
	if b.Target.Classes == nil && b.Target.Values.Data == nil {
		return dataError(where, "has no targets")
	}
	return nil
}

// value returns the loss of a batch and its outputs, after the checks of the targets' sizes that evaluation relies on.
func (r *Risk[T]) value(b *net.Batch[T]) (float64, net.Matrix[T]) {
	out := r.Net.Linearize(b)
	if r.Net.Loss.Check(out.Rows, out.Cols, &b.Target) != nil {
		return 0, out
	}
	return r.Net.Loss.Evaluate(net.Dual[T]{V: out}, &b.Target, net.Dual[T]{}), out
}

// enter puts the network into the mode of the risk and returns what puts it back. Passes of training move running averages, which are restored.
func (r *Risk[T]) enter() func() {
	before := r.Net.Inference
	r.Net.Inference = !r.training
	if !r.training {
		return func() { r.Net.Inference = before }
	}
	var kept [][]T
	for _, a := range r.Net.Arrays() {
		kept = append(kept, slices.Clone(a.Value))
	}
	return func() {
		r.Net.Inference = before
		for k, a := range r.Net.Arrays() {
			copy(a.Value, kept[k])
		}
	}
}

// Dim returns the number of parameters.
func (r *Risk[T]) Dim() int { return r.Net.Dim() }

// Loss returns the value of the risk.
func (r *Risk[T]) Loss() float64 { return r.loss }

// Factor returns R for all data together.
func (r *Risk[T]) Factor() float64 { return r.factor }

// Examples returns the number of examples.
func (r *Risk[T]) Examples() int { return r.examples }

// Outputs returns the number of numbers that the network computes for all examples (rows times columns).
func (r *Risk[T]) Outputs() int { return r.rows * r.cols }

// weight returns what the loss of a batch is multiplied by in the risk.
func (r *Risk[T]) weight(out net.Matrix[T], b *net.Batch[T]) float64 {
	return r.factor / r.Net.Loss.Factor(out, &b.Target)
}

// Gradient sets dst to the gradient of the risk and returns its value.
func (r *Risk[T]) Gradient(dst []float64) float64 {
	defer r.enter()()
	mustFit(dst, dst, r.Dim(), r.Dim())
	clear(dst)
	var total float64
	for b := range r.Data {
		loss := r.Net.Gradient(b)
		w := r.weight(r.shape(b), b)
		r.addGradients(dst, w)
		total += w * loss
	}
	return total
}

// shape returns a matrix of the shape of the outputs of a batch, for Loss.Factor.
func (r *Risk[T]) shape(b *net.Batch[T]) net.Matrix[T] {
	return net.Matrix[T]{Rows: b.N * r.positions, Cols: r.cols, Stride: r.cols}
}

// termGradients returns the gradients of c at the outputs, in the given memory.
func (r *Risk[T]) termGradients(out net.Matrix[T], b *net.Batch[T], memory *[]T) net.Matrix[T] {
	*memory = grown(*memory, out.Rows*out.Cols)
	u := dense.Wrap(out.Rows, out.Cols, *memory)
	r.Net.Loss.Evaluate(net.Dual[T]{V: out}, &b.Target, net.Dual[T]{V: u})
	dense.Scale(T(1/r.Net.Loss.Factor(out, &b.Target)), u.Data, u.Data)
	return u
}

// addGradients adds w times the gradients of the blocks to dst.
func (r *Risk[T]) addGradients(dst []float64, w float64) {
	for _, block := range r.Net.Blocks() {
		for i, v := range block.Grad {
			dst[i] += w * float64(v)
		}
		dst = dst[block.Len():]
	}
}

// Block is where the parameters of a block stand in vectors of parameters.
type Block struct {
	Name       string
	Start      int
	Rows, Cols int
}

// End returns the position behind the block.
func (b *Block) End() int { return b.Start + b.Rows*b.Cols }

// Layout lists the blocks of a network.
func Layout[T nnopt.Float](n *net.Net[T]) (all []Block) {
	at := 0
	for _, b := range n.Blocks() {
		all = append(all, Block{b.Name, at, b.Rows, b.Cols})
		at += b.Len()
	}
	return all
}

// Indices returns the positions of the parameters of the named blocks, in the order of the names, for Submatrix. An unknown name is a *DataError.
func Indices(layout []Block, names ...string) (all []int, err error) {
	for _, name := range names {
		k := blockOf(layout, name)
		if k < 0 {
			return nil, dataError("block "+name, "the network has no such block")
		}
		for i := layout[k].Start; i < layout[k].End(); i++ {
			all = append(all, i)
		}
	}
	return all, nil
}

func blockOf(layout []Block, name string) int {
	for k, b := range layout {
		if b.Name == name {
			return k
		}
	}
	return -1
}

func notFinite[T nnopt.Float](v []T) int {
	for i, x := range v {
		if x-x != 0 {
			return i
		}
	}
	return -1
}

func narrow[T nnopt.Float](dst []T, x []float64) {
	for i, v := range x {
		dst[i] = T(v)
	}
}
