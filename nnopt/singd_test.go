package nnopt

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
)

// seen is a layer with statistics of a made-up pass, whose gradients follow from them.
type seen struct {
	blocks []Block[float64]
	stats  []Stats[float64]
}

func newSeen(r *rand.Rand, rows, in, out, reps int, bias bool) *seen {
	s := &seen{blocks: []Block[float64]{{Name: "w", Rows: out, Cols: in, Value: make([]float64, out*in), Grad: make([]float64, out*in)}}}
	fill(r, s.blocks[0].Value)
	st := Stats[float64]{Weight: "w", In: dense.New[float64](rows, in), Out: dense.New[float64](rows, out), Reps: reps}
	if bias {
		st.Bias = "b"
		s.blocks = append(s.blocks, Block[float64]{Name: "b", Rows: 1, Cols: out, Value: make([]float64, out), Grad: make([]float64, out)})
	}
	s.stats = []Stats[float64]{st}
	s.draw(r)
	return s
}

// draw makes a new pass; the gradients at the outputs are those of an averaged loss.
func (s *seen) draw(r *rand.Rand) {
	st := &s.stats[0]
	fill(r, st.In.Data)
	fill(r, st.Out.Data)
	dense.Scale(float64(st.Reps)/float64(st.In.Rows), st.Out.Data, st.Out.Data)
	s.gradients()
}

func (s *seen) gradients() {
	st := &s.stats[0]
	w := &s.blocks[0]
	dense.Gemm(dense.Transposed, dense.NoTrans, 1, st.Out, st.In, 0, dense.Wrap(w.Rows, w.Cols, w.Grad))
	if len(s.blocks) > 1 {
		clear(s.blocks[1].Grad)
		for i := range st.Out.Rows {
			dense.Axpy(1, st.Out.Row(i), s.blocks[1].Grad)
		}
	}
}

func (s *seen) init(t *testing.T, o Optimizer[float64]) {
	t.Helper()
	st := s.stats[0]
	o.(StatsObserver[float64]).SetLayers([]Layer{{st.Weight, st.Bias}})
	must(0, o.Init(s.blocks))
}

func (s *seen) step(t *testing.T, o Optimizer[float64]) Report {
	t.Helper()
	must(0, o.(StatsObserver[float64]).Observe(s.stats))
	return must(o.Step(s.blocks, StepInfo{LRScale: 1}))
}

var everyStep = SINGD{Settings: Settings{LR: 0.1}, Beta1: 0.2, Damping: 0.1, Interval: 1}

// Larger inputs and gradients that are smaller in proportion leave the gradient of the weights as it is, and SINGD too, but not IKFAC.
func TestSINGDScaleInvariance(t *testing.T) {
	move := func(o Optimizer[float64], scale float64) []float64 {
		r := source(1)
		s := newSeen(r, 12, 4, 3, 1, false)
		s.init(t, o)
		for range 5 {
			s.draw(r)
			dense.Scale(scale, s.stats[0].In.Data, s.stats[0].In.Data)
			dense.Scale(1/scale, s.stats[0].Out.Data, s.stats[0].Out.Data)
			s.step(t, o)
		}
		return s.blocks[0].Value
	}
	within(t, "SINGD", move(must(NewSINGD[float64](everyStep)), 3), move(must(NewSINGD[float64](everyStep)), 1), 1e-12)
	a, b := move(must(NewIKFAC[float64](everyStep)), 3), move(must(NewIKFAC[float64](everyStep)), 1)
	var worst float64
	for i := range a {
		worst = max(worst, math.Abs(a[i]-b[i]))
	}
	if !(worst > 1e-3) {
		t.Errorf("IKFAC is invariant too, up to %g", worst)
	}
}

// Rotations of inputs and outputs rotate the steps of dense factors, in the plain form: the bound looks at single elements.
func TestSINGDRotation(t *testing.T) {
	r := source(2)
	q, p := orthogonal(r, 4), orthogonal(r, 3)
	for _, name := range []string{"singd", "ikfac"} {
		a, b := newSeen(source(3), 12, 4, 3, 2, false), newSeen(source(3), 12, 4, 3, 2, false)
		clear(a.blocks[0].Value)
		clear(b.blocks[0].Value)
		options := []byte(`{"lr":0.1,"beta1":0.1,"interval":1,"plain":true}`)
		x, y := must(New[float64](name, options)), must(New[float64](name, options))
		a.init(t, x)
		b.init(t, y)
		for range 5 {
			a.draw(r)
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, a.stats[0].In, q, 0, b.stats[0].In)
			dense.Gemm(dense.NoTrans, dense.Transposed, 1, a.stats[0].Out, p, 0, b.stats[0].Out)
			b.gradients()
			a.step(t, x)
			b.step(t, y)
		}
		half, want := dense.New[float64](3, 4), dense.New[float64](3, 4)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, p, dense.Wrap(3, 4, a.blocks[0].Value), 0, half)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, half, q, 0, want)
		within(t, name, b.blocks[0].Value, want.Data, 1e-12)
	}
}

