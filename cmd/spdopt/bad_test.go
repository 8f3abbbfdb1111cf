package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

const npyOfEight = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"

// npy returns an npy file with the given type and shape, and that many bytes of data.
func npy(descr, shape string, data int) string {
	dict := strings.Replace(strings.Replace(npyOfEight, "%s", descr, 1), "%s", shape, 1)
	return "\x93NUMPY\x01\x00" + string([]byte{byte(len(dict)), 0}) + dict + strings.Repeat("\x00", data)
}

func TestBadInputIsExitCode3WithOneClearMessage(t *testing.T) {
	mtx := "%%MatrixMarket matrix coordinate real general\n"
	for _, c := range []struct{ name, content, want string }{
		{"asymmetric.csv", "1,2\n3,9\n", "matrix is not symmetric: element (0,1) is 2 but (1,0) is 3"},
		{"indefinite.csv", "1,2\n2,1\n", "matrix is not positive definite: smallest eigenvalue -1 (largest 3); try --nearest-spd"},
		{"barely.csv", "41.7,0\n0,-3.2e-9\n", "matrix is not positive definite: smallest eigenvalue -3.2e-09 (largest 41.7); try --jitter 1e-8 or --nearest-spd"},
		{"stack.json", "[[[1,0],[0,1]],[[1,0],[0,-5]]]", "matrix 1 is not positive definite: smallest eigenvalue -5 (largest 1)"},
		{"nan.csv", "1,nan\nnan,1\n", "NaN at row 0, column 1"},
		{"inf.csv", "1,0\n0,inf\n", "+Inf at row 1, column 1"},
		{"shape.csv", "1,2,3\n4,5,6\n", "matrix is 2 x 3, not square"},
		{"sizes.json", "[[[1]],[[1,0],[0,1]]]", "matrix 1 is 2 x 2, but the first matrix is 1 x 1"},
		{"empty.npy", "", "the file is empty"},
		{"empty.csv", "", "the file is empty"},
		{"cut.npy", npy("<f8", "(2, 2)", 31), "truncated: shape (2, 2) of float64 needs 32 bytes"},
		{"header.npy", "\x93NUMPY\x02\x00\x00\x00\x00\x80", "header claims 2147483648 bytes"},
		{"huge.npy", npy("<f8", "(16384, 16384)", 8), "needs 2147483648 bytes of data, the file holds 8"},
		{"complex.npy", npy("<c16", "(1, 1)", 16), "is complex128; only real matrices are read"},
		{"duplicate.mtx", mtx + "2 2 3\n1 1 1\n2 2 1\n1 1 5\n", "line 5: entry (1, 1) is already given on line 3"},
		{"ragged.csv", "1,2\n3\n", "line 2 has 1 fields, line 1 has 2"},
		{"data.h5", "\x89HDF\r\n\x1a\n0000", "HDF5"},
		{"none.npy", "missing", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.name)
			if c.content != "missing" {
				path = writeText(t, c.name, c.content)
			}
			out := write(t, "out.npy", dense.Wrap(1, 1, []float64{42}))
			before, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"solve", "mean", "--data", path, "--out", out},
				{"root", "pow", "--power", "-0.25", "--in", path, "--out", out},
				{"root", "inv", "--json", "--in", path},
			} {
				if c.name == "sizes.json" && args[0] == "root" {
					continue
				}
				o := invoke(args...)
				if o.code != exitInput || o.stdout != "" || strings.Count(o.stderr, "\n") != 1 ||
					!strings.HasPrefix(o.stderr, "spdopt: "+path+": ") || !strings.Contains(o.stderr, c.want) {
					t.Errorf("%q: %+v", args, o)
				}
			}
			after, err := os.ReadFile(out)
			if err != nil || string(after) != string(before) {
				t.Errorf("the output file changed: %v", err)
			}
			if entries, _ := os.ReadDir(filepath.Dir(out)); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestUnusableDataIsExitCode3(t *testing.T) {
	good := write(t, "a.npy", gallery.SPD(1, 3, 10))
	for want, args := range map[string][]string{
		"2 weights for 1 matri":         {"solve", "mean", "--data", good, "--weights", "1,2"},
		"weight 0 is -1":                {"solve", "mean", "--data", good, "--weights", "-1"},
		"needs more samples":            {"solve", "tyler", "--data", writeText(t, "x.csv", "1,2\n3,4\n")},
		"has norm 0":                    {"solve", "tyler", "--data", writeText(t, "x.csv", "1,2\n0,0\n3,1\n")},
		"singular covariance":           {"solve", "logdet", "--data", writeText(t, "x.csv", "1,2,3\n3,4,5\n")},
		"one covariance":                {"solve", "logdet", "--data", write(t, "s.npy", gallery.SPD(1, 3, 10), gallery.SPD(2, 3, 10))},
		"start":                         {"solve", "mean", "--data", good, "--start", writeText(t, "s.csv", "1,0\n0,1\n")},
		"s.csv: matrix is not positive": {"solve", "mean", "--data", good, "--start", writeText(t, "s.csv", "1,0\n0,-1\n")},
		"there is no directory":         {"solve", "mean", "--data", good, "--out", filepath.Join(t.TempDir(), "none", "x.npy")},
		"it is a directory":             {"solve", "mean", "--data", good, "--out", t.TempDir(), "--format", "npy"},
		"holds more than one matrix":    {"solve", "mean", "--data", good, "--start", write(t, "s.npy", gallery.SPD(1, 3, 10), gallery.SPD(2, 3, 10))},
		"want a magnitude of at most":   {"solve", "recenter", "--data", good, "--labels", "1e19"},
		"is not a folder":               {"runs", "list", "--runs", good},
		"a file stands where":           {"minimize", "--fn", "sphere", "--dim", "2", "--out", good},
		"m.wasm: no such file":          {"minimize", "--wasm", "m.wasm", "--dim", "2"},
		"the format cannot be told":     {"solve", "mean", "--data", good, "--out", "x.xyz"},
		"say it with --format":          {"solve", "mean", "--data", "-"},
		"byte 2 of the token":           {"serve", "--http", "0.0.0.0:0", "--token-file", writeText(t, "token", "a\x00token of some length")},
		"pic.svg: cannot write":         {"bench", "es", "--dims", "2", "--svg", filepath.Join(t.TempDir(), "none", "pic.svg")},
		"log.csv: cannot write":         {"bench", "nn", "--generated", "--out", filepath.Join(t.TempDir(), "none", "log.csv")},
		"t.json: cannot write":          {"bench", "target", "--generated", "--out", filepath.Join(t.TempDir(), "none", "t.json")},
		"cannot write":                  {"demo", "--out", filepath.Join(good, "x")},
	} {
		if want == "one covariance" {
			want = "matrices given, want one"
		}
		o := invokeWith(t.Context(), "1 2\n", args...)
		if o.code != exitInput || !strings.Contains(o.stderr, want) || o.stdout != "" {
			t.Errorf("%q: want %q, got %+v", args, want, o)
		}
	}
}

