package spectral

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/absent"
	"github.com/spdopt/spdopt/internal/dense"
)

// Learn makes one natural-gradient step (kappa = 2) of length beta on the objective 1/2 (gamma log det S + tr(S^-1 Q)) with the curvature
// Q = mean over the batch of vec(X) vec(X)^T + ridge I; each X of the batch is a flat tensor of length N. To first order S moves along the projection of
// -beta gamma S + beta Q on the Kronecker products; the fixed point for gamma = 1 is the matrix-normal maximum-likelihood estimate (flip-flop
// equations). gamma = 1 is the moving average, gamma = 0 the sum.
//
// With Z = X rotated into the eigenbases and divided by d^(1/2) along every mode, factor k moves by the Gram matrix of mode k of Z times
// beta n_k/(N alpha). All factors and alpha use the old state. Cost per tensor: a product and half a product along every mode; per step one
// rotation per factor. Nothing is allocated in steady state.
//
// RotatedDiagonal (the default of o) moves d_k by the Rayleigh quotients of diag(d_k) + A_k, positive for every batch, and alpha by
// alpha (1 - beta gamma) + beta q alpha/N; Exponential is the published update with its mean subtraction. Both keep det S_k = 1.
func (k *Kron) Learn(batch [][]float64, beta, gamma, ridge float64, o *Step) Report {
	for _, x := range batch {
		k.checkTensor(x, "Kron.Learn")
	}
	k.ready()
	for _, f := range k.parts {
		f.ready()
		f.m.Zero()
	}
	var q float64
	for _, x := range batch {
		k.modes(dense.Transposed, x)
		k.scale(-0.5)
		q += dense.Dot(k.z, k.z)
		k.grams(1 / float64(len(batch)))
	}
	if len(batch) > 0 {
		q /= float64(len(batch))
	}
	for _, f := range k.parts {
		f.unwhiten()
	}
	return k.step(q, beta, gamma, ridge, o)
}

// grams adds c times the Gram matrix of every mode of z to the upper triangle of that factor's m.
func (k *Kron) grams(c float64) {
	left := 1
	for _, f := range k.parts {
		right := k.size / (left * f.n)
		if right == 1 {
			z := dense.Wrap(left, f.n, k.z)
			dense.GemmUpper(dense.Transposed, dense.NoTrans, c, z, z, 1, f.m)
		} else {
			for l := range left {
				z := dense.Wrap(f.n, right, k.z[l*f.n*right:])
				dense.GemmUpper(dense.NoTrans, dense.Transposed, c, z, z, 1, f.m)
			}
		}
		left *= f.n
	}
}

// unwhiten multiplies the upper triangle of m by d^(1/2) on both sides.
func (f *Factor) unwhiten() {
	dense.Sqrt(f.s, f.d)
	for i, si := range f.s {
		row := f.m.Row(i)
		for j := i; j < f.n; j++ {
			row[j] *= si * f.s[j]
		}
	}
}

// LearnProduct is Learn for the curvature Q = U_1 (x) U_2 (x) ... + ridge I, as K-FAC has it: one symmetric matrix per factor.
func (k *Kron) LearnProduct(u []mat.Symmetric, beta, gamma, ridge float64, o *Step) Report {
	k.checkParts(u, "Kron.LearnProduct")
	q := 1.0
	for i, f := range k.parts {
		f.ready()
		symmetricTo(f.scratch(), u[i], 1)
		f.project(1)
		var tr float64
		for j, dj := range f.d {
			tr += f.m.At(j, j) / dj
		}
		k.tops[i] = tr
		q *= tr
	}
	for i, f := range k.parts {
		others := 1.0
		for j, tr := range k.tops {
			if j != i {
				others *= tr
			}
		}
		f.scaleUpper(others)
	}
	return k.step(q, beta, gamma, ridge, o)
}

func (f *Factor) scaleUpper(c float64) {
	for i := range f.n {
		row := f.m.Row(i)[i:]
		for j := range row {
			row[j] *= c
		}
	}
}

// step adds the ridge to the statistics H_k in the factors' m, turns them into increments and moves. q is tr(S^-1 Q) alpha without the ridge.
func (k *Kron) step(q, beta, gamma, ridge float64, o *Step) Report {
	all := ridge
	for _, f := range k.parts {
		all *= f.inverseTrace()
	}
	for _, f := range k.parts {
		f.scaleUpper(beta * float64(f.n) / (float64(k.size) * k.alpha))
		if ridge != 0 {
			add := all / f.inverseTrace() * beta * float64(f.n) / (float64(k.size) * k.alpha)
			for i := range f.n {
				f.m.Data[i*f.m.Stride+i] += add
			}
		}
	}
	return k.move(beta*((q+all)/(k.alpha*float64(k.size))-gamma), o)
}

