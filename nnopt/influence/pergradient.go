package influence

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Side is one of the two sides of a score: examples, and what is differentiated of them.
type Side[T nnopt.Float] struct {
	Examples Examples[T]
	// Measurement is what the influence is on. nil is the term of each example in the risk that the estimator was made for, the side of training.
	Measurement Measurement[T]
}

// workspace is memory that passes share.
type workspace[T nnopt.Float] struct {
	out, u   []T
	values   []float64
	stats    []nnopt.Stats[T]
	x, g     []T // rotated rows
	extended []T
	plain    []T // the gradient of one example before rotation
	half     []T
	grads    [][]T // of all modules: examples x elements
}

// inference puts the network into the mode of evaluation and returns what puts it back.
func (e *Estimator[T]) inference() func() {
	before := e.net.Inference
	e.net.Inference = true
	return func() { e.net.Inference = before }
}

// pass calls f after the pull-back of the derivatives of each draw of batch i; draw numbers them. The derivatives carry the weight of a draw.
func (e *Estimator[T]) pass(s *Side[T], i int, f func(b *net.Batch[T], draw int) error) error {
	defer e.inference()()
	for draw := range s.Examples.draws() {
		where := fmt.Sprintf("batch %d", i)
		b := s.Examples.Batch(i, draw)
		if err := checkBatch(b, where); err != nil {
			return err
		}
		err := guarded(where, func() error {
			u, err := e.slopes(s, b, where)
			if err != nil {
				return err
			}
			e.net.PullStreams(u)
			return f(b, draw)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// slopes returns the derivatives of what is measured in the outputs, and leaves the values in the workspace.
func (e *Estimator[T]) slopes(s *Side[T], b *net.Batch[T], where string) (Matrix[T], error) {
	view := e.net.Linearize(b)
	w := &e.work
	size := view.Rows * view.Cols
	w.out, w.u, w.values = grown(w.out, size), grown(w.u, size), grown(w.values, b.N)
	out, u := dense.Wrap(view.Rows, view.Cols, w.out), dense.Wrap(view.Rows, view.Cols, w.u)
	out.Copy(view)
	if k := notFinite(out.Data); k >= 0 {
		return u, dataError(where, "output %d of the network is %v", k, out.Data[k])
	}
	if err := e.net.Loss.Check(out.Rows, out.Cols, &b.Target); err != nil {
		return u, dataError(where, "%v", err)
	}
	share := T(1 / float64(s.Examples.draws()))
	if s.Measurement == nil {
		e.net.Loss.Evaluate(net.Dual[T]{V: out}, &b.Target, net.Dual[T]{V: u})
		share *= T(e.weight / e.net.Loss.Factor(out, &b.Target))
	} else if err := s.Measurement.Measure(e.net, b, out, w.values, u); err != nil {
		return u, dataError(where, "%v", err)
	}
	dense.Scale(share, u.Data, u.Data)
	if k := notFinite(u.Data); k >= 0 {
		return u, dataError(where, "derivative %d of the measurement is %v", k, u.Data[k])
	}
	return u, nil
}

// gradients returns for each module a matrix with a row for each example of batch i: the gradient of what is measured in the bases of the module, averaged
// over draws. The matrices are valid until the next call.
func (e *Estimator[T]) gradients(s *Side[T], i int) ([]Matrix[T], error) {
	var grads []Matrix[T]
	err := e.pass(s, i, func(b *net.Batch[T], draw int) error {
		if draw == 0 {
			grads = e.room(b.N)
		} else if len(grads) > 0 && grads[0].Rows != b.N {
			return dataError("draw", "has %d examples, the one before %d", b.N, grads[0].Rows)
		}
		e.work.stats = e.net.Stats(e.work.stats[:0])
		for k := range e.modules {
			m := &e.modules[k]
			for j := range e.work.stats {
				if st := &e.work.stats[j]; st.Weight == m.Weight.Name {
					e.add(m, st, b.N, grads[k])
				}
			}
		}
		return nil
	})
	return grads, err
}

// room returns cleared matrices for the gradients of n examples.
func (e *Estimator[T]) room(n int) (all []Matrix[T]) {
	w := &e.work
	for len(w.grads) < len(e.modules) {
		w.grads = append(w.grads, nil)
	}
	for k := range e.modules {
		w.grads[k] = grown(w.grads[k], n*e.modules[k].size())
		clear(w.grads[k])
		all = append(all, dense.Wrap(n, e.modules[k].size(), w.grads[k]))
	}
	return all
}

// add adds to each row of grads the gradient of an example, the sum over its positions of g x^T in the bases.
func (e *Estimator[T]) add(m *module[T], st *nnopt.Stats[T], n int, grads Matrix[T]) {
	out, in := m.scale.Rows, m.scale.Cols
	if st.In.Cols > m.Weight.Cols {
		e.addGrouped(m, st, n, grads)
		return
	}
	x, g := e.rotated(m, st)
	for i := range n {
		rows := st.Reps
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, g.View(i*rows, 0, rows, out), x.View(i*rows, 0, rows, in), 1, dense.Wrap(out, in, grads.Row(i)))
	}
}

// rotated returns the inputs, with an appended one for the bias, and the pulled-back vectors of a layer in the bases of the module.
func (e *Estimator[T]) rotated(m *module[T], st *nnopt.Stats[T]) (x, g Matrix[T]) {
	w := &e.work
	x, g = e.extend(m, st.In), st.Out
	if m.qa.Data != nil {
		w.x, w.g = grown(w.x, x.Rows*x.Cols), grown(w.g, g.Rows*g.Cols)
		rx, rg := dense.Wrap(x.Rows, x.Cols, w.x), dense.Wrap(g.Rows, g.Cols, w.g)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, m.qa, 0, rx)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, g, m.qb, 0, rg)
		x, g = rx, rg
	}
	return x, g
}

func (e *Estimator[T]) extend(m *module[T], in Matrix[T]) Matrix[T] {
	if m.Bias.Cols == 0 {
		return in
	}
	e.work.extended = grown(e.work.extended, in.Rows*(in.Cols+1))
	x := dense.Wrap(in.Rows, in.Cols+1, e.work.extended)
	for i := range in.Rows {
		row := x.Row(i)
		row[copy(row, in.Row(i))] = 1
	}
	return x
}

// addGrouped is add for a convolution with groups: the weights of a group see the inputs of that group alone.
func (e *Estimator[T]) addGrouped(m *module[T], st *nnopt.Stats[T], n int, grads Matrix[T]) {
	out, in, cols, w := m.scale.Rows, m.scale.Cols, m.Weight.Cols, &e.work
	groups := st.In.Cols / cols
	each := out / groups
	w.plain, w.half = grown(w.plain, out*in), grown(w.half, out*in)
	v, half := dense.Wrap(out, in, w.plain), dense.Wrap(out, in, w.half)
	for i := range n {
		clear(w.plain)
		from := i * st.Reps
		for k := range groups {
			g, x := st.Out.View(from, k*each, st.Reps, each), st.In.View(from, k*cols, st.Reps, cols)
			dense.Gemm(dense.Transposed, dense.NoTrans, 1, g, x, 0, v.View(k*each, 0, each, cols))
		}
		if in > cols {
			for r := range st.Reps {
				for o, s := range st.Out.Row(from + r) {
					v.Set(o, cols, v.At(o, cols)+s)
				}
			}
		}
		sum := dense.Wrap(out, in, grads.Row(i))
		if m.qa.Data == nil {
			dense.Axpy(1, v.Data, sum.Data)
			continue
		}
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, m.qb, v, 0, half)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, half, m.qa, 1, sum)
	}
}

