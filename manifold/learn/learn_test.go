package learn

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
	"github.com/spdopt/spdopt/manifold"
)

// scattered returns count SPD matrices of independent eigenbases.
func scattered(seed uint64, n, count int, kappa float64) []mat.Symmetric {
	var out []mat.Symmetric
	for _, m := range gallery.KarcherScatter(seed, n, count, kappa) {
		out = append(out, mat.NewSymDense(n, m.Data))
	}
	return out
}

// wishart returns a sample covariance around diag(w).
func wishart(seed uint64, w []float64, samples int) *mat.SymDense {
	x := gallery.NewStream(seed).Normals(samples, len(w))
	s := mat.NewSymDense(len(w), nil)
	for r := range samples {
		v := mat.NewVecDense(len(w), nil)
		for j := range w {
			v.SetVec(j, math.Sqrt(w[j])*x.At(r, j))
		}
		s.SymRankOne(s, 1/float64(samples), v)
	}
	return s
}

// groups returns matrices around several diagonal ones in turn, with the number of the group of each.
func groups(count int, around ...[]float64) (ms []mat.Symmetric, labels []int) {
	for i := range count {
		k := i % len(around)
		ms, labels = append(ms, wishart(uint64(500+i), around[k], 60)), append(labels, k)
	}
	return ms, labels
}

func apply(s mat.Symmetric, f func(float64) float64) *mat.SymDense {
	var e mat.EigenSym
	if !e.Factorize(s, true) {
		panic("oracle: no eigenvalues")
	}
	n := s.SymmetricDim()
	var q, t, out mat.Dense
	e.VectorsTo(&q)
	d := mat.NewDiagDense(n, nil)
	for i, v := range e.Values(nil) {
		d.SetDiag(i, f(v))
	}
	t.Mul(&q, d)
	out.Mul(&t, q.T())
	return symmetricPart(&out)
}

func symmetricPart(a mat.Matrix) *mat.SymDense {
	n, _ := a.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (a.At(i, j)+a.At(j, i))/2)
		}
	}
	return s
}

func triple(a, b, c mat.Matrix) *mat.SymDense {
	var t, out mat.Dense
	t.Mul(a, b)
	out.Mul(&t, c)
	return symmetricPart(&out)
}

func difference(a, b mat.Matrix) float64 {
	var d mat.Dense
	d.Sub(a, b)
	return mat.Norm(&d, 2) / (1e-300 + mat.Norm(b, 2))
}

// line returns the 1 x 1 matrix at x on the line of logarithms.
func line(x float64) mat.Symmetric { return mat.NewSymDense(1, []float64{math.Exp(x)}) }

func inverseRoot(x float64) float64 { return 1 / math.Sqrt(x) }

