package problem

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

const (
	// fitForcing is the residual that a step of the fit leaves, relative to the gradient. Its Hessian is wrong by about as much where the logarithms of the pencils
	// are a half.
	fitForcing = 0.01
	// fitCurving is about what a first step leaves, relative to the gradient g, in g^2/n: the cost is not quadratic.
	fitCurving = 0.6
	// fitSteps bounds the steps of the fit, and fitProducts the Hessian products for one.
	fitSteps, fitProducts = 12, 60
	// fitNodes bounds the nodes of the quadrature.
	fitNodes = 15
	// fitSpread bounds tr G/n tr G^-1/n for pairs that single precision bears.
	fitSpread = 1e3
	// fitWidth bounds the logarithms of the pencils.
	fitWidth = 4.0
	// fitCloseness bounds the logarithms for which the last evaluation of the fit is exact to rounding and its operator takes the place of the Hessian in
	// a certificate.
	fitCloseness = 1.5
	// fitGain is what a step must make of the gradient at most.
	fitGain = 0.4
)

// procrustesFit finds a stationary point near the start where the pairs are close, with neither decompositions nor exact Hessians. With C = R A R' and D = C - B
//
//	log(C B^-1) = D sum_j w_j (B + x_j D)^-1
//
// for nodes and weights of Gauss's quadrature on [0, 1] (the diagonal Pade approximant), and U -> (1/m) sum (G U G^-1 + G^-1 U G) - 2 U with G = (B + C)/2 in single
// precision in place of the Hessian, from which it differs by terms of second order in the logarithms. The pairs are given in the eigenbases of their
// means, where the diagonal of that operator is a fair preconditioner. What it returns is a first point like any other.
type procrustesFit struct {
	n         int
	a, b      []dense.Matrix[float64]
	team      *team
	group     *rotations
	at, trial *rotation
	grad      []float64
	turn      []float64
	nodes     map[int][2][]float64
	rule      [2][]float64 // of the present evaluation
	g, inv    []dense.Matrix[float32]
	scale     []float64             // of g
	inverses  dense.Matrix[float32] // the inv, below each other
	images    dense.Matrix[float32] // the G U, side by side
	diagonal  []float32
	u         dense.Matrix[float32] // of the present product
	sum       dense.Matrix[float32]

	step, res, dir, hd, z []float32

	cost, norm, width, length    float64   // after an evaluation and a step
	squares                      []float64 // of the distances
	steps, evaluations, products int
	term, product                func(w *worker, k int) error
}

func newProcrustesFit(p *pairing, t *team) *procrustesFit {
	n := p.qa.Rows
	f := &procrustesFit{n: n, a: p.a, b: p.b, team: t, group: newRotations(n), at: &rotation{dense.New[float64](n, n)}, trial: &rotation{dense.New[float64](n, n)},
		squares: make([]float64, len(p.a)), grad: make([]float64, n*n), turn: make([]float64, n*n), nodes: map[int][2][]float64{}, u: dense.New[float32](n, n), sum: dense.New[float32](n, n)}
	f.at.r.Identity()
	for _, v := range []*[]float32{&f.diagonal, &f.step, &f.res, &f.dir, &f.hd, &f.z} {
		*v = make([]float32, n*n)
	}
	f.inverses, f.images = dense.New[float32](len(f.b)*n, n), dense.New[float32](n, len(f.b)*n)
	for k, b := range f.b {
		f.g, f.inv = append(f.g, dense.New[float32](n, n)), append(f.inv, f.inverses.View(k*n, 0, n, n))
		f.scale = append(f.scale, float64(n)/trace(b))
	}
	f.term, f.product = f.evaluateTerm, f.productTerm
	return f
}

func trace(a dense.Matrix[float64]) (sum float64) {
	for i := range a.Rows {
		sum += a.At(i, i)
	}
	return sum
}

// run moves the point until the gradient is at most target, or a step no longer pays, and tells whether the point is better than the start.
func (f *procrustesFit) run(target float64, limit int) bool {
	goal, last := 0.0, math.Inf(1)
	var start float64
	f.width = 1
	for {
		if !f.evaluate(goal) || !(f.width <= fitWidth) {
			return false
		}
		norm := math.Sqrt(dense.Dot(f.grad, f.grad))
		f.norm = norm
		if f.evaluations == 1 {
			start = f.cost
			if !f.prepare() {
				return false
			}
		}
		if norm <= target && f.slack() > target/2 && len(f.rule[0]) < fitNodes {
			goal = target
			continue
		}
		if norm <= target || !(norm <= fitGain*last) && f.steps > 1 || f.steps == min(limit, fitSteps) {
			return f.cost <= start
		}
		last = norm
		forcing := fitForcing
		if f.steps == 0 {
			forcing = min(max(forcing, fitCurving*norm*norm/float64(f.n)), 0.5)
		}
		goal = max(forcing*norm, 0.5*target)
		f.solve(goal)
		widen(f.turn, f.step)
		f.length = math.Sqrt(dense.Dot(f.turn, f.turn))
		if f.group.Retract(f.trial, f.at, f.turn) != nil {
			return false
		}
		f.at, f.trial = f.trial, f.at
		f.steps++
	}
}

