//go:build cuda && cgo && linux

package cuda

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/engine"
)

// TestOpenFails: what can be wrong with a machine, each in a process of its own, is named with a remedy.
func TestOpenFails(t *testing.T) {
	if os.Getenv("SPDOPT_TEST_OPEN") != "" {
		d, err := Open(7)
		if err == nil {
			_, err = d.allocate(8)
		}
		t.Log(err)
		return
	}
	emulated(t)
	lib := os.Getenv("SPDOPT_LIBCUDA")
	for _, c := range []struct {
		name  string
		env   []string
		wants []string
	}{
		{"no driver", []string{"SPDOPT_LIBCUDA=/nonexistent/libcuda.so.1"}, []string{"loading the driver", "install the NVIDIA driver"}},
		{"no device", []string{"SPDOPT_EMU_DEVICES=0"}, []string{"CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES"}},
		{"old driver", []string{"SPDOPT_EMU_VERSION=11020"}, []string{"supports CUDA 11.2", "11.8 (520) or newer"}},
		{"wrong index", []string{"SPDOPT_EMU_DEVICES=2"}, []string{"there is no device 7", "there are 0 to 1"}},
		{"one device", []string{"SPDOPT_EMU_DEVICES=1"}, []string{"there is no device 7", "the only one is 0"}},
		{"old device", []string{"SPDOPT_EMU_DEVICES=8", "SPDOPT_EMU_CAPABILITY=60"}, []string{"compute capability 6.0", "7.0 is needed"}},
		{"old cuBLAS", []string{"SPDOPT_EMU_DEVICES=8", "SPDOPT_EMU_CAPABILITY=70", "SPDOPT_EMU_BLAS=130000"}, []string{"trying cuBLAS: CUBLAS_STATUS_ARCH_MISMATCH", "12 for compute capability 7.0"}},
		{"memory that is not shared", []string{"SPDOPT_EMU_DEVICES=8", "SPDOPT_EMU_CONCURRENT=0"}, []string{"the processor cannot use memory of this device while it works", "use Linux"}},
		{"no cuBLAS", []string{"SPDOPT_EMU_DEVICES=8", "SPDOPT_LIBCUBLAS=/nonexistent/libcublas.so.12"}, []string{"opening cuBLAS", "install the CUDA runtime libraries"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestOpenFails$", "-test.v")
			cmd.Env = append(append(os.Environ(), "SPDOPT_TEST_OPEN=1", "SPDOPT_LIBCUDA="+lib), c.env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range c.wants {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
		})
	}
}

// TestOpenGivesBack: a device that cannot be opened holds nothing afterwards, and can be opened when what was wrong is mended.
func TestOpenGivesBack(t *testing.T) {
	emulated(t)
	for _, name := range []string{"cuModuleLoadData", "cuStreamCreate", "cublasCreate", "cuMemAllocHost", "cuMemAlloc", "cublasGemmStridedBatchedEx", "cuStreamSynchronize"} {
		before := emu.Used()
		emu.Fail(name, 1, 2)
		if d, err := openDevice(1); err == nil {
			t.Errorf("%s fails, and the device is open: %v", name, d.Info())
		}
		if used := emu.Used(); used != before {
			t.Errorf("%s: %d bytes are left behind", name, used-before)
		}
	}
	d, err := openDevice(1)
	if err != nil {
		t.Fatal(err)
	}
	leave, err := d.enter()
	if err != nil {
		t.Fatal(err)
	}
	d.dismantle()
	leave()
}

// TestRemedies: every error that destroys the context, and every one that users can do something about, says what.
func TestRemedies(t *testing.T) {
	emulated(t)
	for name := range fatal {
		if remedies[name] == "" {
			t.Errorf("%s has no remedy", name)
		}
	}
	for code, want := range map[int]string{2: "smaller batch", 46: "another process", 100: "CUDA_VISIBLE_DEVICES", 209: "another GPU", 221: "libnvidia-ptxjitcompiler", 222: "newer driver", 700: "checkpoint", 716: "checkpoint",
		802: "nvidia-fabricmanager", 803: "reboot", 804: "LD_LIBRARY_PATH", 900: "recording of a graph"} {
		if err := named("trying", codeOf(code)); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "CUDA_ERROR_") {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
}

// TestFailures: a call that fails on the device ends in an error that names what failed, leaves the memory of the host as it was, and holds no memory of the
// device; the device works afterwards.
func TestFailures(t *testing.T) {
	emulated(t)
	d := device(t)
	b := newBackend[float32](d)
	for _, c := range []struct {
		name string
		code int
		want string
	}{
		{"cuLaunchKernel", 701, "kernel adam"},
		{"cuMemcpyHtoDAsync", 1, "copying to the device: CUDA_ERROR_INVALID_VALUE"},
		{"cuMemcpyDtoHAsync", 1, "copying from the device"},
		{"cuMemAllocHost", 2, "allocating page-locked memory: CUDA_ERROR_OUT_OF_MEMORY"},
	} {
		const n = 1000
		w, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		if c.name == "cuMemAllocHost" {
			d.staging = staging{}
		}
		emu.Fail(c.name, 1, c.code)
		err := func() (err error) {
			defer engine.Recover(&err)
			for i := range g {
				g[i] = 1
			}
			b.Adam(engine.Adam{Update: engine.Update{LR: 1, GradScale: 1}, A: 1, C: 1, Eps: 1}, w, g, m, v)
			return nil
		}()
		var failed *engine.DeviceError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		for i := range w {
			if w[i] != 0 || m[i] != 0 || v[i] != 0 {
				t.Fatalf("%s: element %d was changed", c.name, i)
			}
		}
		if len(d.pool.used) > 0 {
			t.Errorf("%s: %d pieces of memory are still held", c.name, len(d.pool.used))
		}
		b.Adam(engine.Adam{Update: engine.Update{LR: 1, GradScale: 1}, Beta1: 0, A: 1, C: 1, Eps: 1}, w, g, m, v)
		if w[0] == 0 {
			t.Errorf("%s: the device does nothing afterwards", c.name)
		}
	}
}

// TestOutOfMemory: memory that waits in the pool is given back and used before a call fails; a call that fails names the remedy.
func TestOutOfMemory(t *testing.T) {
	emulated(t)
	d := device(t)
	b := newBackend[float32](d)
	b.Reserve(1 << 20)
	emu.Limit(emu.Used())
	defer emu.Limit(8 << 30)
	x := make([]float32, 300_000)
	x[0] = 2
	if sum, _ := b.SumSquares(x); sum != 4 {
		t.Errorf("sum %v", sum)
	}
	err := func() (err error) {
		defer engine.Recover(&err)
		b.SumSquares(make([]float32, 50_000_000))
		return nil
	}()
	var own *Error
	if !errors.As(err, &own) || own.Name != "CUDA_ERROR_OUT_OF_MEMORY" || !strings.Contains(own.Remedy, "smaller") {
		t.Errorf("error %v", err)
	}
	if sum, _ := b.SumSquares(x); sum != 4 {
		t.Errorf("sum after the failure: %v", sum)
	}
}

// TestLostContext: after an error that destroys the context every call says so, in a process of its own.
func TestLostContext(t *testing.T) {
	emulated(t)
	if os.Getenv("SPDOPT_TEST_LOST") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLostContext$", "-test.v")
		cmd.Env = append(os.Environ(), "SPDOPT_TEST_LOST=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	b := newBackend[float64](device(t))
	emu.Fail("cuStreamSynchronize", 1, 214)
	for range 2 {
		err := func() (err error) {
			defer engine.Recover(&err)
			b.SumSquares([]float64{1})
			return nil
		}()
		if err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_ECC_UNCORRECTABLE") || !strings.Contains(err.Error(), "checkpoint") {
			t.Errorf("error %v", err)
		}
	}
	device(t).lost = nil // as if others had lost it
	emu.Fail("cuPointerGetAttribute", 1, 700)
	if _, err := device(t).NewSpectral([]Shape{{2, 2}}, SpectralOptions{}, 256, 512); err == nil || !strings.Contains(err.Error(), "CUDA_ERROR_ILLEGAL_ADDRESS") {
		t.Errorf("an address in a lost context: %v", err)
	}
	if _, err := device(t).NewSpectral([]Shape{{2, 2}}, SpectralOptions{}, 256, 512); err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("an optimizer in a lost context: %v", err)
	}
}
