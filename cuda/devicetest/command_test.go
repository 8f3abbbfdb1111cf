//go:build cuda && cgo && linux

package devicetest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandLine: what is wrong with a machine ends the program with exit code 6 and the remedy; without a fault it computes.
func TestCommandLine(t *testing.T) {
	needEmulation(t)
	program := filepath.Join(t.TempDir(), "spdopt")
	if out, err := exec.Command("go", "build", "-tags", "cuda", "-o", program, "../../cmd/spdopt").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	matrix := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(matrix, []byte("2,1\n1,3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large.csv")
	if err := os.WriteFile(large, identity(300), 0o600); err != nil {
		t.Fatal(err)
	}
	root := func(device string) []string { return []string{"root", "sqrt", "--in", matrix, "--device", device} }
	for _, c := range []struct {
		name   string
		env    string
		args   []string
		code   int
		remedy string
	}{
		{"all is well", "SPDOPT_EMU_DEVICES=2", root("cuda:1"), 0, ""},
		{"every check", "SPDOPT_EMU_DEVICES=2", []string{"check", "device", "--device", "cuda:1"}, 0, "losses of a network"},
		{"nothing to check", "SPDOPT_EMU_DEVICES=0", []string{"check", "device"}, 6, "CUDA_VISIBLE_DEVICES"},
		{"no driver", "SPDOPT_LIBCUDA=/nonexistent/libcuda.so.1", root("cuda"), 6, "install the NVIDIA driver"},
		{"old driver", "SPDOPT_EMU_VERSION=11020", root("cuda"), 6, "(520) or newer"},
		{"no cuBLAS", "SPDOPT_LIBCUBLAS=/nonexistent/libcublas.so.12", root("cuda"), 6, "install the CUDA runtime libraries"},
		{"memory that is not shared", "SPDOPT_EMU_CONCURRENT=0", []string{"train", "graph", "--steps", "2", "--opt", "adamw", "--device", "cuda"}, 6, "use Linux"},
		{"no device", "SPDOPT_EMU_DEVICES=0", root("cuda"), 6, "CUDA_VISIBLE_DEVICES"},
		{"wrong index", "SPDOPT_EMU_DEVICES=2", root("cuda:7"), 6, "there are 0 to 1"},
		{"out of memory", "SPDOPT_EMU_MEMORY=4300000", []string{"train", "graph", "--steps", "2", "--opt", "spectral", "--device", "cuda"}, 6, "smaller batch or model"},
		{"a root that does not fit", "SPDOPT_EMU_MEMORY=5000000", []string{"root", "sqrt", "--in", large, "--device", "cuda"}, 6, "a matrix of 300 rows needs about 0.00936 GB, the device has 0.005 GB"},
		{"a problem that does not fit", "SPDOPT_EMU_MEMORY=5000000", []string{"solve", "nearest-spd", "--data", large, "--device", "cuda"}, 6, "needs about 0.00648 GB for n = 300"},
		{"a precision that the device lacks", "SPDOPT_EMU_CAPABILITY=75", []string{"train", "graph", "--steps", "1", "--precision", "bf16", "--device", "cuda"}, 6, "use precision fp32"},
		{"the default on that device", "SPDOPT_EMU_CAPABILITY=75", []string{"train", "graph", "--steps", "1", "--opt", "spectral", "--device", "cuda"}, 0, "all steps taken"},
		{"a precision of the processor", "SPDOPT_EMU_CAPABILITY=80", []string{"train", "graph", "--steps", "1", "--precision", "bf16"}, 2, "only devices round"},
		{"lost context", "SPDOPT_EMU_LOSE=20", []string{"train", "graph", "--steps", "2", "--opt", "adamw", "--device", "cuda"}, 6, "restart the program from a checkpoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(program, c.args...)
			cmd.Env, cmd.Dir = append(os.Environ(), c.env), filepath.Dir(matrix)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			code := 0
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			}
			if code != c.code || !strings.Contains(out.String(), c.remedy) {
				t.Errorf("exit code %d, %v, want %d with %q:\n%s", code, err, c.code, c.remedy, out.String())
			}
		})
	}
}

// identity returns the text of an identity of n rows.
func identity(n int) (text []byte) {
	for i := range n {
		row := bytes.Repeat([]byte("0,"), n)
		row[2*i], row[2*n-1] = '1', '\n'
		text = append(text, row...)
	}
	return text
}
