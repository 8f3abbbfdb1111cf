// Package bench times the methods of package roots against each other and holds the choice of auto against the best of them.
package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/roots"
)

// Config says what to time. The zero value times n = 8 to 512 in powers of two, A^(-1/2), A^(-1/4), A^-1 and A^0.37 at conditions 1e2 and
// 1e6 and tolerances 1e-3, 1e-8 and 1e-14.
type Config struct {
	Sizes  []int
	Conds  []float64
	Powers []float64
	// Tols are the wanted bounds on the relative error; 0 asks for the best.
	Tols []float64
	// Budget is the processor time spent on each pair of n and power, tolerance and condition, beyond one call of each method; 0 is 0.1 s.
	Budget time.Duration
	// Prune leaves out methods whose predicted cost is more than this many times that of auto's choice; 0 is 8, +Inf times them all.
	Prune float64
}

// withDefaults fills in the zero fields.
func (c Config) withDefaults() Config {
	if c.Sizes == nil {
		c.Sizes = []int{8, 16, 32, 64, 128, 256, 512}
	}
	if c.Conds == nil {
		c.Conds = []float64{1e2, 1e6}
	}
	if c.Powers == nil {
		c.Powers = []float64{-0.5, -0.25, -1, 0.37}
	}
	if c.Tols == nil {
		c.Tols = []float64{1e-3, 1e-8, 1e-14}
	}
	if c.Budget == 0 {
		c.Budget = 100 * time.Millisecond
	}
	if c.Prune == 0 {
		c.Prune = 8
	}
	return c
}

// mostRows bounds the sizes: a matrix of them has 2 GiB.
const mostRows = 1 << 14

// Validate reports the first value that is out of range.
func (c Config) Validate() error {
	for _, n := range c.Sizes {
		if n < 1 || n > mostRows {
			return fmt.Errorf("bench: size %d, want 1 to %d", n, mostRows)
		}
	}
	for _, k := range c.Conds {
		if !(k >= 1) || math.IsInf(k, 1) {
			return fmt.Errorf("bench: condition number %v must be finite and at least 1", k)
		}
	}
	for _, p := range c.Powers {
		if p-p != 0 {
			return fmt.Errorf("bench: power %v is not finite", p)
		}
	}
	for _, t := range c.Tols {
		if !(t >= 0 && t < 1) {
			return fmt.Errorf("bench: tolerance %v must be in [0, 1)", t)
		}
	}
	if c.Budget < 0 || !(c.Prune == 0 || c.Prune >= 1) {
		return errors.New("bench: the budget must not be negative and Prune at least 1")
	}
	return nil
}

// Timing is what one method took.
type Timing struct {
	Method  string  `json:"method"`
	Seconds float64 `json:"seconds"` // processor time of a call, the least of several; 0 where it was not run
	Bound   float64 `json:"bound"`
	// Met is set where the method promised the tolerance; Skipped says why it was not run.
	Met     bool   `json:"met"`
	Skipped string `json:"skipped,omitempty"`
}

// Case compares auto with the best method at one size, power, condition number and tolerance.
type Case struct {
	N       int      `json:"n"`
	Power   float64  `json:"power"`
	Cond    float64  `json:"cond"`
	Tol     float64  `json:"tol"`
	Auto    Timing   `json:"auto"`
	Best    string   `json:"best"`
	Ratio   float64  `json:"ratio"` // time of auto over that of the fastest method that promised the tolerance; 0 where none did
	Product float64  `json:"product_seconds"`
	Methods []Timing `json:"methods"`
}

