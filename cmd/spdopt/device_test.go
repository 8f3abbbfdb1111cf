package main

import (
	"strings"
	"testing"
)

// A device that is not there ends with exit code 6 and says what to do: in this build or on this machine.
func TestDeviceIsAbsent(t *testing.T) {
	in := writeText(t, "a.csv", "2,1\n1,2\n")
	t.Setenv("SPDOPT_LIBCUDA", "/nonexistent/libcuda.so.1")
	for _, args := range [][]string{{"train", "graph", "--device", "cuda"}, {"train", "graph", "--device", "cuda:1"}, {"root", "inv", "--in", in, "--device", "cuda"}} {
		o := invoke(args...)
		built, missing := strings.Contains(o.stderr, "go build -tags cuda"), strings.Contains(o.stderr, "install the NVIDIA driver")
		if o.code != exitDevice || !built && !missing {
			t.Errorf("%q: exit code %d, %q", args, o.code, o.stderr)
		}
	}
	for _, args := range [][]string{{"root", "inv", "--in", in, "--device", "abacus"}, {"train", "graph", "--device", "cuda:x"}} {
		if o := invoke(args...); o.code != exitDevice || !strings.Contains(o.stderr, "use cpu") {
			t.Errorf("%q: exit code %d, %q", args, o.code, o.stderr)
		}
	}
}
