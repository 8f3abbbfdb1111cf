package engine_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	. "github.com/spdopt/spdopt/internal/engine"
	. "github.com/spdopt/spdopt/internal/engine/enginetest"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// TestThreadsAndAllocations: every operation gives the same bits for any number of threads, on shapes that are cut into parts and on shapes that
// are not, and allocates nothing.
func TestThreadsAndAllocations(t *testing.T) {
	t.Run("float64", func(t *testing.T) { threadsAndAllocations[float64](t) })
	t.Run("float32", func(t *testing.T) { threadsAndAllocations[float32](t) })
}

func threadsAndAllocations[T dense.Float](t *testing.T) {
	const size = 60
	defer ShareFrom(size * size)() // what is shared with few goroutines is cut into parts as large batches are
	for _, shape := range [][2]int{{3, 7}, {5, size}} {
		first := map[string][]T{}
		for _, procs := range []int{1, 2, 8} {
			old := runtime.GOMAXPROCS(procs)
			for _, o := range Operations(CPU[T](), 5, shape[0], shape[1]) {
				before := slices.Clone(o.Out)
				o.Call()
				if slices.Equal(before, o.Out) {
					t.Errorf("%s does nothing", o.Name)
				}
				if first[o.Name] == nil {
					first[o.Name] = slices.Clone(o.Out)
				}
				if !slices.Equal(first[o.Name], o.Out) {
					t.Errorf("%s, %d of size %d: GOMAXPROCS %d gives other bits", o.Name, shape[0], shape[1], procs)
				}
			}
			runtime.GOMAXPROCS(old)
		}
		for _, o := range Operations(CPU[T](), 6, shape[0], shape[1]) {
			o.Call()
			if n := allocs.PerRun(2, o.Call); n != 0 {
				t.Errorf("%s, %d of size %d: %v allocations", o.Name, shape[0], shape[1], n)
			}
		}
	}
}

// TestFloat32FollowsFloat64 compares all operations in both element types.
func TestFloat32FollowsFloat64(t *testing.T) {
	narrow, wide := Operations(CPU[float32](), 7, 2, 9), Operations(CPU[float64](), 7, 2, 9)
	for i, o := range wide {
		o.Call()
		narrow[i].Call()
		tol := 1e-4
		if o.Name == "AdamNarrow" || o.Name == "GemmNarrow" || o.Name == "Widen" { // a float32 may round to another bfloat16
			tol = 0.05
		}
		for j, v := range o.Out {
			near(t, fmt.Sprintf("%s, element %d", o.Name, j), float64(narrow[i].Out[j]), v, tol*(1+math.Abs(v)))
		}
	}
}

func TestProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	e := CPU[float64]()
	a, c := Random[float64](r, 3, 5, 4), Random[float64](r, 3, 5, 5)
	e.GemmSymmetric(dense.NoTrans, dense.Transposed, 2, a, a, 0, c)
	narrow := NarrowBatch{Count: 3, Rows: 5, Cols: 4, Stride: a.Stride, Step: a.Step, Data: make([]BFloat16, len(a.Data))}
	e.Narrow(a.Data, narrow.Data)
	rounded, d := Copy(a), Copy(c)
	e.Widen(narrow.Data, rounded.Data)
	e.GemmNarrow(dense.NoTrans, dense.Transposed, 1, narrow, narrow, -1, d)
	for k := range 3 {
		for i := range 5 {
			for j := range 5 {
				var want, wantNarrow float64
				for l := range 4 {
					want += 2 * a.At(k).At(i, l) * a.At(k).At(j, l)
					wantNarrow += rounded.At(k).At(i, l) * rounded.At(k).At(j, l)
				}
				near(t, "symmetric product", c.At(k).At(i, j), want, 1e-13)
				near(t, "narrow product", d.At(k).At(i, j), wantNarrow-want, 1e-13)
			}
		}
	}
}

// TestRoundedCPU: the products of RoundedCPU are those of operands that were rounded before, in Gemm and, mirrored, in GemmSymmetric.
func TestRoundedCPU(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	a, b, c, d := Random[float64](r, 3, 5, 4), Random[float64](r, 3, 4, 5), Random[float64](r, 3, 5, 5), Random[float64](r, 3, 5, 5)
	e := RoundedCPU[float64]()
	rounded := func(x Batch[float64]) Batch[float64] {
		y := Copy(x)
		for i, v := range y.Data {
			y.Data[i] = float64(dense.Round(v).Float32())
		}
		return y
	}
	want, symmetric := Copy(c), Copy(d)
	e.Gemm(dense.NoTrans, dense.NoTrans, 2, a, b, -1, c)
	e.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, a, a, 0, d)
	CPU[float64]().Gemm(dense.NoTrans, dense.NoTrans, 2, rounded(a), rounded(b), -1, want)
	CPU[float64]().GemmSymmetric(dense.NoTrans, dense.Transposed, 1, rounded(a), rounded(a), 0, symmetric)
	for i := range want.Data {
		near(t, "product", c.Data[i], want.Data[i], 0)
		near(t, "symmetric product", d.Data[i], symmetric.Data[i], 0)
	}
}

