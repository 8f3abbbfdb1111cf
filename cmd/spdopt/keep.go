package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// keepFlags are the flags of commands that keep a run.
type keepFlags struct {
	flag    string // that names the directory
	dir     string
	every   time.Duration
	durable bool
}

func (f *keepFlags) register(cmd *cobra.Command, flag, usage string) {
	f.flag = flag
	cmd.Flags().StringVar(&f.dir, flag, "", usage)
	cmd.Flags().DurationVar(&f.every, "checkpoint-every", 10*time.Second, "time between two states of a run that is kept; results are kept at once")
	cmd.Flags().BoolVar(&f.durable, "durable", false, "force every result of a run that is kept to the disk at once, against a loss of power")
}

// The words that name no directory but a choice.
const (
	keepAuto = "auto" // a directory of its own below --runs
	keepNone = "none"
)

// resumption says that a command goes on with a run.
type resumption struct {
	dir   string
	force bool
}

// keeper keeps what a command computes in a run. A nil keeper keeps nothing; all methods take it.
type keeper struct {
	run    *run.Run
	every  time.Duration
	began  time.Time
	before float64 // seconds that earlier processes used
	saved  time.Time
	over   bool // the result is written
	text   *slog.Logger
}

// asideFromProblem are settings that may change without changing the result, by their first names.
var asideFromProblem = []string{"jobs", "timeout", "retries", "checkpoint-every", "durable", "out", "run", "parts",
	"distributed", "nats", "token-file", "nats-user", "nats-creds", "nats-nkey", "tls-ca", "tls-cert", "tls-key", "listen", "ack-wait", "max-deliver", "replicas", "queue-sync"}

// fileSettings are the settings whose values name files that the result depends on.
var fileSettings = []string{"cmd", "wasm", "data", "weights", "labels", "start"}

// keep opens the run that the command goes on with, or creates one; nil if none is asked for. name says in a word or two what is computed, auto that a run is kept
// unless the user says none.
func (a *app) keep(cmd *cobra.Command, args []string, f *keepFlags, name string, seed uint64, auto bool) (*keeper, error) {
	if f.every < 0 {
		return nil, usagef("--checkpoint-every must not be negative")
	}
	stored := slices.DeleteFunc(a.settings(cmd), func(s run.Setting) bool { return s.Name == f.flag || slices.Contains(presentation, s.Name) })
	dir := f.dir
	switch {
	case a.resume != nil:
		dir = a.resume.dir
	case dir == "" && auto, dir == keepAuto:
		dir = run.DefaultDir(a.runs, name, run.NewID(), time.Now())
	case dir == "" || dir == keepNone:
		return nil, nil
	}
	verb := verbOf(cmd)
	problem, err := problemHash(verb, args, stored)
	if err != nil {
		return nil, err
	}
	k := &keeper{every: f.every, began: time.Now(), saved: time.Now()}
	o := run.Options{Durable: f.durable}
	if a.resume != nil {
		return k, k.open(a, dir, problem, o)
	}
	v := currentVersion()
	m := run.Manifest{Verb: verb, Name: name, Version: v.build(), Argv: os.Args, Args: args, Settings: stored, Seed: seed, Problem: problem, Host: run.ThisHost()}
	m.Host.CPU, m.Host.Kernels = v.CPUFeatures, v.DensePath
	if m.Folder, err = os.Getwd(); err != nil {
		return nil, err
	}
	if k.run, err = run.Create(dir, m, o); err != nil {
		return nil, err
	}
	k.begin("begun")
	return k, nil
}

// begin opens the log for messages.
func (k *keeper) begin(what string) {
	k.text = slog.New(slog.NewTextHandler(k.run.Log(), nil))
	k.text.Info(what, "pid", os.Getpid(), "version", currentVersion().build())
}

// shortName makes a name out of a command: the last parts of its first two words that are no flags.
func shortName(command string) string {
	words := slices.DeleteFunc(strings.Fields(command), func(w string) bool { return strings.HasPrefix(w, "-") })
	for i, w := range words {
		words[i] = filepath.Base(w)
	}
	return strings.Join(words[:min(2, len(words))], "-")
}

// open goes on with a run whose problem must be the one given.
func (k *keeper) open(a *app, dir, problem string, o run.Options) (err error) {
	if k.run, err = run.Open(dir, o); err != nil {
		return err
	}
	m := k.run.Manifest()
	if m.Problem != problem {
		if !a.resume.force {
			k.run.Close()
			return &changedError{dir, m.Folder}
		}
		a.note("%s: the problem is not the one that the run began with; going on by --force", dir)
	}
	if v := currentVersion().build(); m.Version != v {
		a.note("%s: begun by spdopt %s, this is %s: the last bits may differ", dir, m.Version, v)
	}
	if s := k.run.State(); s != nil {
		k.before = s.Seconds
	}
	k.begin("resumed")
	return nil
}

