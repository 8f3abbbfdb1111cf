package dense

const congruenceBase = 32 // rows up to which Congruence takes whole products

// Congruence sets the upper triangle of c to L A L^T for a lower triangular L, whose upper triangle must be zero, and a symmetric A, both of which are read whole, in little more
// than half the work of a Gemm. What lies below the diagonal of c is unspecified. work needs n^2 elements.
func Congruence[T Float](l, a, c Matrix[T], work []T) {
	n := l.Rows
	l.mustHave(n, n, "Congruence")
	a.mustHave(n, n, "Congruence")
	c.mustHave(n, n, "Congruence")
	if len(work) < n*n {
		panic(Error("Congruence: too little work space"))
	}
	congruence(l, a, c, work)
}

// congruence takes the blocks in two. With P = A12 L22^T and Z = A11 L21^T those of the result besides the ones of the halves are L11 (P + Z) and what is added to the last
// one, L21 (P + Z/2) and its transpose.
func congruence[T Float](l, a, c Matrix[T], work []T) {
	n := l.Rows
	if n <= congruenceBase {
		t := Wrap(n, n, work)
		Gemm(NoTrans, Transposed, 1, a, l, 0, t)
		GemmUpper(NoTrans, NoTrans, 1, l, t, 0, c)
		return
	}
	h := splitAt(n)
	r := n - h
	l11, l21, l22 := l.View(0, 0, h, h), l.View(h, 0, r, h), l.View(h, h, r, r)
	c22 := c.View(h, h, r, r)
	congruence(l11, a.View(0, 0, h, h), c.View(0, 0, h, h), work)
	congruence(l22, a.View(h, h, r, r), c22, work)
	p, z := Wrap(h, r, work), Wrap(h, r, work[h*r:])
	MulLowerRight(Transposed, l22, a.View(0, h, h, r), p)
	Gemm(NoTrans, Transposed, 0.5, a.View(0, 0, h, h), l21, 0, z)
	Axpy(1, z.Data, p.Data)
	GemmUpper(NoTrans, NoTrans, 1, l21, p, 1, c22)
	GemmUpper(Transposed, Transposed, 1, p, l21, 1, c22)
	Axpy(1, z.Data, p.Data)
	MulLower(NoTrans, l11, p, c.View(0, h, h, r))
}
