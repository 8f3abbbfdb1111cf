package spectral

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"gonum.org/v1/gonum/mat"
)

func TestUpdateAllocatesNothing(t *testing.T) {
	const n = 24
	r := newRand(t, 600)
	f := randFactor(t, r, n, 100)
	q, v, w := spd(r, n), randDense(r, n, 4), []float64{1, 1, 1, 1}
	vec, many := randTensor(r, n), randDense(r, n, 3)
	acc := NewAccumulator(n, 8)
	k := NewKron(1, 4, 6)
	batch := [][]float64{vec}
	adaptive, truncated := &Step{Tol: 1e-9, MaxSweeps: 3}, &Step{Factors: 4}
	for name, call := range map[string]func(){
		"dense":     func() { f.Update(Increment{Decay: 0.1, Dense: q, DenseWeight: 0.1}, nil) },
		"vectors":   func() { f.Update(Increment{Decay: 0.1, Vectors: v, Weights: w}, nil) },
		"adaptive":  func() { f.Update(Increment{Decay: 0.1, Dense: q}, adaptive) },
		"truncated": func() { f.Update(Increment{Decay: 0.1, Dense: q}, truncated) },
		"published": func() { f.Update(Increment{Decay: 0.1, Dense: q}, &paperMode) },
		"gradient":  func() { f.Update(Gradient(q, 1e-6, 1), nil) },
		"follow":    func() { f.Follow(q, nil) },
		"folded": func() {
			for range 12 {
				acc.AddVector(0.01, 0.01, vec)
			}
			acc.Flush(f, nil)
		},
		"rank one": func() {
			if err := f.RankOne(0.01, vec); err != nil {
				t.Fatal(err)
			}
			f.Update(Increment{Decay: 0.1}, nil)
		},
		"pow":      func() { f.Pow(-0.5, many, many) },
		"pow vec":  func() { f.PowVec(-0.5, vec, vec) },
		"sample":   func() { f.Sample(r, vec) },
		"density":  func() { f.LogDensity(vec) },
		"learn":    func() { k.Learn(batch, 0.01, 1, 0.1, nil) },
		"kron pow": func() { k.Pow(-0.5, vec, vec) },
	} {
		call()
		if a := allocs.PerRun(20, call); a != 0 {
			t.Errorf("%s: %v allocations per call", name, a)
		}
	}
}

func TestEigenvaluesAcrossTheWholeRange(t *testing.T) {
	r := newRand(t, 610)
	for _, d := range [][]float64{{1e-300, 1, 1e300}, {1e-300, 1e-300, 2e-300}, {1e300, 1e300, 5e299}} {
		for name, o := range ordered(modes) {
			f := stateOf(t, randOrthogonal(r, 3), d)
			top := slices.Max(d)
			for range 50 {
				q := spd(r, 3)
				q.ScaleSym(top, q)
				rep := f.Update(MovingAverage(q, 0.1, 1, 0), &o)
				if rep.Err != nil || !(rep.Residual >= 0 && rep.Residual <= 1) {
					t.Fatalf("%s %v: %+v", name, d, rep)
				}
				wantValid(t, f)
				if e := spectralDefect(f); e > 1e-12 {
					t.Fatalf("%s %v: defect %v", name, d, e)
				}
			}
		}
	}
}

// Any finite increment leaves a valid factor: moved, or as it was with Report.Err set.
func TestArbitraryIncrementsLeaveAValidFactor(t *testing.T) {
	r := newRand(t, 620)
	const n = 5
	for range 3000 {
		f := randFactor(t, r, n, math.Exp(40*r.Float64()))
		o := Step{Rotation: RotationRule(r.IntN(3)), Eigenvalues: EigenvalueRule(r.IntN(2)), Factors: r.IntN(2) * 4, PreRotate: r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			o.Tol, o.MaxSweeps = 1e-8, 4
		}
		size := math.Exp(700 * r.NormFloat64() / 3)
		inc := Increment{Decay: r.NormFloat64() * math.Exp(4*r.NormFloat64()), Ridge: r.NormFloat64(), Congruent: r.IntN(4) == 0, InBasis: r.IntN(3) == 0}
		if r.IntN(2) == 0 {
			a := randSym(r, n)
			a.ScaleSym(min(size, 1e300), a)
			inc.Dense = a
		} else {
			inc.Vectors = randDense(r, n, 1+r.IntN(7))
			inc.Vectors.Scale(min(size, 1e300), inc.Vectors)
		}
		before := f.Clone()
		rep := f.Update(inc, &o)
		if rep.Err != nil {
			if !errors.Is(rep.Err, ErrRange) {
				t.Fatalf("finite increment of size %.3g: %v", size, rep.Err)
			}
			if !sameBits(before, f) {
				t.Fatal("a refused increment changed the factor")
			}
		}
		for _, v := range []float64{rep.Scaling, rep.Residual, rep.Coupling, rep.Defect} {
			if v-v != 0 {
				t.Fatalf("report not finite: %+v", rep)
			}
		}
		wantValid(t, f)
		if e := spectralDefect(f); !(e <= 1e-12) {
			t.Fatalf("defect %v after %+v", e, rep)
		}
	}
}