// TestSpectral checks the batches against the definitions: the tangent of the angle, an orthogonal Cayley map that commutes back to its
// generator, a bound above the largest stretch of vectors, and the diagonal of the product.
func TestSpectral(t *testing.T) {
	const count, n = 3, 6
	r := rand.New(rand.NewPCG(4, 1))
	e := CPU[float64]()
	s, x := Positive[float64](r, count*n), Positive[float64](r, count*n)
	inverse := make([]float64, count*n)
	for i, v := range s {
		inverse[i] = 1 / v
	}
	sym, gen, q := Symmetric(Random[float64](r, count, n, n), 1), Random[float64](r, count, n, n), Random[float64](r, count, n, n)
	e.BoundedAngle(s, inverse, x, sym, gen)
	bounds, diag := make([]float64, count), make([]float64, count*n)
	e.NormBound(gen, bounds)
	e.Cayley(gen, 0, q)
	e.RotatedDiagonal(q, sym, diag)
	for k := range count {
		g, rot, m := gen.At(k), q.At(k), sym.At(k)
		d := func(i int) float64 { return s[k*n+i] * s[k*n+i] }
		for i := range n {
			for j := i + 1; j < n; j++ {
				scale := math.Sqrt(d(i) * d(j))
				theta := math.Atan(2*m.At(i, j)/scale/((d(j)-d(i))/scale+x[k*n+j]-x[k*n+i])) / 2
				near(t, "generator", g.At(i, j), math.Tan(theta/2), 1e-12)
				near(t, "skew symmetry", g.At(j, i), -g.At(i, j), 0)
			}
			var want float64
			for a := range n {
				for b := range n {
					want += rot.At(a, i) * m.At(a, b) * rot.At(b, i)
				}
			}
			near(t, "rotated diagonal", diag[k*n+i], want, 1e-12)
			for j := range n {
				var dot, left, right float64 // of Q^T Q, of Q (I - N), of I + N
				for l := range n {
					dot += rot.At(l, i) * rot.At(l, j)
					left -= rot.At(i, l) * g.At(l, j)
				}
				left += rot.At(i, j)
				right = g.At(i, j)
				if i == j {
					dot--
					right++
				}
				near(t, "orthogonality", dot, 0, 1e-12)
				near(t, "Cayley map", left, right, 1e-12)
			}
		}
		for range 20 {
			v := Random[float64](r, 1, 1, n).Data[:n]
			var in, out float64
			for i := range n {
				in += v[i] * v[i]
				y := dense.Dot(g.Row(i), v)
				out += y * y
			}
			if !(math.Sqrt(out/in) <= bounds[k]) {
				t.Errorf("a vector is stretched by %v; the bound is %v", math.Sqrt(out/in), bounds[k])
			}
		}
	}
	small, product := Copy(gen), Copy(q)
	for i := range small.Data {
		small.Data[i] *= 0.05
	}
	e.Cayley(small, 0, q)
	e.Cayley(small, 3, product)
	for i := range n {
		for j := range n {
			near(t, "product form", product.At(1).At(i, j), q.At(1).At(i, j), 1e-8)
		}
	}
}

