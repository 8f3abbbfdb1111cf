package problem

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// around returns count matrices in turn around the centres, all of 3 rows.
func around(count int, centres ...mat.Symmetric) (ms []mat.Symmetric) {
	for i := range count {
		s := mat.NewSymDense(3, nil)
		s.CopySym(centres[i%len(centres)])
		for j := range 3 {
			s.SetSym(j, j, s.At(j, j)*(1+0.02*float64((i+j)%5)))
		}
		ms = append(ms, s)
	}
	return ms
}

// TestSetsInEveryMetric: the problems on sets of matrices answer in every metric, and what they say of the means holds there.
func TestSetsInEveryMetric(t *testing.T) {
	ms := around(12, mat.NewSymDense(3, []float64{1, 0, 0, 0, 2, 0, 0, 0, 4}), mat.NewSymDense(3, []float64{9, 1, 0, 1, 2, 0, 0, 0, 1}))
	want := []float64{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}
	for _, metric := range metricNames() {
		g, err := manifold.MetricByName(metric)
		if err != nil {
			t.Fatal(err)
		}
		o := &Options{Metric: metric}
		c := solved(t, "cluster", Data{Matrices: ms}, o)
		if got := c.Part("labels").RawMatrix().Data; !slices.Equal(got, want) {
			t.Errorf("%s: groups %v", metric, got)
		}
		half, err := g.Mean([]mat.Symmetric{ms[0], ms[2], ms[4], ms[6], ms[8], ms[10]}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := g.Distance(half, c.Solution); err != nil || d > c.Certificate.Value+1e-9 {
			t.Errorf("%s: the centre is %g from the mean of its group, certified %g (%v)", metric, d, c.Certificate.Value, err)
		}
		r := solved(t, "outliers", Data{Matrices: append(around(9, ms[0]), ms[1])}, &Options{Metric: metric, Parameters: Parameters{Threshold: 2}})
		if normal := r.Part("normal").RawMatrix().Data; normal[9] != 0 || r.Part("scores").At(9, 0) < 2 || r.Part("probabilities").At(9, 0) > 0.023 {
			t.Errorf("%s: the stranger passes: %v", metric, r.Part("scores").RawMatrix().Data)
		}
		v := solved(t, "tangent", Data{Matrices: ms}, o)
		for i, s := range ms {
			if d, err := g.Distance(v.Solution, s); err != nil || math.Abs(d-mat.Norm(v.Part("vectors").RowView(i), 2)) > 1e-7 {
				t.Errorf("%s: vector %d has another length than the distance %v (%v)", metric, i, d, err)
			}
		}
		if metric == affineName || metric == fisherName {
			a := solved(t, "recenter", Data{Matrices: ms, Labels: []int{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}}, &Options{Metric: metric, Method: "center-scale"})
			if d, err := manifold.Distance(a.Solution, manifold.IdentityFrame(3, 1).Sym()); err != nil || d > 1e-8 {
				t.Errorf("%s: the mean of the recentred matrices is %g from I (%v)", metric, d, err)
			}
			continue
		}
		if _, err := Solve("recenter", Data{Matrices: ms}, &Options{Metric: metric, Method: "center-scale"}); err == nil {
			t.Errorf("center-scale in %s ran", metric)
		}
		solved(t, "recenter", Data{Matrices: ms}, o)
	}
}

// TestOutliersStop: rounds of rejection obey the limits and the callback.
func TestOutliersStop(t *testing.T) {
	d := Data{Matrices: append(around(9, identity(3)), mat.NewSymDense(3, []float64{90, 0, 0, 0, 90, 0, 0, 0, 90}), mat.NewSymDense(3, []float64{9, 0, 0, 0, 9, 0, 0, 0, 9}))}
	free := solved(t, "outliers", d, &Options{Parameters: Parameters{Threshold: 2}})
	if free.Iterations < 2 {
		t.Fatalf("%d rounds leave nothing to stop", free.Iterations)
	}
	for name, o := range map[string]solve.Options{"iterations": {MaxIterations: 1}, "time": {MaxTime: 1}, "callback": {Callback: func(*solve.Status) bool { return true }}} {
		r, err := Solve("outliers", d, &Options{Parameters: Parameters{Threshold: 2}, Solver: o})
		if err != nil || r.Converged || r.Iterations != 1 || r.Reason == "" {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

// TestPrincipalParts: the axes hold the share of the variance that the scores have.
func TestPrincipalParts(t *testing.T) {
	ms := scattered(3, 7, 20)
	r := solved(t, "tangent", Data{Matrices: ms}, &Options{Method: "principal", Parameters: Parameters{Components: 3}})
	x, s := r.Part("vectors"), r.Part("scores")
	total := mat.Norm(x, 2) * mat.Norm(x, 2) / 7
	for k := range 3 {
		v := mat.Norm(s.ColView(k), 2)
		if math.Abs(v*v/7-r.Part("variance").At(k, 0)) > 1e-9 || math.Abs(v*v/7/total-r.Part("share").At(k, 0)) > 1e-9 {
			t.Errorf("axis %d: mean square score %v, variance %v, share %v of %v", k, v*v/7, r.Part("variance").At(k, 0), r.Part("share").At(k, 0), total)
		}
	}
}

// TestSpatialFilters: the filters make the mean of the class means I on its diagonal, and unlabelled matrices do not count.
func TestSpatialFilters(t *testing.T) {
	ms := scattered(4, 7, 20)
	for _, labels := range [][]int{{0, 0, 1, 1, -1, 1, -1}, {0, 5, 1, 1, 5, 1, 0}} {
		r := solved(t, "csp", Data{Matrices: ms, Labels: labels}, nil)
		var t1, t2 mat.Dense
		t1.Mul(r.Part("filters"), r.Solution)
		t2.Mul(&t1, r.Part("filters").T())
		for i := range 4 {
			if math.Abs(t2.At(i, i)-1) > 1e-10 {
				t.Errorf("labels %v: filter %d sees the variance %v", labels, i, t2.At(i, i))
			}
		}
	}
}

func TestSetsBadInput(t *testing.T) {
	ms := Data{Matrices: []mat.Symmetric{identity(2), identity(2)}}
	refused(t, "cluster", ms, &Options{Parameters: Parameters{Components: 3}}, "3 clusters for 2 matrices")
	refused(t, "outliers", ms, nil, "all matrices are equal")
	refused(t, "recenter", Data{Matrices: ms.Matrices, Labels: []int{0}}, nil, "1 domains for 2 matrices")
	refused(t, "recenter", Data{Matrices: ms.Matrices, Labels: []int{0, -1}}, nil, "label 1 is -1: the domain is unknown; number the domains from 0")
	refused(t, "recenter", ms, &Options{Method: "center-scale"}, "align without Scale")
	refused(t, "csp", ms, nil, "labels: none given; give one for each matrix")
	refused(t, "tangent", ms, &Options{Method: "principal"}, "vary along no axis")
	for _, name := range []string{"tangent", "cluster", "outliers", "recenter", "csp"} {
		refused(t, name, Data{}, nil, "no matrices given")
	}
	if _, err := Solve("outliers", ms, &Options{Parameters: Parameters{Threshold: math.Inf(1)}}); err == nil {
		t.Error("an infinite threshold was accepted")
	}
}