// Run times all cases on one thread, in turn, method by method and round by round, and hands each case to done. It sets GOMAXPROCS to 1 meanwhile.
func Run(ctx context.Context, c Config, done func(Case)) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if done == nil {
		return errors.New("bench: there is no function that takes the cases")
	}
	c = c.withDefaults()
	if _, known := cputime.Seconds(); !known {
		return errors.New("bench: the system does not tell processor time")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, n := range c.Sizes {
		q := basis(n)
		product := timeProduct(n)
		for _, cond := range c.Conds {
			a := matrix(q, cond)
			for _, p := range c.Powers {
				for _, tol := range c.Tols {
					if ctx.Err() != nil {
						return context.Cause(ctx)
					}
					r := Case{N: n, Power: p, Cond: cond, Tol: tol, Product: product}
					if err := r.time(a, c); err != nil {
						return err
					}
					done(r)
				}
			}
		}
	}
	return nil
}

// time fills in the timings of the case.
func (r *Case) time(a *mat.SymDense, c Config) error {
	x := mat.NewSymDense(r.N, nil)
	call := func(method string) (roots.Report, error) {
		return roots.Pow(x, a, r.Power, &roots.Options{Method: method, Tol: r.Tol, NoResidual: true})
	}
	rep, err := call("auto")
	var missed *roots.AccuracyError
	if err != nil && !errors.As(err, &missed) {
		return err
	}
	r.Auto = Timing{Method: rep.Method, Bound: rep.Bound, Met: err == nil}
	q := roots.Query{Power: r.Power, N: r.N, Cond: r.Cond, Top: math.Sqrt(r.Cond), Tol: r.Tol}
	runs := []*Timing{&r.Auto}
	r.Methods = make([]Timing, 0, len(roots.Methods()))
	for _, m := range roots.Methods() {
		if !m.Can(q) {
			continue
		}
		r.Methods = append(r.Methods, Timing{Method: m.Name})
		t := &r.Methods[len(r.Methods)-1]
		if chosen, err := roots.ByName(rep.Method); err == nil && m.Cost(q) > c.Prune*chosen.Cost(q) {
			t.Skipped = "predicted to be much slower"
			continue
		}
		mrep, err := call(m.Name)
		t.Bound, t.Met = mrep.Bound, err == nil
		if err != nil && !errors.As(err, &missed) {
			t.Skipped = err.Error()
			continue
		}
		runs = append(runs, t)
	}
	names := []string{"auto"}
	for _, t := range runs[1:] {
		names = append(names, t.Method)
	}
	timed := func(name string) { _, _ = call(name) }
	measure(runs, names, timed, c.Budget)
	r.compare()
	r.settle(timed)
	return nil
}

// settle repeats the comparison of auto with the best method while auto looks slower, since other load on the machine does that too.
func (r *Case) settle(call func(string)) {
	for range settleRounds {
		if r.Ratio <= settled {
			return
		}
		for i := range r.Methods {
			if t := &r.Methods[i]; t.Method == r.Best {
				again, best := &Timing{}, &Timing{}
				measure([]*Timing{again, best}, []string{"auto", r.Best}, call, 0)
				r.Auto.Seconds, t.Seconds = min(r.Auto.Seconds, again.Seconds), min(t.Seconds, best.Seconds)
			}
		}
		r.compare()
	}
}

const (
	settled      = 1.1
	settleRounds = 5
)

// compare finds the fastest method that met the tolerance; at tolerance 0 that is one that promises within a factor 4 of the best.
func (r *Case) compare() {
	limit := math.Inf(1)
	if r.Tol == 0 {
		for _, t := range r.Methods {
			if t.Seconds > 0 {
				limit = min(limit, 4*t.Bound)
			}
		}
	}
	best := math.Inf(1)
	for _, t := range r.Methods {
		if t.Met && t.Seconds > 0 && t.Seconds < best && t.Bound <= limit {
			best, r.Best = t.Seconds, t.Method
		}
	}
	if r.Auto.Met && r.Best != "" {
		r.Ratio = r.Auto.Seconds / best
	}
}

// shortest is the processor time of the shortest batch that is measured, some ticks of the accounting.
const shortest = 4e-3