func TestScalingAndSums(t *testing.T) {
	const count, rows, cols = 2, 3, 5
	r := rand.New(rand.NewPCG(5, 1))
	e := CPU[float64]()
	x, y := Random[float64](r, count, rows, cols), Random[float64](r, count, rows, cols)
	sr, sc := Positive[float64](r, count*rows), Positive[float64](r, count*cols)
	byRow, byCol, plain := Copy(y), Copy(y), Copy(x)
	e.ScaleRows(sr, x, 3, byRow)
	e.ScaleCols(sc, x, 3, byCol)
	e.ScaleCols(sc, plain, 0, plain)
	sums, dots, rowDots := slices.Repeat([]float64{1}, count*cols), make([]float64, count*cols), make([]float64, count*rows)
	e.ColSums(x, sums)
	e.ColDots(x, y, dots)
	e.RowDots(x, y, rowDots)
	for k := range count {
		a, b := x.At(k), y.At(k)
		for j := range cols {
			wantSum, wantDot := 1.0, 0.0
			for i := range rows {
				wantSum += a.At(i, j)
				wantDot += a.At(i, j) * b.At(i, j)
				near(t, "ScaleRows", byRow.At(k).At(i, j), sr[k*rows+i]*a.At(i, j)+3*b.At(i, j), 1e-14)
				near(t, "ScaleCols", byCol.At(k).At(i, j), sc[k*cols+j]*a.At(i, j)+3*b.At(i, j), 1e-14)
				near(t, "ScaleCols in place", plain.At(k).At(i, j), sc[k*cols+j]*a.At(i, j), 0)
			}
			near(t, "ColSums", sums[k*cols+j], wantSum, 1e-14)
			near(t, "ColDots", dots[k*cols+j], wantDot, 1e-14)
		}
		for i := range rows {
			var want float64
			for j := range cols {
				want += a.At(i, j) * b.At(i, j)
			}
			near(t, "RowDots", rowDots[k*rows+i], want, 1e-14)
		}
	}
}

// TestSoftmax: probabilities against the definition, also where exponentials overflow; the map and its tangent against differences.
func TestSoftmax(t *testing.T) {
	const count, n, h = 2, 5, 1e-6
	r := rand.New(rand.NewPCG(6, 1))
	e := CPU[float64]()
	scores, dir := Random[float64](r, count, n, n), Random[float64](r, count, n, n)
	scores.At(0).Set(2, 1, 900)
	for _, causal := range []bool{false, true} {
		at := func(step float64) Batch[float64] {
			p := Copy(scores)
			dense.Axpy(step, dir.Data, p.Data)
			e.Softmax(causal, p, nil)
			return p
		}
		p, norms := Copy(scores), make([]float64, count*n)
		e.Softmax(causal, p, norms)
		up, down, d := at(h), at(-h), Copy(dir)
		e.SoftmaxMap(p, d)
		// the map at moving probabilities and with a moving argument
		g, dg := Random[float64](r, count, n, n), Random[float64](r, count, n, n)
		mapped := func(p Batch[float64], step float64) Batch[float64] {
			y := Copy(g)
			dense.Axpy(step, dg.Data, y.Data)
			e.SoftmaxMap(p, y)
			return y
		}
		gUp, gDown, g0, tangent := mapped(up, h), mapped(down, -h), Copy(g), Copy(dg)
		e.SoftmaxMapTangent(p, d, g0, tangent)
		for k := range count {
			for i := range n {
				seen := n
				if causal {
					seen = i + 1
				}
				row, total := scores.At(k).Row(i)[:seen], 0.0
				for _, v := range row {
					total += math.Exp(v - slices.Max(row))
				}
				near(t, "logarithm of the sum", norms[k*n+i], slices.Max(row)+math.Log(total), 1e-12)
				for j := range n {
					want := 0.0
					if j < seen {
						want = math.Exp(row[j]-slices.Max(row)) / total
					}
					near(t, "probability", p.At(k).At(i, j), want, 1e-14)
					near(t, "tangent", d.At(k).At(i, j), (up.At(k).At(i, j)-down.At(k).At(i, j))/(2*h), 1e-8)
					near(t, "map", g0.At(k).At(i, j), mapped(p, 0).At(k).At(i, j), 0)
					near(t, "tangent of the map", tangent.At(k).At(i, j), (gUp.At(k).At(i, j)-gDown.At(k).At(i, j))/(2*h), 1e-7)
				}
			}
		}
	}
}

