package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/run"
)

// debug tells what --verbose asks for: what was read, what was chosen and why, each with the time since the program began.
func (a *app) debug(format string, args ...any) {
	if !a.verbose {
		return
	}
	text := fmt.Sprintf(format, args...)
	if a.logs != "json" {
		text = fmt.Sprintf("%.3f s: %s", time.Since(a.began).Seconds(), text)
	}
	a.log("debug", text)
}

// debugSettings tells with what the command computes, and the settings that are not at their defaults.
func (a *app) debugSettings(cmd *cobra.Command) {
	if !a.verbose {
		return
	}
	path, _ := dense.Path() // its error is a note
	a.debug("%s %s, kernels %s, %s", cmd.CommandPath(), currentVersion().build(), path, counted(runtime.GOMAXPROCS(0), "thread"))
	for _, s := range a.settings(cmd) {
		if s.Origin != run.FromDefault && s.Name != "verbose" {
			a.debug("--%s %s (%s)", s.Name, s.Value, s.Origin)
		}
	}
}

// source is where matrices are read from the paths; with --verbose what was read is told.
func (a *app) source(paths ...string) matio.Source {
	return matio.Source{Paths: paths, Stdin: a.in, Report: a.debugReading}
}

func (a *app) debugReading(r matio.Reading) {
	what, shape := "matrix", fmt.Sprintf("of %d x %d", r.Rows, r.Cols)
	if r.Count > 1 {
		what = fmt.Sprintf("%d matrices", r.Count)
	}
	if r.Mixed {
		shape = "of several sizes"
	}
	a.debug("read %s as %s: %s %s", r.File, r.Format, what, shape)
}
