package esadapt

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/esadapt/bbob"
)

// textbook is a plain CMA-ES after Hansen's tutorial (arXiv:1604.00772), kept apart from the package's code: it holds C as a matrix and takes its
// inverse square root by an eigendecomposition in every generation. It does not sample; it is told the points of the strategy under test.
type textbook struct {
	n, lambda, g              int
	m, ps, pc                 *mat.VecDense
	c                         *mat.SymDense
	sigma                     float64
	w                         []float64
	mu                        int
	muEff, c1, cmu, cc, cs, d float64

	raw         []float64 // weights, the positive ones scaled
	muNeg       float64
	plain, most float64       // rank-mu rate without haste, the most haste
	trend       *mat.SymDense // weighted mean of the shapes of past updates
	power, old  float64       // the same of their squared lengths; what is left of the start
}

func newTextbook(m []float64, sigma float64, lambda int) *textbook {
	n := len(m)
	t := &textbook{n: n, lambda: lambda, sigma: sigma, m: mat.NewVecDense(n, append([]float64(nil), m...))}
	t.ps, t.pc, t.c = mat.NewVecDense(n, nil), mat.NewVecDense(n, nil), mat.NewSymDense(n, nil)
	for i := range n {
		t.c.SetSym(i, i, 1)
	}
	var sp, sp2, sn, sn2 float64
	for i := 1; i <= lambda; i++ {
		v := math.Log(float64(lambda+1)/2) - math.Log(float64(i))
		t.w = append(t.w, v)
		if v > 0 {
			t.mu++
			sp, sp2 = sp+v, sp2+v*v
		} else {
			sn, sn2 = sn-v, sn2+v*v
		}
	}
	N := float64(n)
	t.muEff = sp * sp / sp2
	muNeg := sn * sn / sn2
	t.c1 = math.Min(1, float64(lambda)/6) * 2 / (math.Pow(N+1.3, 2) + t.muEff)
	t.most = 1 + math.Min(1, math.Min(10/N, 200/(N*N)))*math.Min(1, (4+math.Floor(3*math.Log(N)))/float64(lambda)) // the package's own
	t.plain = 2 * (0.25 + t.muEff + 1/t.muEff - 2) / (math.Pow(N+2, 2) + t.muEff)
	t.cc = (4 + t.muEff/N) / (N + 4 + 2*t.muEff/N)
	t.cs = (t.muEff + 2) / (N + t.muEff + 3)
	t.d = 1 + t.cs + 2*math.Max(0, math.Sqrt((t.muEff-1)/(N+1))-1)
	t.muNeg, t.trend, t.old = muNeg, mat.NewSymDense(n, nil), 1
	for i, v := range t.w {
		if v > 0 {
			t.w[i] /= sp
		} else {
			t.w[i] /= sn
		}
	}
	t.raw = append([]float64(nil), t.w...)
	t.hasten(1)
	if n < 5 {
		t.hasten(t.most)
	}
	return t
}

// hasten sets the rank-mu rate and the negative weights that go with it.
func (t *textbook) hasten(factor float64) {
	t.cmu = math.Min(1-t.c1, factor*t.plain)
	bound := math.Min(1+t.c1/t.cmu, math.Min(1+2*t.muNeg/(t.muEff+2), (1-t.c1-t.cmu)/(float64(t.n)*t.cmu)))
	for i, v := range t.raw {
		if v <= 0 {
			t.w[i] = v * bound
		}
	}
}

// consider sets the haste after an update by the given steps, best first: the package's own rule, from the matrices themselves.
func (t *textbook) consider(inverseRoot *mat.Dense, ys []*mat.VecDense) {
	if t.n < 5 {
		return
	}
	n := float64(t.n)
	m := mat.NewSymDense(t.n, nil)
	u := mat.NewVecDense(t.n, nil)
	for i, w := range t.w {
		u.MulVec(inverseRoot, ys[i])
		if w < 0 {
			w *= n / mat.Dot(u, u)
		}
		m.SymRankOne(m, w, u)
	}
	mean := mat.Trace(m) / n
	for i := range t.n {
		m.SetSym(i, i, m.At(i, i)-mean)
	}
	rate := math.Min(1-t.c1, t.most*t.plain)
	t.old *= 1 - rate
	t.power = (1-rate)*t.power + rate*math.Pow(mat.Norm(m, 2), 2)
	m.ScaleSym(rate, m)
	t.trend.ScaleSym(1-rate, t.trend)
	t.trend.AddSym(t.trend, m)
	one := t.power / (1 - t.old) * rate / (2 - rate) // squared length of the trend if past updates are independent, at last
	excess := math.Pow(mat.Norm(t.trend, 2), 2)/one - (1 - t.old*t.old)
	t.hasten(1 + (t.most-1)*math.Max(0, math.Min(1, 2*excess)))
}

