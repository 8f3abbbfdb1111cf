package objective

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// once evaluates by a process of its own.
func (p *Program) once(ctx context.Context, id uint64, x []float64, line []byte) (Value, error) {
	argv, file, err := p.fill(id, x)
	if err != nil {
		return Value{}, err
	}
	if file != "" {
		defer os.Remove(file)
	}
	run, cancel := ctx, context.CancelFunc(func() {})
	if p.o.Timeout > 0 {
		run, cancel = context.WithTimeout(ctx, p.o.Timeout)
	}
	defer cancel()
	cmd := exec.CommandContext(run, argv[0], argv[1:]...)
	lead(cmd)
	cmd.Env = p.o.Env
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = pipeDelay
	out, stderr := &tail{size: longestLine(p.o.Dim)}, &tail{size: stderrSize}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(line), out, p.errorOutput(stderr)
	if err := cmd.Start(); err != nil {
		return Value{}, &NotFoundError{argv[0], err}
	}
	err = cmd.Wait()
	killGroup(cmd) // what the process left behind
	switch {
	case ctx.Err() != nil:
		return Value{}, context.Cause(ctx)
	case run.Err() != nil:
		return Value{}, p.o.failure(Timeout, id, line, stderr, "no answer within %v", p.o.Timeout)
	case cmd.ProcessState != nil && !cmd.ProcessState.Success():
		return Value{}, p.o.failure(Crash, id, line, stderr, "%v", cmd.ProcessState)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return Value{}, p.o.failure(Crash, id, line, stderr, "%v", err)
	}
	return p.o.lastAnswer(out.lastLine(), id, line, stderr)
}

// lastAnswer reads the last line of the output.
func (o *Options) lastAnswer(text string, id uint64, line []byte, stderr *tail) (Value, error) {
	if text == "" {
		return Value{}, o.failure(Protocol, id, line, stderr, "the program printed nothing")
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return o.value(answer{f: f, given: true, line: text}, id, line, stderr)
	}
	a, err := parseAnswer([]byte(text))
	if err != nil {
		return Value{}, o.failure(Protocol, id, line, stderr, "the last line is neither a number nor an answer: %s", clip(text))
	}
	if a.ID != nil && *a.ID != id {
		return Value{}, o.failure(Protocol, id, line, stderr, "an answer to an evaluation that was not asked for: %s", clip(text))
	}
	return o.value(a, id, line, stderr)
}

// fill puts the values into the placeholders of the arguments. file is the name of the point file if one is asked for.
func (p *Program) fill(id uint64, x []float64) (argv []string, file string, err error) {
	pairs := []string{"{id}", strconv.FormatUint(id, 10), "{seed}", strconv.FormatUint(p.o.seed(id), 10)}
	numbers := make([]string, len(x))
	for i, v := range x {
		numbers[i] = strconv.FormatFloat(v, 'g', -1, 64)
		pairs = append(pairs, "{x"+strconv.Itoa(i)+"}", numbers[i])
	}
	pairs = append(pairs, "{x}", strings.Join(numbers, ","))
	if strings.Contains(strings.Join(p.o.Argv, "\x00"), "{file}") {
		if file, err = writePoint(numbers); err != nil {
			return nil, "", err
		}
		pairs = append(pairs, "{file}", file)
	}
	replace := strings.NewReplacer(pairs...)
	for _, a := range p.o.Argv {
		argv = append(argv, replace.Replace(a))
	}
	return argv, file, nil
}

// writePoint writes one coordinate a line into a temporary file.
func writePoint(numbers []string) (string, error) {
	f, err := os.CreateTemp("", "spdopt-point-*.txt")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(strings.Join(numbers, "\n") + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
