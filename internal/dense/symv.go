package dense

//go:generate sh -c "cd gen/eigen && go run . -out ../../eigen_amd64.s -stubs ../../eigen_stubs_amd64.go -pkg dense"

// Symv sets y = A x for the symmetric A whose upper triangle is that of the square a; the strict lower triangle is not read. The triangle goes
// through the processor once, each element serving both sides of the diagonal.
func Symv(a Matrix[float64], x, y []float64) {
	n := a.Rows
	a.mustHave(n, n, "Symv")
	if len(x) != n || len(y) != n {
		panic(Error("Symv: lengths do not fit"))
	}
	clear(y)
	var sums [4]float64
	i := 0
	for ; i+4 < n; i += 4 {
		symvCorner(a, i, 4, x, y)
		rest := i + 4
		symv4(a.Data[i*a.Stride+rest:], a.Stride, x[rest:], (*[4]float64)(x[i:rest]), y[rest:], &sums)
		for l, v := range sums {
			y[i+l] += v
		}
	}
	symvCorner(a, i, n-i, x, y)
}

// symvCorner adds the part of the diagonal block of size m <= 4 at i.
func symvCorner(a Matrix[float64], i, m int, x, y []float64) {
	x, y = x[i:i+m], y[i:i+m]
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
