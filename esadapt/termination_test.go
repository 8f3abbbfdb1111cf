package esadapt

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// never switches every test of a run off.
var never = Tolerances{
	X: -1, UpX: -1, Fun: -1, FunHistory: -1, FunRel: -1, Stagnation: -1, XStagnation: -1, UpSigma: -1, Condition: -1, FlatFitness: -1, MaxGenerations: -1,
	NoRounding: true,
}

func plainSphere(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v * v
	}
	return s
}

// Each test ends the run that it is meant for, alone, and says whether that is a success and what to do.
func TestEveryReasonToStop(t *testing.T) {
	linear := func(x []float64) float64 { return 1e-300 * x[0] }
	noise := rand.New(rand.NewPCG(1, 1))
	for _, test := range []struct {
		code    Code
		success bool
		set     func(*Tolerances)
		start   float64
		f       func(x []float64) float64
	}{
		{TolX, true, func(t *Tolerances) { t.X = 0 }, 3, plainSphere},
		{TolUpX, false, func(t *Tolerances) { t.UpX = 0 }, 3, linear},
		{TolFun, true, func(t *Tolerances) { t.Fun = 0 }, 3, plainSphere},
		{TolFunHistory, true, func(t *Tolerances) { t.FunHistory = 0 }, 3, plainSphere},
		{TolFunRel, true, func(t *Tolerances) { t.FunRel = 1e-3 }, 3, plainSphere},
		{Stagnation, false, func(t *Tolerances) { t.Stagnation = 0 }, 0, func([]float64) float64 { return noise.Float64() }},
		{TolXStagnation, false, func(t *Tolerances) { t.XStagnation = 1e3 }, 3, func([]float64) float64 { return noise.Float64() }},
		{TolCondition, false, func(t *Tolerances) { t.Condition = 1e6 }, 3, func(x []float64) float64 { return x[0]*x[0] + 1e12*x[1]*x[1] + x[2]*x[2] }},
		{FlatFitness, false, func(t *Tolerances) { t.FlatFitness = 0 }, 3, func([]float64) float64 { return 7 }},
		{GenerationsUsed, false, func(t *Tolerances) { t.MaxGenerations = 20 }, 3, plainSphere},
		{NoEffectAxis, true, func(t *Tolerances) { t.NoRounding = false }, 1e9, func(x []float64) float64 {
			return math.Abs(x[0]-1e9) + math.Abs(x[1]-1e9) + math.Abs(x[2]-1e9)
		}},
		{NotFinite, false, func(*Tolerances) {}, 3, linear},
	} {
		tol := never
		test.set(&tol)
		mean := []float64{test.start, test.start, test.start}
		s, err := NewStrategy("cma", Setup{Mean: mean, Sigma: 1, Seed: 3, Tuning: Tuning{Tolerances: tol}})
		if err != nil {
			t.Fatal(err)
		}
		for g := 0; s.Stop() == nil && g < 40000; g++ {
			step(t, s, test.f)
		}
		reasons := s.Stop()
		if !slices.ContainsFunc(reasons, func(r Reason) bool { return r.Code == test.code }) {
			t.Errorf("%s: stopped by %v", test.code, reasons)
			continue
		}
		for _, r := range reasons {
			if r.Code == test.code && (r.Success != test.success || r.Next == "") {
				t.Errorf("%s: success %v, advice %q", r.Code, r.Success, r.Next)
			}
		}
	}
}

