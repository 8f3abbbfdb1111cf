package problem

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

// TestShiftedLog: the error on the whole interval is at most the one stated and falls with every shift at the best rate that an interval allows,
// exp(-pi^2/log(4 e^L)), to within a third of its exponent.
func TestShiftedLog(t *testing.T) {
	for _, width := range []float64{0.2, 1, 2.4, 4.6, 7} {
		rate, last := math.Exp(-math.Pi*math.Pi/(math.Log(4)+width)), math.Inf(1)
		for shifts := 1; shifts <= mostShifts; shifts++ {
			r := newShiftedLog(width, shifts)
			if len(r.shift) != shifts || len(r.weight) != shifts {
				t.Fatalf("%d shifts instead of %d", len(r.shift), shifts)
			}
			var worst float64
			for i := range 2001 {
				l := width * (float64(i)/1000 - 1)
				worst = max(worst, math.Abs(value(r, l)-l))
			}
			if rounding := 1e-13 * math.Exp(width/2); worst > r.err+rounding || r.err > 1.5*worst+rounding {
				t.Errorf("L = %v, %d shifts: error %.3g, stated %.3g", width, shifts, worst, r.err)
			}
			if r.err > last*math.Pow(rate, 2.0/3) && r.err > 1e-14 {
				t.Errorf("L = %v, %d shifts: error %.3g after %.3g, best rate %.3g", width, shifts, r.err, last, rate)
			}
			last = r.err
		}
	}
}

// value is the function at e^l.
func value(r *shiftedLog, l float64) float64 {
	v := r.constant
	for j, s := range r.shift {
		v -= r.weight[j] / (math.Exp(l) + s)
	}
	return v
}

func TestShiftedLogWithin(t *testing.T) {
	for _, width := range []float64{0.3, 2.4, 4} {
		for _, err := range []float64{1e-1, 1e-4, 1e-6} {
			r := shiftedLogWithin(width, err)
			if r == nil || r.err > err {
				t.Errorf("L = %v, error %v: %+v", width, err, r)
				continue
			}
			if n := len(r.shift); n > 1 && newShiftedLog(width, n-1).err <= err {
				t.Errorf("L = %v, error %v: one shift fewer than %d is enough", width, err, n)
			}
		}
	}
	if r := shiftedLogWithin(30, 1e-9); r != nil {
		t.Errorf("an interval from e^-30 to e^30 in %d shifts", len(r.shift))
	}
}

// TestSingleStart: the first point in single precision has a small gradient in double precision, for few matrices and many, unequal weights and
// zero ones, any scale, pairs and equal matrices; where single precision cannot, or where fitting logarithms costs more than decompositions, there is none.
func TestSingleStart(t *testing.T) {
	scaled := scattered(30, 5, 1e2)
	for i, a := range scaled {
		var b mat.SymDense
		b.ScaleSym(1e12, a)
		scaled[i] = &b
	}
	paired, _ := pairs(33, 6, 10)
	for name, d := range map[string]Data{
		"three":   {Matrices: scattered(24, 3, 1e2)},
		"many":    {Matrices: scattered(40, 20, 1e2)},
		"weights": {Matrices: scattered(50, 4, 30), Weights: []float64{1, 0, 5, 2}},
		"scaled":  {Matrices: scaled},
		"huge":    {Matrices: []mat.Symmetric{huge(30, 1e200), huge(30, 2e200), huge(30, 3e200)}}, // whitened
		"small":   {Matrices: scattered(10, 20, 1e2)},
		"pairs":   {Matrices: paired}, // whose mean is that of the means
		"equal":   {Matrices: []mat.Symmetric{scaled[0], scaled[0], scaled[0]}},
	} {
		k := karcherOf(t, d)
		p := k.singleStart(false)
		if p == nil {
			t.Errorf("%s: no first point", name)
			continue
		}
		grad, memo := make([]float64, k.n*k.n), k.NewMemo()
		cost, err := k.Evaluate(p, grad, memo)
		if err != nil {
			t.Fatal(err)
		}
		if g := math.Sqrt(k.m.Inner(p, grad, grad)); g > 2e-5*max(k.GradientScale(cost), math.Sqrt(float64(k.n))) {
			t.Errorf("%s: gradient %.3g, distance %.3g", name, g, k.GradientScale(cost))
		}
	}
	for name, d := range map[string]Data{
		"small":           {Matrices: scattered(5, 5, 1e2)},
		"two":             {Matrices: scattered(30, 2, 1e2)},
		"ill-conditioned": {Matrices: scattered(30, 5, 1e6)},
		"overflowing":     {Matrices: []mat.Symmetric{huge(30, 1e307), huge(30, 2e307), huge(30, 3e307)}},
	} {
		if karcherOf(t, d).singleStart(false) != nil {
			t.Errorf("%s: a first point in single precision", name)
		}
	}
	if r := solved(t, "mean", Data{Matrices: []mat.Symmetric{huge(30, 1e200), huge(30, 2e200), huge(30, 3e200)}}, nil); !r.Converged {
		t.Errorf("huge: %+v", r)
	}
}

// huge returns an SPD matrix of that size.
func huge(n int, scale float64) *mat.SymDense {
	var b mat.SymDense
	b.ScaleSym(scale, symmetric(gallery.SPD(uint64(math.Log(scale)), n, 10)))
	return &b
}

func karcherOf(t *testing.T, d Data) *karcherObjective {
	t.Helper()
	p, err := ByName("mean")
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := p.instance(&d, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	return in.(*karcherObjective)
}