// problemHash is the hash over all that decides what is computed: command, settings, and the contents of the files that they name.
func problemHash(verb string, args []string, stored []run.Setting) (string, error) {
	var values [][2]string
	var files []string
	for _, s := range stored {
		name := firstName(verb, s.Name)
		if s.Origin == run.FromDefault || slices.Contains(asideFromProblem, name) {
			continue
		}
		values = append(values, [2]string{name, s.Value})
		if slices.Contains(fileSettings, s.Name) {
			files = append(files, filesIn(s)...)
		}
	}
	if verb == "solve" {
		files = append(files, args[min(1, len(args)):]...)
	}
	contents, err := run.HashFiles(files...)
	if err != nil {
		return "", err
	}
	return run.Hash(verb, args, values, contents)
}

// filesIn returns the words of a setting that are names of files.
func filesIn(s run.Setting) (files []string) {
	var words []string
	err := json.Unmarshal([]byte(s.Value), &words)
	if !s.List {
		words, err = objective.Split(s.Value)
	}
	if err != nil {
		words = strings.Fields(s.Value)
	}
	for _, w := range words {
		if _, err := os.Stat(w); err == nil {
			files = append(files, w)
		}
	}
	return files
}

// changedError says that a run can't go on because what it computes has changed.
type changedError struct{ dir, folder string }

// Error says what to do.
func (e *changedError) Error() string {
	return fmt.Sprintf("%s: the settings, or the program or data that they name, are not those that the run began with (in %s); bring them back, or go on all the same with --force",
		e.dir, e.folder)
}

// dir returns the directory, "" if nothing is kept.
func (k *keeper) dir() string {
	if k == nil {
		return ""
	}
	return k.run.Dir()
}

// log is where the error output of programs goes.
func (k *keeper) log() io.Writer {
	if k == nil {
		return io.Discard
	}
	return k.run.Log()
}

// lateWriter is a writer that is known only after it was handed out, but before it is written to.
type lateWriter struct{ to io.Writer }

// Write implements io.Writer. What a log can't take is lost without harm.
func (w *lateWriter) Write(p []byte) (int, error) {
	_, _ = w.to.Write(p)
	return len(p), nil
}

// spent is the time that earlier processes used on the run.
func (k *keeper) spent() time.Duration {
	if k == nil {
		return 0
	}
	return time.Duration(k.before * float64(time.Second))
}

// seconds is the time that the run has used, over all processes.
func (k *keeper) seconds() float64 { return k.before + time.Since(k.began).Seconds() }

// state returns the data of the state to go on from, nil if there is none.
func (k *keeper) state(kind string) ([]byte, error) {
	if k == nil || k.run.State() == nil {
		return nil, nil
	}
	s := k.run.State()
	if s.Kind != kind {
		return nil, &run.NotRunError{Name: k.run.Dir(), What: fmt.Sprintf("its state is one of %q, not of %q", s.Kind, kind)}
	}
	return s.Data, nil
}

// due says whether it is time for a state.
func (k *keeper) due() bool { return k != nil && time.Since(k.saved) >= k.every }

// checkpoint stores a state.
func (k *keeper) checkpoint(kind string, next uint64, data []byte) error {
	k.saved = time.Now()
	return k.run.Checkpoint(run.State{Kind: kind, Seconds: k.seconds(), Next: next, Data: data})
}

// event adds a line to the journal.
func (k *keeper) event(kind string, fields any) error {
	if k == nil {
		return nil
	}
	return k.run.Event(kind, fields)
}

// finish stores the result.
func (k *keeper) finish(reason string, converged bool, value any) error {
	if k == nil {
		return nil
	}
	k.over = true
	k.text.Info("finished", "reason", reason)
	return k.run.Finish(run.Result{Status: string(run.Finished), Reason: reason, Converged: converged, Seconds: k.seconds()}, value)
}

// end closes the run, and adds to an error how to go on. A run that failed before it came to anything leaves no directory. It is for defer.
func (k *keeper) end(ctx context.Context, err *error) {
	if k == nil || k.run == nil {
		return
	}
	if *err != nil {
		k.text.Error("ended", "error", (*err).Error())
	}
	if *err == nil || k.over {
		*err = errors.Join(*err, k.run.Close())
		return
	}
	if ctx.Err() == nil {
		if gone, failed := k.run.Discard(); gone || failed != nil {
			return
		}
	} else if failed := errors.Join(k.run.Sync(), k.run.Close()); failed != nil {
		*err = errors.Join(*err, failed)
	}
	if unusable := (*run.NotRunError)(nil); errors.As(*err, &unusable) { // it would end in the same way
		return
	}
	*err = haltedf(*err, "%s; go on with: spdopt runs resume %s", strings.TrimSuffix((*err).Error(), nothingWritten), k.run.Dir())
}
