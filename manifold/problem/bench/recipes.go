package bench

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/problem"
)

// recipe makes the data of one problem.
type recipe struct {
	largest int  // n that it is meant for
	plain   bool // the data do not depend on the condition
	sum     bool // the cost is a sum over the matrices
	make    func(n int, kappa float64) (problem.Data, problem.Options)
}

// only is a recipe without options.
func only(largest int, data func(n int, kappa float64) problem.Data) recipe {
	return recipe{largest: largest, make: func(n int, kappa float64) (problem.Data, problem.Options) { return data(n, kappa), problem.Options{} }}
}

func plain(r recipe) recipe {
	r.plain = true
	return r
}

func sum(r recipe) recipe {
	r.sum = true
	return r
}

// recipes has one entry for every problem of the registry.
var recipes = map[string]recipe{
	"mean":                sum(only(1000, many)),
	"median":              sum(only(1000, many)),
	"masked-mean":         sum(only(200, masked)),
	"barycenter":          sum(only(1000, many)),
	"logdet":              only(1000, func(n int, kappa float64) problem.Data { return stack(gallery.LogDet(n, kappa)) }),
	"tyler":               only(1000, samples),
	"student":             only(1000, samples),
	"huber":               only(1000, samples),
	"shrinkage":           only(1000, samples),
	"glasso":              plain(recipe{largest: 200, make: lasso}),
	"nearest-correlation": plain(only(1000, indefinite)),
	"nearest-spd":         plain(only(1000, indefinite)),
	"nearness":            only(1000, nearness),
	"lyapunov":            only(1000, matrices(2)),
	"riccati":             only(1000, matrices(2)),
	"kron-mle":            plain(only(200, trials)),
	"mve":                 only(200, points),
	"dopt":                only(200, points),
	"ellipsoid":           plain(only(200, sphere)),
	"gmm":                 only(200, clouds),
	"metric-learning":     only(1000, labelled),
	"procrustes":          only(1000, turned),
	"classify":            sum(only(100, classes)),
	"tangent":             sum(only(200, matrices(20))),
	"cluster":             sum(only(100, classes)),
	"outliers":            sum(only(100, matrices(12))),
	"recenter":            sum(only(100, classes)),
	"csp":                 sum(only(200, classes)),
}

func symmetric(m dense.Matrix[float64]) *mat.SymDense { return mat.NewSymDense(m.Rows, m.Data) }

func rectangle(m dense.Matrix[float64]) *mat.Dense { return mat.NewDense(m.Rows, m.Cols, m.Data) }

func stack(all ...dense.Matrix[float64]) problem.Data {
	var d problem.Data
	for _, m := range all {
		d.Matrices = append(d.Matrices, symmetric(m))
	}
	return d
}

// matrices are SPD matrices with one spectrum in independent eigenbases.
func matrices(count int) func(n int, kappa float64) problem.Data {
	return func(n int, kappa float64) problem.Data {
		return stack(gallery.KarcherScatter(gallery.MeanSeed, n, count, kappa)...)
	}
}

// many are 20 of them, or 4 beyond n = 200.
func many(n int, kappa float64) problem.Data {
	if n > 200 {
		return matrices(4)(n, kappa)
	}
	return matrices(20)(n, kappa)
}

// masked are twenty matrices that lack a tenth of their variables, each another one.
func masked(n int, kappa float64) problem.Data {
	d := matrices(20)(n, kappa)
	for k, a := range d.Matrices {
		m := a.(*mat.SymDense)
		for i := range (n + 9) / 10 {
			for j := range n {
				m.SetSym((3*k+7*i)%n, j, math.NaN())
			}
		}
	}
	return d
}

// samples are 4 n of a multivariate t distribution.
func samples(n int, kappa float64) problem.Data {
	return problem.Data{Samples: rectangle(gallery.Tyler(n, kappa))}
}

