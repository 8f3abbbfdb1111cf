//go:build cuda && cgo && linux

package cuda

// workspace is the memory of a Spectral that is no state: what lasts is placed once, what a group needs for a step is shared by all groups.
type workspace struct {
	base  uintptr
	bytes int // of what has been placed
}

// take places n bytes.
func (w *workspace) take(n int) uintptr {
	at := w.base + uintptr(w.bytes)
	w.bytes += (n + 255) &^ 255
	return at
}

// lasting is the memory of a group that lasts from step to step.
type lasting struct {
	params, grads uintptr    // addresses of the parameters and gradients
	narrow        [2]uintptr // bases in bfloat16
	powers        [2]uintptr // d^(-1/Root)
}

// passing is the memory of a group within a step.
type passing struct {
	p, f, x            uintptr // two or three arrays like the momentum: p and x hold bfloat16 where that is the precision
	h, gen, y, v, z, w uintptr // squares of the larger side, of the matrices of an update
	half               uintptr // bytes of half of such an array: where bfloat16 numbers begin that share it
	s, r               [2]uintptr
	rel, next, a, b    uintptr // vectors
	absolute, norms    uintptr
	bound, est, coefs  uintptr
	scale              uintptr // of the eigenvalues in their last settling
	traces             [2]uintptr
	sums               uintptr
}

// biggest returns the largest number of matrices that one step updates.
func (g *group) biggest(every int) int { return (len(g.params) + every - 1) / every }

func (g *group) passing(base uintptr, every int) (q passing, bytes int) {
	w := workspace{base: base}
	size, c, s := len(g.params)*g.m*g.n, g.biggest(every), max(g.m, g.n)
	q.p, q.f, q.x = w.take(4*size), w.take(4*size), w.take(4*size)
	q.half = uintptr(2*c*s*s+255) &^ 255
	square := 2 * int(q.half)
	q.h, q.gen, q.y, q.v, q.z, q.w = w.take(square), w.take(square), w.take(square), w.take(square), w.take(square), w.take(square)
	for i := range 2 {
		q.s[i], q.r[i], q.traces[i] = w.take(4*c*s), w.take(4*c*s), w.take(8*c)
	}
	q.rel, q.next, q.a, q.b = w.take(4*c*s), w.take(4*c*s), w.take(4*c*s), w.take(4*c*s)
	q.absolute, q.norms, q.sums = w.take(8*c*s), w.take(8*c*s), w.take(8*c*s)
	q.bound, q.est, q.coefs = w.take(8*c), w.take(8*c), w.take(8*6*c)
	q.scale = w.take(8 * c)
	return q, w.bytes
}

// memory is a whole workspace.
type memory struct {
	numbers             uintptr
	groups              []lasting
	params, grads, ends uintptr // of what has AdamW
	blas                uintptr
	blasBytes           int
	shared              uintptr
}

// arrange places everything from base on and returns the bytes.
func (p *plan) arrange(base uintptr, capability int) (m memory, bytes int) {
	w := workspace{base: base}
	m.numbers = w.take(4 * 16)
	for i := range p.groups {
		g := &p.groups[i]
		l := lasting{params: w.take(8 * len(g.params)), grads: w.take(8 * len(g.params))}
		for s := range 2 {
			n := g.side(s)
			l.narrow[s], l.powers[s] = w.take(2*len(g.params)*n*n), w.take(4*len(g.params)*n)
		}
		m.groups = append(m.groups, l)
	}
	m.params, m.grads, m.ends = w.take(8*len(p.plain)), w.take(8*len(p.plain)), w.take(8*len(p.starts))
	m.blasBytes = 4 << 20
	if capability >= 90 {
		m.blasBytes = 32 << 20
	}
	m.blas = w.take(m.blasBytes)
	m.shared = base + uintptr(w.bytes)
	most := 0
	for i := range p.groups {
		_, n := p.groups[i].passing(0, p.o.Every)
		most = max(most, n)
	}
	return m, w.bytes + most
}