func grown[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// Values returns the measurement of each example of a side in a network, averaged over draws: for the networks that are trained anew.
func Values[T nnopt.Float](n *net.Net[T], s Side[T]) ([]float64, error) {
	if err := s.Examples.Validate(); err != nil {
		return nil, err
	}
	if n == nil || n.Root == nil {
		return nil, errNoNetwork
	}
	if s.Measurement == nil {
		s.Measurement = &LossMeasurement[T]{}
	}
	e := &Estimator[T]{net: n}
	defer e.inference()()
	var all []float64
	for i := range s.Examples.Count {
		from := len(all)
		for draw := range s.Examples.draws() {
			where := fmt.Sprintf("batch %d", i)
			b := s.Examples.Batch(i, draw)
			if err := checkBatch(b, where); err != nil {
				return nil, err
			}
			if err := guarded(where, func() error { _, err := e.slopes(&s, b, where); return err }); err != nil {
				return nil, err
			}
			if draw == 0 {
				all = append(all, make([]float64, b.N)...)
			}
			for k, v := range e.work.values[:b.N] {
				all[from+k] += v / float64(s.Examples.draws())
			}
		}
	}
	if k := notFinite(all); k >= 0 {
		return nil, dataError("measurement", "of example %d is %v", k, all[k])
	}
	return all, nil
}
