package problem

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold/solve"
)

// TestAcceleratedMixture: where EM takes hundreds of steps, because clusters overlap, or finds clusters far smaller than their distance, the accelerated
// method ends in the same maximum after fewer passes, and the likelihood never falls.
func TestAcceleratedMixture(t *testing.T) {
	for _, c := range []struct {
		name             string
		distance, spread float64
		fewer            int     // passes than EM, so many times; 0: any number
		rise             float64 // of the cost in a step: rounding of single precision, which small clusters are not left to
	}{{"overlapping", 2.2, 1, 3, 1e-6}, {"tight", 1, 1e-5, 0, 1e-10}, {"tiny", 1, 1e-7, 0, 1e-10}} {
		x := dataOf(gallery.NewStream(86).Normals(500, 3))
		x.Scale(c.spread, x)
		for i := range 200 {
			x.Set(i, 0, x.At(i, 0)+c.distance)
		}
		worst, last := 0.0, math.Inf(1)
		watch := func(s *solve.Status) bool {
			worst, last = max(worst, s.Cost-last), s.Cost
			return false
		}
		fast := solved(t, "gmm", Data{Samples: x}, &Options{Solver: solve.Options{Callback: watch}})
		plain := solved(t, "gmm", Data{Samples: x}, &Options{Method: "em"})
		if math.Abs(fast.Objective-plain.Objective) > 1e-10 || fast.Evaluations*c.fewer > plain.Evaluations {
			t.Errorf("%s: cost %v after %d passes, by em %v after %d", c.name, fast.Objective, fast.Evaluations, plain.Objective, plain.Evaluations)
		}
		if worst > c.rise {
			t.Errorf("%s: the cost rose by %g", c.name, worst)
		}
	}
}

