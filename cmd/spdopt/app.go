package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/run"
)

// app is one invocation: where it reads and writes, and the global flags.
type app struct {
	ctx      context.Context
	in       io.Reader
	out, err io.Writer
	terminal bool // err is a terminal
	screen   bool // out is a terminal

	json, jsonl, quiet bool
	verbose            bool
	progress, logs     string
	began              time.Time
	line               *progressLine // that may be on the terminal, or nil
	runs               string        // folder of the runs
	version            bool          // --version
	settingFlags
	origins map[string]run.Origin                                    // of the flags that are not at their default
	former  map[string]string                                        // old names of flags that were given, to new
	choices map[*cobra.Command]func(args []string) map[string]choice // of commands that choose defaults by their arguments
	resume  *resumption                                              // nil for a new run
}

// run executes the command line and returns the exit code.
func (a *app) run(args []string) int {
	out := &stickyWriter{w: a.out}
	a.out, a.began = out, time.Now()
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(a.ctx)
	if err == errDryRun {
		err = nil
	}
	if out.err != nil && (err == nil || errors.Is(err, out.err)) {
		err = &reworded{out.err, "standard output: cannot write: " + systemText(out.err)}
	}
	code := exitDone
	if err != nil {
		a.log("error", err.Error())
		code = exitCode(err)
	}
	a.debug("exit code %d", code)
	return code
}

// stickyWriter remembers the first error, so that a full disk or a closed pipe is not taken for success.
type stickyWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (s *stickyWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// note tells the user something that is no result.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		a.log("info", fmt.Sprintf(format, args...))
	}
}

// log writes a message to standard error in the form that --log-format asks for.
func (a *app) log(level, text string) {
	if a.line != nil {
		a.line.clear()
	}
	if a.logs == "json" {
		line, _ := json.Marshal(map[string]string{"time": time.Now().Format(time.RFC3339Nano), "level": level, "msg": text}) // strings always marshal
		fmt.Fprintf(a.err, "%s\n", line)
		return
	}
	fmt.Fprintln(a.err, "spdopt:", text)
}

// stream prints an event as a line of JSON if --jsonl asks for it.
func (a *app) stream(kind string, fields map[string]any) error {
	if !a.jsonl {
		return nil
	}
	line := map[string]any{"ev": kind}
	maps.Copy(line, fields)
	return a.printJSON(line)
}

func (a *app) command() *cobra.Command {
	a.choices = map[*cobra.Command]func([]string) map[string]choice{}
	root := &cobra.Command{
		Use:   "spdopt",
		Short: "Optimization over symmetric positive-definite matrices",
		Long: `spdopt solves problems over symmetric positive-definite (SPD) matrices and computes their roots, on files; it trains networks, and minimizes
functions from their values alone.

Results go to standard output, everything else to standard error. --json prints one object with "schema": 1.
Exit codes: 0 done as asked, 1 numerical or internal failure, 2 wrong usage, 3 bad input, 4 a condition asked for was not met,
5 the objective failed, 6 a device asked for is absent, 130/143 interrupted.`,
		Example: `  spdopt demo
  spdopt solve mean --data covariances.npy --out mean.npy
  spdopt root pow --in mean.npy --power -1/4 --json`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return unknown("command", args[0], "", commandNames(cmd), "spdopt --help")
			case a.version:
				return a.printVersion()
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := a.resolve(cmd); err != nil {
				return err
			}
			a.json = a.json || a.jsonl
			a.noteFormerNames()
			if _, err := dense.Path(); err != nil {
				a.note("%v", err)
			}
			if a.quiet && a.verbose {
				return usagef("--quiet and --verbose contradict each other; give one of them")
			}
			if err := oneOf("--log-format", a.logs, "text", "json"); err != nil {
				return err
			}
			if err := oneOf("--progress", a.progress, "auto", "plain", "none"); err != nil {
				return err
			}
			if !a.dryRun {
				a.debugSettings(cmd)
				return checkFiles(cmd)
			}
			return cmp.Or(a.printSettings(cmd, args), errDryRun)
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, `print one JSON object with "schema": 1`)
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no notes on standard error")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "say on standard error what is read, which choices are made, and when")
	flags.StringVar(&a.progress, "progress", "auto", "auto (on a terminal), plain (lines) or none")
	flags.BoolVar(&a.jsonl, "jsonl", false, "print a JSON object a line: what happens, then the result")
	flags.StringVar(&a.logs, "log-format", "text", "messages on standard error: text or json")
	flags.StringVar(&a.runs, "runs", "runs", "folder of the runs")
	a.settingFlags.register(flags)
	root.Flags().BoolVar(&a.version, "version", false, "the same as spdopt version")
	root.SetHelpCommand(helpCommand())
	root.AddCommand(a.solveCommand(), a.rootCommand(), a.trainCommand(), a.curvatureCommand(), a.influenceCommand(), a.laplaceCommand())
	root.AddCommand(a.minimizeCommand(), a.askCommand(), a.tellCommand(), a.serveCommand(), a.workerCommand())
	root.AddCommand(a.runsCommand(), a.watchCommand(), a.dashboardCommand(), a.reportCommand(), a.plotCommand())
	root.AddCommand(a.benchCommand(), a.demoCommand(), a.checkCommand(), a.listCommand(), a.versionCommand(), a.referenceCommand())
	completeShells(root)
	a.complete(root)
	a.keepFormerNames(root)
	return root
}

