package problem

import (
	"fmt"
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// kronSingleSize is the number of elements of all samples from which on steps in single precision pay.
	kronSingleSize = 1 << 15
	// kronSingleFloor is the relative gradient at which they end, a few times what rounding leaves.
	kronSingleFloor = 2e-6
	// kronSingleGoal is what should be left after the step in double precision.
	kronSingleGoal = 2e-9
	// kronSingleSteps bounds their number, and kronSingleStalls that of those which gain less than a third.
	kronSingleSteps, kronSingleStalls = 40, 6
)

// kronIteration is the flip-flop with over-relaxed steps. Its frames are triangular. Its samples become F^-1 Y for the frame of the last evaluation, so
// that no second copy of them is made.
type kronIteration struct {
	*kronObjective
	relax *relaxation
	step  dense.Matrix[float64]
	from  dense.Matrix[float64] // that frame
	turn  dense.Matrix[float64] // scratch
}

func kronFlipFlop(in instance, m *manifold.Affine, o *Options) (*solve.Result, error) {
	k := &kronIteration{kronObjective: in.(*kronObjective)}
	k.relax = newRelaxation(1/(float64(k.q)*m.Kappa()), m.VectorLen())
	k.step, k.turn = dense.New[float64](k.p, k.p), dense.New[float64](k.p, k.p)
	return drive(k, m, o, func(next, p *manifold.Frame, grad []float64, norm float64, memo solve.Memo) error {
		k.next(grad, norm, memo.(*kronMemo).p)
		f, err := congruence(m, p, k.step)
		if err != nil {
			return &DataError{Err: fmt.Errorf("the row covariance became singular: %w", err), Remedy: "give more samples; the likelihood has no maximum"}
		}
		next.CopyFrom(f)
		return nil
	})
}

// NewMemo implements solve.Memoizer.
func (k *kronIteration) NewMemo() solve.Memo {
	return &kronMemo{p: dense.New[float64](k.p, k.p), l: dense.New[float64](k.q, k.q)}
}

// Evaluate implements solve.Objective, for triangular frames; as kronObjective's.
func (k *kronIteration) Evaluate(p manifold.Point, grad []float64, memo solve.Memo) (float64, error) {
	f, m := p.(*manifold.Frame), memo.(*kronMemo)
	k.at.Copy(view(f.Inverse()))
	if k.turn.Copy(k.at); k.from.Rows > 0 {
		dense.MulLower(dense.NoTrans, k.at, k.from, k.turn)
	} else {
		k.from = dense.New[float64](k.p, k.p)
	}
	k.from.Copy(view(f.F()))
	k.b.Zero()
	k.z = k.y.whitenRows(k.turn, k.b, 1/float64(k.count*k.p), k.z)
	dense.Mirror(k.b)
	cost, err := k.profile(f, m)
	if err != nil {
		return cost, err
	}
	k.y.rowScatter(m.l, m.p, k.z)
	k.differential(f, m, grad)
	return cost, nil
}

// next sets step to the matrix M such that the next A is F M F': P/q far from the solution, I + eta + eta^2/2 for the relaxed step eta near it.
func (k *kronIteration) next(grad []float64, norm float64, p dense.Matrix[float64]) {
	if norm > float64(k.q) {
		dense.Scale(1/float64(k.q), p.Data, k.step.Data)
		k.relax.ready = false
		return
	}
	eta := dense.Wrap(k.p, k.p, k.relax.next(grad))
	dense.Gemm(dense.NoTrans, dense.NoTrans, 0.5, eta, eta, 0, k.step)
	for i := range k.p {
		for j, v := range eta.Row(i) {
			k.step.Set(i, j, k.step.At(i, j)+v)
		}
		k.step.Set(i, i, k.step.At(i, i)+1)
	}
}

