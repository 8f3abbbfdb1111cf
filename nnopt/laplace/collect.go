package laplace

import (
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/nnopt/curvature"
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

// addFull multiplies the curvature with every unit vector.
func (p *Posterior[T]) addFull(r *curvature.Risk[T]) error {
	op, err := p.operator(r)
	if err != nil {
		return err
	}
	d := len(p.places)
	m := dense.New[float64](d, d)
	x := make([]float64, r.Dim())
	column := make([]float64, r.Dim())
	for i, at := range p.places {
		x[at] = 1
		op.MulTo(column, x)
		x[at] = 0
		gather(m.Row(i), column, p.places)
	}
	for i := range d {
		for j := range i + 1 {
			v := (m.At(i, j) + m.At(j, i)) / (2 * r.Factor())
			if v-v != 0 {
				return &curvature.DataError{What: "curvature", Why: fmt.Sprintf("element (%d, %d) is %v", i, j, v)}
			}
			m.Set(i, j, v)
			m.Set(j, i, v)
		}
	}
	if before, ok := p.h.(*fullCurvature); ok {
		dense.Axpy(1, before.h.Data, m.Data)
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
