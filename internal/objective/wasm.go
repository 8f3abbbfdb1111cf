package objective

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// wasmEvaluator runs a WebAssembly module in a sandbox: no files, no network, no environment, a clock that stands still, limited memory. Two forms of module are
// taken.
//
// A library exports its memory and
//
//	alloc(bytes i32) i32                          room for numbers, asked for once per instance
//	evaluate(x i32, n i32) f64                    the value at the n float64 (little endian) from address x on
//	evaluate_g(x i32, n i32, g i32, m i32) f64    instead, with constraints: also writes m float64 from g on
//
// and is instantiated once for each evaluation that runs at the same time; "_initialize" is called first if there is one. Answers must depend on x only.
//
// A program (it exports "_start" and no evaluate) is instantiated for every evaluation like a one-shot command: it reads the line "eval" from its standard input, and the
// last line of its output is a number or an answer.
type wasmEvaluator struct {
	o       Options
	runtime wazero.Runtime
	module  wazero.CompiledModule
	slots   chan *wasmInstance // nil: a place for an instance that does not exist yet
	library bool
}

// wasmInstance is one instance of a library.
type wasmInstance struct {
	module   api.Module
	stderr   *tail
	evaluate api.Function
	x, g     uint32 // addresses
	buffer   []byte
}

const (
	wasmPage      = 1 << 16
	defaultMemory = 256 << 20
)

// cause is what the system said about a file, without the call and the name.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func openWasm(path string, o Options) (Evaluator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(path)
	if err != nil {
		return nil, &SourceError{"wasm", fmt.Sprintf("%s: %v", path, cause(err))}
	}
	ctx := context.Background()
	memory := o.Memory
	if memory == 0 {
		memory = defaultMemory
	}
	pages := max(1, min(memory/wasmPage, 1<<16))
	w := &wasmEvaluator{o: o}
	w.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32(pages)).WithCloseOnContextDone(true))
	if err := w.load(ctx, code); err != nil {
		w.Close()
		return nil, &SourceError{"wasm", fmt.Sprintf("%s: %v", path, err)}
	}
	jobs := max(1, o.Jobs)
	w.slots = make(chan *wasmInstance, jobs)
	for range jobs {
		w.slots <- nil
	}
	return w, nil
}

// load compiles the module and looks at what it exports.
func (w *wasmEvaluator) load(ctx context.Context, code []byte) (err error) {
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, w.runtime); err != nil {
		return err
	}
	if w.module, err = w.runtime.CompileModule(ctx, code); err != nil {
		return fmt.Errorf("not a WebAssembly module that can run here: %w", err)
	}
	exports := w.module.ExportedFunctions()
	name, parameters := w.entry()
	if exports[name] == nil {
		if exports["_start"] != nil {
			return nil
		}
		return fmt.Errorf("it exports neither %s nor _start", name)
	}
	w.library = true
	if len(w.module.ExportedMemories()) == 0 {
		return errors.New("it does not export its memory")
	}
	if err := signature(exports, name, parameters, api.ValueTypeF64); err != nil {
		return err
	}
	return signature(exports, "alloc", 1, api.ValueTypeI32)
}

// entry is the function that a library must export, and the number of its parameters.
func (w *wasmEvaluator) entry() (name string, parameters int) {
	if w.o.Constraints > 0 {
		return "evaluate_g", 4
	}
	return "evaluate", 2
}

// signature demands a function of so many i32 with one result.
func signature(exports map[string]api.FunctionDefinition, name string, parameters int, result api.ValueType) error {
	f := exports[name]
	if f == nil {
		return fmt.Errorf("it does not export %s", name)
	}
	ok := len(f.ParamTypes()) == parameters && len(f.ResultTypes()) == 1 && f.ResultTypes()[0] == result
	for _, t := range f.ParamTypes() {
		ok = ok && t == api.ValueTypeI32
	}
	if !ok {
		return fmt.Errorf("%s must take %d i32 and return one %s", name, parameters, api.ValueTypeName(result))
	}
	return nil
}

// config is the sandbox: nothing but standard input, output and error.
func (w *wasmEvaluator) config(in io.Reader, out io.Writer, stderr *tail) wazero.ModuleConfig {
	return wazero.NewModuleConfig().WithName("").WithStdin(in).WithStdout(out).WithStderr(stderr)
}