// TestMixtureStepsAllocateNothing: in every precision.
func TestMixtureStepsAllocateNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g, err := gmmStart(&Data{Samples: twoClouds(4)}, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	for g.stage = range double + 1 {
		s, status := newPlaneSearch(g), solve.Status{}
		g.expect()
		if n := allocs.PerRun(5, func() {
			if _, err := s.step(&status); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("stage %v: %v allocations in a step", g.stage, n)
		}
	}
}

// TestChangesOfMoments: moments to which changes in a lower precision have been added differ from those computed anew by about the noise that is predicted.
func TestChangesOfMoments(t *testing.T) {
	for _, k := range []int{2, 4} {
		d := clusters(11, 3000, 12, k, 0.7)
		g, err := gmmStart(&d, &Options{Parameters: Parameters{Components: k}})
		if err != nil {
			t.Fatal(err)
		}
		start := g.components()
		for p, rest := range map[stage]float64{single: 1e-6, double: 1e-14} {
			copyComponents(g.parts, start)
			g.stage = p
			s, compared := newPlaneSearch(g), 0
			s.expect()
			for range 8 {
				for range 5 {
					if _, err := s.step(&solve.Status{}); err != nil {
						t.Fatal(err)
					}
				}
				if s.drift == 0 {
					continue
				}
				compared++
				noise, before := s.noise(s.drift), make([]dense.Matrix[float64], k)
				for c := range before {
					before[c] = s.r[c].Clone()
				}
				s.expect()
				var square float64
				for c, m := range before {
					dense.Axpy(-1, s.r[c].Data, m.Data)
					w := dense.New[float64](m.Rows, m.Rows)
					dense.Gemm(dense.NoTrans, dense.NoTrans, 1, s.planes[c].e, m, 0, w)
					dense.Transpose(m, w)
					square += dense.Dot(w.Data, m.Data) / 4
				}
				if got := math.Sqrt(square); got > 4*noise+rest || g.passes[p-1] != g.passes[p] && got+rest < noise/10 {
					t.Errorf("%d components, stage %d: moments are off by %g, predicted %g", k, p, got, noise)
				}
			}
			if compared < 4 {
				t.Errorf("%d components, stage %d: changes in a lower precision after %d of 8", k, p, compared)
			}
		}
	}
}

// clusters are samples of k normal distributions about seeded means.
func clusters(seed uint64, count, n, k int, distance float64) Data {
	rng := rand.New(rand.NewPCG(seed, 40))
	x, means := gallery.NewStream(seed).Normals(count, n), make([]float64, k*n)
	for i := range means {
		means[i] = distance * rng.NormFloat64()
	}
	for i := range count {
		for j := range n {
			x.Set(i, j, x.At(i, j)+means[i%k*n+j])
		}
	}
	return Data{Samples: dataOf(x)}
}

// TestPlaneDerivatives: value, gradient and Hessian over the plane agree with differences, the Hessian at the step of EM; the value there and at the origin is the likelihood of the mixtures there, also after steps that renew nothing, to single precision where forms change in that, and where components are small.
func TestPlaneDerivatives(t *testing.T) {
	for _, c := range []struct {
		spread, precision float64
		low               bool
	}{{1, 1e-11, false}, {1, 1e-7, true}, {1e-3, 1e-11, true}} {
		spread := c.spread
		d := clusters(5, 300, 3, 3, 2/spread)
		g, err := gmmStart(&d, &Options{Parameters: Parameters{Components: 3}})
		if err != nil {
			t.Fatal(err)
		}
		g.stage = double
		s, last := newPlaneSearch(g), g.expect()
		for range 3 {
			if last, err = s.step(&solve.Status{}); err != nil {
				t.Fatal(err)
			}
			s.low = s.low && c.low
		}
		if s.low != (c.low && spread == 1) {
			t.Fatalf("spread %g: changes in a lower precision: %v", spread, s.low)
		}
		if (s.used == exact) != (spread < 1) {
			t.Fatalf("spread %g: precision %v", spread, s.used)
		}
		if err := s.aim(); err != nil {
			t.Fatal(err)
		}
		at := func(x, y float64) planePoint {
			if !s.try([2]float64{x, y}) {
				t.Fatal("not positive definite")
			}
			p := s.evaluate([2]float64{x, y})
			s.slope(&p, [2]float64{})
			return p
		}
		em := s.evaluate([2]float64{1, 0})
		s.differentiate(&em)
		const h = 1e-4
		right, left, up, down := at(1+h, 0), at(1-h, 0), at(1, h), at(1, -h)
		origin := at(0, 0)
		size := math.Abs(em.hessian[0]) + math.Abs(em.hessian[1]) + math.Abs(em.hessian[2])
		for what, v := range map[string][2]float64{
			"slope along em":   {em.gradient[0], (right.value - left.value) / (2 * h)},
			"slope along last": {em.gradient[1], (up.value - down.value) / (2 * h)},
			"curvature 00":     {em.hessian[0], (right.gradient[0] - left.gradient[0]) / (2 * h)},
			"curvature 01":     {em.hessian[1], (up.gradient[0] - down.gradient[0]) / (2 * h)},
			"curvature 10":     {em.hessian[1], (right.gradient[1] - left.gradient[1]) / (2 * h)},
			"curvature 11":     {em.hessian[2], (up.gradient[1] - down.gradient[1]) / (2 * h)},
		} {
			if math.Abs(v[0]-v[1]) > 1e-6*size+1e-10 {
				t.Errorf("spread %g: %s %g, by differences %g", spread, what, v[0], v[1])
			}
		}
		if math.Abs(origin.value-last) > c.precision*(1+math.Abs(last)) {
			t.Errorf("spread %g: value %v at the origin, want %v", spread, origin.value, last)
		}
		s.finish()
		if err := g.maximize(); err != nil {
			t.Fatal(err)
		}
		if want := g.respond(); math.Abs(em.value-want) > c.precision*(1+math.Abs(want)) {
			t.Errorf("spread %g: value %v at the step of EM, want %v", spread, em.value, want)
		}
	}
}

// TestMixtureInformation: gradient and Hessian products agree with differences of the likelihood along curves whose accelerations vanish, also where components are small.
func TestMixtureInformation(t *testing.T) {
	for _, spread := range []float64{1, 1e-3} {
		d := clusters(6, 300, 3, 3, 2/spread)
		g, err := gmmStart(&d, &Options{Parameters: Parameters{Components: 3}})
		if err != nil {
			t.Fatal(err)
		}
		g.stage = double
		i, rng := newMixtureInformation(g), rand.New(rand.NewPCG(9, 42))
		grad := make([]float64, 3*(4*4+1))
		cost, err := i.Evaluate(nil, grad, nil)
		if err != nil {
			t.Fatal(err)
		}
		v, hv := make([]float64, len(grad)), make([]float64, len(grad))
		w, logs := i.split(v)
		for c := range w {
			for a := range 4 {
				for b := range a + 1 {
					x := rng.NormFloat64()
					w[c].Set(a, b, x)
					w[c].Set(b, a, x)
				}
			}
			logs[c] = rng.NormFloat64()
		}
		if err := i.HessianVec(hv, nil, v, nil); err != nil {
			t.Fatal(err)
		}
		const h = 1e-4
		start := g.components()
		along := func(h float64) float64 {
			var total float64
			for c, p := range start {
				s, work := dense.New[float64](4, 4), dense.New[float64](4, 4)
				dense.Gemm(dense.NoTrans, dense.NoTrans, h*h/2, w[c], w[c], 0, s)
				dense.Axpy(h, w[c].Data, s.Data)
				addToDiagonal(s, 1)
				dense.Cholesky(s)
				dense.MulLower(dense.NoTrans, p.l, s, work)
				g.parts[c].l.Copy(work)
				g.parts[c].invert()
				g.parts[c].share = p.share * math.Exp(h*logs[c])
				total += g.parts[c].share
			}
			for c := range g.parts {
				g.parts[c].share /= total
			}
			return math.Log(total)*math.Log(total)/2 - g.respond()
		}
		up, down := along(h), along(-h)
		if got, want := dense.Dot(grad, v), (up-down)/(2*h); math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
			t.Errorf("spread %g: slope %g, by differences %g", spread, got, want)
		}
		if got, want := dense.Dot(hv, v), (up-2*cost+down)/(h*h); math.Abs(got-want) > 1e-5*(1+math.Abs(want)) {
			t.Errorf("spread %g: curvature %g, by differences %g", spread, got, want)
		}
	}
}

