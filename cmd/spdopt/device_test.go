package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A device that is not there ends with exit code 6 and says what to do: in this build or on this machine. What is the name of no device is wrong usage.
func TestDeviceIsAbsent(t *testing.T) {
	in := writeText(t, "a.csv", "2,1\n1,2\n")
	t.Setenv("SPDOPT_LIBCUDA", "/nonexistent/libcuda.so.1")
	for _, args := range [][]string{{"train", "graph", "--device", "cuda"}, {"train", "graph", "--device", "cuda:1"}, {"check", "device"}, {"root", "inv", "--in", in, "--device", "cuda"},
		{"solve", "mean", "--data", in, "--device", "cuda"}} {
		o := invoke(args...)
		built, missing := strings.Contains(o.stderr, "go build -tags cuda"), strings.Contains(o.stderr, "install the NVIDIA driver")
		if o.code != exitDevice || !built && !missing {
			t.Errorf("%q: exit code %d, %q", args, o.code, o.stderr)
		}
	}
	for _, args := range [][]string{{"check", "device", "--device", "gpu"}, {"root", "inv", "--in", in, "--device", "gpu"}, {"train", "graph", "--device", "cuda:x"}, {"solve", "mean", "--data", in, "--device", "gpu"}} {
		if o := invoke(args...); o.code != exitUsage || !strings.Contains(o.stderr, "use cpu, cuda; of several") {
			t.Errorf("%q: exit code %d, %q", args, o.code, o.stderr)
		}
	}
}

// What a device cannot do is a mistake in the call, whether or not there is one; the answer names what can.
func TestSolveDeviceFlags(t *testing.T) {
	in := writeText(t, "a.csv", "2,1\n1,2\n")
	for _, c := range []struct{ args, want string }{
		{"glasso --device cuda", "no way on a device"},
		{"mean --device cuda --method richardson", "the method on a device is products"},
		{"mean --device cuda --start random", "--start has no effect on a device"},
		{"mean --device cuda --kappa 2", "affine-invariant"},
		{"mean --precision half", "double, single"},
		{"mean --precision single", "needs a --device"},
	} {
		o := invoke(append([]string{"solve"}, append(strings.Fields(c.args), "--data", in)...)...)
		if o.code != exitUsage || !strings.Contains(o.stderr, c.want) {
			t.Errorf("%s: exit code %d, %q", c.args, o.code, o.stderr)
		}
	}
}

// The precision of products in training is one of three, and needs a device.
func TestTrainPrecision(t *testing.T) {
	for p, want := range map[string]string{"half": `--precision must be fp32, tf32 or bf16, not "half"`, "bf16": "only devices round"} {
		if o := invoke("train", "graph", "--precision", p); o.code != exitUsage || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: exit code %d, %q", p, o.code, o.stderr)
		}
	}
}

// --precision single computes in float32: near the answer of float64, and not the same.
func TestRootPrecision(t *testing.T) {
	in := writeText(t, "a.csv", "2,1\n1,2\n")
	var a, b struct{ Result [][]float64 }
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "root", "sqrt", "--in", in, "--precision", "single", "--json").stdout), &a))
	require.NoError(t, json.Unmarshal([]byte(succeed(t, "root", "sqrt", "--in", in, "--json").stdout), &b))
	if d := a.Result[0][0] - b.Result[0][0]; d == 0 || d > 1e-5 || d < -1e-5 {
		t.Errorf("single %v, double %v", a.Result, b.Result)
	}
	if o := invoke("root", "polar", "--in", in, "--precision", "single"); o.code != exitUsage {
		t.Errorf("polar: exit code %d", o.code)
	}
}
