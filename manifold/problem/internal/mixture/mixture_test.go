package mixture

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// started returns a mixture of k components at its best start.
func started(t *testing.T, x dense.Matrix[float64], k int) *Mixture {
	s, err := NewSamples(x)
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Start(k, 0)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestMixtureStepsAllocateNothing: in every precision.
func TestMixtureStepsAllocateNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g := started(t, gallery.Clusters(4, 160, 4, 2, 2), 2)
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
		g := started(t, gallery.Clusters(11, 3000, 12, k, 0.7), k)
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

// TestPlaneDerivatives: value, gradient and Hessian over the plane agree with differences, the Hessian at the step of EM; the value there and at the origin is the likelihood of the mixtures there, also after steps that renew nothing, to single precision where forms change in that, and where components are small.
func TestPlaneDerivatives(t *testing.T) {
	for _, c := range []struct {
		spread, precision float64
		low               bool
	}{{1, 1e-11, false}, {1, 1e-7, true}, {1e-3, 1e-11, true}} {
		spread := c.spread
		g := started(t, gallery.Clusters(5, 300, 3, 3, 2/spread), 3)
		g.stage = double
		s, last := newPlaneSearch(g), g.expect()
		for range 3 {
			var err error
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
		g := started(t, gallery.Clusters(6, 300, 3, 3, 2/spread), 3)
		g.stage = double
		i, rng := newInformation(g), rand.New(rand.NewPCG(9, 42))
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
				s.AddDiagonal(1)
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

// TestMixtureGradient: the norm agrees with differences of the likelihood along the gradient of one mean, in the lifted geometry.
func TestMixtureGradient(t *testing.T) {
	// One component at N(0, 1): moving the mean by h changes the lifted matrix by F eta F', eta = h (e1 e2' + e2 e1'), so the derivative of the
	// cost along the unit vector eta/(sqrt 2 h) is -mean(x)/sqrt 2, and that along variance (mean(x^2)-1)/2.
	x := gallery.NewStream(84).Normals(50, 1)
	y := dense.New[float64](50, 2)
	for i, v := range x.Data {
		copy(y.Row(i), []float64{1, v})
	}
	g := newMixture(&Samples{y: y, mean: []float64{0}, pooled: manifold.IdentityFrame(1, 1)}, 1)
	g.stage = double
	g.expect()
	got, err := g.gradient()
	if err != nil {
		t.Fatal(err)
	}
	var m, s float64
	for _, v := range x.Data {
		m += v / 50
		s += v * v / 50
	}
	if want := math.Hypot(m/math.Sqrt2, (s-1)/2); math.Abs(got-want) > 1e-12 {
		t.Errorf("gradient %v, want %v", got, want)
	}
}
