package laplace

import (
	"fmt"
	"iter"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// pieceFloats bounds the numbers that are kept for the examples of a piece.
const pieceFloats = 1 << 23

// local is what the variances of the outputs of some examples are computed from: their Jacobian, or what its layers' parts are products of.
type local struct {
	out      dense.Matrix[float64] // rows of the outputs
	jacobian dense.Matrix[float64] // a row for each output, or empty
	blocks   []localBlock
}

// localBlock belongs to one block of parameters. The derivative of an output of an example in it is the sum over its uses and their positions of g x^T, in
// the eigenbases of the structure.
type localBlock struct {
	uses []localUse
}

type localUse struct {
	x     dense.Matrix[float64]   // examples*reps x in
	g     []dense.Matrix[float64] // examples*reps x out for each position and column of the outputs
	basis dense.Matrix[float64]   // instead of g: row k belongs to column k of the outputs, for all examples
	reps  int
	plain bool                  // it is the only use, and reps is 1
	x2    dense.Matrix[float64] // of plain: squares of x
}

// fastBlocks returns the blocks by which variances can be computed without Jacobians: all parameters belong to layers whose statistics are those of their
// weights. It also finds out whether the last layer is that.
func (p *Posterior[T]) fastBlocks(r *curvature.Risk[T]) []curvature.Factors {
	if p.o.structure() == Full {
		return nil
	}
	layout := curvature.Layout(p.net)
	at := func(name string) (b curvature.Block) {
		if k := slices.IndexFunc(layout, func(b curvature.Block) bool { return b.Name == name }); k >= 0 {
			b = layout[k]
		}
		return b
	}
	for b := range r.Data {
		p.net.Linearize(b)
		for _, s := range p.net.Stats(nil) {
			if s.In.Cols > at(s.Weight).Cols {
				return nil // groups of a convolution
			}
		}
		break
	}
	if kron, ok := p.h.(*kronCurvature); ok {
		return kron.blocks
	}
	covered := 0
	alone := p.net.Unobserved()
	var all []curvature.Factors
	for _, l := range p.net.Layers() {
		f := curvature.Factors{Weight: at(l.Weight), Bias: at(l.Bias)}
		known := slices.ContainsFunc(all, func(other curvature.Factors) bool { return other.Weight.Name == l.Weight })
		inside := within(p.places, f.Weight) + within(p.places, f.Bias)
		if known || inside == 0 || slices.Contains(alone, l.Weight) || slices.Contains(alone, l.Bias) {
			continue
		}
		covered += inside
		all = append(all, f)
	}
	if covered != len(p.places) {
		return nil
	}
	return all
}

// within returns how many of the places are in a block.
func within(places []int, b curvature.Block) int {
	from, _ := slices.BinarySearch(places, b.Start)
	end, _ := slices.BinarySearch(places, b.End())
	return end - from
}

// checkOutputLayer demands of LastLayer that the pulled-back vectors of the layer are those at the outputs.
func (p *Posterior[T]) checkOutputLayer(b *net.Batch[T]) error {
	out := p.net.Linearize(b)
	u := dense.New[T](out.Rows, out.Cols)
	for i := range u.Data {
		u.Data[i] = T(i%7) - 3
	}
	p.net.PullStreams(u)
	stats := p.net.Stats(nil)
	last := stats[len(stats)-1]
	if last.Out.Rows != u.Rows || last.Out.Cols != u.Cols || last.Reps != u.Rows/b.N {
		return optionError("last layer", "%s is not what the network ends with; name the blocks instead", last.Weight)
	}
	for i := range u.Rows {
		if !slices.Equal(last.Out.Row(i), u.Row(i)) {
			return optionError("last layer", "%s is not what the network ends with; name the blocks instead", last.Weight)
		}
	}
	return nil
}

// locals yields what the variances of a batch need, in pieces of examples that bound the memory; targets are those of the piece's rows.
func (p *Posterior[T]) locals(b *net.Batch[T]) iter.Seq[*local] {
	return func(yield func(*local) bool) {
		out := p.net.Linearize(b)
		positions := out.Rows / b.N
		width := len(p.places)
		if p.fast != nil {
			width = 0
			for k := range p.fast {
				rows, cols := p.fast[k].Dims()
				width += (rows + cols) * max(1, b.X.Rows/b.N)
			}
		}
		size := max(1, pieceFloats/(positions*out.Cols*(width+out.Cols)))
		for from := 0; from < b.N; from += size {
			piece := examples(b, from, min(from+size, b.N))
			make := p.jacobians
			if p.fast != nil {
				make = p.streams
			}
			if !yield(make(&piece, positions)) {
				return
			}
		}
	}
}

// examples returns the inputs of the examples [from, to) of a batch; it shares memory.
func examples[T net.Float](b *net.Batch[T], from, to int) net.Batch[T] {
	rows := b.X.Rows / b.N
	return net.Batch[T]{X: b.X.View(from*rows, 0, (to-from)*rows, b.X.Cols), N: to - from, Step: b.Step}
}

// jacobians differentiates every output of one example at a time.
func (p *Posterior[T]) jacobians(b *net.Batch[T], positions int) *local {
	l := &local{}
	for n := range b.N {
		one := examples(b, n, n+1)
		out := p.net.Linearize(&one)
		if n == 0 {
			l.out = dense.New[float64](b.N*positions, out.Cols)
			l.jacobian = dense.New[float64](b.N*positions*out.Cols, len(p.places))
		}
		widen(out, l.out.View(n*positions, 0, positions, out.Cols))
		u := dense.New[T](positions, out.Cols)
		for k := range u.Data {
			u.Data[k] = 1
			p.net.PullBack(u)
			u.Data[k] = 0
			p.gradients(l.jacobian.Row(n*len(u.Data) + k))
		}
	}
	return l
}

// gradients copies the gradients of the parameters of the posterior.
func (p *Posterior[T]) gradients(dst []float64) {
	start, k := 0, 0
	for _, b := range p.net.Blocks() {
		for ; k < len(p.places) && p.places[k] < start+b.Len(); k++ {
			dst[k] = float64(b.Grad[p.places[k]-start])
		}
		start += b.Len()
	}
}

func widen[T net.Float](src net.Matrix[T], dst dense.Matrix[float64]) {
	for i := range src.Rows {
		row := dst.Row(i)
		for j, v := range src.Row(i) {
			row[j] = float64(v)
		}
	}
}

// streams takes a vector for each output back through all examples at once; of the last layer alone the vectors are known.
func (p *Posterior[T]) streams(b *net.Batch[T], positions int) *local {
	view := p.net.Linearize(b)
	l := &local{out: dense.New[float64](view.Rows, view.Cols), blocks: make([]localBlock, len(p.fast))}
	widen(view, l.out)
	u := dense.New[T](view.Rows, view.Cols)
	known := p.o.LastLayer && positions == 1
	for k := range positions * view.Cols {
		if known && k > 0 {
			break
		}
		for n := range b.N {
			u.Row(n*positions + k/view.Cols)[k%view.Cols] = 1
		}
		if k == 0 || !p.o.LastLayer {
			p.net.PullStreams(u)
		}
		stats := p.net.Stats(nil)
		for i := range p.fast {
			block := &l.blocks[i]
			used := 0
			for _, s := range stats {
				f := &p.fast[i]
				if s.Weight != f.Weight.Name && (f.Weight.Rows > 0 || s.Bias != f.Bias.Name) {
					continue
				}
				g := s.Out
				if p.o.LastLayer {
					g = u
				}
				if k == 0 {
					block.uses = append(block.uses, p.inputs(i, s.In, s.Reps))
				}
				if known {
					block.uses[used].basis = p.basis(i)
				} else {
					block.uses[used].g = append(block.uses[used].g, p.vectors(i, g))
				}
				used++
			}
		}
		for n := range b.N {
			u.Row(n*positions + k/view.Cols)[k%view.Cols] = 0
		}
	}
	for i := range l.blocks {
		l.blocks[i].prepare()
	}
	return l
}

// inputs returns the inputs of a use of block i in its eigenbasis, with the one of the bias.
func (p *Posterior[T]) inputs(i int, x net.Matrix[T], reps int) localUse {
	f := &p.fast[i]
	_, in := f.Dims()
	m := dense.New[float64](x.Rows, in)
	if f.Weight.Rows > 0 {
		widen(x, m)
	}
	if f.Bias.Cols > 0 {
		for r := range m.Rows {
			m.Set(r, in-1, 1)
		}
	}
	if kron, ok := p.h.(*kronCurvature); ok {
		m = rotated(m, kron.spectra[i].QA)
	}
	return localUse{x: m, reps: reps}
}

// vectors returns the vectors of a use of block i in its eigenbasis.
func (p *Posterior[T]) vectors(i int, g net.Matrix[T]) dense.Matrix[float64] {
	m := dense.New[float64](g.Rows, g.Cols)
	widen(g, m)
	if kron, ok := p.h.(*kronCurvature); ok {
		m = rotated(m, kron.spectra[i].QB)
	}
	return m
}

// basis returns the eigenbasis of the outputs of block i.
func (p *Posterior[T]) basis(i int) dense.Matrix[float64] {
	if kron, ok := p.h.(*kronCurvature); ok {
		return kron.spectra[i].QB
	}
	out, _ := p.fast[i].Dims()
	m := dense.New[float64](out, out)
	m.Identity()
	return m
}

// rotated returns x q.
func rotated(x, q dense.Matrix[float64]) dense.Matrix[float64] {
	y := dense.New[float64](x.Rows, q.Cols)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, q, 0, y)
	return y
}

