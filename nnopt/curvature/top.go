package curvature

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
	"github.com/spdopt/spdopt/nnopt"
)

// Which says which eigenvalues are wanted.
type Which string

// The ends of a spectrum.
const (
	Largest   Which = "largest"
	Smallest  Which = "smallest"
	Magnitude Which = "magnitude" // largest in size; by Lanczos only
)

// TopOptions say which eigenpairs of a symmetric operator are wanted and how accurate they shall be.
type TopOptions struct {
	K           int     // number of pairs; default 1
	Which       Which   // default Largest
	Tol         float64 // largest residual ||A v - lambda v|| over the largest |lambda| seen; default 1e-6
	MaxProducts int     // default 1000, or what K needs at least
	Basis       int     // vectors that Lanczos keeps; default 2 K + 20
	Rand        *rand.Rand
}

// Top holds eigenpairs, the wanted end first.
type Top struct {
	Values    []float64
	Vectors   nnopt.Matrix[float64] // as columns
	Residuals []float64             // ||A v - lambda v||
	Products  int
}

func (o *TopOptions) resolve(a Operator, block bool) (n int, err error) {
	if n, err = squareDim(a); err != nil {
		return 0, err
	}
	o.K = cmp.Or(o.K, 1)
	switch {
	case o.K < 1 || o.K > n:
		return 0, dataError("k", "must be from 1 to the dimension %d, not %d", n, o.K)
	case !(o.Tol >= 0) || o.Tol-o.Tol != 0:
		return 0, dataError("tol", "must be a finite number that is not negative, not %v", o.Tol)
	case o.MaxProducts < 0 || o.Basis < 0:
		return 0, dataError("products", "%d products and %d vectors must not be negative", o.MaxProducts, o.Basis)
	case o.Rand == nil:
		return 0, errNoRandom
	}
	switch o.Which {
	case "":
		o.Which = Largest
	case Largest, Smallest:
	case Magnitude:
		if block {
			return 0, dataError("which", "LOBPCG finds the largest or the smallest eigenvalues; use Lanczos for those largest in size")
		}
	default:
		return 0, dataError("which", "must be largest, smallest or magnitude, not %q", o.Which)
	}
	o.Tol, o.MaxProducts = cmp.Or(o.Tol, 1e-6), max(cmp.Or(o.MaxProducts, 1000), o.K+1)
	o.Basis = min(n, max(cmp.Or(o.Basis, 2*o.K+20), o.K+2))
	return n, nil
}

// order returns the indices of the k wanted values, the wanted end first.
func (w Which) order(values []float64, k int) []int {
	index := make([]int, len(values))
	for i := range index {
		index[i] = i
	}
	key := func(v float64) float64 {
		switch w {
		case Smallest:
			return v
		case Magnitude:
			return -math.Abs(v)
		}
		return -v
	}
	slices.SortStableFunc(index, func(i, j int) int {
		switch a, b := key(values[i]), key(values[j]); {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	return index[:min(k, len(index))]
}

// TopLanczos finds eigenpairs by Lanczos with full reorthogonalisation and thick restarts. Of an eigenvalue that is exactly multiple it may find one
// vector only; TopLOBPCG finds as many as K. The error is a *ConvergenceError, with the pairs so far, or a *DataError.
func TopLanczos(a Operator, o TopOptions) (*Top, error) {
	n, err := o.resolve(a, false)
	if err != nil {
		return nil, err
	}
	k, err := newKrylov(a, gaussian(o.Rand, n), o.Basis)
	if err != nil {
		return nil, err
	}
	for made := 1; ; made++ {
		full, err := k.step()
		if err != nil {
			return nil, err
		}
		if k.m < o.K {
			if full { // an invariant subspace that is too small
				k.inject(o.Rand)
			}
			continue
		}
		values, s, err := k.ritz()
		if err != nil {
			return nil, err
		}
		wanted := o.Which.order(values, o.K)
		worst := 0.0
		for _, i := range wanted {
			worst = max(worst, k.rest*math.Abs(s.At(k.m-1, i)))
		}
		limit := o.Tol * max(math.Abs(values[0]), math.Abs(values[k.m-1]))
		if worst <= limit || k.m == n {
			return k.top(values, s, wanted, made), nil
		}
		if made == o.MaxProducts {
			return k.top(values, s, wanted, made), &ConvergenceError{"Lanczos", worst, limit, made}
		}
		if full {
			k.restart(s, o.Which.order(values, max(o.K, (o.K+o.Basis)/2-1)), values)
		}
	}
}

// inject makes the next vector a random one orthogonal to the basis.
func (k *krylov) inject(r *rand.Rand) {
	copy(k.next, gaussian(r, len(k.next)))
	rest := eigen.Project(k.v, k.m, k.next, func(int, float64) {})
	dense.Scale(1/rest, k.next, k.next)
}

// top forms the wanted Ritz vectors and their residuals.
func (k *krylov) top(values []float64, s dense.Matrix[float64], wanted []int, made int) *Top {
	n := k.v.Cols
	t := &Top{Vectors: dense.New[float64](n, len(wanted)), Products: made}
	v, av, c := make([]float64, n), make([]float64, n), make([]float64, k.m)
	for j, i := range wanted {
		for p := range c {
			c[p] = s.At(p, i)
		}
		dense.Gemv(dense.Transposed, 1, k.v.View(0, 0, k.m, n), c, 0, v)
		dense.Gemv(dense.Transposed, 1, k.av.View(0, 0, k.m, n), c, 0, av)
		dense.Axpy(-values[i], v, av)
		for p, x := range v {
			t.Vectors.Set(p, j, x)
		}
		t.Values, t.Residuals = append(t.Values, values[i]), append(t.Residuals, norm(av))
	}
	return t
}