// measure sets the least time of a call of each run. The rounds go over all runs in turn until the budget is spent; those more than three times
// slower than the fastest are left out after the first two rounds.
func measure(runs []*Timing, names []string, call func(string), budget time.Duration) {
	count := make([]int, len(runs))
	var spent float64
	for i, t := range runs {
		count[i] = 1
		for t.Seconds = math.Inf(1); math.IsInf(t.Seconds, 1); count[i] *= 4 {
			took := batch(names[i], call, count[i])
			spent += took
			if took >= shortest {
				t.Seconds = took / float64(count[i])
				break
			}
		}
	}
	for round := 1; round < 3 || spent < budget.Seconds()*float64(len(runs)) && round < 200; round++ {
		fastest := math.Inf(1)
		for i, t := range runs {
			took := batch(names[i], call, count[i])
			spent += took
			t.Seconds = min(t.Seconds, took/float64(count[i]))
			fastest = min(fastest, t.Seconds)
		}
		if round == 1 && spent > budget.Seconds() {
			runs, names, count = keepFast(runs, names, count, 3*fastest)
		}
	}
}

// batch returns the processor time of some calls.
func batch(name string, call func(string), count int) float64 {
	start, _ := cputime.Seconds()
	for range count {
		call(name)
	}
	end, _ := cputime.Seconds()
	return end - start
}

// keepFast returns the runs that took at most limit, and the first, which is auto.
func keepFast(runs []*Timing, names []string, count []int, limit float64) ([]*Timing, []string, []int) {
	var r []*Timing
	var n []string
	var c []int
	for i, t := range runs {
		if i == 0 || t.Seconds <= limit {
			r, n, c = append(r, t), append(n, names[i]), append(c, count[i])
		}
	}
	return r, n, c
}

// basis returns a random orthogonal matrix by fast products, the Cayley transform of a skew one.
func basis(n int) dense.Matrix[float64] {
	rng := rand.New(rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), 'b'}))
	s, z := dense.New[float64](n, n), dense.New[float64](n, n)
	for i := range n {
		for k := range i {
			v := rng.NormFloat64()
			s.Set(i, k, v)
			s.Set(k, i, -v)
		}
	}
	dense.CayleyInverse(s, z, make([]float64, dense.CayleyWork(n)))
	for i := range n {
		row := z.Row(i)
		dense.Scale(2, row, row)
		row[i]--
	}
	return z
}

// matrix returns q diag(d) q^T with d geometric from cond^(-1/2) to cond^(1/2).
func matrix(q dense.Matrix[float64], cond float64) *mat.SymDense {
	n := q.Rows
	b, a := q.Clone(), dense.New[float64](n, n)
	for k := range n {
		d := 1.0
		if n > 1 {
			d = math.Pow(cond, float64(k)/float64(n-1)-0.5)
		}
		for i := range n {
			b.Set(i, k, b.At(i, k)*math.Sqrt(d))
		}
	}
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, b, b, 0, a)
	return mat.NewSymDense(n, a.Data)
}

// timeProduct returns the processor time of one product of n x n matrices.
func timeProduct(n int) float64 {
	a, b, c := dense.New[float64](n, n), dense.New[float64](n, n), dense.New[float64](n, n)
	t := &Timing{}
	measure([]*Timing{t}, []string{""}, func(string) { dense.Gemm(dense.NoTrans, dense.NoTrans, 1, a, b, 0, c) }, 20*time.Millisecond)
	return t.Seconds
}

// Worst returns the case with the largest ratio, and false if there is none with one.
func Worst(cases []Case) (Case, bool) {
	var with []Case
	for _, c := range cases {
		if c.Ratio > 0 {
			with = append(with, c)
		}
	}
	if len(with) == 0 {
		return Case{}, false
	}
	return slices.MaxFunc(with, func(a, b Case) int { return int(math.Copysign(1, a.Ratio-b.Ratio)) }), true
}
