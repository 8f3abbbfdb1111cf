package influence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Scores are numbers for pairs of examples. Row q, column i predicts by how much the measurement of query q grows when training example i is removed.
type Scores struct {
	Values   Matrix[float64]
	Modules  []string          // of ByModule
	ByModule []Matrix[float64] // the share of each module; they add up to Values. nil unless asked for
}

// ScoreOptions say how scores are computed; none of it changes them, apart from Compression.
type ScoreOptions struct {
	PerModule   bool
	Compression Compression // of the gradients of the queries while they are kept

	QueryBatches int // batches of queries whose gradients are kept at a time; default all
	ModuleCount  int // modules whose gradients are kept at a time, each in a pass of its own; default all
}

// Pairwise returns the scores of all queries and training examples: m_q'^T H^-1 l_i' for the measurement m_q of a query and the term l_i of a training
// example in the risk R sum_n c_n, which is the change that the Newton step of removing it predicts (Koh and Liang, arXiv:1703.04730, equation 2, without a
// factor of its own for 1/N, which is in R). A positive score for a measurement that should be small, such as a loss, means that the example helps.
//
// The gradients of the queries are preconditioned and kept, those of training computed batch by batch: memory for queries x parameters, time for as many
// products of that size as there are training examples.
func (e *Estimator[T]) Pairwise(queries, train Side[T], o ScoreOptions) (*Scores, error) {
	if err := queries.Examples.Validate(); err != nil {
		return nil, err
	}
	if o.QueryBatches < 0 || o.ModuleCount < 0 {
		return nil, dataError("partition", "must not be negative")
	}
	each := o.QueryBatches
	if each == 0 {
		each = queries.Examples.Count
	}
	var all *Scores
	for from := 0; from < queries.Examples.Count; from += each {
		part := Side[T]{queries.Examples.part(from, min(from+each, queries.Examples.Count)), queries.Measurement}
		s, err := e.pairwiseOf(part, train, &o)
		if err != nil {
			return nil, err
		}
		all = below(all, s)
	}
	return all, nil
}

// pairwiseOf scores queries that fit into memory, some modules at a time.
func (e *Estimator[T]) pairwiseOf(queries, train Side[T], o *ScoreOptions) (*Scores, error) {
	each := o.ModuleCount
	if each == 0 {
		each = len(e.modules)
	}
	var all *Scores
	for from := 0; from < len(e.modules); from += each {
		some := e.part(from, min(from+each, len(e.modules)))
		g, err := some.Gradients(queries, GradientOptions{Precondition: true, Compression: o.Compression})
		if err != nil {
			return nil, err
		}
		s, err := some.Score(g, train, true)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = s
			continue
		}
		all.Modules, all.ByModule = append(all.Modules, s.Modules...), append(all.ByModule, s.ByModule...)
	}
	all.addUp()
	if !o.PerModule {
		all.Modules, all.ByModule = nil, nil
	}
	return all, nil
}

// part returns an estimator of the modules from (included) to end (excluded) alone.
func (e *Estimator[T]) part(from, end int) *Estimator[T] {
	some := *e
	some.modules, some.work = e.modules[from:end], workspace[T]{}
	return &some
}

// addUp sets Values to the sum over modules.
func (s *Scores) addUp() {
	s.Values = s.ByModule[0].Clone()
	for _, m := range s.ByModule[1:] {
		for i, v := range m.Data {
			s.Values.Data[i] += v
		}
	}
}

// below returns the scores of more queries under those of others.
func below(a, b *Scores) *Scores {
	if a == nil {
		return b
	}
	a.Values = stacked(a.Values, b.Values)
	for k := range a.ByModule {
		a.ByModule[k] = stacked(a.ByModule[k], b.ByModule[k])
	}
	return a
}

func stacked(a, b Matrix[float64]) Matrix[float64] {
	return dense.Wrap(a.Rows+b.Rows, a.Cols, append(a.Data[:a.Rows*a.Cols:a.Rows*a.Cols], b.Data...))
}

// Score returns the scores of kept gradients, in rows, against those of the examples of a side, in columns. One of both must be preconditioned: those that
// are kept are, or else the others become it here. The gradients must come from an estimator with the same network, curvature and modules.
func (e *Estimator[T]) Score(g *Gradients[T], s Side[T], perModule bool) (*Scores, error) {
	if err := s.Examples.Validate(); err != nil {
		return nil, err
	}
	if err := e.fits(g); err != nil {
		return nil, err
	}
	var columns []Matrix[float64] // of each batch and module
	total := 0
	for i := range s.Examples.Count {
		grads, err := e.gradients(&s, i)
		if err != nil {
			return nil, err
		}
		total += grads[0].Rows
		for k := range grads {
			m, err := e.product(g, k, grads[k])
			if err != nil {
				return nil, err
			}
			columns = append(columns, m)
		}
	}
	out := &Scores{Modules: e.Modules()}
	for k := range e.modules {
		m := dense.New[float64](g.Examples, total)
		at := 0
		for i := k; i < len(columns); i += len(e.modules) {
			m.View(0, at, m.Rows, columns[i].Cols).Copy(columns[i])
			at += columns[i].Cols
		}
		out.ByModule = append(out.ByModule, m)
	}
	out.addUp()
	if !perModule {
		out.Modules, out.ByModule = nil, nil
	}
	return out, nil
}

// chunk bounds the kept gradients that are expanded at a time.
const chunk = 64