func (f *Factor) inverseTrace() float64 {
	var s float64
	for _, v := range f.d {
		s += 1 / v
	}
	return s
}

// Gradient makes one descent step of length beta along the Riemannian gradient of a loss L(S) that is known by its contractions: with G = dL/dS,
// tr = tr(G S), and for factor k the n_k x n_k matrix p[k] = partial trace of G (S with S_k left out); for two factors
// P_C = alpha Tr_2[G (I (x) K)] and P_K = alpha Tr_1[G (C (x) I)], so that tr = tr(P_C C) = tr(P_K K). kappa = 2 is the Fisher-Rao metric.
func (k *Kron) Gradient(tr float64, p []mat.Symmetric, beta, kappa float64, o *Step) Report {
	k.checkParts(p, "Kron.Gradient")
	for i, f := range k.parts {
		f.ready()
		symmetricTo(f.scratch(), p[i], 1)
		f.project(-beta * kappa * float64(f.n) / float64(k.size))
		f.congruent()
	}
	return k.move(-beta*kappa*tr/float64(k.size), o)
}

func (k *Kron) checkParts(u []mat.Symmetric, op string) {
	if len(u) != len(k.parts) {
		mistake("%s: %d matrices for %d factors", op, len(u), len(k.parts))
	}
	for i, f := range k.parts {
		if absent.Matrix(u[i]) {
			mistake("%s: matrix %d is nil", op, i)
		}
		if u[i].SymmetricDim() != f.n {
			mistake("%s: matrix %d is %d x %[3]d, the factor %d x %[4]d", op, i, u[i].SymmetricDim(), f.n)
		}
	}
}

// move turns every factor by the increment A_k in the upper triangle of its m and moves the scale by the relative increment rate.
func (k *Kron) move(rate float64, o *Step) Report {
	step := o.resolve(0, 1)
	rep := Report{Scaling: 1, Converged: true}
	for i, f := range k.parts {
		var err error
		if k.tops[i], k.norms[i], err = f.kronTarget(step.Eigenvalues == Exponential); err != nil || rate-rate != 0 {
			rep.Converged, rep.Err = false, ErrNotFinite
			return rep
		}
	}
	for i, f := range k.parts {
		rep.merge(f.sweep(nil, &step, nil, k.tops[i], k.norms[i]))
		scale := f.normalise()
		if step.Eigenvalues == Exponential {
			k.alpha *= math.Exp(scale)
		}
	}
	limit := min(step.MaxExponent, 1e3)
	switch {
	case step.Eigenvalues == RotatedDiagonal && rate > -1:
		k.alpha *= 1 + rate
	case step.Eigenvalues == RotatedDiagonal:
		k.alpha *= math.Exp(max(rate, -min(limit, 1)))
		rep.Guarded++
	default:
		k.alpha *= math.Exp(min(max(rate, -limit), limit))
	}
	if !(k.alpha >= smallest && k.alpha <= largest) {
		rep.Guarded++
		k.alpha = min(max(k.alpha, smallest), largest)
	}
	return rep
}

// kronTarget is target for the increment of a Kronecker factor: x is centred, which keeps the determinant, and the mean is taken out of M where
// the eigenvalue rule needs no positive M.
func (f *Factor) kronTarget(exponential bool) (top, norm float64, err error) {
	var mean float64
	for i, di := range f.d {
		f.x[i] = f.m.At(i, i) / di
		mean += f.x[i]
	}
	mean /= float64(f.n)
	t := Increment{}
	if exponential {
		t.Decay = mean
	}
	if top, norm, err = f.target(&t); err != nil {
		return 0, 0, err
	}
	if !exponential {
		for i, v := range f.x {
			f.x[i] = v - mean
		}
	}
	return top, norm, nil
}

// merge combines the report of one factor into that of the product: the worst of each.
func (r *Report) merge(p Report) {
	r.Sweeps = max(r.Sweeps, p.Sweeps)
	r.Scaling = min(r.Scaling, p.Scaling)
	r.Residual = max(r.Residual, p.Residual)
	r.Coupling = max(r.Coupling, p.Coupling)
	r.Converged = r.Converged && p.Converged
	r.Guarded += p.Guarded
	r.Defect = max(r.Defect, p.Defect)
	r.Reorthogonalized = r.Reorthogonalized || p.Reorthogonalized
}
