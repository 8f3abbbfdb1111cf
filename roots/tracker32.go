package roots

import (
	"errors"

	"github.com/spdopt/spdopt/internal/dense"
)

// Tracker32 is Tracker for float32 data in row-major slices. The basis, the followed matrix and all products are float32, and the certificates account for
// that: rounding costs about 8 sqrt(n) 6e-8 |p| cond(A). Where that alone takes more than half of the tolerance, from a condition number of some 10^3 on at
// 1e-3, the matrix is held in float64, for about twice the time, and TrackReport.Promoted says so; TrackerOptions.KeepSingle forbids it.
type Tracker32 struct {
	t    tracker[float32]
	wide *tracker[float64] // made when it is first needed
	keep bool
	// last is the matrix of the last Follow, whole until an increment comes.
	last     dense.Matrix[float32]
	whole    bool
	promoted bool
	// power is the exponent that rounding has cost the most of those asked for, or a guess before the first.
	power   float64
	asked   bool
	vectors []float64
}

// NewTracker32 returns a tracker for n x n float32 matrices. TrackerOptions.Tol = 0 means SingleTol here.
func NewTracker32(n int, o *TrackerOptions) (*Tracker32, error) {
	opt := TrackerOptions{}
	if o != nil {
		opt = *o
	}
	if opt.Tol == 0 {
		opt.Tol = SingleTol
	}
	t, err := newTracker[float32](n, &opt)
	if err != nil {
		return nil, err
	}
	return &Tracker32{t: *t, keep: opt.KeepSingle, last: dense.New[float32](n, n), power: -0.5}, nil
}

// Dim returns n.
func (t *Tracker32) Dim() int { return t.t.n }

// Follow makes the symmetric a (n x n, its upper triangle is read) the current matrix; see Tracker.Follow.
func (t *Tracker32) Follow(a []float32) (TrackReport, error) {
	n := t.t.n
	if len(a) < n*n {
		mistake("Tracker32.Follow: a of %d elements does not hold %d x %[2]d", len(a), n)
	}
	for i := range n {
		copy(t.last.Row(i)[i:], a[i*n+i:(i+1)*n])
	}
	dense.Mirror(t.last)
	t.whole = true
	if t.promoted {
		rep, err := t.followWide()
		if err != nil || n == 0 || t.wide.singleError(t.power) > demote*t.t.tol {
			return rep, err
		}
		convert(t.t.b, t.wide.b)
		t.t.defect()
		t.promoted = false
	}
	t.t.w1.Copy(t.last)
	rep, err := t.t.follow()
	if !t.keep && (err == nil && t.t.excess(t.power) || refused(err)) {
		return t.followWide()
	}
	return rep, err
}

// refused reports whether err says that the matrix is not positive definite.
func refused(err error) bool {
	if err == nil {
		return false
	}
	var e *NotPositiveDefiniteError
	return errors.As(err, &e)
}

// demote is the part of the tolerance that rounding to float32 may take for a promoted matrix to come back.
const demote = 0.25

// followWide makes the matrix of the last Follow the current one in float64.
func (t *Tracker32) followWide() (TrackReport, error) {
	t.promote()
	convert(t.wide.w1, t.last)
	rep, err := t.wide.follow()
	rep.Promoted = true
	return rep, err
}

// FollowVectors makes (1-decay) A + V V^T the current matrix, V being n x k; see Tracker.FollowUpdate.
func (t *Tracker32) FollowVectors(decay float64, v []float32, k int) (TrackReport, error) {
	n := t.t.n
	if k < 0 || len(v) < n*k {
		mistake("Tracker32.FollowVectors: v of %d elements does not hold %d x %d", len(v), n, k)
	}
	t.whole = false
	in := dense.Wrap(n, k, v)
	if !t.promoted {
		return t.t.followVectors(decay, in)
	}
	t.vectors = grown(t.vectors, n*k)
	u := dense.Wrap(n, k, t.vectors)
	convert(u, in)
	rep, err := t.wide.followVectors(decay, u)
	rep.Promoted = true
	return rep, err
}

