package dense

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
)

// byteCase is a random sum of commutators with diagonals that are larger than the rest, of rows of very different sizes.
func byteCase(r *rand.Rand, n, count int) (g, h []Matrix[float32], u Matrix[float32]) {
	sizes := make([]float32, n)
	for i := range sizes {
		sizes[i] = float32(math.Exp(2 * r.NormFloat64()))
	}
	scaled := func() Matrix[float32] {
		x := randomSymmetric(r, n, 1)
		for i := range n {
			for j := range n {
				x.Data[i*n+j] *= sizes[i] * sizes[j]
			}
			x.Data[i*n+i] *= 10
		}
		return x
	}
	for range count {
		g, h = append(g, scaled()), append(h, scaled())
	}
	return g, h, randomSymmetric(r, n, -1)
}

// byteReference computes the sum as documented in float64, with integers for bytes.
func byteReference(g, h []Matrix[float32], u Matrix[float32]) []float64 {
	n := u.Rows
	square := func() [][]float64 {
		x := make([][]float64, n)
		for i := range x {
			x[i] = make([]float64, n)
		}
		return x
	}
	// root returns the norm of column j off the diagonal.
	root := func(x Matrix[float32], j int) (s float64) {
		for i := range n {
			if i != j {
				s += float64(x.At(i, j)) * float64(x.At(i, j))
			}
		}
		return s
	}
	round := func(v, step float64) float64 {
		if step == 0 {
			return 0
		}
		return math.RoundToEven(v / step)
	}
	inner, steps := make([]float64, n), make([]float64, n)
	for j := range n {
		for _, g := range g {
			inner[j] += root(g, j)
		}
		inner[j] = math.Sqrt(inner[j])
	}
	for j := range n {
		for i := range n {
			steps[j] = max(steps[j], math.Abs(float64(u.At(i, j)))*inner[i]/byteSteps)
		}
	}
	images, outer := []([][]float64){}, [][]float64{}
	for k := range g {
		y, w := square(), square()
		for i := range n {
			step := 0.
			for j := range n {
				if i != j && inner[j] > 0 {
					step = max(step, math.Abs(float64(g[k].At(i, j)))/inner[j]/byteSteps)
				}
			}
			for j := range n {
				for l := range n {
					if l != i && inner[l] > 0 {
						y[i][j] += step * steps[j] * round(float64(g[k].At(i, l))/inner[l], step) * round(float64(u.At(l, j))*inner[l], steps[j])
					}
				}
			}
		}
		for i := range n {
			for j := range n {
				w[i][j] = y[i][j] + y[j][i] + float64(g[k].At(i, i)-g[k].At(j, j))*float64(u.At(i, j))
			}
		}
		images, outer = append(images, w), append(outer, make([]float64, n))
		for j := range n {
			outer[k][j] = math.Sqrt(root(h[k], j))
		}
	}
	s := square()
	for j := range n {
		colStep := 0.
		for k := range h {
			for i := range n {
				if i != j && outer[k][i] > 0 {
					colStep = max(colStep, math.Abs(float64(h[k].At(i, j)))/outer[k][i]/byteSteps)
				}
			}
		}
		for i := range n {
			rowStep := 0.
			for k := range h {
				for l := range n {
					rowStep = max(rowStep, math.Abs(images[k][i][l])*outer[k][l]/byteSteps)
				}
			}
			for k := range h {
				for l := range n {
					if l != j && outer[k][l] > 0 {
						s[i][j] += rowStep * colStep * round(images[k][i][l]*outer[k][l], rowStep) * round(float64(h[k].At(l, j))/outer[k][l], colStep)
					}
				}
			}
		}
	}
	out := make([]float64, n*n)
	for i := range n {
		for j := range n {
			out[i*n+j] = s[i][j] - s[j][i]
			for k := range h {
				out[i*n+j] += images[k][i][j] * float64(h[k].At(j, j)-h[k].At(i, i))
			}
		}
	}
	return out
}

// norms returns those of x - y and of y.
func differenceNorms(x []float32, y []float64) (difference, size float64) {
	for i, v := range y {
		difference += (float64(x[i]) - v) * (float64(x[i]) - v)
		size += v * v
	}
	return math.Sqrt(difference), math.Sqrt(size)
}

// TestByteSandwiches compares sums with those of a reference that rounds to the same integers, but where float32 decides otherwise between two, and with exact ones, whatever has been in
// the place of the pairs.
func TestByteSandwiches(t *testing.T) {
	if NewByteSandwiches(1, 1) == nil {
		t.Skip("no VPDPBUSD")
	}
	r := rand.New(rand.NewPCG(37, 2))
	for n := range 36 {
		for _, count := range []int{1, 3} {
			byteSandwiches(t, r, n+1, count, true)
		}
	}
	for _, n := range []int{47, 48, 49, 71, 72, 73, 97, 101, 144, 150} {
		byteSandwiches(t, r, n, 2, n < 100)
	}
	byteSandwiches(t, r, 419, 1, false) // tiles of more than one panel
}