func (b *localBlock) prepare() {
	if len(b.uses) == 1 && b.uses[0].reps == 1 {
		u := &b.uses[0]
		u.plain, u.x2 = true, squares(u.x)
	}
}

// covariances returns the covariance of the outputs of every row.
func (p *Posterior[T]) covariances(l *local, q precision) []dense.Matrix[float64] {
	c := l.out.Cols
	cov := make([]dense.Matrix[float64], l.out.Rows)
	for i := range cov {
		cov[i] = dense.New[float64](c, c)
	}
	if l.blocks == nil {
		white := l.jacobian.Clone()
		q.whiten(white)
		for i := range cov {
			part := white.View(i*c, 0, c, white.Cols)
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, part, part, 0, cov[i])
		}
		return cov
	}
	for k, v := range p.blockVariances(q) {
		if b := &l.blocks[k]; b.uses[0].plain {
			b.uses[0].addPlain(v, cov)
		} else {
			b.add(v, cov)
		}
	}
	return cov
}

// blockVariances returns, for each of the fast blocks, the variances of its parameters in the eigenbases; zero for parameters that are certain.
func (p *Posterior[T]) blockVariances(q precision) (all []dense.Matrix[float64]) {
	full := make([]float64, len(p.values))
	if d, ok := q.(*diagonalPrecision); ok {
		v := make([]float64, len(d.p))
		d.variances(v)
		scatter(full, v, p.places)
	}
	for k := range p.fast {
		out, in := p.fast[k].Dims()
		v := dense.New[float64](out, in)
		if kron, ok := q.(*kronPrecision); ok {
			reciprocals(kron.values[k], v)
		} else {
			p.fast[k].Gather(full, v)
		}
		all = append(all, v)
	}
	return all
}

