package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// inputs returns arguments that make every problem solvable.
func inputs(t *testing.T) map[string][]string {
	t.Helper()
	a, _ := pairOfFour(5)
	stack := []string{"--data", write(t, "stack.npy", a...)}
	samples := []string{"--data", write(t, "samples.npy", gallery.Tyler(5, 10))}
	two := []string{"--data", write(t, "a.npy", gallery.SPD(1, 4, 3)), write(t, "b.csv", gallery.SPD(2, 4, 3))}
	indefinite := []string{"--data", writeText(t, "c.csv", "1,1,0\n1,1,1\n0,1,1\n")}
	clouds, sphere := gallery.NewStream(5).Normals(60, 2), gallery.NewStream(6).Normals(40, 3)
	for i := range 30 {
		clouds.Set(i, 0, clouds.At(i, 0)+8)
	}
	for i := range sphere.Rows {
		row := sphere.Row(i)
		dense.Scale(1/(dense.Dot(row, row)+1), row, row)
	}
	var trials []dense.Matrix[float64]
	normals := gallery.NewStream(7).Normals(40, 6)
	for i := range 10 {
		trials = append(trials, normals.View(4*i, 0, 4, 6).View(0, 0, 4, 3).Clone())
	}
	labels := strings.Repeat("0,", 10) + strings.Repeat("1,", 9) + "1"
	return map[string][]string{
		"mean": stack, "median": stack, "barycenter": stack, "logdet": samples, "tyler": samples, "student": samples, "huber": samples,
		"shrinkage": samples, "glasso": samples, "mve": samples, "dopt": samples,
		"nearest-correlation": indefinite, "nearest-spd": indefinite,
		"nearness": two, "lyapunov": two, "riccati": two, "procrustes": two,
		"masked-mean": {"--data", writeText(t, "first.csv", "2,NaN,1\nNaN,NaN,NaN\n1,nan,3\n"), writeText(t, "second.csv", "NaN,NaN,NaN\nNaN,4,1\nNaN,1,2\n"),
			writeText(t, "third.csv", "1,0.5,NaN\n0.5,2,NaN\nNaN,NaN,NaN\n")},
		"kron-mle":        {"--data", write(t, "trials.npy", trials...)},
		"ellipsoid":       {"--data", write(t, "sphere.npy", sphere)},
		"gmm":             {"--data", write(t, "clouds.csv", clouds), "--seed", "3"},
		"metric-learning": append([]string{"--labels", labels}, samples...),
		"classify":        append([]string{"--labels", "0,0,1,1"}, stack...),
		"recenter":        append([]string{"--labels", "0,0,1,1"}, stack...),
		"csp":             append([]string{"--labels", "0,0,1,1"}, stack...),
		"tangent":         stack, "cluster": stack, "outliers": stack,
	}
}

