package esadapt

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/allocs"
)

// linearlyConstrained is a convex quadratic over a polyhedral cone (some faces moved away) whose optimum is known: the gradient there is the negative normal
// of the first constraint, and a direction into the cone exists.
type linearlyConstrained struct {
	n, m    int
	weight  []float64
	axes    [][]float64
	center  []float64
	optimum []float64
	normal  [][]float64
	slack   []float64
	fOpt    float64
}

func newLinearlyConstrained(n, m int, condition float64, seed uint64) *linearlyConstrained {
	random := rand.New(rand.NewPCG(seed, uint64(1000*n+m)))
	p := &linearlyConstrained{n: n, m: m}
	q := randomRotation(n, seed)
	for i := range n {
		p.weight = append(p.weight, math.Pow(condition, float64(i)/float64(n-1)))
		p.axes = append(p.axes, q.RawRowView(i))
		p.center = append(p.center, random.NormFloat64())
		p.optimum = append(p.optimum, -4+8*random.Float64())
	}
	gradient := make([]float64, n)
	var length float64
	for i, y := range p.rotated(p.optimum) {
		for j := range gradient {
			gradient[j] += 2 * p.weight[i] * y * p.axes[i][j]
		}
	}
	for _, v := range gradient {
		length += v * v
	}
	length = math.Sqrt(length)
	inward := make([]float64, n)
	for j := range inward {
		inward[j] = gradient[j]/length + 0.5*random.NormFloat64()/math.Sqrt(float64(n))
	}
	for k := range m {
		a, along, slack := make([]float64, n), 0.0, 0.0
		for j := range a {
			a[j] = -gradient[j] / length
			if k > 0 {
				a[j] = random.NormFloat64()
			}
			along += a[j] * inward[j]
		}
		if along > 0 && k > 0 {
			for j := range a {
				a[j] = -a[j]
			}
		}
		if k%3 == 2 {
			slack = random.Float64()
		}
		p.normal, p.slack = append(p.normal, a), append(p.slack, slack)
	}
	p.fOpt = p.value(p.optimum)
	return p
}

func (p *linearlyConstrained) rotated(x []float64) []float64 {
	y := make([]float64, p.n)
	for i := range y {
		for j := range x {
			y[i] += p.axes[i][j] * (x[j] - p.center[j])
		}
	}
	return y
}

func (p *linearlyConstrained) value(x []float64) float64 {
	f := 0.0
	for i, y := range p.rotated(x) {
		f += p.weight[i] * y * y
	}
	return f
}

func (p *linearlyConstrained) constraints(g, x []float64) {
	for k := range g {
		g[k] = -p.slack[k]
		for j := range x {
			g[k] += p.normal[k][j] * (x[j] - p.optimum[j])
		}
	}
}

func TestConstrainedProblems(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	for _, condition := range []float64{1, 1e2, 1e6} {
		for _, m := range []int{1, 3, 12} {
			for seed := uint64(1); seed <= 2; seed++ {
				t.Run(fmt.Sprintf("condition %.0e, %d constraints, seed %d", condition, m, seed), func(t *testing.T) {
					p := newLinearlyConstrained(5, m, condition, seed)
					nearest := math.Inf(1)
					r, err := MinimizeConstrained(context.Background(), func(x, g []float64) (float64, error) {
						f, violation := p.value(x), 0.0
						p.constraints(g, x)
						for _, v := range g {
							violation += max(0, v)
						}
						nearest = min(nearest, max(0, f-p.fOpt)+violation)
						return f, nil
					}, Options{X0: make([]float64, 5), Sigma0: 2, Seed: seed, MaxEvaluations: 25000, Constraints: m})
					if err != nil {
						t.Fatal(err)
					}
					if nearest > 1e-8 {
						t.Errorf("distance to the optimum, f - f_opt plus violation: %.2e", nearest)
					}
					if r.Best.Violation != 0 || r.Best.F < p.fOpt-1e-9*math.Abs(p.fOpt) || r.Best.F > p.fOpt+1e-4*max(1, math.Abs(p.fOpt)) {
						t.Errorf("best feasible point %v, optimum %v", r.Best, p.fOpt)
					}
				})
			}
		}
	}
}

