package problem

import (
	"math"
	"slices"
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/eigen"
)

const (
	// sideBySide is how many matrices eigen.Bundled holds.
	sideBySide = 4
	// largestFour is the number of rows up to which matrices are reduced side by side; beyond it that is no faster, and larger parts would leave processors idle.
	largestFour = 256
	// boundMargin is what the bounds of spectra may be wrong by, in logarithms: the rounding of a reduction.
	boundMargin = 1e-6
	// widening is the ratio of the intervals that are tried for a spectrum one after the other, mostWidened how many there are.
	widening, mostWidened = 1.08, 20
)

// reducedLogs computes sums of logarithms log(L^-1 A_k L^-T) by a shiftedLog without eigendecompositions: the matrices are brought to tridiagonal form, whose shifted inverses
// are known, and the sums are brought back. That costs 2 1/2 to 5 products for each matrix (n = 200 and 50, nine shifts), half of what a decomposition costs or less.
type reducedLogs struct {
	data  []dense.Matrix[float64] // upper triangles
	n     int
	units *team // of matrices side by side, or of single ones
	body  func(w *worker, unit int) error
	seen  singleInverses // gets all L^-1 A_k L^-T, if not nil
	kept  *tiledMatrices // gets all constant I - log(L^-1 A_k L^-T), if not nil
	// of the present call
	whiten dense.Matrix[float64]          // L^-1
	lanes  *dense.BundleTriangle[float64] // of L^-1
	log    *shiftedLog
	wider  *widerLogs // for matrices whose spectra do not lie in the interval of log; nil if all must
	used   []int      // by each unit, of the wider ones; 0 is log
	// weigh returns the weight of matrix k given the norm of its logarithm; false fails the call.
	weigh func(k int, distance float64) (weight float64, ok bool)
}

func newReducedLogs(data []dense.Matrix[float64], t *team, weigh func(k int, distance float64) (float64, bool)) *reducedLogs {
	r := &reducedLogs{data: data, n: data[0].Rows, weigh: weigh, used: make([]int, len(data))}
	if r.n > largestFour {
		r.units, r.body = t, r.single
	} else {
		r.units, r.body = t.ofBundles(dense.PartsOf(len(data), sideBySide)), r.four
		r.lanes = dense.NewBundleTriangle[float64](r.n)
	}
	return r
}

// sum sets dst to sum_k w_k (constant I - log(L^-1 A_k L^-T)) for a triangular L^-1, and returns the sum of the weights. errOutside means that a spectrum lies neither in
// the interval of the shiftedLog nor in one of the wider ones, or that a matrix has no weight.
func (r *reducedLogs) sum(whiten dense.Matrix[float64], log *shiftedLog, dst []float64) (total float64, err error) {
	if r.whiten, r.log = whiten, log; r.lanes != nil {
		r.lanes.Set(whiten)
	}
	if err := r.units.run(r.body, dst); err != nil {
		return 0, err
	}
	return r.units.sum(0), nil
}

// look gives seen all L^-1 A_k L^-T.
func (r *reducedLogs) look(whiten dense.Matrix[float64]) {
	if r.whiten = whiten; r.lanes == nil {
		r.units.share(func(w *worker, k int) error { r.seeSingle(w, k); return nil })
		return
	}
	r.lanes.Set(whiten)
	r.units.share(func(w *worker, unit int) error { r.seeFour(w, unit); return nil })
}

// widest returns the number of the widest logarithm that the last sum took.
func (r *reducedLogs) widest() int { return slices.Max(r.used) }

// fitting returns the logarithm with the narrowest interval in which the spectra of a unit lie, or nil.
func (r *reducedLogs) fitting(t interface{ Within(low, high float64) bool }, unit int) *shiftedLog {
	most := 1
	if r.wider != nil {
		most = mostWidened
	}
	for i := range most {
		if bound := widened(r.log.width, i) - boundMargin; t.Within(math.Exp(-bound), math.Exp(bound)) {
			if r.used[unit] = i; i == 0 {
				return r.log
			}
			return r.wider.at(i)
		}
	}
	return nil
}