// evaluate sets cost, width, grad and the operator at the point, the gradient with an error well below goal.
func (f *procrustesFit) evaluate(goal float64) bool {
	f.evaluations++
	f.choose(goal)
	for _, w := range f.team.workers {
		w.acc.Zero()
	}
	f.team.share(f.term)
	sum := f.trial.r
	sum.Zero()
	for _, w := range f.team.workers {
		if w.err != nil {
			return false
		}
		dense.Axpy(1, w.acc.Data, sum.Data)
	}
	m := float64(len(f.a))
	for i := range f.n {
		for j := range i {
			v := (sum.At(j, i) - sum.At(i, j)) / m
			f.grad[i*f.n+j], f.grad[j*f.n+i] = v, -v
		}
	}
	f.cost = f.team.sum(0) / (2 * m)
	if f.measuring() {
		f.width = math.Sqrt(math.Sqrt(f.team.sum(1)))
	}
	return !math.IsNaN(f.cost + f.width)
}

// measuring tells whether the width is computed, which later steps hardly change.
func (f *procrustesFit) measuring() bool { return f.steps < 2 }

// choose takes as few nodes as the last width allows. Odd numbers have 1/2 among them.
func (f *procrustesFit) choose(goal float64) {
	q := 3
	for goal > 0 && q < fitNodes && f.quadratureError(q) > goal/2 {
		q += 2
	}
	if _, ok := f.nodes[q]; !ok {
		x, w := make([]float64, q), make([]float64, q)
		quad.Legendre{}.FixedLocations(x, w, 0, 1)
		f.nodes[q] = [2][]float64{x, w}
	}
	f.rule = f.nodes[q]
}

// quadratureError is that of q nodes for a logarithm of the present width.
func (f *procrustesFit) quadratureError(q int) float64 {
	return 4 * f.width * math.Pow(math.Tanh(f.width/4), float64(2*q))
}

// slack is the error of the last gradient.
func (f *procrustesFit) slack() float64 { return f.quadratureError(len(f.rule[0])) }

// evaluateTerm adds M = log(C B^-1) to acc, tr M^2 and tr M^4 to the sums, and keeps G and its inverse.
func (f *procrustesFit) evaluateTerm(w *worker, k int) error {
	c, d, s, shifted := w.t[0], w.t[1], w.t[2], w.t[3]
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.at.r, f.a[k], 0, s)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, s, f.at.r, 0, d)
	dense.Axpy(-1, f.b[k].Data, d.Data)
	s.Zero()
	for j, x := range f.rule[0] {
		dense.Blend(1, f.b[k].Data, x, d.Data, shifted.Data)
		middle := 2*j+1 == len(f.rule[0])
		if middle {
			narrowScaled(f.g[k].Data, f.scale[k], shifted.Data)
		}
		if !dense.InvertUpper(shifted, w.work) {
			return &manifold.PointError{What: "a pencil is not positive definite to rounding"}
		}
		if middle {
			narrowScaled(f.inv[k].Data, 1/f.scale[k], shifted.Data)
		}
		dense.Axpy(f.rule[1][j], shifted.Data, s.Data)
	}
	for _, m := range []dense.Matrix[float64]{d, s} {
		dense.Mirror(m)
	}
	dense.Mirror(f.g[k])
	dense.Mirror(f.inv[k])
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, d, s, 0, c)
	dense.Axpy(1, c.Data, w.acc.Data)
	dense.Transpose(s, c)
	f.squares[k] = dense.Dot(c.Data, s.Data)
	w.sum[0] += f.squares[k]
	if f.measuring() {
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, c, c, 0, d)
		dense.Transpose(s, d)
		w.sum[1] += dense.Dot(d.Data, s.Data)
	}
	return nil
}

