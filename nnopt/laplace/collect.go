package laplace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/nnopt/net"
)

// addCurvature adds the curvature of the likelihood of more data to that of the posterior.
func (p *Posterior[T]) addCurvature(r *curvature.Risk[T]) error {
	switch p.o.structure() {
	case Full:
		return p.addFull(r)
	case Diagonal:
		return p.addDiagonal(r)
	}
	return p.addKronecker(r)
}

func (p *Posterior[T]) addDiagonal(r *curvature.Risk[T]) error {
	s := p.o.Curvature
	full, err := curvature.GGNDiagonal(r, s)
	if err != nil {
		return err
	}
	sum := &diagonalCurvature{make([]float64, len(p.places))}
	gather(sum.h, full, p.places)
	dense.Scale(1/r.Factor(), sum.h, sum.h)
	if before, ok := p.h.(*diagonalCurvature); ok {
		dense.Axpy(1, before.h, sum.h)
	}
	p.h = sum
	return nil
}

// operator returns the curvature of a risk that the flavour names.
func (p *Posterior[T]) operator(r *curvature.Risk[T]) (curvature.Operator, error) {
	switch s := &p.o.Curvature; s.Flavour {
	case curvature.MonteCarlo:
		return curvature.NewMonteCarloGGN(r, max(1, s.Samples), s.Seed)
	case curvature.Empirical:
		return curvature.NewEmpiricalFisher(r), nil
	}
	return curvature.NewGGN(r), nil
}

// addFull adds the outer products of pulled-back vectors, so that the sum is positive semidefinite in floating point too. Examples that are not
// independent have no Jacobians of their own; then the curvature is multiplied with every unit vector.
func (p *Posterior[T]) addFull(r *curvature.Risk[T]) error {
	d := len(p.places)
	m := dense.New[float64](d, d)
	if before, ok := p.h.(*fullCurvature); ok {
		m.Copy(before.h)
	}
	for b := range r.Data {
		if p.separable(b) != nil {
			return p.multiplied(r, m)
		}
		break
	}
	source := (&Scoring{Seed: p.o.Curvature.Seed + uint64(p.examples)}).rand()
	for b := range r.Data {
		p.addOuter(b, p.vectorsAt(b, source), m)
	}
	return p.setFull(m)
}

// vectorsAt returns the vectors v at the outputs of a batch whose outer products the flavour adds up.
func (p *Posterior[T]) vectorsAt(b *net.Batch[T], source *rand.Rand) (all []net.Matrix[T]) {
	view := p.net.Linearize(b)
	out := view.Clone()
	curved := p.net.Loss.(net.Curved[T])
	add := func(f func(v net.Matrix[T])) {
		v := dense.New[T](out.Rows, out.Cols)
		f(v)
		all = append(all, v)
	}
	switch s := &p.o.Curvature; s.Flavour {
	case curvature.MonteCarlo:
		samples := max(1, s.Samples)
		for range samples {
			add(func(v net.Matrix[T]) {
				curved.Draw(out, &b.Target, source, v)
				dense.Scale(T(1/math.Sqrt(float64(samples))), v.Data, v.Data)
			})
		}
	case curvature.Empirical:
		add(func(v net.Matrix[T]) {
			p.net.Loss.Evaluate(net.Dual[T]{V: out}, &b.Target, net.Dual[T]{V: v})
			dense.Scale(T(1/p.net.Loss.Factor(out, &b.Target)), v.Data, v.Data)
		})
	default:
		for k := range out.Cols {
			add(func(v net.Matrix[T]) { curved.Root(out, &b.Target, k, v) })
		}
	}
	return all
}

// addOuter adds sum_v (J^T v)(J^T v)^T of every row of the outputs to m.
func (p *Posterior[T]) addOuter(b *net.Batch[T], vectors []net.Matrix[T], m dense.Matrix[float64]) {
	row := 0
	c := vectors[0].Cols
	s := dense.New[float64](len(vectors), c)
	for l := range p.locals(b) {
		pulled := dense.New[float64](l.out.Rows*len(vectors), m.Cols)
		for i := range l.out.Rows {
			for k, v := range vectors {
				widen(v.View(row+i, 0, 1, c), s.View(k, 0, 1, c))
			}
			dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s, l.jacobian.View(i*c, 0, c, m.Cols), 0, pulled.View(i*len(vectors), 0, len(vectors), m.Cols))
		}
		dense.Gemm(dense.Transposed, dense.NoTrans, 1, pulled, pulled, 1, m)
		row += l.out.Rows
	}
}

// multiplied adds the curvature by its products. What rounding made negative of its eigenvalues becomes 0.
func (p *Posterior[T]) multiplied(r *curvature.Risk[T], m dense.Matrix[float64]) error {
	op, err := p.operator(r)
	if err != nil {
		return err
	}
	q := dense.New[float64](m.Rows, m.Cols)
	x, column := make([]float64, r.Dim()), make([]float64, r.Dim())
	for i, at := range p.places {
		x[at] = 1
		op.MulTo(column, x)
		x[at] = 0
		gather(q.Row(i), column, p.places)
		dense.Scale(1/r.Factor(), q.Row(i), q.Row(i))
	}
	w := make([]float64, m.Rows)
	if !eigen.Sym(q, w) {
		return &curvature.DataError{What: "curvature", Why: "is not finite"}
	}
	scaled := q.Clone()
	for i := range q.Rows {
		for j, v := range w {
			scaled.Row(i)[j] *= max(v, 0)
		}
	}
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, scaled, q, 1, m)
	return p.setFull(m)
}

func (p *Posterior[T]) setFull(m dense.Matrix[float64]) error {
	for i, v := range m.Data {
		if v-v != 0 {
			return &curvature.DataError{What: "curvature", Why: fmt.Sprintf("element (%d, %d) is %v", i/m.Cols, i%m.Cols, v)}
		}
	}
	p.h = &fullCurvature{m}
	return nil
}

func (p *Posterior[T]) addKronecker(r *curvature.Risk[T]) error {
	s := p.o.Curvature
	s.Skip = true
	if p.o.Corrected {
		e, err := curvature.CollectEKFAC(r, s)
		if err != nil {
			return err
		}
		p.setKronecker(e, r.Dim(), r.Factor())
		return nil
	}
	if p.collector == nil {
		c, err := curvature.NewCollector(p.net, s)
		if err != nil {
			return err
		}
		p.collector = c
	}
	for b := range r.Data {
		p.collector.Add(b)
	}
	k, err := p.collector.KFAC()
	if err != nil {
		return err
	}
	kept := curvature.NewKFAC(slices.DeleteFunc(k.Blocks, p.outside), r.Dim())
	e, err := kept.Decompose()
	if err != nil {
		return err
	}
	p.setKronecker(e, r.Dim(), k.Factor)
	return nil
}

// setKronecker makes the blocks of e that hold parameters of the posterior its curvature.
func (p *Posterior[T]) setKronecker(e *curvature.Eigen, dim int, factor float64) {
	var blocks []curvature.Factors
	var spectra []curvature.Eigenblock
	for k, f := range e.Blocks {
		if !p.outside(f) {
			blocks, spectra = append(blocks, f), append(spectra, e.Spectra[k])
		}
	}
	p.h = newKron(blocks, spectra, dim, factor, p.o.Damped, p.places)
}

// outside reports whether a block holds no parameters of the posterior.
func (p *Posterior[T]) outside(f curvature.Factors) bool {
	at := f.Weight.Start
	if f.Weight.Rows == 0 {
		at = f.Bias.Start
	}
	_, found := slices.BinarySearch(p.places, at)
	return !found
}
