package mixture

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// planeInverse is the inverse lifted matrix P = F^-T E F^-1 of a component in a planeSearch. The frame F is I, so that E = P, but where components are small (exact)
// the factor of the component where the step begins, so that E = I there.
type planeInverse struct {
	e, trial     dense.Matrix[float64] // E where the step begins, and under trial
	em, last     dense.Matrix[float64] // from there to the step of EM, and what the last step has changed
	v            dense.Matrix[float64] // R over the mean responsibility, E^-1 at the step of EM
	factor       dense.Matrix[float64] // of the E under trial
	pivots       []float64             // of V
	inverting    []float64             // scratch for that
	defect, tilt dense.Matrix[float64] // VE - I and V times the last step, then scratch
	low          [2][3]dense.Matrix[float32]
	frame        float64    // logarithm of det P when E = I
	origin       float64    // of det P where the step begins
	logDet       float64    // under trial
	slope        [2]float64 // of that along both directions
	curvature    [3]float64 // and its second derivatives 00, 01, 11 at the step of EM
	least, reach float64    // smallest deviation in any direction given others, where the step begins and under trial
	ahead        float64    // and at the step of EM
	distance     float64    // squared norm of VE - I, with V whitened by its factor
	definite     bool       // the matrix that was factored last
	err          error      // why there is no step of EM
}

func newPlaneInverse(d int) planeInverse {
	i := planeInverse{pivots: make([]float64, d), inverting: make([]float64, dense.InverseWork(d))}
	for _, m := range []*dense.Matrix[float64]{&i.e, &i.trial, &i.em, &i.last, &i.v, &i.factor, &i.defect, &i.tilt} {
		*m = dense.New[float64](d, d)
	}
	for j := range i.low {
		for k := range i.low[j] {
			i.low[j][k] = dense.New[float32](d, d)
		}
	}
	return i
}

// target sets the step of EM for its V, and its smallest deviation, if V is definite.
func (i *planeInverse) target() {
	i.em.Copy(i.v)
	if i.definite = dense.InvertPivots(i.em, i.pivots, i.inverting); !i.definite {
		i.ahead = 0
		return
	}
	dense.Mirror(i.em)
	dense.Axpy(-1, i.e.Data, i.em.Data)
	i.ahead, i.logDet = math.Inf(1), i.frame
	for _, p := range i.pivots {
		i.ahead = min(i.ahead, math.Sqrt(p))
		i.logDet -= math.Log(p)
	}
}

// measure sets the defect.
func (i *planeInverse) measure(p stage) {
	if p == exact {
		i.defect.Copy(i.v)
	} else {
		i.multiply(p, i.e, i.defect, 0)
	}
	i.defect.AddDiagonal(-1)
}

// multiply sets out to Vb, in single precision unless that of the stage is higher, with one of two sets of scratch.
func (i *planeInverse) multiply(p stage, b, out dense.Matrix[float64], scratch int) {
	if p >= double {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, i.v, b, 0, out)
		return
	}
	low := &i.low[scratch]
	dense.Convert(1, i.v.Data, low[0].Data)
	dense.Convert(1, b.Data, low[1].Data)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, low[0], low[1], 0, low[2])
	dense.ToDouble(low[2].Data, out.Data)
}

// aim sets slopes and curvatures at the step of EM, where E^-1 = V and V em = I - VE, and the distance of that from 0.
func (i *planeInverse) aim() {
	v := i.v.Data
	i.slope = [2]float64{dense.Dot(v, i.em.Data), dense.Dot(v, i.last.Data)}
	dense.Transpose(i.trial, i.defect)
	i.distance = max(0, dense.Dot(i.trial.Data, i.defect.Data))
	i.curvature[0], i.curvature[1] = -i.distance, dense.Dot(i.trial.Data, i.tilt.Data)
	dense.Transpose(i.trial, i.tilt)
	i.curvature[2] = -dense.Dot(i.trial.Data, i.tilt.Data)
}

// try factors the E of a point of the plane, if it is positive definite.
func (i *planeInverse) try(t [2]float64) {
	dense.Blend(t[0], i.em.Data, t[1], i.last.Data, i.trial.Data)
	dense.Axpy(1, i.e.Data, i.trial.Data)
	i.factor.Copy(i.trial)
	if i.definite = dense.Cholesky(i.factor) < 0; !i.definite {
		return
	}
	i.logDet = i.frame + dense.LogDetSquare(i.factor)
	i.reach = math.Inf(1)
	for j := range i.factor.Rows {
		i.reach = min(i.reach, 1/i.factor.At(j, j))
	}
}

// invert returns E^-1 at the point under trial.
func (i *planeInverse) invert() dense.Matrix[float64] {
	i.tilt.Copy(i.factor)
	dense.InvertLower(i.tilt)
	dense.MulLower(dense.Transposed, i.tilt, i.tilt, i.defect)
	return i.defect
}

// incline sets the slopes at the point under trial.
func (i *planeInverse) incline() {
	v := i.invert().Data
	i.slope = [2]float64{dense.Dot(v, i.em.Data), dense.Dot(v, i.last.Data)}
}

// move makes the point under trial that where the next step begins.
func (i *planeInverse) move(t [2]float64) {
	dense.Blend(t[0], i.em.Data, t[1], i.last.Data, i.last.Data)
	i.e, i.trial = i.trial, i.e
	i.origin, i.least = i.logDet, i.reach
}

// frame makes a component the frame, or I.
func (s *planeSearch) frame(c int) {
	i, p := &s.planes[c], s.parts[c]
	i.origin, i.frame = -dense.LogDetSquare(p.l), 0
	if s.used == exact {
		i.e.Identity()
		i.frame = i.origin
	} else {
		dense.MulLower(dense.Transposed, p.inverse, p.inverse, i.e)
	}
	i.least = math.Inf(1)
	for j := range p.l.Rows {
		i.least = min(i.least, p.l.At(j, j))
	}
}

// unframe makes a component what its inverse says.
func (s *planeSearch) unframe(c int) {
	i, p := &s.planes[c], s.parts[c]
	p.inverse.Copy(i.e)
	dense.Cholesky(p.inverse)
	dense.InvertLower(p.inverse)
	dense.MulLower(dense.Transposed, p.inverse, p.inverse, p.l)
	dense.Cholesky(p.l)
	s.parts[c].invert()
}

// reframe makes the point under trial that of a component and its frame.
func (s *planeSearch) reframe(c int, t [2]float64) error {
	i := &s.planes[c]
	s.one.Copy(i.invert())
	if dense.Cholesky(s.one) >= 0 {
		return collapsed(c)
	}
	dense.Blend(t[0], i.em.Data, t[1], i.last.Data, i.last.Data)
	dense.MulLower(dense.Transposed, s.one, i.last, s.work)
	dense.MulLowerRight(dense.NoTrans, s.one, s.work, i.last)
	if err := s.replace(c, s.share[c]); err != nil {
		return err
	}
	s.frame(c)
	return nil
}

// smallest returns the smallest deviation of a small component at the point under trial.
func (s *planeSearch) smallest(c int) (float64, error) {
	f := s.planes[c].invert()
	if dense.Cholesky(f) >= 0 {
		return 0, collapsed(c)
	}
	least := math.Inf(1)
	for j := range f.Rows {
		least = min(least, s.parts[c].l.At(j, j)*f.At(j, j))
	}
	return least, nil
}