// TestAcceleratedEndsWhereEMDoes: wherever EM finds a maximum, the accelerated method finds one, though long steps may end in a collapse.
func TestAcceleratedEndsWhereEMDoes(t *testing.T) {
	worse := 0
	for seed := range uint64(60) {
		n, k := 1+int(seed%3), 2+int(seed%4)
		d := clusters(900+seed, 12*k, n, k, 1.5)
		o := func(method string) *Options {
			return &Options{Method: method, Parameters: Parameters{Components: k}, Solver: solve.Options{MaxIterations: 20000}}
		}
		plain, err := Solve("gmm", d, o("em"))
		if err != nil || !plain.Converged {
			continue
		}
		fast, err := Solve("gmm", d, o("accelerated-em"))
		if err != nil || !fast.Converged {
			t.Errorf("seed %d: %v %+v", seed, err, fast)
		} else if fast.Objective > plain.Objective+1e-6 {
			worse++
		}
	}
	if worse > 3 {
		t.Errorf("a worse maximum for %d of 60 data sets", worse)
	}
}

// TestSamplePasses: forms and moments agree with sums over the samples, to the precision of each pass.
func TestSamplePasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 41))
	for _, shape := range [][2]int{{1, 2}, {200, 3}, {500, 40}} {
		N, d := shape[0], shape[1]
		y, p := gallery.NewStream(7).Normals(N, d), gallery.SPD(8, d, 10)
		r := make([]float64, N)
		for i := range r {
			r[i] = rng.Float64()
		}
		forms, moment := make([]float64, N), dense.New[float64](d, d)
		for i := range N {
			for a, u := range y.Row(i) {
				for b, v := range y.Row(i) {
					forms[i] += p.At(a, b) * u * v
					moment.Data[a*d+b] += r[i] * u * v / float64(N)
				}
			}
		}
		blocks := newSampleBlocks(y)
		rounded, single := newLowPasses(blocks)
		exact := newProductPass[float64](blocks)
		for name, pass := range map[string]struct {
			samplePass
			precision float64
		}{"rounded": {rounded, 0x1p-7}, "single": {single, 1e-5}, "products": {newProductPass[float32](blocks), 1e-5}, "double": {exact, 1e-13}} {
			q, m := make([]float64, N), dense.New[float64](d, d)
			pass.forms(p, q)
			pass.moment(r, m)
			if e := farthest(q, forms); e > pass.precision {
				t.Errorf("%v, %s: forms %g away", shape, name, e)
			}
			if e := farthest(m.Data, moment.Data); e > pass.precision {
				t.Errorf("%v, %s: moment %g away", shape, name, e)
			}
		}
		l := p.Clone()
		dense.Cholesky(l)
		dense.MulLower(dense.Transposed, l, l, p)
		q, m, work, want := make([]float64, N), dense.New[float64](d, d), dense.New[float64](d, d), dense.New[float64](d, d)
		exact.forms(p, forms)
		if exact.squares(l, q); farthest(q, forms) > 1e-13 {
			t.Errorf("%v: squares %g away from forms", shape, farthest(q, forms))
		}
		exact.whitenedForms(l, p, q)
		dense.MulLower(dense.Transposed, l, p, work)
		dense.MulLowerRight(dense.NoTrans, l, work, want)
		if exact.forms(want, forms); farthest(q, forms) > 1e-13 {
			t.Errorf("%v: whitened forms %g away", shape, farthest(q, forms))
		}
		exact.whitenedMoment(l, r, m)
		dense.MulLower(dense.NoTrans, l, moment, work)
		dense.MulLowerRight(dense.Transposed, l, work, want)
		if e := farthest(m.Data, want.Data); e > 1e-13 {
			t.Errorf("%v: whitened moment %g away", shape, e)
		}
	}
}

// farthest returns the largest difference relative to the largest element of b.
func farthest(a, b []float64) float64 {
	var most, size float64
	for i, v := range b {
		most, size = max(most, math.Abs(a[i]-v)), max(size, math.Abs(v))
	}
	return most / size
}

// TestMixtureThreads: the same bits for any number of threads.
func TestMixtureThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, n := range []int{3, 20} {
		d := clusters(8, 2500, n, 3, 2)
		var want *Result
		for _, threads := range []int{1, 2, 4} {
			runtime.GOMAXPROCS(threads)
			r := solved(t, "gmm", Data{Samples: mat.DenseCopyOf(d.Samples)}, &Options{Parameters: Parameters{Components: 3}})
			if want == nil {
				want = r
			} else if r.Objective != want.Objective || r.Iterations != want.Iterations || r.Certificate != want.Certificate || !mat.Equal(r.Parts[2].Matrices[1], want.Parts[2].Matrices[1]) {
				t.Errorf("n = %d: %d threads: cost %v after %d steps, by one %v after %d", n, threads, r.Objective, r.Iterations, want.Objective, want.Iterations)
			}
		}
	}
}
