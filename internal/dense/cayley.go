package dense

// cayleyBase is the size up to which a block is inverted by elimination.
const cayleyBase = 8

// CayleyWork returns the number of elements of workspace that CayleyInverse and CayleyTruncated need for an n x n generator.
func CayleyWork(n int) int { return 2 * n * n }

// CayleyInverse sets dst = (I - N)^-1 for the skew-symmetric N by pivot-free recursive block inversion: the symmetric part of I - N is I, so
// every leading block and every Schur complement has a symmetric part of at least I and needs no pivoting. The Cayley map is then
// Q = (I + N)(I - N)^-1 = 2 dst - I. All the work is in products of half the size, six at each level, about one Gemm in all.
// The error of 2 dst - I is a small multiple of eps (1 + ||N||_2^2): full accuracy for the rotations of a step, whose norm is below one, but not
// for a huge N, which would need pivoting. work needs CayleyWork(n) elements; dst must not overlap n.
func CayleyInverse[T Float](n, dst Matrix[T], work []T) {
	m := n.Rows
	n.mustHave(m, m, "CayleyInverse")
	dst.mustHave(m, m, "CayleyInverse")
	for i := range m {
		row := dst.Row(i)
		for j, v := range n.Row(i) {
			row[j] = -v
		}
		row[i]++
	}
	invertDefinite(dst, work)
}

// InvertDefinite inverts in place a matrix whose symmetric part is positive definite, by pivot-free recursive block inversion, about one Gemm in all. The
// error grows with the condition number, as that of Cholesky's way does. work needs CayleyWork(n) elements.
func InvertDefinite[T Float](a Matrix[T], work []T) {
	a.mustHave(a.Rows, a.Rows, "InvertDefinite")
	invertDefinite(a, work)
}

// invertDefinite inverts in place a matrix whose symmetric part is positive definite.
func invertDefinite[T Float](a Matrix[T], work []T) {
	n := a.Rows
	if n <= cayleyBase {
		eliminate(a, nil)
		return
	}
	h := splitAt(n)
	a11, a12 := a.View(0, 0, h, h), a.View(0, h, h, n-h)
	a21, a22 := a.View(h, 0, n-h, h), a.View(h, h, n-h, n-h)
	l, r := Wrap(n-h, h, work), Wrap(h, n-h, work[h*(n-h):])
	rest := work[2*h*(n-h):]

	invertDefinite(a11, rest)
	Gemm(NoTrans, NoTrans, 1, a21, a11, 0, l)
	Gemm(NoTrans, NoTrans, 1, a11, a12, 0, r)
	Gemm(NoTrans, NoTrans, -1, a21, r, 1, a22)
	invertDefinite(a22, rest)
	Gemm(NoTrans, NoTrans, -1, r, a22, 0, a12)
	Gemm(NoTrans, NoTrans, -1, a22, l, 0, a21)
	Gemm(NoTrans, NoTrans, -1, r, a21, 1, a11)
}

// splitAt returns where to halve a matrix of size n > 1 so that both halves fit whole register tiles when they can.
func splitAt(n int) int {
	if n <= 32 {
		return (n + 1) / 2
	}
	return (n/2 + 7) / 8 * 8
}

// eliminate inverts a in place by Gauss-Jordan elimination in the order of the rows. Pivot p goes to the start of row p of pivots, which has the shape of a, unless it is nil. Products are
// rounded before they are subtracted, as in the kernel of invertBlock: the same bits on every machine.
func eliminate[T Float](a Matrix[T], pivots []T) {
	n := a.Rows
	for p := range n {
		pivot := a.Row(p)
		if pivots != nil {
			pivots[p*n] = pivot[p]
		}
		inv := 1 / pivot[p]
		pivot[p] = 1
		for j := range pivot {
			pivot[j] *= inv
		}
		for i := range n {
			if i == p {
				continue
			}
			row := a.Row(i)[:len(pivot)]
			f := row[p]
			row[p] = 0
			for j, v := range pivot {
				row[j] -= T(f * v)
			}
		}
	}
}

// CayleyTruncated sets dst = (I+N)^2 (I+N^2)(I+N^4)...(I+N^(2^(k-1))) for the skew-symmetric N and k >= 1, which equals
// Q(N) (I - N^q), q = 2^k, for the Cayley map Q. It uses products only. Its defect is 2 r^q - r^(2q) with r = ||N||_2 < 1 (k >= 2).
//
// With F = (I+N^2)(I+N^4)...(I+N^(q/2)) the result is 2 F - I + N^q + 2 N F: every factor is symmetric and 2 N F is skew-symmetric, so that
// half products suffice, 2k - 1 of them for k >= 2 and one for k = 1.
//
// work needs CayleyWork(n) elements; dst must not overlap n.
func CayleyTruncated[T Float](n Matrix[T], k int, dst Matrix[T], work []T) {
	m := n.Rows
	n.mustHave(m, m, "CayleyTruncated")
	dst.mustHave(m, m, "CayleyTruncated")
	if k < 1 {
		panic(Error("CayleyTruncated: k < 1"))
	}
	power, f, free := Wrap(m, m, work), dst, Wrap(m, m, work[m*m:])
	GemmUpper(NoTrans, NoTrans, 1, n, n, 0, power)
	if k == 1 {
		free.Identity()
		addEvenOdd(free, power, n, dst)
		return
	}
	Mirror(power)
	f.Copy(power)
	addIdentity(f)
	for range k - 2 {
		GemmUpper(NoTrans, NoTrans, 1, power, power, 0, free)
		Mirror(free)
		power, free = free, power
		copyUpper(free, f)
		GemmUpper(NoTrans, NoTrans, 1, f, power, 1, free)
		Mirror(free)
		f, free = free, f
	}
	GemmUpper(NoTrans, NoTrans, 1, power, power, 0, free)
	GemmUpper(NoTrans, NoTrans, 1, n, f, 0, power)
	addEvenOdd(f, free, power, dst)
}

func addIdentity[T Float](a Matrix[T]) {
	for i := range a.Rows {
		a.Data[i*a.Stride+i]++
	}
}

func copyUpper[T Float](dst, src Matrix[T]) {
	for i := range src.Rows {
		copy(dst.Row(i)[i:], src.Row(i)[i:])
	}
}

// addEvenOdd sets dst = 2 f - I + p + 2 o for symmetric f and p and skew-symmetric o, of which it reads the upper triangles. dst may be
// any of them.
func addEvenOdd[T Float](f, p, o, dst Matrix[T]) {
	for i := range f.Rows {
		frow, prow, orow, row := f.Row(i), p.Row(i), o.Row(i), dst.Row(i)
		row[i] = 2*frow[i] - 1 + prow[i]
		for j := i + 1; j < len(row); j++ {
			even, odd := 2*frow[j]+prow[j], 2*orow[j]
			row[j] = even + odd
			dst.Data[j*dst.Stride+i] = even - odd
		}
	}
}