// addPlain adds sum_ij g_i g'_i x_j^2 v_ij for every row and every two outputs g, g'.
func (u *localUse) addPlain(v dense.Matrix[float64], cov []dense.Matrix[float64]) {
	w := dense.New[float64](u.x2.Rows, v.Rows)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, u.x2, v, 0, w)
	positions := len(cov) / u.x2.Rows
	weighted := make([]float64, v.Rows)
	for row := range cov {
		n, c := row/positions, cov[row].Cols
		at := func(k int) []float64 {
			if u.g == nil {
				return u.basis.Row(k)
			}
			return u.g[(row%positions)*c+k].Row(n)
		}
		for a := range c {
			for i, g := range at(a) {
				weighted[i] = g * w.At(n, i)
			}
			for b := range a + 1 {
				s := dense.Dot(weighted, at(b))
				cov[row].Set(a, b, cov[row].At(a, b)+s)
				if a != b {
					cov[row].Set(b, a, cov[row].At(b, a)+s)
				}
			}
		}
	}
}

// add forms the derivatives of the outputs of one row at a time.
func (b *localBlock) add(v dense.Matrix[float64], cov []dense.Matrix[float64]) {
	c := cov[0].Cols
	examples := b.uses[0].x.Rows / b.uses[0].reps
	positions := len(cov) / examples
	j, weighted := dense.New[float64](c, len(v.Data)), dense.New[float64](c, len(v.Data))
	for row := range cov {
		n := row / positions
		for a := range c {
			m := dense.Wrap(v.Rows, v.Cols, j.Row(a))
			for k, u := range b.uses {
				g := u.g[(row%positions)*c+a].View(n*u.reps, 0, u.reps, v.Rows)
				x := u.x.View(n*u.reps, 0, u.reps, v.Cols)
				dense.Gemm(dense.Transposed, dense.NoTrans, 1, g, x, float64(min(k, 1)), m)
			}
			for i, d := range m.Data {
				weighted.Row(a)[i] = d * v.Data[i]
			}
		}
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, weighted, j, 1, cov[row])
	}
}

// guard turns the panics of layers about sizes that do not fit into errors.
func guard(f func()) error {
	if err := net.Guard(f); err != nil {
		return &curvature.DataError{What: "batch", Why: fmt.Sprintf("does not fit the network: %v", err)}
	}
	return nil
}