// TestCatalogueNames holds the names that the command line promises.
func TestCatalogueNames(t *testing.T) {
	have := strings.Join(problemNames(), " ") + " "
	for name := range inputs(t) {
		if !strings.Contains(have, name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestMissingVariables: rows and columns of NaN are for masked-mean alone, which refuses what it cannot use.
func TestMissingVariables(t *testing.T) {
	holes := writeText(t, "holes.csv", "2,NaN\nNaN,NaN\n")
	for want, args := range map[string][]string{
		"has NaN at row 0, column 1":            {"mean", holes},
		"no matrix knows variable 1":            {"masked-mean", holes},
		"but not in all of row and column 1":    {"masked-mean", writeText(t, "half.csv", "2,NaN\n5,NaN\n")},
		"not positive definite: smallest eigen": {"masked-mean", writeText(t, "bad.csv", "1,2,NaN\n2,1,NaN\nNaN,NaN,NaN\n")},
	} {
		if o := invoke("solve", args[0], "--data", args[1]); o.code != exitInput || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: code %d, %s", args, o.code, o.stderr)
		}
	}
}

func TestListShowsFlags(t *testing.T) {
	if o := succeed(t, "list", "problems"); !strings.Contains(o.stdout, "flags: --rows, --normalize\n") {
		t.Errorf("no flags of kron-mle in\n%s", o.stdout)
	}
	var listed struct {
		Problems []struct {
			Name  string
			Flags []string
		}
	}
	decode(t, succeed(t, "list", "problems", "--json"), &listed)
	for _, p := range listed.Problems {
		if p.Name == "glasso" && (len(p.Flags) != 1 || p.Flags[0] != "rho") {
			t.Errorf("flags of glasso: %v", p.Flags)
		}
	}
}

func TestHighamFromTheCommandLine(t *testing.T) {
	path := writeText(t, "c.csv", "1,1,0\n1,1,1\n0,1,1\n")
	s := solveJSON(t, "nearest-correlation", "--data", path)
	requireClose(t, "Higham", flatten(s.Solution), []float64{1, 0.76068985, 0.15729811, 0.76068985, 1, 0.76068985, 0.15729811, 0.76068985, 1}, 1e-7)
	o := fields(t, succeed(t, "solve", "nearest-correlation", "--json", "--floor", "0.1", "--data", path), "parts")
	if v, ok := o["parts"].(map[string]any)["smallest_eigenvalue"].(float64); !ok || v < 0.1-1e-9 {
		t.Errorf("smallest eigenvalue %v", v)
	}
}

func TestPartsAreShownAndWritten(t *testing.T) {
	all := inputs(t)
	for _, extension := range []string{"npz", "safetensors"} {
		file := filepath.Join(t.TempDir(), "parts."+extension)
		o := succeed(t, append([]string{"solve", "gmm", "--components", "2", "--parts", file}, all["gmm"]...)...)
		for _, want := range []string{"covariances", "2 matrices of 2 x 2", "weights"} {
			if !strings.Contains(o.stdout, want) {
				t.Errorf("no %q in\n%s", want, o.stdout)
			}
		}
		names := map[string]bool{}
		matrices, _ := load(t, file)
		for _, m := range matrices {
			names[m.Name] = true
		}
		for _, want := range []string{"solution", "weights", "means", "covariances_0", "covariances_1", "labels"} {
			if !names[want] {
				t.Errorf("%s is not in %s: %v", want, file, names)
			}
		}
	}
	found := fields(t, succeed(t, append([]string{"solve", "classify", "--json"}, all["classify"]...)...), "parts")["parts"].(map[string]any)
	if l, ok := found["labels"].([]any); !ok || len(l) != 4 {
		t.Errorf("labels %v", found["labels"])
	}
	if m, ok := found["means"].([]any); !ok || len(m) != 2 {
		t.Errorf("means %v", found["means"])
	}
}

// TestRowsOfSamples: N x p x q trials and N x pq samples with --rows are the same data.
func TestRowsOfSamples(t *testing.T) {
	flat := gallery.NewStream(8).Normals(10, 6)
	var trials []dense.Matrix[float64]
	for i := range 10 {
		trials = append(trials, dense.Wrap(2, 3, flat.Row(i)).Clone())
	}
	a := solveJSON(t, "kron-mle", "--data", write(t, "trials.npy", trials...))
	b := solveJSON(t, "kron-mle", "--rows", "2", "--data", write(t, "flat.npy", flat))
	requireClose(t, "rows", flatten(a.Solution), flatten(b.Solution), 0)
	if a.N != 2 || a.Count != 10 {
		t.Errorf("%+v", a)
	}
}

func TestUnusableCatalogueDataIsExitCode3(t *testing.T) {
	few := writeText(t, "few.csv", "1,2,3\n3,4,5\n")
	one := write(t, "one.npy", gallery.SPD(1, 3, 10))
	asymmetric := writeText(t, "a.csv", "1,2\n3,9\n")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"or solve shrinkage", []string{"student", "--data", few}},
		{"or solve shrinkage", []string{"huber", "--data", few}},
		{"at least two samples", []string{"shrinkage", "--data", writeText(t, "x.csv", "1,2\n")}},
		{"not symmetric", []string{"nearest-correlation", "--data", asymmetric}},
		{"not symmetric", []string{"nearest-spd", "--data", asymmetric}},
		{"one at a time", []string{"nearest-spd", "--data", one, one}},
		{"not positive semidefinite", []string{"glasso", "--data", writeText(t, "x.csv", "1,2\n2,1\n")}},
		{"not positive definite", []string{"barycenter", "--data", writeText(t, "x.csv", "1,2\n2,1\n")}},
		{"not positive definite", []string{"median", "--data", writeText(t, "x.csv", "1,2\n2,1\n")}},
		{"want two: A and C", []string{"lyapunov", "--data", one}},
		{"want two: A and B", []string{"riccati", "--data", one}},
		{"want one or two", []string{"nearness", "--data", one, one, one}},
		{"are no pairs", []string{"procrustes", "--data", one}},
		{"enclose no volume", []string{"mve", "--data", few}},
		{"cannot span", []string{"dopt", "--data", few}},
		{"it is not said how many rows", []string{"kron-mle", "--data", few}},
		{"give at least 6 points", []string{"ellipsoid", "--data", few}},
		{"each needs more samples", []string{"gmm", "--data", few}},
		{"labels: none given", []string{"metric-learning", "--data", few}},
		{"3 clusters for 2 matrices", []string{"cluster", "--components", "3", "--data", one, one}},
		{"all matrices are equal", []string{"outliers", "--data", one, one}},
		{"the domain is unknown", []string{"recenter", "--labels", "0,-1", "--data", one, one}},
		{"labels: none given", []string{"csp", "--data", one, one}},
		{"labels: 1 labels", []string{"classify", "--data", one, one, "--labels", "1"}},
		{"label 0 is 0.5, not a whole number", []string{"classify", "--data", one, one, "--labels", "0.5,1"}},
	} {
		o := invoke(append([]string{"solve"}, c.args...)...)
		if o.code != exitInput || !strings.Contains(o.stderr, c.want) || o.stdout != "" {
			t.Errorf("%q: want %q, got %+v", c.args, c.want, o)
		}
	}
}