// TestSoftmaxOfOneLikely: where a probability rounds to 1 the map and its tangent in single precision keep the digits of what is left, far below the rounding of their arguments.
func TestSoftmaxOfOneLikely(t *testing.T) {
	const count, n = 2, 6
	r := rand.New(rand.NewPCG(8, 1))
	scores, dir, g, dg := Random[float64](r, count, n, n), Random[float64](r, count, n, n), Random[float64](r, count, n, n), Random[float64](r, count, n, n)
	for i := range count * n {
		scores.At(i / n).Row(i % n)[i%n] += 4 * float64(i) // up to a probability of 1 - 1e-19
	}
	exact, single := CPU[float64](), CPU[float32]()
	round := func(b Batch[float64]) Batch[float32] {
		x := Batch[float32]{Count: b.Count, Rows: b.Rows, Cols: b.Cols, Stride: b.Stride, Step: b.Step, Data: make([]float32, len(b.Data))}
		for i, v := range b.Data {
			x.Data[i] = float32(v)
		}
		return x
	}
	s, v, h, dh := round(scores), round(dir), round(g), round(dg)
	exact.Softmax(false, scores, nil)
	exact.SoftmaxMap(scores, dir)
	exact.SoftmaxMapTangent(scores, dir, g, dg)
	single.Softmax(false, s, nil)
	single.SoftmaxMap(s, v)
	single.SoftmaxMapTangent(s, v, h, dh)
	for what, c := range map[string]struct {
		got  Batch[float32]
		want Batch[float64]
	}{"map": {v, dir}, "map of g": {h, g}, "tangent": {dh, dg}} {
		for i := range count * n {
			var size float64
			for _, x := range c.want.At(i / n).Row(i % n) {
				size = max(size, math.Abs(x))
			}
			for j, x := range c.want.At(i / n).Row(i % n) {
				near(t, fmt.Sprintf("%s, row %d", what, i), float64(c.got.At(i / n).Row(i % n)[j])/size, x/size, 2e-5)
			}
		}
	}
}

// TestNormalise: moments of the result, and the maps against differences, for rows and columns, with and without centering.
func TestNormalise(t *testing.T) {
	const count, n, m, h, eps = 2, 4, 6, 1e-6, 1e-3
	r := rand.New(rand.NewPCG(7, 1))
	e := CPU[float64]()
	for _, c := range []struct{ center, columns bool }{{true, false}, {false, false}, {true, true}, {false, true}} {
		vectors := n
		if c.columns {
			vectors = m
		}
		x, dx, g, dg := Random[float64](r, count, n, m), Random[float64](r, count, n, m), Random[float64](r, count, n, m), Random[float64](r, count, n, m)
		form := func() Normalisation[float64] {
			return Normalisation[float64]{Center: c.center, Columns: c.columns, Eps: eps, H: Copy(x), Scale: make([]float64, count*vectors)}
		}
		at := func(step float64) (Normalisation[float64], Batch[float64]) {
			y, back := Copy(x), Copy(g)
			dense.Axpy(step, dx.Data, y.Data)
			dense.Axpy(step, dg.Data, back.Data)
			f := form()
			e.Normalise(f, y)
			out := Copy(g)
			e.NormaliseMap(f, back, out)
			return f, out
		}
		f, gx := at(0)
		up, gUp := at(h)
		down, gDown := at(-h)
		f.DH, f.Bend = Copy(x), make([]float64, len(f.Scale))
		e.NormaliseMap(f, dx, f.DH)
		dgx := Copy(g)
		e.NormaliseMapTangent(f, g, dg, gx, dgx)
		for k := range count {
			for i := range n {
				for j := range m {
					pick := func(b Batch[float64]) float64 { return b.At(k).At(i, j) }
					near(t, "tangent", pick(f.DH), (pick(up.H)-pick(down.H))/(2*h), 1e-7)
					near(t, "tangent of the map", pick(dgx), (pick(gUp)-pick(gDown))/(2*h), 1e-6)
				}
			}
		}
		for v, s := range f.Scale {
			near(t, "bend", f.Bend[v], (up.Scale[v]-down.Scale[v])/(2*h), 1e-7)
			var mean, square float64
			k, length := v/vectors, n*m/vectors
			for l := range length {
				i, j := v%vectors, l
				if c.columns {
					i, j = l, v%vectors
				}
				mean += f.H.At(k).At(i, j) / float64(length)
				square += f.H.At(k).At(i, j) * f.H.At(k).At(i, j) / float64(length)
			}
			near(t, "mean square", square, 1-eps*s*s, 1e-12)
			if c.center {
				near(t, "mean", mean, 0, 1e-14)
			}
		}
	}
}

func TestGatherScatter(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	e := CPU[float64]()
	table, src := Random[float64](r, 1, 4, 3), Random[float64](r, 1, 6, 3)
	index := []int32{2, 0, 2, 3, 2, 0}
	out, sum := Copy(src), Copy(table)
	e.Gather(table.At(0), index, out.At(0))
	e.Scatter(src.At(0), index, sum.At(0))
	for j := range 3 {
		for row := range 4 {
			want := table.At(0).At(row, j)
			for i, k := range index {
				if int(k) == row {
					near(t, "Gather", out.At(0).At(i, j), want, 0)
				}
			}
			for i, k := range index {
				if int(k) == row {
					want += src.At(0).At(i, j)
				}
			}
			near(t, "Scatter", sum.At(0).At(row, j), want, 1e-14)
		}
	}
}