// TestTangentVectors: the affine-invariant vector is the upper triangle of log(C^-1/2 X C^-1/2), by gonum's decompositions.
func TestTangentVectors(t *testing.T) {
	ms := scattered(3, 4, 6, 50)
	space, err := NewTangentSpace(ms[0], TangentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := space.Vectors(ms)
	if err != nil {
		t.Fatal(err)
	}
	w := apply(ms[0], inverseRoot)
	for k, s := range ms {
		l := apply(triple(w, s, w), math.Log)
		at := 0
		for i := range 4 {
			for j := i; j < 4; j++ {
				want := l.At(i, j)
				if i != j {
					want *= math.Sqrt2
				}
				if got := x.At(k, at); math.Abs(got-want) > 1e-11 {
					t.Errorf("matrix %d: number %d is %v, want %v", k, at, got, want)
				}
				at++
			}
		}
	}
	if d := difference(space.Reference(), ms[0]); d > 1e-13 {
		t.Errorf("the reference is %g away", d)
	}
}

// TestTangentSpaceInEveryMetric: lengths are distances, the kernel is that of the vectors, inner products are those of the metric, and the way back inverts.
func TestTangentSpaceInEveryMetric(t *testing.T) {
	ms := scattered(4, 3, 5, 10)
	for _, g := range manifold.Metrics() {
		space, err := TangentSpaceOf(ms, TangentOptions{Metric: g.Name})
		if err != nil {
			t.Fatal(g.Name, err)
		}
		x, err := space.Vectors(ms)
		if err != nil {
			t.Fatal(g.Name, err)
		}
		for i, s := range ms {
			if d, err := g.Distance(space.Reference(), s); err != nil || math.Abs(d-mat.Norm(x.RowView(i), 2)) > 1e-9 {
				t.Errorf("%s: length %v, distance %v (%v)", g.Name, mat.Norm(x.RowView(i), 2), d, err)
			}
		}
		u, err1 := g.Log(space.Reference(), ms[0])
		v, err2 := g.Log(space.Reference(), ms[1])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(g.Name, err)
		}
		k, err := space.Kernel(ms)
		if inner, err2 := g.Inner(space.Reference(), u, v); err != nil || err2 != nil || math.Abs(k.At(0, 1)-inner) > 1e-9 {
			t.Errorf("%s: kernel %v, inner product %v (%v, %v)", g.Name, k.At(0, 1), inner, err, err2)
		}
		back, err := space.Matrices(x)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		for i, s := range back {
			if d := difference(s, ms[i]); d > 1e-10 {
				t.Errorf("%s: matrix %d comes back %g away", g.Name, i, d)
			}
		}
		sum := mat.NewVecDense(space.Len(), nil)
		for i := range ms {
			sum.AddVec(sum, x.RowView(i))
		}
		if n := mat.Norm(sum, 2); n > 1e-8 {
			t.Errorf("%s: the vectors at the mean sum to %g", g.Name, n)
		}
	}
}

func TestDistances(t *testing.T) {
	ms := scattered(5, 3, 4, 100)
	for _, metric := range []string{"", "bures-wasserstein"} {
		d, err := Distances(ms, metric)
		if err != nil {
			t.Fatal(err)
		}
		if metric == "" {
			metric = affineName
		}
		g, _ := manifold.MetricByName(metric)
		for i, a := range ms {
			for j, b := range ms {
				if want, _ := g.Distance(a, b); i != j && math.Abs(d.At(i, j)-want) > 1e-9 || i == j && d.At(i, j) != 0 {
					t.Errorf("%s: distance of %d and %d is %v, want %v", metric, i, j, d.At(i, j), want)
				}
			}
		}
	}
}

// TestAlign: recentred domains have mean I, scaled ones dispersion 1; alignment undoes a congruence of a whole domain up to a rotation.
func TestAlign(t *testing.T) {
	ms := scattered(6, 3, 12, 20)
	domains := []int{4, 7, 4, 7, 4, 7, 4, 7, 4, 7, 9, 9}
	id := manifold.IdentityFrame(3, 1).Sym()
	for _, scale := range []bool{false, true} {
		a, err := Align(ms, domains, AlignOptions{Scale: scale})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Domains, []int{4, 7, 9}) {
			t.Errorf("domains %v", a.Domains)
		}
		moved, err := a.Apply(ms, domains)
		if err != nil {
			t.Fatal(err)
		}
		g, _ := manifold.MetricByName(affineName)
		for k, name := range a.Domains {
			var some []mat.Symmetric
			var square, before float64
			for i, d := range domains {
				if d == name {
					some = append(some, moved[i])
				}
			}
			for i, d := range domains {
				if d == name {
					e, _ := g.Distance(id, moved[i])
					b, _ := g.Distance(a.Means[k], ms[i])
					square += e * e / float64(len(some))
					before += b * b / float64(len(some))
				}
			}
			if math.Abs(before-a.Dispersion[k]) > 1e-9 {
				t.Errorf("domain %d: dispersion %v, want %v", name, a.Dispersion[k], before)
			}
			want := before
			if scale {
				want = 1
			}
			if math.Abs(square-want) > 1e-9 {
				t.Errorf("scale %v, domain %d: dispersion after alignment %v, want %v", scale, name, square, want)
			}
			if m, err := g.Mean(some, nil); err != nil || difference(m, id) > 1e-8 {
				t.Errorf("scale %v, domain %d: the mean is not I: %v", scale, name, err)
			}
		}
		w := apply(a.Means[0], inverseRoot)
		want := triple(w, ms[0], w)
		if scale {
			power := 1 / math.Sqrt(a.Dispersion[0])
			want = apply(want, func(x float64) float64 { return math.Pow(x, power) })
		}
		if d := difference(moved[0], want); d > 1e-11 {
			t.Errorf("scale %v: the first matrix is %g away from the formula", scale, d)
		}
	}
}