func TestWrongParametersAreExitCode2(t *testing.T) {
	all := inputs(t)
	for _, c := range []struct {
		want, name string
		args       []string
	}{
		{"--rho is -1, want a finite number", "glasso", []string{"--rho", "-1"}},
		{"--nu is -1", "student", []string{"--nu", "-1"}},
		{"--quantile is 1, want", "huber", []string{"--quantile", "1"}},
		{"--floor is 2, want", "nearest-spd", []string{"--floor", "2"}},
		{"--components is -1", "gmm", []string{"--components", "-1"}},
		{"--threshold is -1, want a finite number", "outliers", []string{"--threshold", "-1"}},
		{"--threshold has no effect on solve cluster", "cluster", []string{"--threshold", "1"}},
		{"--metric", "csp", []string{"--metric", "euclidean"}},
		{"--rows must be at least 1", "kron-mle", []string{"--rows", "-1"}},
		{"--rho has no effect on solve mean", "mean", []string{"--rho", "1"}},
		{"--labels has no effect on solve mean", "mean", []string{"--labels", "1"}},
		{"--start has no effect on solve glasso", "glasso", []string{"--start", "random"}},
		{"--jitter has no effect on solve nearest-spd", "nearest-spd", []string{"--jitter", "1"}},
		{"--normalize has no effect on solve mean", "mean", []string{"--normalize", "det"}},
		{"--parts holds several arrays and must end in .npz or .safetensors", "gmm", []string{"--parts", "x.npy"}},
	} {
		o := invoke(append(append([]string{"solve", c.name}, c.args...), all[c.name]...)...)
		if o.code != exitUsage || !strings.Contains(o.stderr, c.want) || o.stdout != "" {
			t.Errorf("%q: want %q, got %+v", c.args, c.want, o)
		}
	}
}