// TestWindows: patches against the definition of their elements, over many geometries, and Pixels as the transposed map.
func TestWindows(t *testing.T) {
	e := CPU[float64]()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 9))
		w := Window{
			Height: 1 + r.IntN(6), Width: 1 + r.IntN(6), Groups: 1 + r.IntN(2), KernelHeight: 1 + r.IntN(4), KernelWidth: 1 + r.IntN(4), Dilation: 1 + r.IntN(2),
			StrideHeight: 1 + r.IntN(3), StrideWidth: 1 + r.IntN(3), PaddingHeight: r.IntN(4), PaddingWidth: r.IntN(4),
		}
		w.Channels = w.Groups * (1 + r.IntN(3))
		height, width := w.Size()
		if height < 1 || width < 1 {
			continue
		}
		images := Random[float64](r, 2, w.Height*w.Width, w.Channels)
		images.Stride = w.Channels
		patches := Random[float64](r, 2, height*width, w.KernelHeight*w.KernelWidth*w.Channels)
		e.Patches(w, images, patches)
		per := w.Channels / w.Groups
		for k := range 2 {
			for row := range patches.Rows {
				for col, got := range patches.At(k).Row(row) {
					group, a, b, c := col/(per*w.KernelWidth*w.KernelHeight), col/(per*w.KernelWidth)%w.KernelHeight, col/per%w.KernelWidth, col%per
					y, x := row/width*w.StrideHeight+a*w.Dilation-w.PaddingHeight, row%width*w.StrideWidth+b*w.Dilation-w.PaddingWidth
					want := 0.0
					if y >= 0 && y < w.Height && x >= 0 && x < w.Width {
						want = images.At(k).At(y*w.Width+x, group*per+c)
					}
					near(t, fmt.Sprintf("seed %d: patch %d, element %d of %+v", seed, row, col, w), got, want, 0)
				}
			}
		}
		g := Random[float64](r, 2, patches.Rows, patches.Cols)
		back := Copy(images)
		e.Pixels(w, g, back)
		for k := range 2 {
			var forward, backward float64
			for i := range patches.Rows {
				forward += dense.Dot(patches.At(k).Row(i), g.At(k).Row(i))
			}
			for i := range images.Rows {
				backward += dense.Dot(images.At(k).Row(i), back.At(k).Row(i))
			}
			near(t, fmt.Sprintf("seed %d: transposed map", seed), backward, forward, 1e-11)
		}
	}
}

func TestShapesThatDoNotFit(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	e := CPU[float32]()
	a, b := Random[float32](r, 2, 3, 3), Random[float32](r, 2, 3, 4)
	v := make([]float32, 5)
	w := Window{Height: 3, Width: 1, Channels: 3, Groups: 1, KernelHeight: 1, KernelWidth: 1, Dilation: 1, StrideHeight: 1, StrideWidth: 1}
	for name, call := range map[string]func(){
		"angle":    func() { e.BoundedAngle(v, v, v, a, a) },
		"bounds":   func() { e.NormBound(a, make([]float64, 3)) },
		"cayley":   func() { e.Cayley(a, 0, b) },
		"diagonal": func() { e.RotatedDiagonal(a, a, v) },
		"rows":     func() { e.ScaleRows(v, a, 0, a) },
		"columns":  func() { e.ScaleCols(v, a, 0, a) },
		"sums":     func() { e.ColSums(a, v) },
		"dots":     func() { e.RowDots(a, b, v) },
		"softmax":  func() { e.Softmax(false, a, v) },
		"causal":   func() { e.Softmax(true, Random[float32](r, 1, 4, 3), nil) },
		"map":      func() { e.SoftmaxMap(a, b) },
		"norm":     func() { e.Normalise(Normalisation[float32]{H: a, Scale: v}, a) },
		"gather":   func() { e.Gather(a.At(0), []int32{0}, a.At(0)) },
		"patches":  func() { e.Patches(w, a, b) },
		"narrow":   func() { e.Narrow(v, make([]BFloat16, 4)) },
		"adam":     func() { e.AdamNarrow(Adam{}, v, v, make([]BFloat16, 4), v) },
	} {
		func() {
			defer func() {
				if err, ok := recover().(Error); !ok || err.Error() == "" {
					t.Errorf("%s: no engine.Error", name)
				}
			}()
			call()
		}()
	}
}
