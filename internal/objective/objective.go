// Package objective evaluates functions that are not compiled into this program: other programs (cmd), WebAssembly modules in a sandbox (wasm) and
// one-line expressions (expr). The registry lists these forms; each is one file.
//
// Other programs speak JSON lines, version 1 of the protocol:
//
//	to the program    {"spdopt":1,"type":"hello","dim":2,"seed":7,"lower":[..],"upper":[..]}
//	from the program  {"type":"ready"}                      optional
//	to the program    {"type":"eval","id":41,"x":[..],"seed":981,"deadline_s":30}
//	from the program  {"id":41,"f":3.25}                    or "f":null, "f":NaN, "status":"failed","error":"..", "g":[..], "gradient":[..]
//	to the program    {"type":"stop"}                       then its input closes; SIGTERM after 2 s, SIGKILL after 5 s
//
// Workers live as long as the Program. In the one-shot form every evaluation starts the command anew: its input is the line "eval", the placeholders {x},
// {x0}, {x1}, .., {file}, {seed} and {id} of its arguments are filled in, and the last line of its output that is not empty is a number or an answer as
// above. Every process leads a process group of its own, so that nothing it started outlives it.
package objective

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Options says what every form of objective needs to know, and how a program is run. Dim must be given.
type Options struct {
	Argv         []string // cmd: program and arguments; Split makes them from a line, Shell from a line for the shell
	Dim          int      // number of variables
	Constraints  int      // number of values g in an answer
	Seed         uint64
	Lower, Upper []float64     // told to workers; nil means none
	Env          []string      // cmd: environment of the processes, from Environment; nil is what Environment returns if nothing is asked for
	PerEval      bool          // cmd: start the command for every evaluation
	Jobs         int           // evaluations at once; 0 means 1
	Timeout      time.Duration // of one evaluation; 0 means none; expr takes none
	Retries      int           // cmd: how often an evaluation whose process crashed is tried again
	Memory       int           // wasm: bytes that an instance may hold; 0 means 256 MiB
	Stderr       io.Writer     // cmd: gets the error output of the processes, from several goroutines; nil drops all but its end
}

// Evaluator computes values. Evaluate may be called from several goroutines; its error is an *Error, a *NotFoundError, or the cause of ctx. After Close,
// which must wait until no evaluation is under way, an Evaluator is of no more use.
type Evaluator interface {
	Evaluate(ctx context.Context, id uint64, x []float64) (Value, error)
	Close()
}

// SourceError says that what should be an objective is none: a file that can't be read, a module without the right functions, an expression with a mistake.
type SourceError struct{ Form, What string }

// Error implements error.
func (e *SourceError) Error() string { return e.What }

// Validate reports the first thing that does not fit.
func (o *Options) Validate() error {
	switch {
	case o.Dim < 1:
		return fmt.Errorf("objective: dimension %d, want 1 or more", o.Dim)
	case o.Constraints < 0 || o.Jobs < 0 || o.Retries < 0 || o.Timeout < 0 || o.Memory < 0:
		return errors.New("objective: constraints, jobs, retries, timeout and memory must not be negative")
	case o.Lower != nil && len(o.Lower) != o.Dim || o.Upper != nil && len(o.Upper) != o.Dim:
		return fmt.Errorf("objective: %d lower and %d upper bounds for %d variables", len(o.Lower), len(o.Upper), o.Dim)
	}
	if o.PerEval {
		return o.checkPlaceholders()
	}
	return nil
}

var numbered = regexp.MustCompile(`(?:^|[^$])(\{x([0-9]+)\})`) // ${x7} is a variable of the shell

// checkPlaceholders refuses {x7} where there are 7 variables or fewer.
func (o *Options) checkPlaceholders() error {
	for _, arg := range o.Argv {
		for _, found := range numbered.FindAllStringSubmatch(arg, -1) {
			if i, err := strconv.Atoi(found[2]); err != nil || i >= o.Dim {
				return &SourceError{"cmd", fmt.Sprintf("the command has %s, but the variables are {x0} to {x%d}", found[1], o.Dim-1)}
			}
		}
	}
	return nil
}

// Value is what an evaluation found. F is a number or +Inf.
type Value struct {
	F        float64
	G        []float64
	Gradient []float64 // derivatives of F in the variables, nil if the answer has none
}

// Kind says how an evaluation failed.
type Kind string

// The kinds of failure.
const (
	NoValue  Kind = "no value"       // the program says so, or answered NaN
	Timeout  Kind = "timeout"        // no answer in time; the process group was killed
	Crash    Kind = "crash"          // the process ended instead of answering
	Protocol Kind = "protocol error" // the answer can't be understood, or is -Inf
)

// Error is a failed evaluation. Its text has a line for the failure, one for the command and one that repeats the evaluation by hand; without a command,
// one that holds the point.
type Error struct {
	Kind   Kind
	ID     uint64
	What   string
	Stderr string   // last line of the program's error output
	Argv   []string // of the command, if there is one
	Line   string   // the line "eval" that the program was sent
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("objective failed on evaluation %d (%s)", e.ID, e.What)
	if len(e.Argv) == 0 {
		if e.Stderr != "" {
			text += "\n  stderr: " + e.Stderr
		}
		if e.Line != "" {
			text += "\n  it was given: " + e.Line
		}
		return text
	}
	text += "\n  command: " + quote(e.Argv)
	if e.Stderr != "" {
		text += "      stderr: " + e.Stderr
	}
	if e.Line == "" {
		return text
	}
	return text + "\n  run it by hand:  echo " + quoteWord(e.Line) + " | " + quote(e.Argv)
}