// prepare sets the inverse diagonal of the operator and tells whether single precision bears it.
func (f *procrustesFit) prepare() bool {
	n := f.n
	for k, g := range f.g {
		var up, down float32
		for i := range n {
			up, down = up+g.At(i, i), down+f.inv[k].At(i, i)
		}
		if !(float64(up)/float64(n)*float64(down)/float64(n) <= fitSpread) {
			return false
		}
		for i := range n {
			row, inverse, out := g.Row(i), f.inv[k].Row(i), f.diagonal[i*n:][:n]
			gi, hi := row[i], inverse[i]
			for j := range out {
				out[j] += gi*f.inv[k].At(j, j) + hi*g.At(j, j) - 2*row[j]*inverse[j]
			}
		}
	}
	for i, v := range f.diagonal {
		f.diagonal[i] = 1 / max(v/float32(len(f.g))-2, 0.1)
	}
	return true
}

// solve sets step to an approximate Newton step, whose residual is at most goal, by conjugate gradients. It returns false where they met a direction without
// curvature, or took too many steps.
func (f *procrustesFit) solve(goal float64) bool {
	clear(f.step)
	narrow(f.res, f.grad)
	dense.Multiply(f.res, f.diagonal, f.z)
	dense.Scale(-1, f.z, f.dir)
	zr := dense.Dot(f.z, f.res)
	for range fitProducts {
		f.operate()
		curvature := dense.Dot(f.dir, f.hd)
		if !(curvature > 0) {
			return false
		}
		dense.Axpy(zr/curvature, f.dir, f.step)
		dense.Axpy(zr/curvature, f.hd, f.res)
		if math.Sqrt(float64(dense.Dot(f.res, f.res))) <= goal {
			return true
		}
		dense.Multiply(f.res, f.diagonal, f.z)
		next := dense.Dot(f.z, f.res)
		dense.Blend(next/zr, f.dir, -1, f.z, f.dir)
		zr = next
	}
	return false
}

// operate sets hd to the operator applied to dir.
func (f *procrustesFit) operate() {
	f.products++
	copy(f.u.Data, f.dir)
	f.team.share(f.product)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.images, f.inverses, 0, f.sum)
	weight := 1 / float32(len(f.g))
	dense.Transpose(f.u, f.sum)
	dense.Blend(weight, f.sum.Data, -weight, f.u.Data, f.hd)
	dense.Axpy(-2, f.dir, f.hd)
}

func (f *procrustesFit) productTerm(_ *worker, k int) error {
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, f.g[k], f.u, 0, f.images.View(0, k*f.n, f.n, f.n))
	return nil
}

func narrowScaled(dst []float32, scale float64, src []float64) {
	for i, v := range src {
		dst[i] = float32(scale * v)
	}
}

// certify is the length of the Newton step at the point, computed roughly.
func (f *procrustesFit) certify() solve.Certificate {
	if f.norm > 0 && !f.solve(0.5*f.norm) {
		return solve.Certificate{Kind: "none"}
	}
	if f.norm == 0 {
		clear(f.step)
	}
	return solve.Certificate{Kind: "newton-step", Value: math.Sqrt(float64(dense.Dot(f.step, f.step)))}
}

// fitted solves the problem by a fit, and from where that leaves it by the general solver if need be; nil if the fit found nothing.
func (o *procrustesObjective) fitted(p *pairing, options solve.Options, minimize solve.Minimize) (*solve.Result, error) {
	group := newRotations(o.n)
	mon := newMonitor(&options, group.VectorLen())
	scale := o.GradientScale(0)
	f := newProcrustesFit(p, o.team)
	if !f.run(0.7*mon.o.Tolerance*scale, mon.o.MaxIterations) {
		return nil, nil
	}
	start, work := p.rotation(), dense.New[float64](o.n, o.n)
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p.qb, f.at.r, 0, work)
	dense.Gemm(dense.NoTrans, dense.Transposed, 1, work, p.qa, 0, start.r)
	mon.step(f.length)
	mon.status.Iteration, mon.status.Evaluations = f.steps, f.evaluations
	if f.width <= fitCloseness && mon.done(start, f.cost, f.norm, scale) { // fitNodes are enough
		o.squares = f.squares
		certificate := f.certify()
		r := mon.result(start, f.products)
		r.Certificate = certificate
		return r, nil
	}
	options.MaxIterations = max(1, mon.o.MaxIterations-f.steps)
	r, err := minimize(group, o, start, &options)
	if err == nil {
		r.Iterations, r.Evaluations, r.HessianProducts = r.Iterations+f.steps, r.Evaluations+f.evaluations, r.HessianProducts+f.products
	}
	return r, err
}