// tell takes the points in the order of their values, best first.
func (t *textbook) tell(x [][]float64) {
	var eig mat.EigenSym
	eig.Factorize(t.c, true)
	var b, inverseRoot mat.Dense
	eig.VectorsTo(&b)
	scaled := mat.DenseCopyOf(&b)
	for j, v := range eig.Values(nil) {
		for i := range t.n {
			scaled.Set(i, j, b.At(i, j)/math.Sqrt(v))
		}
	}
	inverseRoot.Mul(scaled, b.T())
	ys := make([]*mat.VecDense, t.lambda)
	yw := mat.NewVecDense(t.n, nil)
	for i := range ys {
		ys[i] = mat.NewVecDense(t.n, append([]float64(nil), x[i]...))
		ys[i].SubVec(ys[i], t.m)
		ys[i].ScaleVec(1/t.sigma, ys[i])
		if i < t.mu {
			yw.AddScaledVec(yw, t.w[i], ys[i])
		}
	}
	t.m.AddScaledVec(t.m, t.sigma, yw)
	white := mat.NewVecDense(t.n, nil)
	white.MulVec(&inverseRoot, yw)
	t.ps.ScaleVec(1-t.cs, t.ps)
	t.ps.AddScaledVec(t.ps, math.Sqrt(t.cs*(2-t.cs)*t.muEff), white)
	t.g++
	norm2 := mat.Dot(t.ps, t.ps)
	N, h := float64(t.n), 0.0
	if norm2/(1-math.Pow(1-t.cs, 2*float64(t.g)))/N < 2+4/(N+1) {
		h = 1
	}
	t.pc.ScaleVec(1-t.cc, t.pc)
	t.pc.AddScaledVec(t.pc, h*math.Sqrt(t.cc*(2-t.cc)*t.muEff), yw)
	decay := 1 - t.c1*(1-(1-h)*t.cc*(2-t.cc))
	for _, w := range t.w {
		decay -= t.cmu * w
	}
	t.c.ScaleSym(decay, t.c)
	t.c.SymRankOne(t.c, t.c1, t.pc)
	for i, w := range t.w {
		if w < 0 {
			white.MulVec(&inverseRoot, ys[i])
			w *= N / mat.Dot(white, white)
		}
		t.c.SymRankOne(t.c, t.cmu*w, ys[i])
	}
	t.consider(&inverseRoot, ys)
	chi := math.Sqrt(N) * (1 - 1/(4*N) + 1/(21*N*N))
	t.sigma *= math.Exp(math.Min(1, t.cs/t.d*(math.Sqrt(norm2)/chi-1)))
}

// With exact turns of the basis in every generation the strategy is the textbook algorithm: told the same points, it has the same mean, sigma and C.
func TestAgreesWithTheTextbook(t *testing.T) {
	for _, test := range []struct {
		id        string
		n, lambda int
		steps     int
	}{{"ellipsoid", 5, 0, 250}, {"cigar", 8, 0, 300}, {"rosenbrock", 10, 24, 150}, {"discus", 3, 60, 40}, {"f10", 12, 0, 300}} {
		f := function(t, test.id, test.n)
		start := make([]float64, test.n)
		for i := range start {
			start[i] = f.XOpt[i] + 1 + 0.3*float64(i)
		}
		s, err := NewStrategy("cma", Setup{Mean: start, Sigma: 0.7, Lambda: test.lambda, Seed: 3, Tuning: Tuning{Exact: true, Batch: 1}})
		if err != nil {
			t.Fatal(err)
		}
		c := s.(*cma)
		ref := newTextbook(start, 0.7, c.lambda)
		for g := range test.steps {
			x := s.Ask()
			values := evaluateAll(f, x)
			if err := s.Tell(values); err != nil {
				t.Fatal(err)
			}
			sorted := make([][]float64, len(x))
			for r, k := range c.ranking {
				sorted[r] = x[k.i]
			}
			ref.tell(sorted)
			if d := c.distance(ref); d > 1e-8 {
				t.Fatalf("%s n=%d generation %d: distance %.2e to the textbook", test.id, test.n, g, d)
			}
		}
	}
}

// distance is the largest relative difference in sigma, mean and C.
func (c *cma) distance(ref *textbook) float64 {
	d := math.Abs(c.sigma/ref.sigma - 1)
	for i, m := range c.mean {
		d = max(d, math.Abs(m-ref.m.AtVec(i))/(ref.sigma*math.Sqrt(ref.c.At(i, i))))
	}
	full := mat.NewSymDense(c.n, nil)
	c.cov.(*covariance).factor.ToSym(full)
	for i := range c.n {
		for j := range c.n {
			d = max(d, math.Abs(full.At(i, j)-ref.c.At(i, j))/math.Sqrt(ref.c.At(i, i)*ref.c.At(j, j)))
		}
	}
	return d
}

func function(t testing.TB, id string, n int) *bbob.Function {
	t.Helper()
	d, err := bbob.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.New(n, 1)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func evaluateAll(f *bbob.Function, x [][]float64) []float64 {
	v := make([]float64, len(x))
	for i := range x {
		v[i] = f.Eval(x[i])
	}
	return v
}
