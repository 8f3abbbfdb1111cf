package problem

import (
	"math"
	"sort"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/gallery"
)

func TestMixtureAgainstScikitLearn(t *testing.T) {
	g := readGolden(t).GMM
	a, b, c := gallery.NewStream(31).Normals(60, 2), gallery.NewStream(32).Normals(40, 2), mat.NewDense(100, 2, nil)
	for i := range 60 {
		c.SetRow(i, a.Row(i))
	}
	for i := range 40 {
		c.SetRow(60+i, []float64{b.At(i, 0)*0.5 + 6, b.At(i, 1) * 2})
	}
	o := &Options{}
	o.Solver.Tolerance = 1e-10
	r := solved(t, "gmm", Data{Samples: c}, o)
	if math.Abs(-r.Objective-g.LogLikelihood) > 1e-9 {
		t.Errorf("log-likelihood %v, want %v", -r.Objective, g.LogLikelihood)
	}
	means, order := r.Part("means"), []int{0, 1}
	sort.Slice(order, func(i, j int) bool { return means.At(order[i], 0) < means.At(order[j], 0) })
	var covariances []*mat.Dense
	for _, p := range r.Parts {
		if p.Name == "covariances" {
			covariances = p.Matrices
		}
	}
	for k, j := range order {
		if math.Abs(r.Part("weights").At(j, 0)-g.Weights[k]) > 1e-6 || math.Abs(means.At(j, 0)-g.Means[2*k]) > 1e-6 {
			t.Errorf("component %d: weight %v, mean %v", k, r.Part("weights").At(j, 0), means.RawRowView(j))
		}
		if d := distanceRelative(covariances[j], mat.NewDense(2, 2, g.Covariances[4*k:4*k+4])); d > 1e-6 {
			t.Errorf("component %d: covariance %g away", k, d)
		}
	}
}

// TestMixtureMatchesTheTotal: at a fixed point of EM the mixture has mean and covariance of the samples; one component is the Gaussian fit.
func TestMixtureMatchesTheTotal(t *testing.T) {
	x := twoClouds(3)
	N, n := x.Dims()
	for k := 1; k <= 3; k++ {
		r, err := Solve("gmm", Data{Samples: x}, &Options{Parameters: Parameters{Components: k}})
		if err != nil {
			t.Fatal(err)
		}
		total, mean := mat.NewSymDense(n, nil), make([]float64, n)
		for i := range N {
			for j := range n {
				mean[j] += x.At(i, j) / float64(N)
			}
		}
		for _, p := range r.Parts {
			if p.Name != "covariances" {
				continue
			}
			for c, s := range p.Matrices {
				w := r.Part("weights").At(c, 0)
				e := mat.NewVecDense(n, nil)
				for j := range n {
					e.SetVec(j, r.Part("means").At(c, j)-mean[j])
				}
				total.SymRankOne(total, w, e)
				total.AddSym(total, scaledSym(w, s))
			}
		}
		if d := distanceRelative(total, r.Solution); d > 1e-6 {
			t.Errorf("%d components: total covariance %g away", k, d)
		}
		if k == 1 && r.Iterations > 1 {
			t.Errorf("one component took %d iterations", r.Iterations)
		}
	}
}

func scaledSym(w float64, s *mat.Dense) *mat.SymDense {
	n, _ := s.Dims()
	out := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			out.SetSym(i, j, w*s.At(i, j))
		}
	}
	return out
}

func TestMixtureBadInput(t *testing.T) {
	few := Data{Samples: mat.NewDense(4, 2, []float64{1, 2, 3, 4, 5, 7, 0, 1})}
	refused(t, "gmm", few, nil, "each needs more samples than dimensions")
	refused(t, "gmm", Data{Samples: mat.NewDense(5, 2, []float64{1, 1, 2, 2, 3, 3, -1, -1, 0, 0})}, nil, "hyperplane")
	refused(t, "gmm", Data{}, nil, "no samples")
	spikes := mat.NewDense(8, 1, []float64{0, 0, 0, 0, 5, 5, 5, 5})
	refused(t, "gmm", Data{Samples: spikes}, nil, "collapsed")
}

// TestPairScatter against the sum over pairs.
func TestPairScatter(t *testing.T) {
	d := labelled(3)
	x, _ := checkSamples(d.Samples)
	_, members, err := classes(d.Labels, x.Rows, "sample")
	if err != nil {
		t.Fatal(err)
	}
	within, between := pairScatter(x, members)
	sums, counts := [2]*mat.SymDense{mat.NewSymDense(3, nil), mat.NewSymDense(3, nil)}, [2]float64{}
	for i := range x.Rows {
		for j := range i {
			var e mat.VecDense
			e.SubVec(d.Samples.RowView(i), d.Samples.RowView(j))
			k := 0
			if d.Labels[i] != d.Labels[j] {
				k = 1
			}
			sums[k].SymRankOne(sums[k], 1, &e)
			counts[k]++
		}
	}
	for k, got := range [][]float64{within.Data, between.Data} {
		sums[k].ScaleSym(1/counts[k], sums[k])
		if e := distanceRelative(mat.NewDense(3, 3, got), sums[k]); e > 1e-12 {
			t.Errorf("kind %d: %g away", k, e)
		}
	}
}

