package eigen

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const lanes = 4

// lane is an element of each matrix of a bundle.
type lane = [lanes]float64

// Bundled is four symmetric matrices of one size side by side (dense.Bundle), which it brings to tridiagonal form one reflector after the other: what is done to
// one is done to all, so that the short vectors of small matrices cost no more than the long ones of large ones.
type Bundled struct {
	n               int
	Data            *dense.Bundle[float64]
	d, e            []float64 // [row][lane]
	tau             []lane
	vectors         [][]float64 // of the reflectors, each from the row of tiles of its number on
	zero            []float64
	y               [2][]float64
	ratio, diagonal []float64 // dense.LaneInverses
	growth          dense.Growth
	tiles           []float64
}

// NewBundled returns room for matrices of n rows.
func NewBundled(n int) *Bundled {
	b := &Bundled{n: n, Data: dense.NewBundle[float64](n), d: make([]float64, n*lanes), e: make([]float64, n*lanes), tau: make([]lane, n)}
	b.Data.Zero()
	rows := b.Data.Rows()
	b.zero = make([]float64, rows*lanes)
	b.y = [2][]float64{make([]float64, rows*lanes), make([]float64, rows*lanes)}
	for i := range n {
		b.vectors = append(b.vectors, make([]float64, (rows-i/4*4)*lanes))
	}
	return b
}

// from returns the part of a vector of all rows, or of one that starts with the row of tiles of i, from the row of tiles of j on.
func from(x []float64, i, j int) []float64 { return x[(j/4-i/4)*4*lanes:] }

// Reduce overwrites the matrices, of which the upper triangles are read.
func (b *Bundled) Reduce() {
	v, w, next := b.zero, b.y[0], b.y[1]
	clear(w)
	at := 0 // where v and w start
	for j := range b.n - 1 {
		x := b.vectors[j]
		v, w, at = from(v, at, j), from(w, at, j), j
		dense.BundleRow(b.Data, j, v, w, x)
		copy(b.d[j*lanes:], x[j%4*lanes:][:lanes])
		clear(x[:(j%4+1)*lanes])
		*(*lane)(b.e[j*lanes:]), b.tau[j] = reflectLanes(from(x, j, j+1), (j+1)%4)
		v, w, x = from(v, j, j+1), from(w, j, j+1), from(x, j, j+1)
		y := next[:len(x)]
		clear(y)
		dense.BundleRankTwoSymv(b.Data, (j+1)/4, v, w, x, y)
		finishLanes(y, x, (j+1)%4, &b.tau[j])
		v, w, next, at = x, y, b.other(y), j+1
	}
	last := b.n - 1
	v, w = from(v, at, last), from(w, at, last)
	var out [4 * lanes]float64
	dense.BundleRow(b.Data, last, v, w, out[:])
	copy(b.d[last*lanes:], out[last%4*lanes:][:lanes])
}

// other returns the one of the two vectors that y is not a part of.
func (b *Bundled) other(y []float64) []float64 {
	if &y[0] == &b.y[0][0] {
		return b.y[1]
	}
	return b.y[0]
}

// reflectLanes is reflect for x from its element first on, in all lanes.
func reflectLanes(x []float64, first int) (beta, tau lane) {
	own := (*lane)(x[first*lanes:])
	alpha := *own
	*own = lane{}
	var sum, scale, none lane
	dense.LaneDot(&sum, x, x)
	for l, a := range alpha {
		norm := math.Sqrt(a*a + sum[l])
		if norm < 1e-140 || sum[l] == 0 {
			beta[l] = a
			continue
		}
		beta[l] = -math.Copysign(norm, a)
		scale[l] = 1 / (a - beta[l])
		tau[l] = (beta[l] - a) / beta[l]
	}
	dense.LaneBlend(x, &scale, x, &none, x)
	*own = lane{1, 1, 1, 1}
	return beta, tau
}

// finishLanes is finishPair in all lanes; what w has before its element first is cleared.
func finishLanes(w, v []float64, first int, tau *lane) {
	clear(w[:first*lanes])
	var dot lane
	dense.LaneDot(&dot, w, v)
	for l, t := range tau {
		dot[l] *= -t * t / 2
	}
	dense.LaneBlend(w, tau, w, &dot, v)
}

// Within tells whether all eigenvalues of all matrices lie between low and high, to rounding, by the signs of pivots (Sylvester). O(n).
func (b *Bundled) Within(low, high float64) bool { return within(b.d, b.e, lanes, low, high) }

// Resolvents overwrites the matrices A, after Reduce, with the sums of weight_j (A + shift_j I)^-1; all A + shift_j I must be positive definite. It
// does what Reducer.Resolvents does, one row and one reflector after the other.
func (b *Bundled) Resolvents(shift, weight []float64) {
	terms := len(shift) * lanes
	b.invert(shift, weight)
	w, last := b.y[0], b.n-1
	clear(w)
	for i := last; i >= 0; i-- {
		at := i / 4 * 4 * lanes
		v, next, tau := b.zero[at:], b.zero[at:], new(lane)
		if i < last {
			v = b.vectors[i]
		}
		if i > 0 {
			next, tau = from(b.vectors[i-1], i-1, i), &b.tau[i-1]
		}
		dense.BundleGrow(b.Data, i, &b.growth, v, next, b.ratio[i*terms:][:terms], b.diagonal[i*terms:][:terms], tau)
		y := b.other(w)
		clear(y[max(0, at-4*lanes):])
		dense.BundleRankTwoSymv(b.Data, i/4, v, w[at:], next, y[at:])
		finishLanes(y[at:], next, i%4, tau)
		w = y
	}
}

// invert describes the terms of the sum in the basis of the tridiagonal matrices.
func (b *Bundled) invert(shift, weight []float64) {
	terms, g := len(shift)*lanes, &b.growth
	b.ratio, b.diagonal = grow(b.ratio, b.n*terms), grow(b.diagonal, (b.n+1)*terms)
	dense.LaneInverses(b.ratio, b.diagonal, b.d, b.e, shift, weight)
	g.First = grow(g.First, b.Data.Rows()*terms)
	g.T, g.H = grow(g.T, terms), grow(g.H, terms)
	clear(g.First)
	clear(g.T)
}

// Distances sets dst to the Frobenius norms of F - c I for the matrices F that Resolvents left. The diagonals are left out of the sum of all squares, not
// taken from it: where F is near c I nothing would be left but rounding, of either sign.
func (b *Bundled) Distances(c float64, dst *[4]float64) {
	diagonal, all := b.y[0], b.Data.Data()
	for i := range b.n {
		v := b.Data.Lanes(i, i)
		copy(diagonal[i*lanes:], v[:])
		clear(v[:])
	}
	dense.LaneDot(dst, all, all)
	for l, v := range dst {
		dst[l] = 2 * v
	}
	for i := range b.n {
		v := b.Data.Lanes(i, i)
		copy(v[:], diagonal[i*lanes:])
		for l, v := range v {
			dst[l] += (v - c) * (v - c)
		}
	}
	for l, v := range dst {
		dst[l] = math.Sqrt(v)
	}
}

// AddTo adds the matrices, each times its weight, to the upper triangle of dst.
func (b *Bundled) AddTo(weights *[4]float64, dst dense.Matrix[float64]) {
	b.tiles = grow(b.tiles, dense.TiledLength(b.n))
	clear(b.tiles)
	b.Data.AddSum(b.tiles, weights[:])
	dense.AddTiles(dst, b.tiles)
}