// Certify implements solve.Certifier: the gradient over the smallest curvature that was seen along a step, or the Newton step if none was.
func (k *kronIteration) Certify(p manifold.Point, norm float64, memo solve.Memo) solve.Certificate {
	if c := k.relax.curvature; c > 0 {
		return solve.Certificate{Kind: "secant-curvature", Value: norm / c}
	}
	m, grad := memo.(*kronMemo), make([]float64, k.m.VectorLen())
	k.differential(p.(*manifold.Frame), m, grad)
	m.v, m.e = k.y, dense.New[float64](k.q, k.q) // the last use of the samples
	k.z = m.v.whitenColumns(m.l, m.p, k.z)
	c, _ := solve.Certify(k.m, k.kronObjective, p, grad, m)
	return c
}

// start makes the first steps in single precision, on samples that are whitened from step to step. What it returns is a first point like any other.
func (k *kronIteration) start() *manifold.Frame {
	if k.count*k.p*k.q < kronSingleSize {
		return k.kronObjective.start()
	}
	v, ok := k.single()
	if !ok {
		return k.kronObjective.start()
	}
	work, b, cov := make([]float32, v.largest()), dense.New[float32](k.q, k.q), dense.New[float32](k.p, k.p)
	f, p, c := dense.New[float64](k.p, k.p), dense.New[float64](k.p, k.p), dense.New[float64](k.p, k.p)
	grad := make([]float64, k.p*k.p)
	f.Identity()
	var inv dense.Matrix[float32] // none is I
	best, scale := math.Inf(1), k.GradientScale(0)
	for steps, stalls := 0, 0; steps < kronSingleSteps && stalls < kronSingleStalls; steps++ {
		var ok bool
		if work, ok = k.flip(v, inv, b, cov, work); !ok {
			break
		}
		norm := 0.0
		for i, x := range cov.Data {
			p.Data[i] = float64(x)
			grad[i] = -p.Data[i]
		}
		for i := range k.p {
			grad[i*k.p+i] += float64(k.q)
		}
		k.m.FromWhitened(nil, grad)
		norm = math.Sqrt(k.m.Inner(nil, grad, grad))
		if !(norm < 10*best) {
			break
		}
		if norm > 0.67*best {
			stalls++
		}
		rate := norm / best // the last step below and one in double precision will gain as much each
		best = min(best, norm)
		k.next(grad, norm, p)
		c.Copy(k.step)
		if dense.Cholesky(c) >= 0 {
			break
		}
		dense.MulLower(dense.NoTrans, f, c, p)
		f.Copy(p)
		if norm <= kronSingleFloor*scale || steps > 0 && norm*rate*rate <= kronSingleGoal*scale {
			break
		}
		dense.InvertLower(c)
		if inv.Rows == 0 {
			inv = dense.New[float32](k.p, k.p)
		}
		for i, x := range c.Data {
			inv.Data[i] = float32(x)
		}
	}
	k.relax.ready = false
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, f, f, 0, p)
	if frame, err := manifold.NewFrame(symmetric(p)); err == nil {
		return frame
	}
	return k.kronObjective.start()
}

// single returns the samples in single precision, scaled to a mean square of one, and false where that is not possible.
func (k *kronIteration) single() (*kronSamples[float32], bool) {
	var square float64
	for _, y := range k.y.blocks {
		square += dense.Dot(y.Data, y.Data)
	}
	scale := math.Sqrt(float64(k.count*k.p*k.q) / square)
	if !(scale > 0) || math.IsInf(scale, 1) {
		return nil, false
	}
	v := newKronSamples[float32](k.count, k.p, k.q)
	for i, y := range k.y.blocks {
		to := v.blocks[i].Data
		for j, x := range y.Data {
			to[j] = float32(scale * x)
		}
	}
	return v, true
}

// flip replaces the samples V by W = C^-1 V, given that inverse or none for I, and then by W L^-T with L L' = (1/Np) sum W'W, and sets cov to the mean of the V V'.
// It returns what takes the place of work, and whether the sum is positive definite.
func (k *kronIteration) flip(v *kronSamples[float32], inverse, b, cov dense.Matrix[float32], work []float32) ([]float32, bool) {
	b.Zero()
	work = v.whitenRows(inverse, b, 1/float32(k.count*k.p), work)
	dense.Mirror(b)
	if dense.Cholesky(b) >= 0 {
		return work, false
	}
	dense.InvertLower(b)
	return v.whitenColumns(b, cov, work), true
}