func TestEqualityConstraint(t *testing.T) {
	// The point of the plane sum x = 1 nearest to the origin.
	const n = 4
	r, err := MinimizeConstrained(context.Background(), func(x, g []float64) (float64, error) {
		f := 0.0
		g[0] = -1
		for _, v := range x {
			f += v * v
			g[0] += v
		}
		return f, nil
	}, Options{X0: []float64{2, -1, 0, 3}, Seed: 3, MaxEvaluations: 10000, Constraints: 1, Equalities: []int{0}, Restarts: RestartNone})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range r.Mean {
		if math.Abs(v-1.0/n) > 1e-4 {
			t.Errorf("mean[%d] = %v, want %v", i, v, 1.0/n)
		}
	}
	if r.Best.Violation > 1e-6 {
		t.Errorf("violation %v", r.Best.Violation)
	}
}

// Infinite constraint values are bad points, not the end.
func TestInfiniteConstraints(t *testing.T) {
	s, err := New(Options{X0: []float64{2, 2}, Constraints: 1, Seed: 1, MaxEvaluations: 2000})
	if err != nil {
		t.Fatal(err)
	}
	for s.Stop() == nil {
		var f []float64
		var g [][]float64
		for _, x := range s.Ask() {
			c := 1 - x[0]
			if c > 0.5 {
				c = math.Inf(1)
			}
			f, g = append(f, x[0]*x[0]+x[1]*x[1]), append(g, []float64{c})
		}
		if err := s.Tell(f, g...); err != nil {
			t.Fatal(err)
		}
	}
	if b := s.Best(); s.Stop()[0].Code != BudgetUsed || b.Violation > 0 || b.F > 1.0001 {
		t.Errorf("%v, best %+v", s.Stop(), b)
	}
}

// TestConstraintsOfNoisySearches: re-evaluations that grow in number leave every candidate its own constraint values. They once came from the rows of others, or from beyond the last.
func TestConstraintsOfNoisySearches(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for seed := range uint64(3) {
		s, err := New(Options{Dim: 1, PopSize: 40, Constraints: 1, Noise: true, Seed: seed, MaxEvaluations: 4000, Restarts: RestartNone})
		require.NoError(t, err)
		for s.Stop() == nil {
			rows := s.Ask()
			f, g := make([]float64, len(rows)), make([][]float64, len(rows))
			for i, x := range rows {
				f[i], g[i] = r.NormFloat64(), []float64{1 - x[0]}
			}
			require.NoError(t, s.Tell(f, g...))
		}
		require.Greater(t, s.noise.repeats, 5.0)
	}
}

// TestFailuresHaveNoConstraintValues: what the constraints of a failed evaluation were in an earlier generation does not matter.
func TestFailuresHaveNoConstraintValues(t *testing.T) {
	run := func(restoreAt int) []float64 {
		s, err := New(Options{X0: []float64{3, 2, 1}, Constraints: 1, Seed: 4, MaxFailureRate: 1})
		require.NoError(t, err)
		for k := range 30 {
			if k == restoreAt {
				s = restored(t, s)
			}
			rows := s.Ask()
			f, g := make([]float64, len(rows)), make([][]float64, len(rows))
			for i, x := range rows {
				f[i], g[i] = x[0]*x[0]+x[1]*x[1]+x[2]*x[2], []float64{1 - x[0]}
				if (i+k)%3 == 0 {
					f[i] = math.NaN()
				}
			}
			require.NoError(t, s.Tell(f, g...))
		}
		return s.Mean()
	}
	straight := run(-1)
	require.Equal(t, straight, run(7))
	require.InDelta(t, 1, straight[0], 0.1)
}