// The published rule without a cap turns near ties by almost half a turn: N reaches 1e15 and the basis must stay orthogonal all the same.
func TestHugeGeneratorsStayOrthogonal(t *testing.T) {
	r := newRand(t, 640)
	const n = 12
	huge := false
	for range 200 {
		d := make([]float64, n)
		for i := range d {
			d[i] = 1 + 1e-16*math.Exp(30*r.Float64())
		}
		f := stateOf(t, randOrthogonal(r, n), d)
		rep := f.Update(MovingAverage(spd(r, n), 0.3, 1, 0), &paperMode)
		huge = huge || rep.Scaling < 1e-6
		if e := spectralDefect(f); !(e <= 1e-12) || rep.Err != nil {
			t.Fatalf("defect %v, %+v", e, rep)
		}
		wantValid(t, f)
	}
	if !huge {
		t.Error("no generator was huge: the test is vacuous")
	}
}

func TestIndefiniteTargetsAreGuarded(t *testing.T) {
	f := Identity(2, 1)
	rep := f.Update(Increment{Dense: mat.NewSymDense(2, []float64{-5, 0, 0, 1})}, nil)
	if rep.Guarded != 1 {
		t.Errorf("%d eigenvalues guarded, want 1", rep.Guarded)
	}
	wantSlice(t, "d", f.Eigenvalues(), []float64{math.Exp(-1), 2}, 1e-15)
}

func TestNotFiniteIncrementsAreRefused(t *testing.T) {
	r := newRand(t, 630)
	f := randFactor(t, r, 4, 10)
	before := f.Clone()
	bad := spd(r, 4)
	bad.SetSym(1, 2, math.NaN())
	v := randDense(r, 4, 2)
	v.Set(0, 0, math.Inf(-1))
	for what, inc := range map[string]Increment{"NaN": {Dense: bad}, "Inf": {Vectors: v}, "decay": {Decay: math.NaN()}, "ridge": {Ridge: math.Inf(1)},
		"weight": {Vectors: randDense(r, 4, 1), Weights: []float64{math.NaN()}}} {
		if rep := f.Update(inc, nil); !errors.Is(rep.Err, ErrNotFinite) {
			t.Errorf("%s: %+v", what, rep)
		}
	}
	if rep := f.Follow(bad, nil); !errors.Is(rep.Err, ErrNotFinite) {
		t.Errorf("Follow: %+v", rep)
	}
	if !sameBits(before, f) {
		t.Error("a refused increment changed the factor")
	}
	k := NewKron(1, 2, 2)
	kb := k.Clone()
	if rep := k.Learn([][]float64{{1, 2, math.NaN(), 4}}, 0.1, 1, 0, nil); rep.Err == nil {
		t.Error("Learn accepted NaN")
	}
	if k.alpha != kb.alpha || !sameBits(k.parts[0], kb.parts[0]) {
		t.Error("a refused batch changed the product")
	}
	if rep := f.Update(Increment{Decay: 0.1, Dense: spd(r, 4)}, nil); rep.Err != nil {
		t.Errorf("the factor does not work on after a refusal: %+v", rep)
	}
}

