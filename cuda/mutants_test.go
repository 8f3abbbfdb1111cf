//go:build cuda && cgo && linux

package cuda

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/cuda/kernels"
)

// elsewhere runs tests of this package in a process of its own, on an emulation that looks at every access of kernels.
func elsewhere(t *testing.T, source []byte, tests string) (string, error) {
	t.Helper()
	lib, err := emu.Build(source, "include", true)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.short", "-test.run="+tests)
	cmd.Env = append(os.Environ(), "SPDOPT_LIBCUDA="+lib, "SPDOPT_LIBCUBLAS="+lib, "SPDOPT_TEST_CHECKED=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestAccesses: no kernel touches memory that it must not touch, or that another thread touches without a barrier between them: what compute-sanitizer looks for.
func TestAccesses(t *testing.T) {
	emulated(t)
	if os.Getenv("SPDOPT_LIBCUBLAS") != os.Getenv("SPDOPT_LIBCUDA") || testing.Short() {
		t.Skip("in the long tests of the emulation only")
	}
	if out, err := elsewhere(t, kernels.Source, "^(TestOperations|TestStateGoesOn)$"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestMutants: the emulation notices a barrier that is missing, also where the order of its threads hides that, one that only some threads reach, and an access behind the end
// of an array. Each mutant is the real source with one change; the table test has to fail on it, and for the stated reason. (TestCareless of the emulation: every other
// kind of wrong access.)
func TestMutants(t *testing.T) {
	emulated(t)
	if os.Getenv("SPDOPT_LIBCUBLAS") != os.Getenv("SPDOPT_LIBCUDA") || testing.Short() {
		t.Skip("mutants are built in the long tests of the emulation only")
	}
	for _, m := range []struct{ name, old, new, reason string }{
		{"missing barrier", "\t\t\t__syncthreads();\n\t\t\tfor (int l = threadIdx.y; l < TILE; l += ROWS) {\n\t\t\t\tconst int i = top + l;\n\t\t\t\tif (i < m && j < m && i <= j) {",
			"\t\t\tfor (int l = threadIdx.y; l < TILE; l += ROWS) {\n\t\t\t\tconst int i = top + l;\n\t\t\t\tif (i < m && j < m && i <= j) {", "f64.bounded_angle: thread"},
		{"hidden race", "\t__syncthreads();\n\tv = (part[0] + part[1]) + (part[2] + part[3]);\n\t__syncthreads();", "\t__syncthreads();\n\tv = (part[0] + part[1]) + (part[2] + part[3]);",
			"f64.row_norms: thread"},
		{"divergent barrier", "\tconst int j = blockIdx.x * TILE + threadIdx.x;\n\tLAYERS", "\tconst int j = blockIdx.x * TILE + threadIdx.x;\n\tif (j >= m) {\n\t\treturn;\n\t}\n\tLAYERS",
			"CUDA_ERROR_LAUNCH_FAILED"},
		{"out of bounds", "batches(n, [&](int b, wide i) { v[b] = x[i]; }", "batches(n + 2000, [&](int b, wide i) { v[b] = x[i]; }", "CUDA_ERROR_ILLEGAL_ADDRESS"},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if n := strings.Count(string(kernels.Source), m.old); n != 1 {
				t.Fatalf("the place of the mutation is there %d times", n)
			}
			out, err := elsewhere(t, bytes.Replace(kernels.Source, []byte(m.old), []byte(m.new), 1), "^TestOperations$")
			if err == nil {
				t.Fatal("the table test passes")
			}
			if !strings.Contains(out, m.reason) {
				t.Errorf("it fails, but without %q:\n%s", m.reason, out)
			}
		})
	}
}