// orthogonal returns a random orthogonal matrix.
func orthogonal(r *rand.Rand, n int) dense.Matrix[float64] {
	f := newMomentFactor(0, n, make([]float64, n*n), make([]float64, n*n), nil)
	fill(r, f.w.Data)
	f.orthonormalise()
	return f.basis
}

// On fixed statistics IKFAC ends at K K^T = (U + Damping I)^-1, and with diagonal factors at the inverse of its diagonal.
func TestIKFACLimit(t *testing.T) {
	o := everyStep
	o.LR, o.NoMomentum, o.Beta1 = 1e-12, true, 0.1
	for _, kind := range []Structure{StructureDense, StructureDiagonal} {
		o.Input = kind
		s := newSeen(source(4), 30, 4, 3, 1, true)
		opt := must(NewIKFAC[float64](o))
		s.init(t, opt)
		for range 600 {
			s.step(t, opt)
		}
		in := dense.New[float64](30, 5)
		for i := range 30 {
			copy(in.Row(i), s.stats[0].In.Row(i))
			in.Set(i, 4, 1)
		}
		u := dense.New[float64](5, 5)
		dense.Gemm(dense.Transposed, dense.NoTrans, 1.0/30, in, in, 0, u)
		k := slotOf(t, opt, "w", "input")
		if kind == StructureDiagonal {
			for i, v := range k {
				within(t, "diagonal", []float64{v * v * (u.At(i, i) + o.Damping)}, []float64{1}, 1e-8)
			}
			continue
		}
		for i := range 5 {
			u.Set(i, i, u.At(i, i)+o.Damping)
		}
		inverse, product := dense.New[float64](5, 5), dense.New[float64](5, 5)
		dense.Gemm(dense.NoTrans, dense.Transposed, 1, dense.Wrap(5, 5, k), dense.Wrap(5, 5, k), 0, inverse)
		dense.Gemm(dense.NoTrans, dense.NoTrans, 1, inverse, u, 0, product)
		for i := range 5 {
			product.Set(i, i, product.At(i, i)-1)
		}
		within(t, "dense", product.Data, make([]float64, 25), 1e-8)
	}
}

// Two passes over unequal parts of a batch, each with the loss averaged over its own examples, count as one pass over the batch; so it is for every
// average of the loss, in expand and in reduce mode.
func TestSINGDAccumulates(t *testing.T) {
	for _, average := range []LossAverage{AverageBatch, AveragePositions, AverageNone} {
		for _, reduce := range []bool{false, true} {
			o := everyStep
			o.Average, o.Reduce = average, reduce
			whole, parts := newSeen(source(5), 20, 4, 3, 2, true), newSeen(source(5), 20, 4, 3, 2, true)
			a, b := must(NewSINGD[float64](o)), must(NewSINGD[float64](o))
			whole.init(t, a)
			parts.init(t, b)
			whole.step(t, a)
			st := parts.stats[0]
			for _, cut := range [][2]int{{0, 6}, {6, 14}} { // rows of 3 and 7 of 10 examples
				part := Stats[float64]{Weight: "w", Bias: "b", Reps: 2, In: st.In.View(cut[0], 0, cut[1], 4).Clone(), Out: st.Out.View(cut[0], 0, cut[1], 3).Clone()}
				if average != AverageNone {
					dense.Scale(20/float64(cut[1]), part.Out.Data, part.Out.Data)
				}
				must(0, b.(StatsObserver[float64]).Observe([]Stats[float64]{part}))
			}
			must(b.Step(parts.blocks, StepInfo{LRScale: 1}))
			name := fmt.Sprint(average, " ", reduce)
			within(t, name, parts.blocks[0].Value, whole.blocks[0].Value, 1e-12)
			within(t, name+" bias", parts.blocks[1].Value, whole.blocks[1].Value, 1e-12)
		}
	}
}

// Between updates the factors rest; blocks of no layer take the heavy ball.
func TestSINGDInterval(t *testing.T) {
	o := everyStep
	o.Interval = 3
	s := newSeen(source(6), 12, 4, 3, 1, true)
	opt := must(NewSINGD[float64](o))
	s.init(t, opt)
	var last []float64
	for step := range 7 {
		if want := step%3 == 0; want != (opt.(StatsObserver[float64]).WantsStats() == EmpiricalStats) {
			t.Fatalf("step %d: statistics are wanted: %v", step, !want)
		}
		s.step(t, opt)
		k := slotOf(t, opt, "w", "input")
		if (step%3 != 0) != (last != nil && equalBits(k, last)) {
			t.Errorf("step %d: factor moved: %v", step, step%3 != 0)
		}
		last = k
	}
	plain := must(NewSINGD[float64](o))
	sgd := must(NewSGD[float64](SGD{Settings: o.Settings, Momentum: 0.9}))
	a, b := blocksFor[float64](source(7)), blocksFor[float64](source(7))
	must(0, plain.Init(a))
	must(0, sgd.Init(b))
	run(t, plain, a, 8, 4)
	run(t, sgd, b, 8, 4)
	for k := range a {
		within(t, "heavy ball", a[k].Value, b[k].Value, 1e-13)
	}
}