func TestConstructorsExplainWhatTheyRefuse(t *testing.T) {
	id := mat.DenseCopyOf(Identity(2, 1).Basis())
	skewed := mat.NewDense(2, 2, []float64{1, 0.1, 0, 1})
	for what, try := range map[string]func() (*Factor, error){
		"zero eigenvalue":     func() (*Factor, error) { return FromEigen(id, []float64{1, 0}) },
		"NaN eigenvalue":      func() (*Factor, error) { return FromEigen(id, []float64{math.NaN(), 1}) },
		"wrong count":         func() (*Factor, error) { return FromEigen(id, []float64{1}) },
		"not orthogonal":      func() (*Factor, error) { return FromEigen(skewed, []float64{1, 1}) },
		"not positive":        func() (*Factor, error) { return FromSym(mat.NewSymDense(2, []float64{1, 2, 2, 1})) },
		"NaN matrix":          func() (*Factor, error) { return FromSym(mat.NewSymDense(2, []float64{1, math.NaN(), 0, 1})) },
		"singular":            func() (*Factor, error) { return FromSym(mat.NewSymDense(2, []float64{1, 1, 1, 1 - 1e-9})) },
		"infinite eigenvalue": func() (*Factor, error) { return FromEigen(id, []float64{math.Inf(1), 1}) },
	} {
		_, err := try()
		var data *DataError
		if !errors.As(err, &data) || data.Reason == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMisusePanicsWithAnError(t *testing.T) {
	f := Identity(3, 1)
	for what, call := range map[string]func(){
		"increment shape": func() { f.Update(Increment{Dense: mat.NewSymDense(2, nil)}, nil) },
		"vector rows":     func() { f.Update(Increment{Vectors: mat.NewDense(2, 1, nil)}, nil) },
		"weights":         func() { f.Update(Increment{Vectors: mat.NewDense(3, 1, nil), Weights: []float64{1, 2}}, nil) },
		"options":         func() { f.Update(Increment{}, &Step{MaxSweeps: -1}) },
		"pow":             func() { f.PowVec(1, make([]float64, 3), make([]float64, 2)) },
		"kron":            func() { NewKron(1, 2, 3).Pow(1, make([]float64, 5), make([]float64, 6)) },
		"fold congruent":  func() { NewAccumulator(3, 0).Add(Increment{Congruent: true}) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(Error); !ok {
					t.Errorf("%s: no spectral.Error", what)
				}
			}()
			call()
		}()
	}
}

func TestStepValidate(t *testing.T) {
	for _, bad := range []Step{{Rotation: 3}, {Eigenvalues: -1}, {MaxNorm: -1}, {MaxNorm: math.NaN()}, {FrobeniusCap: -1}, {MaxExponent: math.NaN()}, {Factors: 9},
		{Factors: 4, MaxNorm: 1.5}, {Tol: -1}, {Tol: math.Inf(1)}, {MaxSweeps: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	for _, good := range []Step{{}, {MaxNorm: math.Inf(1)}, {Factors: 4, FrobeniusCap: 0.5, MaxNorm: math.Inf(1)}, {MaxExponent: math.Inf(1)}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

// Any finite batch, any rates: the product stays SPD and finite with unit determinants, or is left as it was.
func TestKronStaysValid(t *testing.T) {
	r := newRand(t, 650)
	for range 500 {
		k := randKron(t, 651, 3, 4)
		o := Step{Rotation: RotationRule(r.IntN(3)), Eigenvalues: EigenvalueRule(r.IntN(2)), Factors: r.IntN(2) * 4}
		if r.IntN(3) == 0 {
			o.Tol, o.MaxSweeps = 1e-8, 4
		}
		for range 5 {
			before := k.Clone()
			x := randTensor(r, 12)
			size := math.Exp(60 * r.NormFloat64())
			for i := range x {
				x[i] *= size
			}
			batch := [][]float64{x}
			if r.IntN(5) == 0 {
				batch = nil
			}
			var rep Report
			switch r.IntN(3) {
			case 0:
				rep = k.Learn(batch, r.Float64(), 2*r.Float64(), r.Float64(), &o)
			case 1:
				rep = k.LearnProduct([]mat.Symmetric{randSym(r, 3), spd(r, 4)}, 10*r.Float64(), 1, 0, &o)
			default:
				rep = k.Gradient(r.NormFloat64()*size, []mat.Symmetric{randSym(r, 3), randSym(r, 4)}, r.Float64(), 2, &o)
			}
			if rep.Err != nil && (k.alpha != before.alpha || !sameBits(k.parts[0], before.parts[0]) || !sameBits(k.parts[1], before.parts[1])) {
				t.Fatalf("a refused step changed the product: %+v", rep)
			}
			if !(k.alpha >= smallest && k.alpha <= largest) {
				t.Fatalf("alpha = %v", k.alpha)
			}
			for _, f := range k.parts {
				wantValid(t, f)
				if e := spectralDefect(f); !(e <= 1e-12) {
					t.Fatalf("defect %v, %+v", e, rep)
				}
				if v := f.LogDet(); math.Abs(v) > 1e-9 {
					t.Fatalf("log-determinant %v, %+v", v, rep)
				}
			}
		}
	}
}
