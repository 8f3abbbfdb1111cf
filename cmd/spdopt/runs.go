package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/run"
)

func (a *app) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runs WHAT",
		Short: "List, show, resume, compare, export and delete runs",
		Long:  `Work with the directories that runs are kept in. A run is named by its directory, or by the name of a directory in --runs or the end of that name, such as its id.`,
		Example: `  spdopt runs list
  spdopt runs show 7f3a0c21
  spdopt runs resume runs/20261123-es-rastrigin-7f3a0c21`,
		Args: oneVerb("command"),
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.runsListCommand(), a.runsShowCommand(), a.runsResumeCommand(), a.runsCompareCommand(), a.runsExportCommand(), a.runsRemoveCommand())
	return cmd
}

// runDir finds the directory of a run: a path as it is, a plain name in --runs.
func (a *app) runDir(name string) (string, error) {
	if strings.ContainsRune(name, '/') || strings.ContainsRune(name, filepath.Separator) || name == "." || name == ".." {
		return filepath.Clean(name), nil
	}
	dir, err := run.Resolve(a.runs, name)
	if err == nil {
		return dir, nil
	}
	for _, dir := range []string{filepath.Join(a.runs, name), name} {
		if _, here := run.ReadManifest(dir); here == nil {
			return dir, nil
		}
	}
	return "", err
}

// inspect looks at the run of that name.
func (a *app) inspect(name string) (*run.Info, error) {
	dir, err := a.runDir(name)
	if err != nil {
		return nil, err
	}
	return run.Inspect(dir)
}