// ApplyPow sets dst = A^p X for the current A, X and dst being n x k; dst may be x. See Tracker.ApplyPow.
func (t *Tracker32) ApplyPow(p float64, dst, x []float32, k int) (TrackReport, error) {
	n := t.t.n
	if k < 0 || len(x) < n*k || len(dst) < n*k {
		mistake("Tracker32.ApplyPow: x of %d and dst of %d elements do not hold %d x %d", len(x), len(dst), n, k)
	}
	t.note(p)
	if !t.promoted {
		in := t.t.input(k)
		copy(in.Data, x[:n*k])
		if !t.t.valid || t.keep || !t.t.excess(t.power) {
			rep, err := t.t.apply(p, in)
			if err != nil || t.keep || rep.Bound <= t.t.tol || !t.t.excess(t.power) {
				if err == nil {
					copy(dst[:n*k], in.Data)
				}
				return rep, err
			}
		}
		if err := t.leave(); err != nil {
			return TrackReport{}, err
		}
	}
	in := t.wide.input(k)
	convert(in, dense.Wrap(n, k, x[:n*k]))
	rep, err := t.wide.apply(p, in)
	if err != nil {
		return rep, err
	}
	convert(dense.Wrap(n, k, dst[:n*k]), in)
	rep.Bound += 0x1p-24
	rep.Promoted = true
	return rep, nil
}

// leave goes on in float64 with the current matrix.
func (t *Tracker32) leave() error {
	if t.whole {
		_, err := t.followWide()
		return err
	}
	t.promote()
	return nil
}

// note keeps p where rounding costs it more than the exponents asked for before.
func (t *Tracker32) note(p float64) {
	cost := func(p float64) float64 { return t.t.roundingPower(p) }
	if t.promoted {
		cost = t.wide.singleError
	}
	if p-p == 0 && t.t.n > 0 && (!t.asked || cost(p) > cost(t.power)) {
		t.power, t.asked = p, true
	}
}

// excess reports whether the rounding of an application of A^p takes more than half of the tolerance, or puts the smallest eigenvalue in doubt, with the best
// theta that a factorization finds.
func (t *tracker[T]) excess(p float64) bool {
	exceeds := func() bool { return t.roundingPower(p) > t.tol/2 || t.noise > t.theta*t.dmin/4 }
	if t.n == 0 || !exceeds() {
		return false
	}
	t.theta = max(t.theta, t.positive())
	return exceeds()
}

// singleError is what rounding would cost A^p after the matrix is given to a float32 tracker anew.
func (t *tracker[T]) singleError(p float64) float64 {
	pieces, q := split(p)
	return float64(pieces) * noiseError(q, t.unitOf(0x1p-24)*t.fro, t.theta*t.dmin, t.dmax)
}

// promote takes the state of the float32 tracker over, with the basis made orthogonal in float64: what a Newton-Schulz step leaves of a defect below 1e-4 is a
// congruence by I + O(1e-8), harmless whatever the condition number. Where M is not positive definite to rounding the tracker is left without a
// current matrix.
func (t *Tracker32) promote() {
	if t.promoted {
		return
	}
	t.promoted = true
	s := &t.t
	if t.wide == nil {
		// The options are valid.
		t.wide, _ = newTracker[float64](s.n, &TrackerOptions{Tol: s.tol, Sweep: s.sweep})
		t.wide.single = true
	}
	w := t.wide
	w.valid = s.valid
	if s.n == 0 {
		return
	}
	convert(w.b, s.b)
	convert(w.m, s.m)
	w.noise, w.fro, w.debt, w.base = s.noise, s.fro, 0, 0
	w.orthogonalise()
	if w.valid {
		_, err := w.settle(nil)
		w.valid = err == nil
	}
}
