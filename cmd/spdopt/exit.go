package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/spdopt/spdopt/internal/distribute"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
	"github.com/spdopt/spdopt/manifold/problem"
	"github.com/spdopt/spdopt/nnopt/curvature"
	"github.com/spdopt/spdopt/roots"
)

// Exit codes; they are part of the contract of the command line.
const (
	exitDone      = 0
	exitFailure   = 1 // numerical or internal
	exitUsage     = 2
	exitInput     = 3
	exitUnmet     = 4 // a condition asked for
	exitObjective = 5 // the objective failed too often
	exitDevice    = 6 // a device asked for is absent
)

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// unmetError says that a condition asked for does not hold; the results are printed all the same.
type unmetError struct{ text string }

func (e *unmetError) Error() string { return e.text }

// interrupted is the cause of a cancelled run.
type interrupted struct{ signal os.Signal }

const nothingWritten = ": nothing was written"

func (e interrupted) Error() string { return "interrupted" + nothingWritten }

// reworded is an error in other words; its cause decides the exit code.
type reworded struct {
	cause error
	text  string
}

func (e *reworded) Error() string { return e.text }

func (e *reworded) Unwrap() error { return e.cause }

// haltedf says what an interruption leaves behind.
func haltedf(cause error, format string, args ...any) error {
	return &reworded{cause, fmt.Sprintf(format, args...)}
}

// exitCode decides what an error means for the caller.
func exitCode(err error) int {
	var (
		usage    *usageError
		unmet    *unmetError
		stopped  interrupted
		file     *matio.Error
		data     *problem.DataError
		unknown  *problem.UnknownError
		resume   *problem.ResumeError
		nowhere  *problem.DeviceError
		options  *problem.OptionsError
		definite *roots.NotPositiveDefiniteError
		method   *roots.MethodError
		accuracy *roots.AccuracyError
		nameless *engine.UnknownError
		device   *engine.DeviceError
		failed   *objective.Error
		failing  *failingError
		missing  *objective.NotFoundError
		risk     *curvature.DataError
		random   *curvature.RandomError
		none     *run.NotRunError
		exists   *run.ExistsError
		busy     *run.BusyError
		damaged  *run.DamageError
		newer    *run.VersionError
		changed  *changedError
		source   *objective.SourceError
		login    *distribute.LoginError
		version  *distribute.VersionError
	)
	switch {
	case errors.As(err, &stopped) && stopped.signal == syscall.SIGTERM:
		return 143
	case errors.As(err, &stopped):
		return 130
	case spent(err):
		return exitFailure
	case errors.As(err, &usage), errors.As(err, &unknown), errors.As(err, &resume), errors.As(err, &nowhere), errors.As(err, &options), errors.As(err, &nameless), errors.As(err, &method):
		return exitUsage
	case errors.As(err, &file), errors.As(err, &data), errors.As(err, &definite), errors.As(err, &missing), errors.As(err, &source), errors.As(err, &risk), errors.As(err, &login), errors.As(err, &version):
		return exitInput
	case errors.As(err, &none), errors.As(err, &exists), errors.As(err, &busy), errors.As(err, &damaged), errors.As(err, &newer), errors.As(err, &changed):
		return exitInput
	case errors.As(err, &unmet), errors.As(err, &accuracy), errors.As(err, &random):
		return exitUnmet
	case errors.As(err, &failed), errors.As(err, &failing):
		return exitObjective
	case errors.As(err, &device):
		return exitDevice
	}
	return exitFailure
}

// spent tells whether the machine has failed, a full disk above all: no other input and no other name would help.
func spent(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EIO)
}

// systemText is what the system says about a file, without its name.
func systemText(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// oneVerb are the arguments of a command that does nothing without one of its own commands; kind is what these are.
func oneVerb(kind string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
		if len(args) == 0 {
			return usagef("%s what? %s (%s --help)", path, strings.Join(commandNames(cmd), ", "), cmd.CommandPath())
		}
		return unknown(kind, args[0], path, commandNames(cmd), cmd.CommandPath()+" --help")
	}
}

// unknown says that there is no such name and which one may have been meant; of says of what ("" for nothing).
func unknown(kind, name, of string, known []string, where string) error {
	text := fmt.Sprintf("unknown %s %q", kind, name)
	if of != "" {
		text += " for " + of
	}
	if best := nearest(name, known); best != "" {
		text += fmt.Sprintf(" — did you mean %q?", best)
	} else if len(known) <= 12 {
		text += "; use " + strings.Join(known, ", ")
	}
	return usagef("%s (%s)", text, where)
}