// Evaluate implements Evaluator.
func (w *wasmEvaluator) Evaluate(ctx context.Context, id uint64, x []float64) (Value, error) {
	if len(x) != w.o.Dim {
		panic(fmt.Sprintf("objective: point of length %d in dimension %d", len(x), w.o.Dim))
	}
	var m *wasmInstance
	select {
	case m = <-w.slots:
	case <-ctx.Done():
		return Value{}, context.Cause(ctx)
	}
	run, cancel := ctx, context.CancelFunc(func() {})
	if w.o.Timeout > 0 {
		run, cancel = context.WithTimeout(ctx, w.o.Timeout)
	}
	defer cancel()
	if !w.library {
		v, err := w.once(ctx, run, id, x)
		w.slots <- nil
		return v, err
	}
	m, v, err := w.call(ctx, run, m, id, x)
	w.slots <- m
	return v, err
}

// call evaluates in an instance, which it makes if there is none, and returns the instance if that is still good.
func (w *wasmEvaluator) call(ctx, run context.Context, m *wasmInstance, id uint64, x []float64) (*wasmInstance, Value, error) {
	stderr := &tail{size: stderrSize}
	if m == nil {
		var err error
		if m, err = w.instantiate(run, stderr); err != nil {
			return nil, Value{}, w.trapped(ctx, run, err, id, x, stderr)
		}
	}
	for i, v := range x {
		binary.LittleEndian.PutUint64(m.buffer[8*i:], math.Float64bits(v))
	}
	memory := m.module.Memory()
	if !memory.Write(m.x, m.buffer[:8*len(x)]) {
		m.module.Close(context.Background())
		return nil, Value{}, w.o.failure(Crash, id, w.o.evalLine(id, x), m.stderr, "alloc returned the address %d, beyond the memory", m.x)
	}
	arguments := []uint64{uint64(m.x), uint64(len(x)), uint64(m.g), uint64(w.o.Constraints)}
	_, parameters := w.entry()
	out, err := m.evaluate.Call(run, arguments[:parameters]...)
	if err != nil {
		m.module.Close(context.Background())
		return nil, Value{}, w.trapped(ctx, run, err, id, x, m.stderr)
	}
	a := answer{f: math.Float64frombits(out[0]), given: true}
	for i := range w.o.Constraints {
		g, _ := memory.ReadFloat64Le(m.g + uint32(8*i))
		a.g = append(a.g, g)
	}
	v, err := w.o.judge(a, id, x, m.stderr)
	return m, v, err
}

// instantiate makes an instance and lets it set aside room for the point and the constraint values.
func (w *wasmEvaluator) instantiate(ctx context.Context, stderr *tail) (*wasmInstance, error) {
	config := w.config(bytes.NewReader(nil), io.Discard, stderr).WithStartFunctions("_initialize")
	module, err := w.runtime.InstantiateModule(ctx, w.module, config)
	if err != nil {
		return nil, err
	}
	name, _ := w.entry()
	m := &wasmInstance{module: module, stderr: stderr, evaluate: module.ExportedFunction(name), buffer: make([]byte, 8*w.o.Dim)}
	out, err := module.ExportedFunction("alloc").Call(ctx, uint64(8*(w.o.Dim+w.o.Constraints)))
	if err != nil {
		module.Close(context.Background())
		return nil, err
	}
	m.x = uint32(out[0])
	m.g = m.x + uint32(8*w.o.Dim)
	if end := uint64(m.x) + uint64(8*(w.o.Dim+w.o.Constraints)); m.x == 0 || end > uint64(module.Memory().Size()) {
		module.Close(context.Background())
		return nil, fmt.Errorf("alloc of %d bytes returned the address %d", 8*(w.o.Dim+w.o.Constraints), m.x)
	}
	return m, nil
}

// once evaluates by an instance of its own of a program.
func (w *wasmEvaluator) once(ctx, run context.Context, id uint64, x []float64) (Value, error) {
	line := w.o.evalLine(id, x)
	out, stderr := &tail{size: longestLine(w.o.Dim)}, &tail{size: stderrSize}
	module, err := w.runtime.InstantiateModule(run, w.module, w.config(bytes.NewReader(line), out, stderr))
	if module != nil {
		defer module.Close(context.Background())
	}
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 0 {
		err = nil
	}
	if err != nil {
		return Value{}, w.trapped(ctx, run, err, id, x, stderr)
	}
	return w.o.lastAnswer(out.lastLine(), id, line, stderr)
}

// trapped says why a module did not come to an answer.
func (w *wasmEvaluator) trapped(ctx, run context.Context, err error, id uint64, x []float64, stderr *tail) error {
	line := w.o.evalLine(id, x)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case run.Err() != nil:
		return w.o.failure(Timeout, id, line, stderr, "no answer within %v", w.o.Timeout)
	}
	what, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return w.o.failure(Crash, id, line, stderr, "the module stopped: %s", what)
}

// Close implements Evaluator.
func (w *wasmEvaluator) Close() { w.runtime.Close(context.Background()) }
