package dense

// Shifted holds the state of an iteration for the systems (M + s_j) z_j = y, j = 0..p-1, preconditioned by D + s_j with D = diag(d), for each
// of k right-hand sides y. W is n x p; G, Z, MZ and Prev are n x (k p), column l of y with shift j at l p + j.
type Shifted[T Float] struct {
	D, S              []T
	W, G, Z, MZ, Prev Matrix[T]
}

// Start sets W = 1/(d + s) and G, Z and Prev to (D + s)^-1 y for the n x k matrix y.
func (q *Shifted[T]) Start(y Matrix[T]) {
	q.check(y.Cols)
	for l := range y.Cols {
		q.startColumn(y, l)
	}
}

// Step takes MZ = M Z, overwrites it with the preconditioned residuals e = (D + s)^-1 (y - (M + s) z), sets res[l p + j] to the sum of the
// squares of (D + s_j)^(1/2) e and moves Prev by omega (Z - Prev) + step e, which is the next Z of a Chebyshev iteration.
func (q *Shifted[T]) Step(omega, step T, res []T) {
	k := len(res) / max(len(q.S), 1)
	q.check(k)
	clear(res)
	for l := range k {
		q.stepColumn(l, omega, step, res[l*len(q.S):(l+1)*len(q.S)])
	}
}

func (q *Shifted[T]) check(k int) {
	n, p := len(q.D), len(q.S)
	ok := q.W.Rows == n && q.W.Cols == p && q.W.Stride == p
	for _, m := range []*Matrix[T]{&q.G, &q.Z, &q.MZ, &q.Prev} {
		ok = ok && m.Rows == n && m.Cols == k*p && m.Stride == k*p
	}
	if !ok {
		panic(Error("Shifted: the sizes do not fit"))
	}
}

func (q *Shifted[T]) startColumn(y Matrix[T], l int) {
	p := len(q.S)
	if len(q.D) == 0 || p == 0 || shiftedStartKernel(q, y, l) {
		return
	}
	for i, d := range q.D {
		v := y.At(i, l)
		at := i*q.G.Stride + l*p
		for j, s := range q.S {
			inv := 1 / (d + s)
			q.W.Data[i*p+j] = inv
			q.G.Data[at+j], q.Z.Data[at+j], q.Prev.Data[at+j] = inv*v, inv*v, inv*v
		}
	}
}

func (q *Shifted[T]) stepColumn(l int, omega, step T, res []T) {
	p := len(q.S)
	if len(q.D) == 0 || p == 0 || shiftedStepKernel(q, l, omega, step, res) {
		return
	}
	for i, d := range q.D {
		w, at := q.W.Row(i), i*q.G.Stride+l*p
		g, z, e, prev := q.G.Data[at:at+p], q.Z.Data[at:at+p], q.MZ.Data[at:at+p], q.Prev.Data[at:at+p]
		for j, s := range q.S {
			v := g[j] - w[j]*(e[j]+s*z[j])
			e[j] = v
			res[j] += (d + s) * v * v
			prev[j] += omega*(z[j]-prev[j]) + step*v
		}
	}
}
