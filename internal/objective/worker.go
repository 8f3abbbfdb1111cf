package objective

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"time"
)

// Times that a worker has for ending by itself once it was told to stop, and that its pipes stay open once it ended.
const (
	politeAfter = 2 * time.Second
	killAfter   = 5 * time.Second
	pipeDelay   = time.Second
)

// longestLine bounds a line from a program that is given so many variables: it may hold a derivative in each, of 25 characters at most and what stands
// between them.
func longestLine(dim int) int { return 1<<20 + 32*dim }

// worker is a running process. Its fields belong to the goroutine that holds it.
type worker struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *os.File
	lines   chan []byte   // closed at the end of the output
	quit    chan struct{} // closed when nobody reads lines any more
	exited  chan struct{} // closed when the process ended and its group was killed
	status  string        // how it ended, valid after exited
	stderr  *tail
	answers uint64 // identifier of the last answer, 0 before the first
}

func (p *Program) start() (*worker, error) {
	w := &worker{
		cmd: exec.Command(p.o.Argv[0], p.o.Argv[1:]...), stderr: &tail{size: stderrSize},
		lines: make(chan []byte, 16), quit: make(chan struct{}), exited: make(chan struct{}),
	}
	lead(w.cmd)
	w.cmd.Env = p.o.Env
	w.cmd.WaitDelay = pipeDelay
	w.cmd.Stderr = p.errorOutput(w.stderr)
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	w.in, w.out, w.cmd.Stdout = in, out, theirs
	err = w.cmd.Start()
	theirs.Close()
	if err != nil {
		out.Close()
		return nil, &NotFoundError{p.o.Argv[0], err}
	}
	go w.read(longestLine(p.o.Dim))
	go w.wait()
	return w, nil
}

// read passes the lines of the output on, a longer one in parts.
func (w *worker) read(longest int) {
	defer close(w.lines)
	r := bufio.NewReaderSize(w.out, 4096)
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == bufio.ErrBufferFull && len(line) < longest {
			continue
		}
		if len(line) > 0 {
			select {
			case w.lines <- line:
			case <-w.quit:
				return
			}
			line = nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (w *worker) wait() {
	err := w.cmd.Wait()
	killGroup(w.cmd) // what the process left behind
	w.status = "exit status 0"
	if err != nil {
		w.status = err.Error()
	}
	close(w.exited)
}

// kill ends the process and everything it started.
func (w *worker) kill() {
	killGroup(w.cmd)
	<-w.exited
	w.release()
}

// stop asks the process to end, and ends it if it does not.
func (w *worker) stop() {
	go func() { // a process that does not read must not hold this up
		w.in.Write([]byte("{\"type\":\"stop\"}\n"))
		w.in.Close()
	}()
	go func() {
		for range w.lines { // what it still has to say
		}
	}()
	kill := time.NewTimer(killAfter)
	defer kill.Stop()
	select {
	case <-w.exited:
	case <-time.After(politeAfter):
		terminateGroup(w.cmd)
		select {
		case <-w.exited:
		case <-kill.C:
			killGroup(w.cmd)
			<-w.exited
		}
	}
	w.release()
}

func (w *worker) release() {
	close(w.quit)
	w.in.Close()
	w.out.Close()
}

// ask lets a worker, which it starts if there is none, evaluate. It returns the worker if that goes on.
func (p *Program) ask(ctx context.Context, w *worker, id uint64, line []byte) (*worker, Value, error) {
	var late <-chan time.Time
	if p.o.Timeout > 0 {
		timer := time.NewTimer(p.o.Timeout)
		defer timer.Stop()
		late = timer.C
	}
	send := line
	if w == nil {
		var err error
		if w, err = p.start(); err != nil {
			return nil, Value{}, err
		}
		send = append(p.hello(), line...)
	}
	go w.in.Write(send) // a write can block when the process does not read; its end unblocks it, and what is wrong shows in the answer
	for {
		select {
		case <-ctx.Done():
			w.kill()
			return nil, Value{}, context.Cause(ctx)
		case <-late:
			w.kill()
			return nil, Value{}, p.o.failure(Timeout, id, line, w.stderr, "no answer within %v", p.o.Timeout)
		case text, ok := <-w.lines:
			if !ok {
				return nil, Value{}, p.crashed(w, id, line)
			}
			a, ready, wrong := w.understand(text, id)
			if wrong != "" {
				w.kill()
				return nil, Value{}, p.o.failure(Protocol, id, line, w.stderr, "%s: %s", wrong, clip(lastLine(string(text))))
			}
			if ready {
				continue
			}
			w.answers = id
			v, err := p.o.value(a, id, line, w.stderr)
			return w, v, err
		}
	}
}

// crashed cleans up after a worker whose output ended.
func (p *Program) crashed(w *worker, id uint64, line []byte) error {
	select {
	case <-w.exited:
	case <-time.After(pipeDelay):
		killGroup(w.cmd)
		<-w.exited
	}
	w.release()
	return p.o.failure(Crash, id, line, w.stderr, "%s before an answer", w.status)
}

// understand reads a line that should answer evaluation id; wrong says what is wrong with it.
func (w *worker) understand(text []byte, id uint64) (a answer, ready bool, wrong string) {
	a, err := parseAnswer(text)
	switch {
	case err != nil:
		return a, false, "the answer can't be read (" + err.Error() + ")"
	case a.Type == "ready":
		return a, true, ""
	case a.ID == nil:
		return a, false, "the answer has no id"
	case *a.ID != id && *a.ID == w.answers:
		return a, false, "a second answer to the same evaluation"
	case *a.ID != id:
		return a, false, "an answer to an evaluation that was not asked for"
	}
	return a, false, ""
}
