//go:build cuda && cgo && linux

package cuda

/*
#cgo CFLAGS: -I${SRCDIR}/include -Wno-deprecated-declarations
#include <cuda.h>
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/spdopt/spdopt/cuda/internal/blas"
	"github.com/spdopt/spdopt/cuda/internal/dl"
	"github.com/spdopt/spdopt/cuda/kernels"
)

// Device is an open GPU: its primary context, which it shares with whatever else in the process uses the GPU, a stream, and memory for reuse. Its
// methods may be called from any goroutine; they run one at a time.
type Device struct {
	mu      sync.Mutex
	ctx     cu.CUContext
	info    Info
	stream  cu.Stream
	single  *module
	double  *module
	blas    *blas.Handle
	scratch cu.DevicePtr // workspace of cuBLAS
	pool    pool
	staging staging
	lost    error

	pending *backlog     // whose tape may hold entries
	player  *launcher    // of tapes
	busy    bool         // the stream was given work since the last wait
	waiting func() error // wait
	numbers numbers
	graphs  recordings
	shares  bool // the processor may use managed memory while the device works

	residents []resident
	returned  []cu.DevicePtr // memory that goes back to the driver when no work can use it
	popped    C.CUcontext    // what release took off the thread; a field, because a variable would be allocated
}

var devices struct {
	sync.Mutex
	open map[int]*Device
}

// Open returns the device of an index; it is opened once.
func Open(index int) (*Device, error) {
	devices.Lock()
	defer devices.Unlock()
	if d := devices.open[index]; d != nil {
		return d, nil
	}
	d, err := openDevice(index)
	if err != nil {
		return nil, err
	}
	if devices.open == nil {
		devices.open = map[int]*Device{}
	}
	devices.open[index] = d
	return d, nil
}

// Info describes the device.
func (d *Device) Info() Info { return d.info }

// name is the device's name on the command line.
func (d *Device) name() string {
	if d.info.Index == 0 {
		return "cuda"
	}
	return fmt.Sprintf("cuda:%d", d.info.Index)
}

func openDevice(index int) (*Device, error) {
	code, why := dl.Open()
	switch {
	case code == dl.NoDriver:
		return nil, &Error{"loading the driver", why, "install the NVIDIA driver, or set SPDOPT_LIBCUDA to its libcuda.so.1"}
	case code != 0:
		return nil, failure("initialising the driver", C.CUresult(code))
	}
	info := Info{Index: index, Driver: cu.Version()}
	if info.Driver < OldestDriver {
		return nil, &Error{"opening the device", fmt.Sprintf("the driver supports CUDA %s", version(info.Driver)),
			"install a driver for CUDA " + version(OldestDriver) + " (520) or newer"}
	}
	count, err := cu.NumDevices()
	if err != nil {
		return nil, wrap("counting devices", err)
	}
	if index < 0 || index >= count {
		return nil, &Error{"opening the device", fmt.Sprintf("there is no device %d", index), choices(count)}
	}
	dev, err := cu.GetDevice(index)
	if err != nil {
		return nil, wrap("opening the device", err)
	}
	d := &Device{info: info}
	if err := d.describe(dev); err != nil {
		return nil, err
	}
	if d.ctx, err = dev.RetainPrimaryCtx(); err != nil {
		return nil, wrap("taking the context", err)
	}
	leave, err := d.enter()
	if err == nil {
		if err = d.prepare(); err != nil {
			d.dismantle()
		}
		leave()
	}
	if err != nil {
		_ = dev.ReleasePrimaryCtx()
		return nil, err
	}
	return d, nil
}

func choices(count int) string {
	switch count {
	case 0:
		return "there is no GPU"
	case 1:
		return "the only one is 0"
	}
	return fmt.Sprintf("there are 0 to %d", count-1)
}

func (d *Device) describe(dev cu.Device) error {
	major, minor, err := dev.ComputeCapability()
	if err != nil {
		return wrap("reading the compute capability", err)
	}
	d.info.Capability = 10*major + minor
	name, err := dev.Name()
	if err != nil {
		return wrap("reading the name", err)
	}
	memory, err := dev.TotalMem()
	if err != nil {
		return wrap("reading the memory", err)
	}
	shares, err := dev.Attribute(cu.ConcurrentManagedAccess)
	if err != nil {
		return wrap("reading whether memory can be shared", err)
	}
	d.info.Name, d.info.Memory, d.shares = name, int(memory), shares != 0
	return nil
}

// prepare makes what the device needs; the context is current.
func (d *Device) prepare() (err error) {
	if d.single, err = loadModule("float", d.info.Capability); err != nil {
		return err
	}
	if d.double, err = loadModule("double", d.info.Capability); err != nil {
		return err
	}
	if d.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return wrap("making a stream", err)
	}
	if d.blas, err = blas.Create(); err != nil {
		return wrap("opening cuBLAS", err)
	}
	d.info.BLAS = d.blas.Version()
	d.waiting, d.pool.idle, d.pool.tape, d.player = d.wait, d.drain, &tape{}, newLauncher(d.blas, d.stream, nil)
	if err := d.numbers.grow(numbersBytes); err != nil {
		return err
	}
	size := 4 << 20
	if d.info.Capability >= 90 {
		size = 32 << 20
	}
	if d.scratch, err = cu.MemAlloc(int64(size)); err != nil {
		return wrap("allocating the workspace of cuBLAS", err)
	}
	if err := wrap("opening cuBLAS", d.blas.Stream(unsafe.Pointer(d.stream.C()), uintptr(d.scratch), size)); err != nil {
		return err
	}
	return d.tryProducts()
}

// tryProducts makes a product of each kind, with factors on the host and on the device: a cuBLAS that has none for this GPU shows here, and one that prepares itself at
// the first does so before it is recorded.
func (d *Device) tryProducts() error {
	room, at, err := d.numbers.take(64, nil)
	if err != nil {
		return err
	}
	clear(room)
	d.busy = true
	if err := d.numbers.send(d.stream); err != nil {
		return err
	}
	p := blas.Product{Rows: 1, Cols: 1, Inner: 1, Count: 1, A: blas.Operand{At: at + 16, Stride: 1}, B: blas.Operand{At: at + 24, Stride: 1}, C: blas.Operand{At: at + 32, Stride: 1}}
	kinds := []blas.Product{{Inputs: blas.Float32, Result: blas.Float32, Compute: blas.Compute32}, {Inputs: blas.Float64, Result: blas.Float64, Compute: blas.Compute64}}
	if d.info.Capability >= narrowCapability {
		kinds = append(kinds, blas.Product{Inputs: blas.Float32, Result: blas.Float32, Compute: blas.ComputeTF32},
			blas.Product{Inputs: blas.BFloat16, Result: blas.Float32, Compute: blas.Compute32}, blas.Product{Inputs: blas.BFloat16, Result: blas.BFloat16, Compute: blas.Compute32})
	}
	for _, k := range kinds {
		p.Inputs, p.Result, p.Compute = k.Inputs, k.Result, k.Compute
		for _, p.Numbers = range []uintptr{0, at} {
			if err := wrap("trying cuBLAS", d.blas.Gemm(&p)); err != nil {
				return err
			}
		}
	}
	return d.wait()
}

// dismantle gives back what prepare made, as far as it came; the context is current.
func (d *Device) dismantle() {
	for _, m := range []*module{d.single, d.double} {
		if m != nil {
			_ = m.handle.Unload()
		}
	}
	if d.blas != nil {
		_ = d.blas.Destroy()
	}
	if d.scratch != 0 {
		_ = cu.MemFree(d.scratch)
	}
	d.numbers.release()
	if d.stream.C() != nil {
		_ = d.stream.Destroy()
	}
}

// enter makes the calling goroutine the only one that uses the device, on a thread with the device's context, until leave is called.
func (d *Device) enter() (leave func(), err error) {
	if err := d.acquire(); err != nil {
		return nil, err
	}
	return d.release, nil
}

func (d *Device) acquire() error {
	d.mu.Lock()
	if d.lost != nil {
		defer d.mu.Unlock()
		return d.lost
	}
	runtime.LockOSThread()
	if err := cu.PushCurrentCtx(d.ctx); err != nil {
		defer d.mu.Unlock()
		runtime.UnlockOSThread()
		return d.failed(wrap("entering the context", err))
	}
	return nil
}

// release ends what acquire began. The context below ours becomes current again.
func (d *Device) release() {
	C.cuCtxPopCurrent(&d.popped)
	runtime.UnlockOSThread()
	d.mu.Unlock()
}

// failed remembers errors after which the context is of no use.
func (d *Device) failed(err error) error {
	if e, ok := err.(*Error); ok && fatal[e.Name] {
		d.lost = err
	}
	return err
}

// module is the kernels for one element type.
type module struct {
	handle  cu.Module
	numbers map[string]int // of kernels in use
	kernels []kernel
}

type kernel struct {
	name     string
	function cu.Function
}

func loadModule(element string, capability int) (*module, error) {
	image, err := kernels.Image(element, capability)
	if err != nil {
		return nil, &Error{"loading the kernels", err.Error(), "use another GPU, or the processor"}
	}
	// cuModuleLoadData takes the bytes as they are, binaries included; cu.LoadData would take them for a string with an end.
	data := C.CBytes(image)
	defer C.free(data)
	m := &module{numbers: map[string]int{}}
	if code := C.cuModuleLoadData((*C.CUmodule)(unsafe.Pointer(&m.handle)), data); code != 0 {
		return nil, failure("loading the kernels", code)
	}
	return m, nil
}

// number returns the number of a kernel.
func (m *module) number(name string) (int, error) {
	n, ok := m.numbers[name]
	if !ok {
		f, err := m.handle.Function(name)
		if err != nil {
			return 0, wrap("looking for kernel "+name, err)
		}
		n = len(m.kernels)
		m.kernels, m.numbers[name] = append(m.kernels, kernel{name, f}), n
	}
	return n, nil
}