// four adds the matrices from sideBySide unit on; where there are fewer than four, the first ones stand in for the others.
func (r *reducedLogs) four(w *worker, unit int) error {
	b := r.seeFour(w, unit)
	first := unit * sideBySide
	count := min(sideBySide, len(r.data)-first)
	b.Reduce()
	log := r.fitting(b, unit)
	if log == nil {
		return errOutside
	}
	b.Resolvents(log.shift, log.weight)
	if c := r.log.constant - log.constant; c != 0 {
		for i := range r.n {
			for l := range b.Data.Lanes(i, i) {
				b.Data.Lanes(i, i)[l] += c
			}
		}
	}
	var distances, weights [sideBySide]float64
	b.Distances(r.log.constant, &distances)
	for l := range count {
		var ok bool
		if weights[l], ok = r.weigh(first+l, distances[l]); !ok {
			return errOutside
		}
		w.sum[0] += weights[l]
	}
	if r.kept != nil {
		r.kept.setLanes(first, b.Data)
	}
	b.AddTo(&weights, w.acc)
	return nil
}

// single adds one matrix.
func (r *reducedLogs) single(w *worker, k int) error {
	c, f := r.seeSingle(w, k), w.t[1]
	w.reducer.Reduce(c)
	log := r.fitting(&w.reducer, k)
	if log == nil {
		return errOutside
	}
	w.reducer.Resolvents(log.shift, log.weight, f)
	var square float64
	for i := range r.n {
		row := f.Row(i)[i:]
		row[0] += r.log.constant - log.constant
		square += 2*dense.Dot(row[1:], row[1:]) + (row[0]-r.log.constant)*(row[0]-r.log.constant)
	}
	weight, ok := r.weigh(k, math.Sqrt(square))
	if !ok {
		return errOutside
	}
	w.sum[0] += weight
	if r.kept != nil {
		r.kept.set(k, f)
	}
	for i := range r.n {
		dense.Axpy(weight, f.Row(i)[i:], w.acc.Row(i)[i:])
	}
	return nil
}

// seeFour returns the matrices L^-1 A_k L^-T of a unit.
func (r *reducedLogs) seeFour(w *worker, unit int) *eigen.Bundled {
	b := w.scratch.bundle(r.n)
	first := unit * sideBySide
	count := min(sideBySide, len(r.data)-first)
	var data [sideBySide]dense.Matrix[float64]
	for l := range data {
		data[l] = r.data[first+l%count]
	}
	dense.SetFour(b.Data, 0, data)
	b.Data.Congruence(r.lanes, w.scratch.pair)
	if r.seen != nil {
		r.seen.setLanes(first, b.Data)
	}
	return b
}

// seeSingle returns the upper triangle of L^-1 A_k L^-T.
func (r *reducedLogs) seeSingle(w *worker, k int) dense.Matrix[float64] {
	w.m.Copy(r.data[k])
	dense.Mirror(w.m)
	dense.Congruence(r.whiten, w.m, w.t[0], w.work)
	if r.seen != nil {
		r.seen.set(k, w.t[:1])
	}
	return w.t[0]
}

// bundle returns room for matrices side by side.
func (s *scratch) bundle(n int) *eigen.Bundled {
	if s.bundled == nil {
		s.bundled, s.pair = eigen.NewBundled(n), dense.NewBundlePair[float64](n)
	}
	return s.bundled
}

// widened is the width of the interval that is tried after i narrower ones.
func widened(width float64, i int) float64 { return width * math.Pow(widening, float64(i)) }

// widerLogs are the shiftedLogs of intervals that widen a first one, made when they are needed.
type widerLogs struct {
	width, err float64 // of the first, and of all at most
	mu         sync.Mutex
	logs       [mostWidened]*shiftedLog
}

// at returns the one for the interval widened i times, or nil where that takes too many shifts.
func (w *widerLogs) at(i int) *shiftedLog {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.logs[i] == nil {
		w.logs[i] = shiftedLogWithin(widened(w.width, i), w.err)
	}
	return w.logs[i]
}

// tighten lowers the error of all, and gives up those that have a larger one.
func (w *widerLogs) tighten(err float64) {
	w.err = err
	for i, l := range w.logs {
		if l != nil && l.err > err {
			w.logs[i] = nil
		}
	}
}