// runEntry is one run in the JSON of "runs list" and "runs show".
type runEntry struct {
	Run       string      `json:"run"`
	ID        string      `json:"id"`
	Verb      string      `json:"verb"`
	Name      string      `json:"name"`
	Status    run.Status  `json:"status"`
	By        *run.Holder `json:"by,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	Converged *bool       `json:"converged,omitempty"`
	Seconds   *num        `json:"seconds,omitempty"`
	Seed      uint64      `json:"seed"`
	Created   time.Time   `json:"created"`
}

func newRunEntry(i *run.Info) runEntry {
	m := &i.Manifest
	e := runEntry{Run: i.Dir, ID: m.ID, Verb: m.Verb, Name: m.Name, Status: i.Status, Seed: m.Seed, Created: m.Created}
	if i.Status == run.Running {
		e.By = &i.By
	}
	if r := i.Result; r != nil {
		seconds := num(r.Seconds)
		e.Reason, e.Converged, e.Seconds = r.Reason, &r.Converged, &seconds
	}
	return e
}

// runsListOutput is the JSON object of "runs list".
type runsListOutput struct {
	Schema int        `json:"schema"`
	Folder string     `json:"folder"`
	Runs   []runEntry `json:"runs"`
}

func (a *app) runsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the runs in a folder, the oldest first",
		Example: "  spdopt runs list --json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			all, failed := run.List(a.runs)
			if all == nil && failed != nil {
				return failed
			}
			o := runsListOutput{Schema: schema, Folder: a.runs, Runs: []runEntry{}}
			for _, i := range all {
				o.Runs = append(o.Runs, newRunEntry(i))
			}
			if a.json {
				return errors.Join(a.printJSON(o), failed)
			}
			var lines [][2]string
			for _, e := range o.Runs {
				lines = append(lines, [2]string{filepath.Base(e.Run), fmt.Sprintf("%s  %s  %s", e.Created.Local().Format(time.DateTime), e.Status, e.Reason)})
			}
			a.pairs(lines...)
			if len(lines) == 0 {
				a.note("there are no runs in %s", a.runs)
			}
			return failed
		},
	}
}

// runsShowOutput is the JSON object of "runs show".
type runsShowOutput struct {
	Schema int `json:"schema"`
	runEntry
	Argv        []string      `json:"argv"`
	Args        []string      `json:"args"`
	Settings    []run.Setting `json:"settings"`
	Version     string        `json:"version"`
	Folder      string        `json:"folder"`
	Problem     string        `json:"problem"`
	Host        run.Host      `json:"host"`
	Events      int           `json:"events"`
	Evaluations int           `json:"evaluations"` // in the journal
	Failures    int           `json:"failures"`
	BestF       *num          `json:"best_f,omitempty"`
	Result      any           `json:"result,omitempty"`
}

func (a *app) runsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show RUN",
		Short:   "Show settings, progress and result of a run",
		Example: "  spdopt runs show 7f3a0c21 --json",
		Args:    oneRun,
		RunE: func(_ *cobra.Command, args []string) error {
			i, err := a.inspect(args[0])
			if err != nil {
				return err
			}
			return a.showRun(i)
		},
	}
}

func (a *app) showRun(i *run.Info) error {
	m := &i.Manifest
	o := runsShowOutput{Schema: schema, runEntry: newRunEntry(i), Argv: m.Argv, Args: m.Args, Settings: m.Settings, Version: m.Version, Folder: m.Folder,
		Problem: m.Problem, Host: m.Host}
	for e, err := range run.Events(i.Dir) {
		if err != nil {
			return err
		}
		o.Events++
		if e.Kind != "tell" {
			continue
		}
		o.Evaluations++
		if e.Status != "" {
			o.Failures++
		} else if f := num(e.F); o.BestF == nil || f < *o.BestF {
			o.BestF = &f
		}
	}
	if i.Result != nil {
		o.Result = i.Result.Value
	}
	if a.json {
		return a.printJSON(o)
	}
	lines := [][2]string{
		{"run", i.Dir},
		{"command", m.Verb + " " + strings.Join(m.Args, " ")},
		{"status", statusText(i)},
		{"started", fmt.Sprintf("%s on %s by spdopt %s", m.Created.Local().Format(time.DateTime), m.Host.Name, m.Version)},
		{"journal", fmt.Sprintf("%d events, %d evaluations, %d failed", o.Events, o.Evaluations, o.Failures)},
	}
	if o.BestF != nil {
		lines = append(lines, [2]string{"lowest value", fmt.Sprintf("%.10g", float64(*o.BestF))})
	}
	for _, s := range m.Settings {
		if s.Origin != run.FromDefault {
			lines = append(lines, [2]string{"--" + s.Name, fmt.Sprintf("%s  (%s)", s.Value, s.Origin)})
		}
	}
	if i.Result != nil {
		for _, f := range scalars(i.Result.Value) {
			lines = append(lines, [2]string{f.name, f.text})
		}
	}
	a.pairs(lines...)
	return nil
}

// statusText says where a run stands and what can be done.
func statusText(i *run.Info) string {
	switch i.Status {
	case run.Running:
		return fmt.Sprintf("running: process %d on %s", i.By.PID, i.By.Host)
	case run.Interrupted:
		if isDialogue(&i.Manifest) {
			return "driven from outside; go on with: spdopt ask " + i.Dir
		}
		return "interrupted; go on with: spdopt runs resume " + i.Dir
	}
	return fmt.Sprintf("%s: %s", i.Status, i.Result.Reason)
}

func (a *app) runsResumeCommand() *cobra.Command {
	force, jobs := false, 0
	cmd := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run that was interrupted or killed",
		Long: `Go on with a run that was interrupted or killed, with its settings, to the result of the run that was not interrupted. Evaluations whose results had come are not made again.
It is refused when another process has the run open, when the program or data that it names have changed (--force goes on all the same), and when its journal was edited.`,
		Example: "  spdopt runs resume 7f3a0c21",
		Args:    oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("jobs") && jobs < 1 {
				return usagef("--jobs must be at least 1, not %d", jobs)
			}
			dir, err := a.runDir(args[0])
			if err != nil {
				return err
			}
			return a.resumeRun(dir, force, jobs)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "go on although the program or data have changed")
	cmd.Flags().IntVar(&jobs, "jobs", 0, "evaluations at once, instead of the run's number; the result does not depend on it")
	return cmd
}

// resumeRun runs the command that a run began with again, on the run.
func (a *app) resumeRun(dir string, force bool, jobs int) error {
	i, err := run.Inspect(dir)
	switch {
	case err != nil:
		return err
	case i.Status == run.Running:
		return &run.BusyError{Dir: dir, By: i.By}
	case i.Result != nil:
		return &run.ExistsError{Dir: dir, What: fmt.Sprintf("it is over: %s (spdopt runs show %s)", i.Result.Reason, dir)}
	}
	inner := &app{ctx: a.ctx, in: a.in, out: a.out, err: a.err, terminal: a.terminal, screen: a.screen, began: a.began, resume: &resumption{dir, force}}
	root := inner.command()
	verb, _, err := root.Find(strings.Fields(i.Manifest.Verb))
	if err != nil || verb == root {
		return &run.NotRunError{Name: dir, What: fmt.Sprintf("it is a run of %q, which this spdopt does not know", i.Manifest.Verb)}
	}
	args, err := commandLine(verb, &i.Manifest)
	if err != nil {
		return &run.NotRunError{Name: dir, What: err.Error()}
	}
	front := []string{"--log-format=" + a.logs, "--progress=" + a.progress, "--runs=" + a.runs}
	for flag, on := range map[string]bool{"--json": a.json && !a.jsonl, "--jsonl": a.jsonl, "--quiet": a.quiet, "--verbose": a.verbose} {
		if on {
			front = append(front, flag)
		}
	}
	if jobs > 0 {
		if verb.Flags().Lookup("jobs") == nil {
			return usagef("--jobs has no effect on a run of %s", i.Manifest.Verb)
		}
		args = slices.DeleteFunc(args, func(s string) bool { return strings.HasPrefix(s, "--jobs=") })
		front = append(front, "--jobs="+strconv.Itoa(jobs))
	}
	words := len(strings.Fields(i.Manifest.Verb))
	root.SetArgs(slices.Concat(args[:words], front, args[words:]))
	return root.ExecuteContext(a.ctx)
}

func (a *app) runsRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm RUN...",
		Short:   "Delete runs",
		Long:    "Delete the directories of runs with all that is in them. Runs that a process has open, and directories that hold no run, are left alone.",
		Example: "  spdopt runs rm 7f3a0c21",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("runs rm: name the runs to delete (spdopt runs list)")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			for _, name := range args {
				dir, err := a.runDir(name)
				if err != nil {
					return err
				}
				if here, err := os.Getwd(); err == nil && within(here, dir) {
					return usagef("%s is the working directory, or above it; go elsewhere first", dir)
				}
				if err := run.Remove(dir); err != nil {
					return err
				}
				a.note("deleted %s", dir)
			}
			return nil
		},
	}
}

// within says whether folder is dir or below it.
func within(folder, dir string) bool {
	full, err := filepath.Abs(dir)
	if err != nil {
		return true
	}
	rel, err := filepath.Rel(full, folder)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