// Statistics that are not finite leave the factors; the fourth failure in a row ends the run unless failures are to be skipped.
func TestFactorFailures(t *testing.T) {
	for _, policy := range []Policy{Stop, Skip} {
		o := everyStep
		o.NonFinite = policy
		s := newSeen(source(9), 12, 4, 3, 1, true)
		opt := must(NewSINGD[float64](o))
		s.init(t, opt)
		s.step(t, opt)
		k := slotOf(t, opt, "w", "input")
		good := s.stats[0].In.Clone()
		s.stats[0].In.Set(3, 2, math.NaN())
		for n := range 4 {
			before := cloneBlocks(s.blocks)
			if r := s.step(t, opt); r.Failures != n+1 || r.Step != n+2 {
				t.Fatalf("failure %d: %+v", n+1, r)
			}
			if equalBits(before[0].Value, s.blocks[0].Value) {
				t.Error("a failed update kept the parameters from moving")
			}
		}
		if !equalBits(k, slotOf(t, opt, "w", "input")) {
			t.Error("a failed update moved the factor")
		}
		before := cloneBlocks(s.blocks)
		_, err := opt.Step(s.blocks, StepInfo{LRScale: 1})
		var f *FactorError
		if policy == Skip {
			s.stats[0].In.Copy(good)
			if r := s.step(t, opt); err != nil || r.Failures != 4 || opt.State().Failing != 0 || equalBits(k, slotOf(t, opt, "w", "input")) {
				t.Errorf("after the failures: %+v, %v", r, err)
			}
			continue
		}
		if !errors.As(err, &f) || f.InRow != 4 || f.Step != 5 {
			t.Errorf("error %v", err)
		}
		sameValues(t, "refused step", before, s.blocks)
	}
}

// What was observed for a step that is skipped does not count for the next one.
func TestSkippedStepForgetsStats(t *testing.T) {
	o := everyStep
	o.NonFinite = Skip
	a, b := newSeen(source(10), 12, 4, 3, 1, true), newSeen(source(10), 12, 4, 3, 1, true)
	x, y := must(NewSINGD[float64](o)), must(NewSINGD[float64](o))
	a.init(t, x)
	b.init(t, y)
	a.stats[0].In.Set(0, 0, math.Inf(1))
	a.gradients()
	if r := a.step(t, x); !r.Skipped {
		t.Fatalf("not skipped: %+v", r)
	}
	a.draw(source(11))
	b.draw(source(11))
	a.step(t, x)
	b.step(t, y)
	sameValues(t, "after a skipped step", a.blocks, b.blocks)
}

func TestStatsMisuse(t *testing.T) {
	opt := must(NewSINGD[float64](everyStep))
	s := newSeen(source(12), 12, 4, 3, 1, true)
	o := opt.(StatsObserver[float64])
	if err := o.Observe(s.stats); err == nil {
		t.Error("statistics before Init are accepted")
	}
	var be *BlockError
	o.SetLayers([]Layer{{"w", "missing"}})
	if err := opt.Init(s.blocks); !errors.As(err, &be) || be.Block != "w" {
		t.Errorf("a bias that is no block: %v", err)
	}
	s.init(t, opt)
	for name, spoil := range map[string]func(*Stats[float64]){
		"narrow inputs":   func(st *Stats[float64]) { st.In = st.In.View(0, 0, 12, 3) },
		"fewer gradients": func(st *Stats[float64]) { st.Out = st.Out.View(0, 0, 8, 3) },
		"positions":       func(st *Stats[float64]) { st.Reps = 5 },
	} {
		bad := s.stats[0]
		spoil(&bad)
		if err := o.Observe([]Stats[float64]{bad}); !errors.As(err, &be) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Structured factors with statistics resume, do not depend on the number of threads and allocate nothing, also with a frozen bias.
func TestSINGDContract(t *testing.T) {
	for _, kind := range Structures() {
		options := fmt.Sprintf(`{"lr":0.01,"decay":0.1,"interval":2,"beta1":0.1,"input":%q,"output":%q,"sizes":[3,2],"groups":[{"match":"b","freeze":true}]}`, kind, kind)
		walk := func(procs, stop int) (*seen, Optimizer[float64]) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			r := source(13)
			s := newSeen(r, 12, 9, 7, 2, true)
			o := must(New[float64]("singd", []byte(options)))
			s.init(t, o)
			for step := range 6 {
				if step == stop {
					data := must(o.State().MarshalBinary())
					o = must(New[float64]("singd", []byte(options)))
					s.init(t, o)
					var st State[float64]
					must(0, st.UnmarshalBinary(data))
					must(0, o.SetState(st))
				}
				s.draw(r)
				s.step(t, o)
			}
			return s, o
		}
		first, o := walk(1, -1)
		again, _ := walk(8, 3)
		sameValues(t, string(kind), first.blocks, again.blocks)
		for _, v := range first.blocks[1].Value {
			if v != 0 {
				t.Errorf("%s: the frozen bias moved", kind)
			}
		}
		if n := allocs.PerRun(10, func() { first.step(t, o) }); n != 0 {
			t.Errorf("%s: %v allocations per step", kind, n)
		}
	}
}
