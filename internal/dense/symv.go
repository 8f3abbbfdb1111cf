package dense

// Symv sets y = A x for the symmetric A whose upper triangle is that of the square a; the strict lower triangle is not read. The triangle goes
// through the processor once, each element serving both sides of the diagonal.
func Symv(a Matrix[float64], x, y []float64) {
	n := a.Rows
	a.mustHave(n, n, "Symv")
	if len(x) != n || len(y) != n {
		panic(Error("Symv: lengths do not fit"))
	}
	symvRows(a, 0, n, nil, nil, x, y)
}

// RankTwoSymv subtracts v w^T + w v^T from the symmetric A whose upper triangle is that of the square a, then sets y = A x, in one pass over
// the triangle. The strict lower triangle is neither read nor written.
func RankTwoSymv(a Matrix[float64], v, w, x, y []float64) {
	n := a.Rows
	a.mustHave(n, n, "RankTwoSymv")
	if len(v) != n || len(w) != n || len(x) != n || len(y) != n {
		panic(Error("RankTwoSymv: lengths do not fit"))
	}
	symvRows(a, 0, n, v, w, x, y)
}

// SymvRows is what the rows from first to last-1 of the triangle contribute to Symv and, if v and w are not nil, to RankTwoSymv: it updates these rows and sets
// y, which begins with element first, to their part of the product. first and last are multiples of 4, but for last = n.
func SymvRows(a Matrix[float64], first, last int, v, w, x, y []float64) {
	n := a.Rows
	a.mustHave(n, n, "SymvRows")
	if first%4 != 0 || last%4 != 0 && last != n || first > last || last > n {
		panic(Error("SymvRows: no such rows"))
	}
	if v != nil && (len(v) != n || len(w) != n) || len(x) != n || len(y) != n-first {
		panic(Error("SymvRows: lengths do not fit"))
	}
	symvRows(a, first, last, v, w, x, y)
}

func symvRows(a Matrix[float64], first, last int, v, w, x, y []float64) {
	n := a.Rows
	clear(y)
	var sums [4]float64
	i := first
	for ; i < last && i+4 < n; i += 4 {
		rest := i + 4
		p, own, others := a.Data[i*a.Stride+i:], (*[4]float64)(y[i-first:]), y[rest-first:]
		if v != nil {
			rankTwoCorner4(p, a.Stride, (*[4]float64)(v[i:rest]), (*[4]float64)(w[i:rest]))
		}
		symvCorner4(p, a.Stride, (*[4]float64)(x[i:rest]), own)
		if v != nil {
			rankTwoSymv4(p[4:], a.Stride, v[i:], w[i:], x[i:], others, &sums)
		} else {
			symv4(p[4:], a.Stride, x[rest:], (*[4]float64)(x[i:rest]), others, &sums)
		}
		for l, s := range sums {
			own[l] += s
		}
	}
	if last < n {
		return
	}
	if v != nil {
		rankTwoCorner(a, i, n-i, v, w)
	}
	symvCorner(a, i, n-i, x[i:], y[i-first:])
}

// rankTwoCorner4 updates the 4x4 block on the diagonal whose first element is p[0].
func rankTwoCorner4(p []float64, stride int, v, w *[4]float64) {
	p0, p1, p2 := (*[4]float64)(p), (*[3]float64)(p[stride+1:]), (*[2]float64)(p[2*stride+2:])
	v0, v1, v2, v3 := v[0], v[1], v[2], v[3]
	w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
	p0[0] -= v0*w0 + w0*v0
	p0[1] -= v0*w1 + w0*v1
	p0[2] -= v0*w2 + w0*v2
	p0[3] -= v0*w3 + w0*v3
	p1[0] -= v1*w1 + w1*v1
	p1[1] -= v1*w2 + w1*v2
	p1[2] -= v1*w3 + w1*v3
	p2[0] -= v2*w2 + w2*v2
	p2[1] -= v2*w3 + w2*v3
	p[3*stride+3] -= v3*w3 + w3*v3
}

// rankTwoCorner does the same for the last m <= 4 rows, which start at i.
func rankTwoCorner(a Matrix[float64], i, m int, v, w []float64) {
	v, w = v[i:i+m], w[i:i+m]
	for r := range m {
		row := a.Data[(i+r)*a.Stride+i+r:][:m-r]
		for c := range row {
			row[c] -= v[r]*w[r+c] + w[r]*v[r+c]
		}
	}
}

// symvCorner4 adds the part of the 4x4 block on the diagonal whose first element is p[0].
func symvCorner4(p []float64, stride int, x, y *[4]float64) {
	p0, p1, p2 := (*[4]float64)(p), (*[3]float64)(p[stride+1:]), (*[2]float64)(p[2*stride+2:])
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	y[0] += (p0[0]*x0 + p0[1]*x1) + (p0[2]*x2 + p0[3]*x3)
	y[1] += (p0[1]*x0 + p1[0]*x1) + (p1[1]*x2 + p1[2]*x3)
	y[2] += (p0[2]*x0 + p1[1]*x1) + (p2[0]*x2 + p2[1]*x3)
	y[3] += (p0[3]*x0 + p1[2]*x1) + (p2[1]*x2 + p[3*stride+3]*x3)
}

// symvCorner does the same for the last m <= 4 rows, which start at i; x and y begin there.
func symvCorner(a Matrix[float64], i, m int, x, y []float64) {
	x, y = x[:m], y[:m]
	for r := range m {
		row := a.Data[(i+r)*a.Stride+i+r:][:m-r]
		xr := x[r]
		sum := row[0] * xr
		for c := 1; c < len(row); c++ {
			sum += row[c] * x[r+c]
			y[r+c] += row[c] * xr
		}
		y[r] += sum
	}
}

// symv4Portable is symv4 without vector instructions.
func symv4Portable(a []float64, stride int, x []float64, xr *[4]float64, y []float64, sums *[4]float64) {
	n := len(x)
	y = y[:n]
	r0, r1, r2, r3 := a[:n], a[stride:][:n], a[2*stride:][:n], a[3*stride:][:n]
	x0, x1, x2, x3 := xr[0], xr[1], xr[2], xr[3]
	var s0, s1, s2, s3 float64
	for c, xc := range x {
		a0, a1, a2, a3 := r0[c], r1[c], r2[c], r3[c]
		s0 += a0 * xc
		s1 += a1 * xc
		s2 += a2 * xc
		s3 += a3 * xc
		y[c] += (a0*x0 + a1*x1) + (a2*x2 + a3*x3)
	}
	*sums = [4]float64{s0, s1, s2, s3}
}

// rankTwoSymv4Portable is rankTwoSymv4 without vector instructions.
func rankTwoSymv4Portable(a []float64, stride int, v, w, x, y []float64, sums *[4]float64) {
	n := len(y)
	for i := range 4 {
		row, vr, wr := a[i*stride:][:n], v[i], w[i]
		for c, wc := range w[4:][:n] {
			row[c] -= vr*wc + wr*v[4+c]
		}
	}
	symv4Portable(a, stride, x[4:][:n], (*[4]float64)(x), y, sums)
}