// completeShells adds "spdopt completion" of cobra, which takes any word for a shell and says nothing of it.
func completeShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	cmd, _, _ := root.Find([]string{"completion"})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown("shell", args[0], "completion", commandNames(cmd), "spdopt completion --help")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// helpCommand is "spdopt help", which knows what it has no help about.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		Long:  "Print what --help of the command prints.",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			of, _, err := cmd.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			others := func(name string) bool { return !strings.HasPrefix(name, start) }
			return slices.DeleteFunc(commandNames(of), others), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return err
			case len(rest) > 0 && of.HasAvailableSubCommands():
				return unknown("command", rest[0], of.CommandPath(), commandNames(of), of.CommandPath()+" --help")
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

func commandNames(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// flagError words cobra's complaints about flags in the style of the other messages.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if errors.As(err, &missing) {
		if before := cmd.Flags().Args(); cmd.HasAvailableSubCommands() && len(before) > 0 { // a verb that is none: its flags cannot be known
			return unknown("command", before[0], cmd.CommandPath(), commandNames(cmd), cmd.CommandPath()+" --help")
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		name := missing.GetSpecifiedName()
		if len(name) > 1 {
			return unknown("flag", "--"+name, cmd.CommandPath(), names, cmd.CommandPath()+" --help")
		}
		if long := missing.GetSpecifiedShortnames(); cmd.Flags().Lookup(strings.SplitN(long, "=", 2)[0]) != nil {
			return usagef("unknown flag -%s; names of several letters have two dashes: --%s (%s --help)", long, long, cmd.CommandPath())
		}
		return usagef("unknown flag -%s (%s --help)", name, cmd.CommandPath())
	}
	var value *pflag.InvalidValueError
	if errors.As(err, &value) {
		return usagef("--%s: %q %s (%s --help)", value.GetFlag().Name, value.GetValue(), misfit(value.GetFlag(), value), cmd.CommandPath())
	}
	return usagef("%v (%s --help)", err, cmd.CommandPath())
}

// misfit says why a text is no value of a flag.
func misfit(f *pflag.Flag, cause error) string {
	if errors.Is(cause, strconv.ErrRange) {
		return "is out of range"
	}
	return "is not a " + valueWord(f)
}

// valueWord says what the value of a flag should be.
func valueWord(f *pflag.Flag) string {
	switch t := f.Value.Type(); t {
	case "float64":
		return "number"
	case "int":
		return "whole number"
	case "uint64":
		return "whole number from 0 on"
	case "bool":
		return "choice of true and false"
	case "seconds":
		return "number of seconds or duration such as 30s"
	case "duration":
		return "duration such as 30s"
	default:
		return t
	}
}

// oneOf demands that the value of a flag is one of a few words.
func oneOf(flag, value string, words ...string) error {
	for _, w := range words {
		if value == w {
			return nil
		}
	}
	return usagef("%s must be %s, not %q", flag, strings.Join(words, ", "), value)
}
