package esadapt

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/esadapt/bbob"
	"github.com/spdopt/spdopt/internal/allocs"
)

// monteCarlo estimates a hypervolume in [0, 1]^k.
func monteCarlo(f [][]float64, k, samples int, random *rand.Rand) float64 {
	hits := 0
	x := make([]float64, k)
	for range samples {
		for i := range x {
			x[i] = random.Float64()
		}
		for _, p := range f {
			inside := true
			for i := range p {
				inside = inside && p[i] <= x[i]
			}
			if inside {
				hits++
				break
			}
		}
	}
	return float64(hits) / float64(samples)
}

func TestHypervolume(t *testing.T) {
	if v := Hypervolume([][]float64{{1, 3}, {2, 2}, {3, 1}, {3, 3}, {5, 0}}, []float64{4, 4}); v != 6 {
		t.Errorf("staircase of three: %v, want 6", v)
	}
	if v := Hypervolume(nil, []float64{1, 1}); v != 0 {
		t.Errorf("no points: %v", v)
	}
	random := rand.New(rand.NewPCG(3, 14))
	for k := 2; k <= 4; k++ {
		var f [][]float64
		for range 12 {
			p := make([]float64, k)
			for i := range p {
				p[i] = random.Float64()
			}
			f = append(f, p)
		}
		reference := slices.Repeat([]float64{1}, k)
		got, want := Hypervolume(f, reference), monteCarlo(f, k, 200000, random)
		if math.Abs(got-want) > 0.006 {
			t.Errorf("%d objectives: %v, by sampling %v", k, got, want)
		}
		front := nondominated(f)
		c := make([]float64, len(front))
		contributions(front, c)
		top := slices.Clone(front[0])
		for _, p := range front {
			for i := range p {
				top[i] = max(top[i], p[i])
			}
		}
		for i := range front {
			without := slices.Concat(front[:i], front[i+1:])
			if lost := Hypervolume(front, top) - Hypervolume(without, top); !math.IsInf(c[i], 1) && math.Abs(lost-c[i]) > 1e-12 {
				t.Errorf("%d objectives, point %d: contribution %v, want %v", k, i, c[i], lost)
			}
		}
	}
}

func TestFronts(t *testing.T) {
	f := [][]float64{{1, 1}, {0, 2}, {2, 2}, {3, 3}, {2, 0}, {1, 1}}
	rank := make([]int, len(f))
	fronts(f, rank)
	if want := []int{0, 0, 1, 2, 0, 0}; !slices.Equal(rank, want) {
		t.Errorf("ranks %v, want %v", rank, want)
	}
}

// twoSpheres has the segment between its centers as set of optima; the front is sqrt f1 + sqrt f2 = distance. condition stretches the axes after a rotation.
func twoSpheres(n int, condition float64) func(x []float64) []float64 {
	q := randomRotation(n, 77)
	weight := func(i int) float64 { return math.Pow(condition, float64(i)/float64(n-1)) }
	return func(x []float64) []float64 {
		f := []float64{0, 0}
		for i := range n {
			var a, b float64
			for j := range n {
				a += q.At(i, j) * (x[j] - 1)
				b += q.At(i, j) * (x[j] + 1)
			}
			f[0] += weight(i) * a * a
			f[1] += weight(i) * b * b
		}
		scale := f1AtOther(n, q.At, weight)
		return []float64{f[0] / scale, f[1] / scale}
	}
}

// f1AtOther is the value of the first objective at the center of the second, which scales both fronts to [0, 1].
func f1AtOther(n int, q func(i, j int) float64, weight func(int) float64) float64 {
	var s float64
	for i := range n {
		var a float64
		for j := range n {
			a += 2 * q(i, j)
		}
		s += weight(i) * a * a
	}
	return s
}