func TestKMeansFindsGroups(t *testing.T) {
	ms, want := groups(18, []float64{1, 2, 4}, []float64{30, 2, 1}, []float64{1, 40, 9})
	for _, metric := range []string{"", "log-euclidean", "bures-wasserstein", "log-cholesky"} {
		c, err := KMeans(ms, KMeansOptions{Metric: metric, Clusters: 3, Source: rand.NewChaCha8([32]byte{1})})
		if err != nil {
			t.Fatal(metric, err)
		}
		if !c.Converged || !slices.Equal(c.Labels, want) || len(c.Centres) != 3 {
			t.Errorf("%s: %+v", metric, c)
		}
		if metric == "" {
			metric = affineName
		}
		g, _ := manifold.MetricByName(metric)
		var inertia float64
		for k, centre := range c.Centres {
			var some []mat.Symmetric
			for i, l := range c.Labels {
				if l == k {
					some = append(some, ms[i])
					d, _ := g.Distance(centre, ms[i])
					inertia += d * d
				}
			}
			if m, err := g.Mean(some, nil); err != nil || difference(m, centre) > 1e-7 {
				t.Errorf("%s: centre %d is not the mean of its matrices (%v)", metric, k, err)
			}
		}
		if math.Abs(inertia-c.Inertia) > 1e-6*inertia {
			t.Errorf("%s: inertia %v, want %v", metric, c.Inertia, inertia)
		}
		if labels, err := c.Assign(ms); err != nil || !slices.Equal(labels, want) {
			t.Errorf("%s: assigned %v (%v)", metric, labels, err)
		}
	}
}