func TestWrongUsageIsExitCode2(t *testing.T) {
	good := write(t, "a.npy", gallery.SPD(1, 3, 10))
	for _, c := range []struct {
		want string
		args []string
	}{
		{`unknown problem "maen" — did you mean "mean"? (spdopt list problems)`, []string{"solve", "maen", "--data", good}},
		{`unknown problem "xyzzy" (spdopt list problems)`, []string{"solve", "xyzzy", "--data", good}},
		{`unknown method "lbgfs" for solve mean — did you mean "lbfgs"? (spdopt list problems)`, []string{"solve", "mean", "--data", good, "--method", "lbgfs"}},
		{`unknown method "eign" for root sqrt — did you mean "eigen"? (spdopt list roots)`, []string{"root", "sqrt", "--in", good, "--method", "eign"}},
		{`unknown kind "sqr" for root — did you mean "sqrt"?`, []string{"root", "sqr", "--in", good}},
		{`unknown command "slove" — did you mean "solve"?`, []string{"slove"}},
		{`unknown command "minimise" for spdopt — did you mean "minimize"?`, []string{"minimise", "--fn", "sphere"}},
		{`unknown command "resum" for spdopt runs — did you mean "resume"?`, []string{"runs", "resum", "--force", "first"}},
		{`unknown flag "--dta" for spdopt solve — did you mean "--data"?`, []string{"solve", "mean", "--dta", good}},
		{`in the metric log-cholesky mean has one method; name none`, []string{"solve", "mean", "--data", good, "--metric", "log-cholesky", "--method", "trust"}},
		{`works in the affine-invariant metric only; use one of steepest`, []string{"solve", "logdet", "--data", good, "--metric", "cholesky", "--method", "closed-form"}},
		{`take the method center`, []string{"solve", "recenter", "--data", good, "--metric", "euclidean", "--method", "center-scale"}},
		{`unknown flag -z`, []string{"-z"}},
		{`--tol: "x" is not a number`, []string{"solve", "mean", "--data", good, "--tol", "x"}},
		{`--tol must be a positive number, not -1`, []string{"solve", "mean", "--data", good, "--tol", "-1"}},
		{`--tol must be a positive number, not NaN`, []string{"solve", "mean", "--data", good, "--tol", "nan"}},
		{`--tol must be below 1 and at least 1e-100, not 1e-320`, []string{"solve", "mean", "--data", good, "--tol", "1e-320"}},
		{`--tol must be below 1 and at least 1e-100, not 2`, []string{"solve", "mean", "--data", good, "--tol", "2"}},
		{`--power of the metric power-euclidean must be from 1e-3 to 2`, []string{"solve", "mean", "--data", good, "--metric", "power-euclidean", "--power", "1e-9"}},
		{`--max-iterations must be at least 1`, []string{"solve", "mean", "--data", good, "--max-iterations", "0"}},
		{`--max-seconds: "soon" is not a number of seconds or duration such as 30s`, []string{"solve", "mean", "--data", good, "--max-seconds", "soon"}},
		{`--max-seconds must be 0 or a positive number`, []string{"solve", "mean", "--data", good, "--max-seconds", "-5s"}},
		{`--max-seconds must be 0 or a positive number`, []string{"solve", "mean", "--data", good, "--max-seconds", "nan"}},
		{`--timeout: "5" is not a duration such as 30s`, []string{"minimize", "--cmd", "true", "--dim", "2", "--timeout", "5"}},
		{`--kappa must be 1 or 2`, []string{"solve", "mean", "--data", good, "--kappa", "3"}},
		{`--normalize must be trace, det, not "x"`, []string{"solve", "mean", "--data", good, "--normalize", "x"}},
		{`--as must be auto, matrix, samples, not "x"`, []string{"solve", "logdet", "--data", good, "--as", "x"}},
		{`--jitter: jitter must be a finite number >= 0`, []string{"solve", "mean", "--data", good, "--jitter", "-1"}},
		{`--jitter has no effect on solve tyler`, []string{"solve", "tyler", "--data", good, "--jitter", "1"}},
		{`--as matrix: solve gmm takes samples only`, []string{"solve", "gmm", "--data", good, "--as", "matrix"}},
		{`--as samples: solve mean takes matrices only`, []string{"solve", "mean", "--data", good, "--as", "samples"}},
		{`--jitter and --nearest-spd apply to matrices, but`, []string{"solve", "logdet", "--data", good, "--as", "samples", "--jitter", "1"}},
		{`--weights has no effect on solve logdet`, []string{"solve", "logdet", "--data", good, "--weights", "1"}},
		{`--center has no effect on solve mean`, []string{"solve", "mean", "--data", good, "--center"}},
		{`--center applies to samples`, []string{"solve", "logdet", "--data", good, "--center"}},
		{`--format: unknown format "xls"; use one of`, []string{"solve", "mean", "--data", "-", "--format", "xls"}},
		{`no input: name the files with --data`, []string{"solve", "mean"}},
		{`no input: name the files with --in`, []string{"root", "inv"}},
		{`solve: name a problem: mean, logdet, tyler`, []string{"solve"}},
		{`root: name a kind`, []string{"root"}},
		{`root pow needs --power`, []string{"root", "pow", "--in", good}},
		{`--power has no effect on root inv`, []string{"root", "inv", "--in", good, "--power", "2"}},
		{`--power must be a number such as -0.25 or -1/4, not "1/0"`, []string{"root", "pow", "--in", good, "--power", "1/0"}},
		{`--power must be a number`, []string{"root", "pow", "--in", good, "--power", "inf"}},
		{`a.npy: matrix: method lanczos: applies power -0.5 to vectors and does not form it; use eigen, refined`, []string{"root", "pow", "--in", good, "--power", "-0.5", "--method", "lanczos"}},
		{`method cholesky: cannot do log; use eigen, refined, pade, spectral`, []string{"root", "log", "--in", good, "--method", "cholesky"}},
		{`--tol, --cutoff or --max-iterations`, []string{"root", "inv", "--in", good, "--tol", "-1"}},
		{`--json and --out - both want standard output`, []string{"solve", "mean", "--data", good, "--json", "--out", "-"}},
		{`--progress must be auto, plain, none`, []string{"version", "--progress", "x"}},
		{`version takes no arguments`, []string{"version", "x"}},
		{`unknown problem "MEAN" — did you mean "mean"?`, []string{"solve", "MEAN", "--data", good}},
		{`unknown kind "problem" for list — did you mean "problems"?`, []string{"list", "problem"}},
		{`list takes one kind`, []string{"list", "problems", "roots"}},
		{`unknown check "instal" for check — did you mean "install"?`, []string{"check", "instal"}},
		{`check what? device, gradient, install (spdopt check --help)`, []string{"check"}},
		{`unknown check "sanity" for check; use device, gradient, install`, []string{"check", "sanity"}},
		{`unknown command "hessian" for spdopt check; use device, gradient, install`, []string{"check", "hessian", "--data", good}},
		{`runs what? compare, export`, []string{"runs"}},
		{`check install takes no arguments, got "x"`, []string{"check", "install", "x"}},
		{`size 99999999, want 1 to 16384`, []string{"bench", "roots", "--sizes", "99999999"}},
		{`--dim is 99999999999, want at most`, []string{"minimize", "--expr", "1", "--dim", "99999999999"}},
		{`unknown command "slove" for spdopt — did you mean "solve"?`, []string{"help", "slove"}},
		{`unknown command "shw" for spdopt runs — did you mean "show"?`, []string{"help", "runs", "shw"}},
		{`unknown flag -data; names of several letters have two dashes: --data`, []string{"solve", "mean", "-data", good}},
		{`--seed: "-1" is not a whole number from 0 on`, []string{"solve", "mean", "--data", good, "--seed", "-1"}},
		{`--seed: "18446744073709551616" is out of range`, []string{"solve", "mean", "--data", good, "--seed", "18446744073709551616"}},
		{`--set max-iterations: "99999999999999999999" is out of range`, []string{"solve", "mean", "--data", good, "--set", "max-iterations=99999999999999999999"}},
		{`--set: set can only be given on the command line`, []string{"solve", "mean", "--data", good, "--set", "set=1"}},
		{`--data: the name of a file is empty`, []string{"solve", "mean", "--data", ""}},
		{`--data: "-", standard input, is named 2 times`, []string{"solve", "mean", "--data", "-", "--data", "-"}},
		{`--out and --parts name the same file`, []string{"solve", "mean", "--data", good, "--out", "a.npz", "--parts", "./a.npz"}},
		{`--out and --out-h name the same file`, []string{"root", "polar", "--in", good, "--out", "a.npy", "--out-h", "a.npy"}},
		{`--svg o.png: the name must end in .svg`, []string{"plot", good, "--kind", "heat", "--svg", "o.png"}},
		{`--html o.png: the name must end in .html`, []string{"report", "no-run", "--html", "o.png"}},
		{`--svg o.csv: the name must end in .svg`, []string{"bench", "es", "--dims", "2", "--svg", "o.csv"}},
		{`unknown shell "basch" for completion — did you mean "bash"?`, []string{"completion", "basch"}},
		{`--cmd: the command has {x2}, but the variables are {x0} to {x1}`, []string{"minimize", "--cmd", "echo {x0} {x2}", "--per-eval", "--dim", "2"}},
	} {
		o := invoke(c.args...)
		if o.code != exitUsage || !strings.HasPrefix(o.stderr, "spdopt: ") || !strings.Contains(o.stderr, c.want) || o.stdout != "" {
			t.Errorf("%q: want %q, got %+v", c.args, c.want, o)
		}
		if strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%q: more than one line: %q", c.args, o.stderr)
		}
	}
}

func TestFullDiskIsNotSuccess(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	matrix := write(t, "a.npy", gallery.SPD(1, 3, 10))
	for _, args := range [][]string{
		{"version"}, {"root", "sqrt", "--in", matrix, "--json"}, {"root", "sqrt", "--in", matrix, "--out", "-", "--format", "csv"},
		{"root", "sqrt", "--in", matrix, "--out", "/dev/full", "--format", "csv"},
	} {
		var errs strings.Builder
		a := &app{ctx: t.Context(), in: strings.NewReader(""), out: full, err: &errs}
		if code := a.run(args); code != exitFailure || !strings.HasSuffix(errs.String(), ": cannot write: no space left on device\n") || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%q: exit code %d, %q", args, code, errs.String())
		}
	}
}