// TestMetricSeparatesClasses: the direction that tells the classes apart weighs more than the others.
func TestMetricSeparatesClasses(t *testing.T) {
	x := solved(t, "metric-learning", labelled(4), nil).Solution
	for i := 1; i < 4; i++ {
		if x.At(0, 0) < 2*x.At(i, i) {
			t.Errorf("%v", mat.Formatted(x))
		}
	}
}

func TestClassify(t *testing.T) {
	var ms []mat.Symmetric
	var labels []int
	for k := range 24 {
		w := []float64{1, 2, 4}
		if k%2 == 1 {
			w = []float64{4, 2, 1}
		}
		// Wishart matrices around diagonal ones.
		x := gallery.NewStream(uint64(100+k)).Normals(40, 3)
		for i := range x.Rows {
			for j, v := range w {
				x.Row(i)[j] *= math.Sqrt(v)
			}
		}
		s := mat.NewSymDense(3, nil)
		s.SymOuterK(1.0/40, dataOf(x).T())
		ms = append(ms, s)
		label := 3 + k%2
		if k >= 16 {
			label = -1
		}
		labels = append(labels, label)
	}
	for _, method := range []string{"mdm", "tangent"} {
		r := solved(t, "classify", Data{Matrices: ms, Labels: labels}, &Options{Method: method})
		for k := range ms {
			if got := r.Part("labels").At(k, 0); got != float64(3+k%2) {
				t.Errorf("%s: matrix %d is called %v", method, k, got)
			}
		}
		if r.Objective != 0 {
			t.Errorf("%s: share of errors %v", method, r.Objective)
		}
	}
	r := solved(t, "classify", Data{Matrices: ms[:16], Labels: labels[:16]}, nil)
	want := solved(t, "mean", Data{Matrices: ms[:16]}, nil)
	if d := distanceRelative(r.Solution, want.Solution); d > 1e-9 {
		t.Errorf("the solution is %g from the mean", d)
	}
}

func TestLabelsBadInput(t *testing.T) {
	ms := Data{Matrices: []mat.Symmetric{identity(2), identity(2)}}
	refused(t, "classify", ms, nil, "labels: none given; give one for each matrix")
	ms.Labels = []int{1}
	refused(t, "classify", ms, nil, "labels: 1 labels, but the number of data is 2")
	ms.Labels = []int{1, 1}
	refused(t, "classify", ms, nil, "labels: 1 classes, want at least two")
	refused(t, "metric-learning", Data{Samples: mat.NewDense(2, 2, []float64{1, 2, 3, 4})}, nil, "labels: none given; give one for each sample")
	refused(t, "metric-learning", Data{Samples: mat.NewDense(2, 2, []float64{1, 2, 3, 4}), Labels: []int{0, 1}}, nil, "scatter within classes")
}

// TestEllipsoidThroughPoints: points on x'Ex = 1 give E.
func TestEllipsoidThroughPoints(t *testing.T) {
	const n = 4
	e := symmetric(gallery.SPD(91, n, 100))
	x := sphere(n, 40)
	for i := range 40 {
		row := x.RowView(i).(*mat.VecDense)
		row.ScaleVec(1/math.Sqrt(mat.Inner(row, e, row)), row)
	}
	for _, method := range []string{"closed-form", "trust"} {
		r := solved(t, "ellipsoid", Data{Samples: x}, &Options{Method: method})
		if d := distanceRelative(r.Solution, e); d > 1e-6 || r.Objective > 1e-10 {
			t.Errorf("%s: %g away, objective %v", method, d, r.Objective)
		}
	}
	refused(t, "ellipsoid", Data{Samples: mat.NewDense(2, 2, []float64{1, 0, 0, 1})}, nil, "give at least 3 points")
	refused(t, "ellipsoid", Data{Samples: mat.NewDense(4, 2, []float64{1, 1, 2, 2, 3, 3, 4, 4})}, nil, "more than one quadric")
	refused(t, "ellipsoid", Data{Samples: mat.NewDense(4, 2, []float64{1, 0, math.Sqrt2, 1, math.Sqrt2, -1, 2, math.Sqrt(3)})}, nil, "no ellipsoid around the origin")
}
