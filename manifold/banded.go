package manifold

import "fmt"

var banded = Space{
	Name: "banded",
	What: "n x n SPD matrices with a band, log-Cholesky: the factor of a banded matrix has the same band; an instance has width 1",
	New:  func(n int) (Manifold, error) { return NewBanded(n, 1) },
}

// NewBanded returns the manifold of the n x n SPD matrices whose elements (i, j) are zero for |i - j| > width, with the log-Cholesky metric. A
// Cholesky factor of such a matrix has the same band and no other matrix has a factor with it, so that this space is the flat, complete, totally
// geodesic subspace of LogCholesky on which those elements of L vanish: exponentials, distances and means are those of LogCholesky, and keep the
// band exactly. It is not the affine-invariant geometry of banded matrices: that subset is not totally geodesic. Vectors have
// n (width + 1) - width (width + 1)/2 numbers; storage of points is dense. width may be 0 (diagonal matrices) to n - 1.
func NewBanded(n, width int) (*LogCholesky, error) {
	if width < 0 || width > max(0, n-1) {
		return nil, fmt.Errorf("manifold: the band has width %d, want 0 to n-1 = %d", width, n-1)
	}
	m, err := NewLogCholesky(n)
	if err != nil {
		return nil, err
	}
	m.band = width
	return m, nil
}
