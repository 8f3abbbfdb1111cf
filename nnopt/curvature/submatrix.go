package curvature

type submatrix struct {
	a          Operator
	rows, cols []int
	out, in    []float64
}

// Submatrix returns the rows and columns of A with the given indices, in their order; indices may not repeat. A nil list means all. With the positions
// of blocks (Indices) it is the curvature of a subset of the parameters.
func Submatrix(a Operator, rows, cols []int) Operator {
	mustExist("a submatrix", a)
	r, c := a.Dims()
	return &submatrix{a, indexList(rows, r), indexList(cols, c), make([]float64, r), make([]float64, c)}
}

func indexList(list []int, n int) []int {
	if list == nil {
		list = make([]int, n)
		for i := range list {
			list[i] = i
		}
		return list
	}
	seen := make([]bool, n)
	for _, i := range list {
		if i < 0 || i >= n || seen[i] {
			fail("index %d of a submatrix is out of range (%d) or repeated", i, n)
		}
		seen[i] = true
	}
	return list
}

// Dims implements Operator.
func (s *submatrix) Dims() (rows, cols int) { return len(s.rows), len(s.cols) }

// MulTo implements Operator.
func (s *submatrix) MulTo(dst, x []float64) {
	mustFit(dst, x, len(s.rows), len(s.cols))
	spread(x, s.cols, s.in)
	s.a.MulTo(s.out, s.in)
	pickFrom(s.out, s.rows, dst)
}

// MulTransTo implements Operator.
func (s *submatrix) MulTransTo(dst, x []float64) {
	mustFit(dst, x, len(s.cols), len(s.rows))
	spread(x, s.rows, s.out)
	s.a.MulTransTo(s.in, s.out)
	pickFrom(s.in, s.cols, dst)
}

func spread(x []float64, index []int, to []float64) {
	clear(to)
	for k, i := range index {
		to[i] = x[k]
	}
}

func pickFrom(x []float64, index []int, to []float64) {
	for k, i := range index {
		to[k] = x[i]
	}
}
