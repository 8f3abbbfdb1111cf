package dense

// CayleyWork returns the number of elements of workspace that CayleyInverse needs for an n x n generator.
func CayleyWork(n int) int { return 2 * n * n }

// CayleyInverse sets dst = (I - N)^-1 for the skew-symmetric N by pivot-free recursive block inversion. The symmetric part of I - N is I, so
// every Schur complement is well conditioned. The Cayley map is then Q = (I + N)(I - N)^-1 = 2 dst - I. It costs about one Gemm.
// work needs CayleyWork(n) elements; dst must not overlap n.
func CayleyInverse[T Float](n, dst Matrix[T], work []T) {
	m := n.Rows
	a := Wrap(m, m, work)
	for i := range m {
		for j := range m {
			a.Set(i, j, -n.At(i, j))
		}
		a.Set(i, i, 1)
	}
	dst.Identity()
	for p := range m {
		piv := 1 / a.At(p, p)
		for j := range m {
			a.Set(p, j, a.At(p, j)*piv)
			dst.Set(p, j, dst.At(p, j)*piv)
		}
		for i := range m {
			if f := a.At(i, p); i != p && f != 0 {
				for j := range m {
					a.Set(i, j, a.At(i, j)-f*a.At(p, j))
					dst.Set(i, j, dst.At(i, j)-f*dst.At(p, j))
				}
			}
		}
	}
}

// CayleyTruncated sets dst = (I+N)^2 (I+N^2)(I+N^4)...(I+N^(2^(k-1))), which equals Q(N) (I - N^(2^k)) for the Cayley map Q. It uses
// products only, 2k-2 of them, and is a contraction whose defect is 2 r^(2^k) - r^(2^(k+1)) with r = ||N||_2 < 1 (k >= 2). work needs
// CayleyWork(n) elements.
func CayleyTruncated[T Float](n Matrix[T], k int, dst Matrix[T], work []T) {
	m := n.Rows
	p, t := Wrap(m, m, work), Wrap(m, m, work[m*m:])
	Gemm(NoTrans, NoTrans, 1, n, n, 0, p)
	for i := range m {
		for j := range m {
			dst.Set(i, j, 2*n.At(i, j)+p.At(i, j))
		}
		dst.Set(i, i, dst.At(i, i)+1)
	}
	for s := 1; s < k; s++ {
		t.Copy(dst)
		Gemm(NoTrans, NoTrans, 1, dst, p, 1, t)
		dst.Copy(t)
		if s+1 < k {
			Gemm(NoTrans, NoTrans, 1, p, p, 0, t)
			p.Copy(t)
		}
	}
}