func byteSandwiches(t *testing.T, r *rand.Rand, n, count int, byReference bool) {
	s, out := NewByteSandwiches(n, count), New[float32](n, n)
	g, h, _ := byteCase(r, n, count)
	s.Set(g, h)
	g, h, u := byteCase(r, n, count)
	s.Set(g, h)
	s.Sum(0.5, u, out)
	for i := range out.Data {
		out.Data[i] *= 2
	}
	exact, w := New[float64](n, n), New[float64](n, n)
	for k := range g {
		commutator(inDouble(g[k], false), inDouble(u, false), -1, 0, w)
		commutator(w, inDouble(h[k], false), -1, 1, exact)
	}
	if d, size := differenceNorms(out.Data, exact.Data); !(d <= 0.015*size) {
		t.Errorf("n=%d, %d pairs: off by %g of %g", n, count, d, size)
	}
	if !byReference {
		return
	}
	if d, size := differenceNorms(out.Data, byteReference(g, h, u)); !(d <= 2e-4*size) {
		t.Errorf("n=%d, %d pairs: off the reference by %g of %g", n, count, d, size)
	}
}

// TestByteSandwichesPaths: other kernels have none, sums allocate nothing and do not depend on threads, zero and what is not finite stay so, and what does not fit is refused.
func TestByteSandwichesPaths(t *testing.T) {
	onPaths(t, func() {
		const n = 340
		s := NewByteSandwiches(n, 2)
		if (s != nil) != hasQuads() {
			t.Fatalf("%v: %v", active, s)
		}
		if s == nil {
			return
		}
		r := rand.New(rand.NewPCG(38, 2))
		g, h, u := byteCase(r, n, 2)
		out, other := New[float32](n, n), New[float32](n, n)
		s.Sum(1, u, out)
		if v := Dot(out.Data, out.Data); v != 0 {
			t.Errorf("pairs of zeros: %v", v)
		}
		s.Set(g, h)
		withProcs(1, func() { s.Sum(1, u, out) })
		for _, procs := range []int{1, 2, 4} {
			withProcs(procs, func() {
				s.Sum(1, u, other)
				if a := allocs.PerRun(3, func() { s.Set(g, h); s.Sum(1, u, other) }); a > 0 && procs == 1 {
					t.Errorf("%v allocations", a)
				}
			})
			if !slices.Equal(out.Data, other.Data) {
				t.Errorf("other bits on %d threads", procs)
			}
		}
		if s.Sum(1, New[float32](n, n), out); Dot(out.Data, out.Data) != 0 {
			t.Error("zero times the pairs is not zero")
		}
		u.Set(1, 0, float32(math.NaN()))
		u.Set(0, 1, float32(math.NaN()))
		if s.Sum(1, u, out); out.At(0, 1) == out.At(0, 1) {
			t.Error("NaN is lost")
		}
		refused(t, map[string]func(){
			"no pairs":  func() { NewByteSandwiches(5, 0) },
			"too few":   func() { s.Set(g[:1], h[:1]) },
			"left":      func() { s.Set([]Matrix[float32]{g[0], New[float32](n, 2)}, h) },
			"right":     func() { s.Set(g, []Matrix[float32]{h[0], New[float32](2, n)}) },
			"middle":    func() { s.Sum(1, New[float32](4, 4), out) },
			"sum":       func() { s.Sum(1, u, New[float32](4, 4)) },
			"too short": func() { s.Sum(1, u, Matrix[float32]{Rows: n, Cols: n, Stride: n, Data: u.Data[:n]}) },
		})
		if NewByteSandwiches(8, quadsMost/2+1) != nil {
			t.Error("sums beyond 32 bits")
		}
	})
}

func BenchmarkByteSandwiches(b *testing.B) {
	for _, n := range []int{50, 100, 200, 500, 1000} {
		s := NewByteSandwiches(n, 3)
		if s == nil {
			b.Skip("no VPDPBUSD")
		}
		r := rand.New(rand.NewPCG(39, 2))
		g, h, u := byteCase(r, n, 3)
		out := New[float32](n, n)
		s.Set(g, h)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				s.Sum(1, u, out)
			}
			b.ReportMetric(12*float64(n*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gop/s")
		})
		b.Run(fmt.Sprint("Set", n), func(b *testing.B) {
			for b.Loop() {
				s.Set(g, h)
			}
		})
	}
}