// product returns the scores of a module for a batch.
func (e *Estimator[T]) product(g *Gradients[T], k int, grads Matrix[T]) (Matrix[float64], error) {
	if !g.Preconditioned {
		for i := range grads.Rows {
			row := grads.Row(i)
			for j, s := range e.modules[k].scale.Data {
				row[j] *= s
			}
		}
	}
	out := dense.New[float64](g.Examples, grads.Rows)
	for from := 0; from < g.Examples; from += chunk {
		n := min(chunk, g.Examples-from)
		rows := dense.New[T](n, grads.Cols)
		g.expand(k, from, rows)
		part := dense.New[T](n, grads.Rows)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, rows, grads, 0, part)
		for i := range n {
			for j, v := range part.Row(i) {
				if v-v != 0 {
					return out, dataError("score", "of example %d against example %d of a batch in module %q is %v", from+i, j, e.modules[k].Name(), v)
				}
				out.Set(from+i, j, float64(v))
			}
		}
	}
	return out, nil
}

// Self returns for each example the score of its own measurement, m'^T H^-1 m' with m' the gradient of the side: the diagonal of the pairwise scores of the
// side against itself. Columns are examples, and the only row is that of Values.
func (e *Estimator[T]) Self(s Side[T], perModule bool) (*Scores, error) {
	if err := s.Examples.Validate(); err != nil {
		return nil, err
	}
	data := make([][]float64, len(e.modules))
	for i := range s.Examples.Count {
		grads, err := e.gradients(&s, i)
		if err != nil {
			return nil, err
		}
		for k := range grads {
			for n := range grads[k].Rows {
				var sum float64
				for j, v := range grads[k].Row(n) {
					sum += float64(v) * float64(v) * float64(e.modules[k].scale.Data[j])
				}
				if sum-sum != 0 {
					return nil, dataError("self-score", "of example %d in module %q is %v", len(data[k]), e.modules[k].Name(), sum)
				}
				data[k] = append(data[k], sum)
			}
		}
	}
	out := &Scores{Modules: e.Modules()}
	for _, d := range data {
		out.ByModule = append(out.ByModule, dense.Wrap(1, len(d), d))
	}
	out.addUp()
	if !perModule {
		out.Modules, out.ByModule = nil, nil
	}
	return out, nil
}

// fits reports gradients that an estimator cannot score.
func (e *Estimator[T]) fits(g *Gradients[T]) error {
	if g == nil || g.Examples == 0 {
		return dataError("gradients", "there are none")
	}
	if g.basis != e.basis() {
		return dataError("gradients", "come from another network, curvature or choice of modules")
	}
	return nil
}

// PerToken returns scores as Score does, with a column for each position of each example instead of one for the example; those of an example add up to its
// score. Every module must see as many positions as the inputs have: others have no axis of tokens and are an error, unless Options.Modules leaves
// them out.
func (e *Estimator[T]) PerToken(g *Gradients[T], s Side[T]) (*Scores, error) {
	if err := s.Examples.Validate(); err != nil {
		return nil, err
	}
	if err := e.fits(g); err != nil {
		return nil, err
	}
	columns := make([][]float64, g.Examples)
	for i := range s.Examples.Count {
		var sums Matrix[float64]
		err := e.pass(&s, i, func(b *net.Batch[T], draw int) error {
			if draw == 0 {
				sums = dense.New[float64](g.Examples, b.X.Rows)
			}
			return e.tokens(g, b, sums)
		})
		if err != nil {
			return nil, err
		}
		for q := range columns {
			columns[q] = append(columns[q], sums.Row(q)...)
		}
	}
	out := &Scores{Values: dense.New[float64](g.Examples, len(columns[0]))}
	for q, c := range columns {
		copy(out.Values.Row(q), c)
	}
	return out, nil
}

// tokens adds the scores of the positions of a pass.
func (e *Estimator[T]) tokens(g *Gradients[T], b *net.Batch[T], sums Matrix[float64]) error {
	e.work.stats = e.net.Stats(e.work.stats[:0])
	for k := range e.modules {
		m := &e.modules[k]
		one := dense.New[T](1, m.size())
		for j := range e.work.stats {
			st := &e.work.stats[j]
			if st.Weight != m.Weight.Name {
				continue
			}
			if st.In.Rows != b.X.Rows || st.In.Cols > m.Weight.Cols {
				return dataError("module "+m.Name(), "has no axis of tokens: %d rows for %d tokens; use scores by module, or leave it out", st.In.Rows, b.X.Rows)
			}
			x, gr := e.rotated(m, st)
			y := dense.New[T](gr.Rows, x.Cols)
			for q := range g.Examples {
				g.expand(k, q, one)
				w := dense.Wrap(m.scale.Rows, m.scale.Cols, one.Data)
				if !g.Preconditioned {
					for i, s := range m.scale.Data {
						w.Data[i] *= s
					}
				}
				dense.Gemm(dense.NoTrans, dense.NoTrans, 1, gr, w, 0, y)
				row := sums.Row(q)
				for i := range row {
					row[i] += float64(dense.Dot(y.Row(i), x.Row(i)))
				}
			}
		}
	}
	return nil
}

// basis identifies the coordinates in which gradients are kept.
func (e *Estimator[T]) basis() string {
	h := sha256.New()
	fmt.Fprintln(h, e.model)
	for i := range e.modules {
		m := &e.modules[i]
		fmt.Fprintln(h, m.Name(), m.scale.Rows, m.scale.Cols, m.bases)
	}
	return hex.EncodeToString(h.Sum(nil))
}