// A function may be as badly scaled as 1e14 along axes that are not those of the variables: no test ends the run before it is solved.
func TestRotatedConditionIsNoReasonToStop(t *testing.T) {
	const n, seed = 20, 5
	random := rand.New(rand.NewPCG(seed, seed))
	u := make([]float64, n) // the steep axis
	for i := range u {
		u[i] = random.NormFloat64()
	}
	dense.Scale(1/math.Sqrt(dense.Dot(u, u)), u, u)
	tablet := func(x []float64) float64 {
		steep := dense.Dot(u, x)
		return dense.Dot(x, x) + 1e14*steep*steep
	}
	mean := make([]float64, n)
	for i := range mean {
		mean[i] = 8*random.Float64() - 4
	}
	s, err := newDDCMA(Setup{Mean: mean, Sigma: 2, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	best, used := minimum(t, s, tablet, 40000, 1e-8)
	lo, hi := s.(*ddcma).cov.extremes()
	if condition := hi * hi / (lo * lo); best > 1e-8 || condition < 1e13 {
		t.Errorf("seed %d: best %v after %d evaluations, condition of C without D %v, stopped by %v", seed, best, used, condition, s.Stop())
	}
}

// A mean that stands still is no reason to stop while sigma falls, only afterwards.
func TestNoStagnationWhileClosingIn(t *testing.T) {
	tol := never
	tol.XStagnation = 0
	s, err := NewStrategy("cma", Setup{Mean: []float64{3, 3, 3}, Sigma: 1, Seed: 3, Tuning: Tuning{Tolerances: tol}})
	if err != nil {
		t.Fatal(err)
	}
	if best, _ := minimum(t, s, plainSphere, 20000, 1e-100); best > 1e-100 {
		t.Errorf("best %v, stopped by %v", best, s.Stop())
	}
	flat := func([]float64) float64 { return 1 } // the mean moves by 1e-50
	if minimum(t, s, flat, 20000, 0); s.Stop() == nil || s.Stop()[0].Code != TolXStagnation {
		t.Errorf("a search that no longer shrinks stopped by %v", s.Stop())
	}
}

// On a rotated cigar sigma falls to 1e-12 before C learns the long axis: no test but that of the smallest step, 1e-11 by default, ends the run before.
// The distance from the axis is summed, not the difference of two squares: that loses it in rounding.
func TestRotatedCigarNeedsPatience(t *testing.T) {
	const n = 20
	for _, name := range []string{"cma", "dd-cma"} {
		for seed := range uint64(2) {
			random := rand.New(rand.NewPCG(seed, 5))
			u := make([]float64, n) // the long axis
			for i := range u {
				u[i] = random.NormFloat64()
			}
			dense.Scale(1/math.Sqrt(dense.Dot(u, u)), u, u)
			cigar := func(x []float64) float64 {
				along, off := dense.Dot(u, x), 0.0
				for i, v := range x {
					off += (v - along*u[i]) * (v - along*u[i])
				}
				return along*along + 1e12*off
			}
			mean := make([]float64, n)
			for i := range mean {
				mean[i] = 8*random.Float64() - 4
			}
			s, err := NewStrategy(name, Setup{Mean: mean, Sigma: 2, Seed: seed, Tuning: Tuning{Tolerances: Tolerances{X: 1e-13}}})
			if err != nil {
				t.Fatal(err)
			}
			if best, used := minimum(t, s, cigar, 30000, 1e-8); best > 1e-8 {
				t.Errorf("%s, seed %d: best %v after %d evaluations, stopped by %v", name, seed, best, used, s.Stop())
			}
		}
	}
}

func TestStepSizeRules(t *testing.T) {
	for _, id := range []string{"sphere", "ellipsoid"} {
		base := 0
		for _, tuning := range []Tuning{{}, {StepSize: TPA}, {StepSize: MSR}, {NoActive: true}, {LearnRate: true}} {
			f := function(t, id, 8)
			total := 0
			for seed := range uint64(3) {
				s, err := NewStrategy("cma", Setup{Mean: []float64{2, 2, 2, 2, 2, 2, 2, 2}, Sigma: 0.5, Seed: seed, Tuning: tuning})
				if err != nil {
					t.Fatal(err)
				}
				best, used := minimum(t, s, f.Eval, 60000, 1e-8)
				if best > 1e-8 {
					t.Errorf("%s, %+v: best %v, stopped by %v", id, tuning, best, s.Stop())
				}
				total += used
			}
			switch {
			case base == 0:
				base = total
			case tuning.LearnRate && total > 6*base, !tuning.LearnRate && total > 2*base+base/2:
				t.Errorf("%s, %+v: %d evaluations, the default needs %d", id, tuning, total, base)
			case tuning.NoActive && id == "ellipsoid" && total < base:
				t.Errorf("negative weights do not help on the %s: %d without, %d with", id, total, base)
			}
		}
	}
}

// TestPartsOfStatesAreChecked: numbers that would index beyond an end or divide by zero are refused where they are read.
func TestPartsOfStatesAreChecked(t *testing.T) {
	fresh := func() *termination { return newTermination(3, 6, 1, Tolerances{}) }
	for name, damage := range map[string]func(t *termination){
		"stride":    func(t *termination) { t.stride = 0 },
		"histories": func(t *termination) { t.best, t.median = make([]float64, longest+1), make([]float64, longest+1) },
		"medians":   func(t *termination) { t.median = make([]float64, 1) },
	} {
		bad := fresh()
		damage(bad)
		state := &archive{}
		bad.archive(state)
		if err := unmarshal(fresh(), state.buf); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	state := &archive{}
	(&uncertainty{repeats: 1, limit: 2, old: make([]float64, 3), chosen: []int{3}}).archive(state)
	if err := unmarshal(newUncertainty(2), state.buf); err == nil {
		t.Error("a fourth of three candidates: accepted")
	}
}
