package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/internal/matio"
)

// formatUsage is the help of --format.
const formatUsage = `format of "-": npy, npz, safetensors, mat (only read), mtx, csv, tsv or json`

// fileFlags are the flags of every verb that reads matrices.
type fileFlags struct {
	inFlag     string // name of the flag that names the input
	paths      []string
	format     string
	out        string
	jitter     float64
	nearestSPD bool
}

func (f *fileFlags) register(cmd *cobra.Command, name, what string) {
	f.inFlag = name
	flags := cmd.Flags()
	flags.StringArrayVar(&f.paths, name, nil, what+`; "-" is standard input, file.npz:NAME (also .mat, .safetensors) one array of several; repeat it, or list more files`)
	flags.StringVar(&f.format, "format", "", formatUsage)
	flags.StringVar(&f.out, "out", "", `write the result to this .npy, .npz, .safetensors, .mtx, .csv, .tsv or .json file ("-" is standard output)`)
	flags.Float64Var(&f.jitter, "jitter", 0, "add this times the mean of the diagonal to the diagonal of every matrix")
	flags.BoolVar(&f.nearestSPD, "nearest-spd", false, "raise the eigenvalues of matrices that are not positive definite to 1e-8 times the largest")
}

// source returns where to read: the flag's files, then those listed after the first argument.
func (f *fileFlags) source(a *app, more []string) (matio.Source, error) {
	paths := append(append([]string{}, f.paths...), more...)
	if len(paths) == 0 {
		return matio.Source{}, usagef("no input: name the files with --%s", f.inFlag)
	}
	stdin := 0
	for _, p := range paths {
		switch p {
		case "":
			return matio.Source{}, usagef("--%s: the name of a file is empty", f.inFlag)
		case "-":
			stdin++
		}
	}
	if stdin > 1 {
		return matio.Source{}, usagef(`--%s: "-", standard input, is named %d times and can be read once`, f.inFlag, stdin)
	}
	src := a.source(paths...)
	if f.format != "" {
		format, err := matio.ParseFormat(f.format)
		if err != nil {
			return src, usagef("--format: %v", err)
		}
		for _, p := range paths {
			if p == "-" || matio.FormatOf(p) == "" {
				src.Format = format
			}
		}
	}
	return src, nil
}

// check returns what is demanded of every matrix.
func (f *fileFlags) check(kind matio.Kind) (matio.Check, error) {
	c := matio.Check{Kind: kind, Jitter: f.jitter, NearestSPD: f.nearestSPD}
	if err := c.Validate(); err != nil {
		return c, usagef("--jitter: %v", err)
	}
	return c, nil
}

// create opens the output, so that it is known to be writable before anything is computed; nil means that none was asked for.
func (f *fileFlags) create(a *app, stack bool) (*matio.Writer, error) {
	if f.out == "" {
		return nil, nil
	}
	t := matio.Target{Path: f.out, Stack: stack, Stdout: a.out}
	if f.out == "-" && a.json {
		return nil, usagef("--json and --out - both want standard output; use one of them")
	}
	if matio.FormatOf(f.out) == "" && f.format != "" {
		format, err := matio.ParseFormat(f.format)
		if err != nil {
			return nil, usagef("--format: %v", err)
		}
		t.Format = format
	}
	return matio.Create(t)
}

// apart refuses a file that is named as the place of two results.
func apart(flag, path, other, otherPath string) error {
	if path == "" || otherPath == "" || filepath.Clean(path) != filepath.Clean(otherPath) {
		return nil
	}
	return usagef("%s and %s name the same file, %q", flag, other, path)
}

// symmetric views matrices as gonum's.
func symmetric(all []matio.Matrix) []mat.Symmetric {
	out := make([]mat.Symmetric, len(all))
	for k, m := range all {
		out[k] = mat.NewSymDense(m.Rows, m.Data)
	}
	return out
}

// readNumbers reads a row or column of numbers from a file, as src was read.
func readNumbers(path string, src matio.Source) ([]float64, error) {
	src.Paths, src.Missing = []string{path}, false
	return matio.ReadVector(src)
}

// parseNumbers reads "1,2,3".
func parseNumbers(text string) ([]float64, bool) {
	var all []float64
	for field := range strings.SplitSeq(text, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
		if err != nil {
			return nil, false
		}
		all = append(all, v)
	}
	return all, true
}

// parsePower reads a number or a fraction such as -1/4.
func parsePower(text string) (float64, error) {
	top, bottom, fraction := strings.Cut(text, "/")
	p, err := strconv.ParseFloat(strings.TrimSpace(top), 64)
	if err == nil && fraction {
		var q float64
		if q, err = strconv.ParseFloat(strings.TrimSpace(bottom), 64); q == 0 {
			err = fmt.Errorf("division by zero")
		}
		p /= q
	}
	if err != nil || p-p != 0 {
		return 0, usagef("--power must be a number such as -0.25 or -1/4, not %q", text)
	}
	return p, nil
}
