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

// TestMutants: the emulation notices a barrier that is missing, one that only some threads reach, and an access behind the end of an array. Each mutant is
// the real source with one change; the table test has to fail on it, and for the stated reason.
func TestMutants(t *testing.T) {
	emulated(t)
	if os.Getenv("SPDOPT_LIBCUBLAS") != os.Getenv("SPDOPT_LIBCUDA") || testing.Short() {
		t.Skip("mutants are built in the long tests of the emulation only")
	}
	for _, m := range []struct{ name, old, new, reason string }{
		{"missing barrier", "\t__syncthreads();\n\tfor (int l = threadIdx.y; l < TILE; l += ROWS) {\n\t\tconst int i = blockIdx.y * TILE + l;\n\t\tif (i < m && j < m && i <= j) {",
			"\tfor (int l = threadIdx.y; l < TILE; l += ROWS) {\n\t\tconst int i = blockIdx.y * TILE + l;\n\t\tif (i < m && j < m && i <= j) {", "BoundedAngle"},
		{"divergent barrier", "\tconst int j = blockIdx.x * TILE + threadIdx.x;\n\ts += at;", "\tconst int j = blockIdx.x * TILE + threadIdx.x;\n\tif (j >= m) {\n\t\treturn;\n\t}\n\ts += at;",
			"CUDA_ERROR_LAUNCH_FAILED"},
		{"out of bounds", "for (wide i = first(); i < n; i += stride()) {\n\t\ty[i] = narrowed(x[i]);", "for (wide i = first(); i < n + 2000; i += stride()) {\n\t\ty[i] = narrowed(x[i]);",
			"CUDA_ERROR_ILLEGAL_ADDRESS"},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if n := strings.Count(string(kernels.Source), m.old); n != 1 {
				t.Fatalf("the place of the mutation is there %d times", n)
			}
			lib, err := emu.Build(bytes.Replace(kernels.Source, []byte(m.old), []byte(m.new), 1), "include")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestOperations$")
			cmd.Env = append(os.Environ(), "SPDOPT_LIBCUDA="+lib, "SPDOPT_LIBCUBLAS="+lib)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the table test passes")
			}
			if !strings.Contains(string(out), m.reason) {
				t.Errorf("it fails, but without %q:\n%s", m.reason, out)
			}
		})
	}
}