// Fatal says that going on makes no sense: the program does not keep to the protocol.
func (e *Error) Fatal() bool { return e.Kind == Protocol }

// NotFoundError says that the command can't be started at all.
type NotFoundError struct {
	Command string
	Err     error
}

// Error implements error.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("objective: cannot start %q: %v", e.Command, e.Err)
}

// Unwrap returns the cause.
func (e *NotFoundError) Unwrap() error { return e.Err }

// Program evaluates by a command. Evaluate may be called from several goroutines.
type Program struct {
	o     Options
	slots chan *worker // nil: a place for a worker that does not run
}

// New checks the options and that the command exists. Workers start with the first evaluations.
func New(o Options) (*Program, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(o.Argv) == 0 || o.Argv[0] == "" {
		return nil, errors.New("objective: no command")
	}
	if err := supported(); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(o.Argv[0]); err != nil {
		return nil, &NotFoundError{o.Argv[0], err}
	}
	if o.Env == nil {
		var err error
		if o.Env, err = Environment(nil); err != nil {
			return nil, err
		}
	}
	jobs := max(1, o.Jobs)
	p := &Program{o: o, slots: make(chan *worker, jobs)}
	for range jobs {
		p.slots <- nil
	}
	return p, nil
}

// Evaluate returns the value at x. The error is an *Error, a *NotFoundError, or the cause of ctx, which also kills the process that was at it.
func (p *Program) Evaluate(ctx context.Context, id uint64, x []float64) (Value, error) {
	if len(x) != p.o.Dim {
		panic(fmt.Sprintf("objective: point of length %d in dimension %d", len(x), p.o.Dim))
	}
	var w *worker
	select {
	case w = <-p.slots:
	case <-ctx.Done():
		return Value{}, context.Cause(ctx)
	}
	line := p.o.evalLine(id, x)
	var v Value
	var err error
	for range 1 + p.o.Retries {
		if p.o.PerEval {
			v, err = p.once(ctx, id, x, line)
		} else {
			w, v, err = p.ask(ctx, w, id, line)
		}
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != Crash {
			break
		}
	}
	p.slots <- w
	return v, err
}

// Close stops the workers, which takes up to five seconds if they do not react. No evaluation may be under way.
func (p *Program) Close() {
	ended := make(chan struct{})
	jobs := cap(p.slots)
	for range jobs {
		w := <-p.slots
		go func() {
			if w != nil {
				w.stop()
			}
			ended <- struct{}{}
		}()
	}
	for range jobs {
		<-ended
	}
	for range jobs {
		p.slots <- nil
	}
}

// failure makes the error of an evaluation.
func (o *Options) failure(kind Kind, id uint64, line []byte, stderr *tail, format string, args ...any) *Error {
	return &Error{
		Kind: kind, ID: id, What: fmt.Sprintf(format, args...), Stderr: stderr.lastLine(), Argv: o.Argv, Line: strings.TrimSuffix(string(line), "\n"),
	}
}

// value judges an answer that was understood.
func (o *Options) value(a answer, id uint64, line []byte, stderr *tail) (Value, error) {
	switch {
	case a.Status == "failed":
		what := "the program says that it failed"
		if a.Error != "" {
			what += ": " + a.Error
		}
		return Value{}, o.failure(NoValue, id, line, stderr, "%s", what)
	case !a.given:
		return Value{}, o.failure(Protocol, id, line, stderr, "the answer has no f: %s", clip(a.line))
	case math.IsNaN(a.f):
		return Value{}, o.failure(NoValue, id, line, stderr, "the value is NaN")
	case math.IsInf(a.f, -1):
		return Value{}, o.failure(Protocol, id, line, stderr, "the value is -Infinity, below which there is nothing to find")
	case len(a.g) != o.Constraints:
		return Value{}, o.failure(Protocol, id, line, stderr, "%d constraint values, want %d: %s", len(a.g), o.Constraints, clip(a.line))
	}
	if n := len(a.gradient); n > 0 && n != o.Dim {
		return Value{}, o.failure(Protocol, id, line, stderr, "a gradient of %d numbers, want %d: %s", n, o.Dim, clip(a.line))
	}
	for _, g := range a.g {
		if math.IsNaN(g) {
			return Value{}, o.failure(NoValue, id, line, stderr, "a constraint value is NaN")
		}
	}
	return Value{F: a.f, G: a.g, Gradient: a.gradient}, nil
}

// errorOutput is where a process writes its errors: the end stays for messages.
func (p *Program) errorOutput(last *tail) io.Writer {
	if p.o.Stderr == nil {
		return last
	}
	return io.MultiWriter(last, p.o.Stderr)
}

// judge is value for answers to no line; the point is written down only when the evaluation failed.
func (o *Options) judge(a answer, id uint64, x []float64, stderr *tail) (Value, error) {
	v, err := o.value(a, id, nil, stderr)
	var failed *Error
	if errors.As(err, &failed) {
		failed.Line = strings.TrimSuffix(string(o.evalLine(id, x)), "\n")
	}
	return v, err
}
