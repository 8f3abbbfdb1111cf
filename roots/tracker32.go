package roots

import (
	"github.com/spdopt/spdopt/internal/dense"
)

// Tracker32 is Tracker for float32 data in row-major slices. The basis, the followed matrix and all products are float32, the certificates
// account for that: below a tolerance of about 8 sqrt(n) 6e-8 |p| cond(A) the bound says that it cannot be met.
type Tracker32 struct{ t tracker[float32] }

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
	return &Tracker32{*t}, nil
}

// Dim returns n.
func (t *Tracker32) Dim() int { return t.t.n }

// Follow makes the symmetric a (n x n, its upper triangle is read) the current matrix; see Tracker.Follow.
func (t *Tracker32) Follow(a []float32) (TrackReport, error) {
	n := t.t.n
	if len(a) < n*n {
		panic(Error("Tracker32.Follow: a is shorter than n n"))
	}
	for i := range n {
		copy(t.t.w1.Row(i)[i:], a[i*n+i:(i+1)*n])
	}
	dense.Mirror(t.t.w1)
	return t.t.follow()
}

// FollowVectors makes (1-decay) A + V V^T the current matrix, V being n x k; see Tracker.FollowUpdate.
func (t *Tracker32) FollowVectors(decay float64, v []float32, k int) (TrackReport, error) {
	n := t.t.n
	if len(v) < n*k {
		panic(Error("Tracker32.FollowVectors: v is shorter than n k"))
	}
	return t.t.followVectors(decay, dense.Wrap(n, k, v))
}

// ApplyPow sets dst = A^p X for the current A, X and dst being n x k; dst may be x. See Tracker.ApplyPow.
func (t *Tracker32) ApplyPow(p float64, dst, x []float32, k int) (TrackReport, error) {
	n := t.t.n
	if len(x) < n*k || len(dst) < n*k {
		panic(Error("Tracker32.ApplyPow: x or dst is shorter than n k"))
	}
	in := t.t.input(k)
	copy(in.Data, x[:n*k])
	rep, err := t.t.apply(p, in)
	if err == nil {
		copy(dst[:n*k], in.Data)
	}
	return rep, err
}
