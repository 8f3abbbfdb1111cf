package manifold

// Metric describes one geometry of SPD matrices.
type Metric struct {
	Name string // as used on the command line
	What string // one line
	New  func(n int) (Manifold, error)
}

// Metrics returns every metric, in a fixed order.
func Metrics() []Metric {
	return []Metric{
		affineInvariant,
		fisherRao,
		logEuclidean,
		buresWasserstein,
		logCholesky,
		powerEuclidean,
		euclidean,
		inverseEuclidean,
		cholesky,
	}
}

var affineInvariant = Metric{
	Name: "affine-invariant",
	What: "tr(S^-1 X S^-1 Y): invariant under congruence and inversion; geodesic distance by log eigenvalues",
	New:  func(n int) (Manifold, error) { return NewAffine(n, AffineOptions{}) },
}

var fisherRao = Metric{
	Name: "fisher-rao",
	What: "1/2 tr(S^-1 X S^-1 Y): the Fisher information metric of zero-mean Gaussians",
	New:  func(n int) (Manifold, error) { return NewAffine(n, AffineOptions{Kappa: 2}) },
}