// TestKMeansAgainstAllPartitions: with enough restarts the best of all partitions of seven matrices into two.
func TestKMeansAgainstAllPartitions(t *testing.T) {
	ms := scattered(8, 2, 7, 30)
	g, _ := manifold.MetricByName("log-euclidean")
	best := math.Inf(1)
	for code := 1; code < 1<<6; code++ {
		var inertia float64
		for side := range 2 {
			var some []mat.Symmetric
			for i, s := range ms {
				if code>>i&1 == side {
					some = append(some, s)
				}
			}
			m, err := g.Mean(some, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range some {
				d, _ := g.Distance(m, s)
				inertia += d * d
			}
		}
		best = min(best, inertia)
	}
	c, err := KMeans(ms, KMeansOptions{Metric: "log-euclidean", Restarts: 40, Source: rand.NewChaCha8([32]byte{2})})
	if err != nil || math.Abs(c.Inertia-best) > 1e-9*best {
		t.Errorf("inertia %v, best of all partitions %v (%v)", c.Inertia, best, err)
	}
}

func TestKMeansDegenerate(t *testing.T) {
	one := scattered(9, 2, 1, 5)[0]
	same := []mat.Symmetric{one, one, one}
	c, err := KMeans(same, KMeansOptions{Clusters: 2, Source: rand.NewChaCha8([32]byte{3})})
	if err != nil || c.Inertia > 1e-20 || !slices.Equal(c.Labels, []int{0, 0, 0}) || len(c.Centres) != 2 {
		t.Errorf("equal matrices: %+v %v", c, err)
	}
	rounds := 0
	c, err = KMeans(scattered(9, 2, 9, 50), KMeansOptions{Clusters: 3, Source: rand.NewChaCha8([32]byte{3}), Stop: func(int, float64) bool {
		rounds++
		return true
	}})
	if err != nil || rounds != 1 || !c.Stopped || c.Iterations != 1 {
		t.Errorf("stopped: %+v %v after %d rounds", c, err, rounds)
	}
}

// TestPotato: the outliers and nothing else are rejected; scores and centre follow from the definition.
func TestPotato(t *testing.T) {
	ms, _ := groups(24, []float64{1, 2, 4})
	ms[5], ms[11] = wishart(1, []float64{200, 2, 4}, 60), wishart(2, []float64{1, 900, 4}, 60)
	p, err := NewPotato(ms, PotatoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var kept []mat.Symmetric
	for i, ok := range p.Normal {
		if ok == (i == 5 || i == 11) {
			t.Errorf("matrix %d: normal is %v", i, ok)
		}
		if ok {
			kept = append(kept, ms[i])
		}
	}
	g, _ := manifold.MetricByName(affineName)
	if m, err := g.Mean(kept, nil); err != nil || difference(m, p.Centre) > 1e-8 || !p.Converged {
		t.Errorf("the centre is not the mean of the normal matrices (%v), %+v", err, p)
	}
	z, err := p.Scores(ms)
	if err != nil {
		t.Fatal(err)
	}
	var sum, square float64
	for i, ok := range p.Normal {
		d, _ := g.Distance(p.Centre, ms[i])
		if want := (math.Log(d) - p.LogMean) / p.LogSpread; math.Abs(z[i]-want) > 1e-8 {
			t.Errorf("score %d is %v, want %v", i, z[i], want)
		}
		if ok {
			sum += z[i] / float64(len(kept))
			square += z[i] * z[i] / float64(len(kept))
		} else if z[i] < 3 {
			t.Errorf("outlier %d has score %v", i, z[i])
		}
	}
	if math.Abs(sum) > 1e-9 || math.Abs(square-1) > 1e-9 {
		t.Errorf("scores of normal matrices have mean %v and mean square %v", sum, square)
	}
	if q := Probability(1.959963984540054); math.Abs(q-0.025) > 1e-12 {
		t.Errorf("probability %v, want 0.025", q)
	}
}

func TestNeighbours(t *testing.T) {
	ms, labels := groups(20, []float64{1, 2, 4}, []float64{4, 2, 1})
	b, err := NewNeighbours(ms[:14], labels[:14], NeighbourOptions{Count: 3})
	if err != nil {
		t.Fatal(err)
	}
	got, shares, err := b.Classify(ms[14:])
	if err != nil || !slices.Equal(got, labels[14:]) {
		t.Errorf("%v, want %v (%v)", got, labels[14:], err)
	}
	for _, s := range shares {
		if s != 1 && math.Abs(s-2.0/3) > 1e-15 {
			t.Errorf("share %v of three votes", s)
		}
	}
	tie, err := NewNeighbours([]mat.Symmetric{line(-1), line(-1.2), line(0.9), line(1)}, []int{5, 5, 3, 3}, NeighbourOptions{Count: 9})
	if err != nil {
		t.Fatal(err)
	}
	if got, shares, err := tie.Classify([]mat.Symmetric{line(0), line(-0.3)}); err != nil || got[0] != 3 || got[1] != 5 || shares[0] != 0.5 {
		t.Errorf("ties: %v %v %v", got, shares, err)
	}
}

func spaceOf(t *testing.T, ms []mat.Symmetric, metric string) *TangentSpace {
	t.Helper()
	space, err := TangentSpaceOf(ms, TangentOptions{Metric: metric})
	if err != nil {
		t.Fatal(err)
	}
	return space
}

// TestPrincipalAxes: data on one geodesic have one axis, scores are positions on it, and the axes are those of the covariance of the vectors.
func TestPrincipalAxes(t *testing.T) {
	ms := scattered(10, 3, 2, 40)
	var track []mat.Symmetric
	for _, x := range []float64{-2, -1, 0, 1, 2} {
		s, err := manifold.Geodesic(ms[0], ms[1], 0.5+x/10)
		if err != nil {
			t.Fatal(err)
		}
		track = append(track, s)
	}
	p, err := NewPrincipalAxes(spaceOf(t, track, ""), track, PrincipalOptions{Count: 3})
	if err != nil {
		t.Fatal(err)
	}
	length, _ := manifold.Distance(track[0], track[1])
	scores, err := p.Scores(track)
	if err != nil || len(p.Variance) != 1 || math.Abs(p.Share[0]-1) > 1e-9 || math.Abs(p.Variance[0]-2*length*length) > 1e-8 {
		t.Fatalf("%+v %v", p, err)
	}
	for i := range track {
		if want := float64(i-2) * length; math.Abs(math.Abs(scores.At(i, 0))-math.Abs(want)) > 1e-8 {
			t.Errorf("score %v, want %v", scores.At(i, 0), want)
		}
	}
	for _, count := range []int{4, 30} { // fewer and more matrices than numbers; all have determinant 1
		cloud := scattered(11, 3, count, 10)
		p, err := NewPrincipalAxes(spaceOf(t, cloud, "log-euclidean"), cloud, PrincipalOptions{Count: 6})
		if err != nil {
			t.Fatal(err)
		}
		x, _ := p.Space.Vectors(cloud)
		var c mat.Dense
		c.Mul(x.T(), x)
		c.Scale(1/float64(count), &c)
		for i, v := range p.Variance {
			var e mat.VecDense
			axis := p.Axes.RowView(i)
			e.MulVec(&c, axis)
			e.AddScaledVec(&e, -v, axis)
			if n := mat.Norm(&e, 2); n > 1e-9 || math.Abs(mat.Norm(axis, 2)-1) > 1e-9 {
				t.Errorf("%d matrices, axis %d: residual %g, length %v", count, i, n, mat.Norm(axis, 2))
			}
		}
		if want := min(count-1, 5); len(p.Variance) != want {
			t.Errorf("%d matrices: %d axes, want %d", count, len(p.Variance), want)
		}
		scores, _ := p.Scores(cloud)
		back, err := p.Matrices(scores)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range back {
			if d := difference(s, cloud[i]); d > 1e-8 {
				t.Errorf("matrix %d comes back %g away from all its scores", i, d)
			}
		}
	}
}

// TestPatterns: two classes become diagonal together; the known mixture of sources is found; more than two classes by joint diagonalization.
func TestPatterns(t *testing.T) {
	mixing := mat.NewDense(3, 3, []float64{2, 1, 0, 0.3, 1, -1, 1, 0.2, 1.5})
	mixed := func(w ...float64) mat.Symmetric { return triple(mixing, mat.NewDiagDense(3, w), mixing.T()) }
	for _, c := range []struct {
		ms     []mat.Symmetric
		labels []int
		order  []int // sources, best first
	}{
		{[]mat.Symmetric{mixed(1, 1, 9), mixed(1, 1.5, 11), mixed(8, 1, 9), mixed(12, 1, 12)}, []int{2, 2, 6, 6}, []int{0, 1, 2}},
		{[]mat.Symmetric{mixed(1, 1, 9), mixed(30, 1, 9), mixed(1, 4, 9)}, []int{0, 1, 2}, []int{0, 1, 2}},
	} {
		p, err := CommonSpatialPatterns(c.ms, c.labels, PatternOptions{Count: 9})
		if err != nil {
			t.Fatal(err)
		}
		var w mat.Dense
		w.Mul(p.Filters, mixing)
		for i, source := range c.order {
			for j := range 3 {
				if off := math.Abs(w.At(i, j) / w.At(i, source)); j != source && off > 1e-6 {
					t.Errorf("%d classes: filter %d sees %g of source %d", len(p.Classes), i, off, j)
				}
			}
			column, want := p.Patterns.ColView(i), mixing.ColView(source)
			if cosine := mat.Dot(column, want) / mat.Norm(column, 2) / mat.Norm(want, 2); math.Abs(math.Abs(cosine)-1) > 1e-9 {
				t.Errorf("%d classes: pattern %d is at cosine %v from the mixing", len(p.Classes), i, cosine)
			}
			if s := mat.Sum(p.Variance.RowView(i)); math.Abs(s-float64(len(p.Classes))) > 1e-9 {
				t.Errorf("variances sum to %v", s)
			}
		}
		if !slices.IsSortedFunc(p.Value, func(a, b float64) int {
			if a >= b {
				return -1
			}
			return 1
		}) {
			t.Errorf("values %v", p.Value)
		}
		filtered, err := p.Apply(c.ms)
		if err != nil || filtered[0].SymmetricDim() != 3 || math.Abs(filtered[0].At(0, 1)) > 1e-6*filtered[0].At(0, 0) {
			t.Errorf("filtered: %v %v", filtered, err)
		}
	}
}

func TestBadInput(t *testing.T) {
	ms := scattered(12, 2, 3, 5)
	bad := mat.NewSymDense(2, []float64{1, 2, 2, 1})
	with := append(slices.Clone(ms), bad)
	source := func() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{}) }
	space, err := NewTangentSpace(ms[0], TangentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Align(ms, []int{0, 0, 0}, AlignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]func() error{
		"no matrices given":       func() error { _, err := Distances(nil, ""); return err },
		"no metric \"x\"":         func() error { _, err := Distances(ms, "x"); return err },
		"matrix 3: not positive":  func() error { _, err := Distances(with, ""); return err },
		"the reference: not posi": func() error { _, err := NewTangentSpace(bad, TangentOptions{}); return err },
		"matrix 1: manifold: the": func() error { _, err := space.Vectors([]mat.Symmetric{ms[0], scattered(1, 3, 1, 2)[0]}); return err },
		"vectors have 2 numbers":  func() error { _, err := space.Matrices(mat.NewDense(1, 2, nil)); return err },
		"vector 0":                func() error { _, err := space.Matrices(mat.NewDense(1, 3, []float64{math.NaN(), 0, 0})); return err },
		"2 domains for 3 matri":   func() error { _, err := Align(ms, []int{0, 1}, AlignOptions{}); return err },
		"Scale needs the affine": func() error {
			_, err := Align(ms, []int{0, 0, 0}, AlignOptions{Metric: "cholesky", Scale: true})
			return err
		},
		"align without Scale":    func() error { _, err := Align(ms, []int{0, 0, 1}, AlignOptions{Scale: true}); return err },
		"domain 7 is not one of": func() error { _, err := a.Apply(ms[:1], []int{7}); return err },
		"matrix 0: has 3 rows":   func() error { _, err := a.Apply(scattered(1, 3, 1, 2), []int{0}); return err },
		"matrix 0: not positive": func() error { _, err := a.Apply([]mat.Symmetric{bad}, []int{0}); return err },
		"Source is nil":          func() error { _, err := KMeans(ms, KMeansOptions{}); return err },
		"Clusters is -1":         func() error { _, err := KMeans(ms, KMeansOptions{Clusters: -1, Source: source()}); return err },
		"4 clusters for 3":       func() error { _, err := KMeans(ms, KMeansOptions{Clusters: 4, Source: source()}); return err },
		"Threshold is NaN":       func() error { _, err := NewPotato(ms, PotatoOptions{Threshold: math.NaN()}); return err },
		"all matrices are equal": func() error { _, err := NewPotato([]mat.Symmetric{ms[0], ms[0]}, PotatoOptions{}); return err },
		"1 of 3 matrices are lef": func() error {
			_, err := NewPotato([]mat.Symmetric{line(-10), line(0.1), line(10)}, PotatoOptions{Threshold: 0.01})
			return err
		},
		"2 labels for 3": func() error { _, err := NewNeighbours(ms, []int{0, 1}, NeighbourOptions{}); return err },
		"Count is -1":    func() error { _, err := NewPrincipalAxes(space, ms, PrincipalOptions{Count: -1}); return err },
		"vary along no axis": func() error {
			_, err := NewPrincipalAxes(space, []mat.Symmetric{ms[0], ms[0]}, PrincipalOptions{})
			return err
		},
		"1 classes, want at leas": func() error { _, err := CommonSpatialPatterns(ms, []int{0, 0, 0}, PatternOptions{}); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