// coloured are normal samples whose covariance has the condition.
func coloured(seed uint64, count, n int, kappa float64) dense.Matrix[float64] {
	x, y := gallery.NewStream(seed).Normals(count, n), dense.New[float64](count, n)
	w := gallery.Spectrum(n, kappa)
	for i := range w {
		w[i] = math.Sqrt(w[i])
	}
	dense.Gemm(dense.NoTrans, dense.NoTrans, 1, x, gallery.Compose(gallery.Orthogonal(seed+1, n), w), 0, y)
	return y
}

func lasso(n int, _ float64) (problem.Data, problem.Options) {
	return problem.Data{Samples: rectangle(gallery.NewStream(21).Normals(2*n, n))}, problem.Options{Parameters: problem.Parameters{Rho: 0.1}}
}

// indefinite is a symmetric matrix with unit diagonal and entries drawn from [-1, 1].
func indefinite(n int, _ float64) problem.Data {
	s, a := gallery.NewStream(77), mat.NewSymDense(n, nil)
	for i := range n {
		a.SetSym(i, i, 1)
		for j := i + 1; j < n; j++ {
			a.SetSym(i, j, 2*s.Uniform()-1)
		}
	}
	return problem.Data{Matrices: []mat.Symmetric{a}}
}

func nearness(n int, kappa float64) problem.Data {
	q, x := gallery.Nearness(n, kappa)
	c := mat.NewSymDense(n, nil)
	c.SymOuterK(1/float64(x.Rows), rectangle(x).T())
	return problem.Data{Matrices: []mat.Symmetric{symmetric(q), c}}
}

// trials are 4 n samples of n x n matrices.
func trials(n int, _ float64) problem.Data {
	return problem.Data{Samples: rectangle(gallery.NewStream(63).Normals(4*n, n*n)), Rows: n}
}

func points(n int, kappa float64) problem.Data {
	return problem.Data{Samples: rectangle(coloured(71, 20*n, n, kappa))}
}

// sphere are noisy points around the unit sphere, three for each entry of the matrix.
func sphere(n int, _ float64) problem.Data {
	s := gallery.NewStream(83)
	x := s.Normals(3*n*(n+1)/2, n)
	for i := range x.Rows {
		row := x.Row(i)
		dense.Scale((1+1e-3*s.Normal())/math.Sqrt(dense.Dot(row, row)), row, row)
	}
	return problem.Data{Samples: rectangle(x)}
}

// clouds are two Gaussians, three standard deviations apart along a principal axis.
func clouds(n int, kappa float64) problem.Data {
	x := coloured(81, 40*n, n, kappa)
	axis := gallery.Orthogonal(82, n)
	for i := range 15 * n {
		for j := range n {
			x.Set(i, j, x.At(i, j)+3*math.Pow(kappa, 0.25)*axis.At(j, n-1))
		}
	}
	return problem.Data{Samples: rectangle(x)}
}

// labelled are samples of three classes.
func labelled(n int, kappa float64) problem.Data {
	x, labels := coloured(85, 9*n, n, kappa), make([]int, 9*n)
	for i := range labels {
		labels[i] = i % 3
		x.Set(i, 0, x.At(i, 0)+float64(2*labels[i]))
	}
	return problem.Data{Samples: rectangle(x), Labels: labels}
}

// turned are three matrices and their images under a rotation, each image changed a little.
func turned(n int, kappa float64) problem.Data {
	a, q := gallery.KarcherScatter(90, n, 3, kappa), gallery.Orthogonal(95, n)
	d := stack(a...)
	for k := range a {
		work, b := dense.New[float64](n, n), dense.New[float64](n, n)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, q, a[k], 0, work)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, work, q, 0, b)
		for i := range n {
			b.Set(i, i, b.At(i, i)*(1+0.02*float64((i+k)%3)))
		}
		d.Matrices = append(d.Matrices, symmetric(b))
	}
	return d
}

// classes are twelve matrices of two classes, the second one scaled.
func classes(n int, kappa float64) problem.Data {
	d := matrices(12)(n, kappa)
	for k := range d.Matrices {
		if d.Labels = append(d.Labels, k%2); k%2 == 1 {
			m := d.Matrices[k].(*mat.SymDense)
			m.ScaleSym(3, m)
		}
	}
	return d
}