func runPareto(t *testing.T, p *Pareto, f func([]float64) []float64) {
	t.Helper()
	for p.Stop() == nil {
		var v [][]float64
		for _, x := range p.Ask() {
			v = append(v, f(x))
		}
		if err := p.Tell(v); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParetoFindsTheFront(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	// Below the front of twoSpheres, sqrt a + sqrt b = 1, lies 1/6 of the unit square.
	const n, ideal = 5, 5.0 / 6
	for _, condition := range []float64{1, 1e4} {
		p, err := NewPareto(2, Options{Dim: n, Seed: 4, MaxEvaluations: 12000})
		if err != nil {
			t.Fatal(err)
		}
		runPareto(t, p, twoSpheres(n, condition))
		var front [][]float64
		for _, v := range p.Front() {
			front = append(front, v.F)
		}
		if v := Hypervolume(front, []float64{1, 1}); v > ideal || v < ideal-0.006 {
			t.Errorf("condition %g: hypervolume %.4f with %d points, the front has %.4f", condition, v, len(front), ideal)
		}
		if p.Evaluations() != 12000 {
			t.Errorf("%d evaluations", p.Evaluations())
		}
	}
}

func TestParetoResumes(t *testing.T) {
	f := twoSpheres(3, 100)
	o := Options{Dim: 3, Seed: 9, Lower: []float64{-2, -2, -2}, Upper: []float64{2, 2, 0.5}, PopSize: 8, MaxEvaluations: 500}
	straight, err := NewPareto(2, o)
	if err != nil {
		t.Fatal(err)
	}
	runPareto(t, straight, f)
	p, _ := NewPareto(2, o)
	for p.Stop() == nil {
		data, err := p.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if p, err = RestorePareto(data); err != nil {
			t.Fatal(err)
		}
		var v [][]float64
		for _, x := range p.Ask() {
			if x[2] > 0.5 {
				t.Fatalf("point %v outside the box", x)
			}
			v = append(v, f(x))
		}
		if err := p.Tell(v); err != nil {
			t.Fatal(err)
		}
	}
	a, b := straight.Front(), p.Front()
	if !slices.EqualFunc(a, b, func(x, y TradeOff) bool { return slices.Equal(x.X, y.X) && slices.Equal(x.F, y.F) }) {
		t.Error("a resumed search has another front")
	}
	data, _ := p.MarshalBinary()
	data[20] ^= 1
	if _, err := RestorePareto(data); err == nil {
		t.Error("a damaged state was accepted")
	}
}

func TestParetoRefuses(t *testing.T) {
	for want, o := range map[string]Options{"Constraints": {Dim: 2, Constraints: 1}, "no variables": {}} {
		if _, err := NewPareto(2, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := NewPareto(1, Options{Dim: 2}); err == nil {
		t.Error("one objective was accepted")
	}
	p, _ := NewPareto(2, Options{Dim: 2, PopSize: 3})
	if p.Tell(nil) == nil {
		t.Error("Tell before Ask was accepted")
	}
	p.Ask()
	for _, f := range [][][]float64{{{1, 2}}, {{1, 2}, {1}, {1, 2}}, {{1, 2}, {1, math.Inf(-1)}, {1, 2}}} {
		if p.Tell(f) == nil {
			t.Errorf("%v was accepted", f)
		}
	}
	if err := p.Tell([][]float64{{1, 2}, {math.NaN(), 1}, {2, 1}}); err != nil {
		t.Errorf("a failed evaluation: %v", err)
	}
	if len(p.Front()) != 2 {
		t.Errorf("front %v", p.Front())
	}
}

func FuzzRestorePareto(f *testing.F) {
	p, err := NewPareto(2, Options{Dim: 2, PopSize: 3, Seed: 1})
	if err != nil {
		f.Fatal(err)
	}
	for range 2 {
		data, err := p.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-8])
		p.Ask()
		if err := p.Tell([][]float64{{1, 2}, {2, 1}, {3, 3}}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		if p, err := RestorePareto(withChecksum(body)); err == nil {
			p.Ask()
		}
	})
}

// The classics with several objectives: the hypervolume of what is found, over that of the whole front.
func TestParetoOnTheClassics(t *testing.T) {
	if allocs.Race {
		t.Skip("too slow")
	}
	for id, share := range map[string]float64{"schaffer": 0.98, "zdt1": 0.95, "zdt2": 0.9} {
		m, err := bbob.NewMulti(id, 4)
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPareto(m.Objectives, Options{Lower: m.Lower, Upper: m.Upper, Seed: 2, MaxEvaluations: 5000})
		if err != nil {
			t.Fatal(err)
		}
		runPareto(t, p, func(x []float64) []float64 {
			f := make([]float64, m.Objectives)
			m.Eval(x, f)
			return f
		})
		var front [][]float64
		for _, v := range p.Front() {
			front = append(front, v.F)
		}
		if v := Hypervolume(front, m.Reference) / m.Volume; v < share || v > 1+1e-9 {
			t.Errorf("%s: %.4f of the front's hypervolume", id, v)
		}
	}
}

// TestRandomParetoSearches: whatever was asked for, on objectives without bound or without value, points are finite and in the box, and a restored search goes on with the same bits.
func TestRandomParetoSearches(t *testing.T) {
	for seed := range seedsOf(300) {
		r := rand.New(rand.NewPCG(seed, 11))
		o := drawOptions(r)
		o.Noise, o.Surrogate, o.Constraints, o.Equalities = false, false, 0, nil
		o.MaxEvaluations, o.PopSize = 2500, 1+r.IntN(8)
		p, err := NewPareto(2, o)
		if err != nil {
			continue
		}
		twin := p
		for p.Stop() == nil {
			if r.IntN(50) == 0 {
				state, err := p.MarshalBinary()
				require.NoError(t, err)
				twin, err = RestorePareto(state)
				require.NoError(t, err)
			}
			rows := p.Ask()
			require.Equal(t, rows, twin.Ask(), "seed %d", seed)
			f := make([][]float64, len(rows))
			for i, x := range rows {
				checkBox(t, seed, &o, x)
				f[i] = [][]float64{{x[0], -x[0]}, {x[0], x[0]}, {r.NormFloat64(), math.Inf(1)}, {1, math.NaN()}}[seed%4]
			}
			require.NoError(t, p.Tell(f))
			if twin != p {
				require.NoError(t, twin.Tell(f))
			}
		}
	}
}
