package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spdopt/spdopt/internal/run"
)

// formerNames are the names that flags once had, by command: old to new. They go on working on the command line, in files, in the environment and in runs, but no
// help, completion or suggestion shows them.
var formerNames = map[string]map[string]string{
	"solve":              {"timeout": maxSeconds},
	"minimize":           {"plot": svg},
	"laplace":            {"out": svg},
	"curvature spectrum": {"out": svg, "log": "log-grid"},
	"curvature factors":  {"out": svg},
	"influence score":    {"out": svg},
	"influence lds":      {"seeds": "repeats"},
	"influence remove":   {"seeds": "repeats"},
	"bench es":           {"plot": svg},
	"bench compare":      {"plot": svg},
	"bench spd":          {"max-time": "timeout"},
	"bench nn":           {"limit": "timeout", "export": "out"},
	"bench score":        {"export": "out"},
	"runs export":        {"to": "out"},
}

// keepFormerNames makes the old names of flags mean the new ones.
func (a *app) keepFormerNames(root *cobra.Command) {
	a.former = map[string]string{}
	for path, names := range formerNames {
		cmd, _, err := root.Find(strings.Fields(path))
		if err != nil || cmd == root {
			panic("former names of flags of an unknown command " + path)
		}
		flags := cmd.Flags()
		flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
			now, old := names[name]
			if !old {
				return pflag.NormalizedName(name)
			}
			if flags.Parsed() {
				a.former[name] = now
			}
			return pflag.NormalizedName(now)
		})
	}
}

// noteFormerNames tells the user the new names of what was given under an old one.
func (a *app) noteFormerNames() {
	for _, old := range slices.Sorted(maps.Keys(a.former)) {
		a.note("--%s is now --%s (the old name goes on working)", old, a.former[old])
	}
}

// verbOf is the name of a command below spdopt, such as "bench es".
func verbOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// firstName is the name that a flag had at first. Runs are told apart by those, so that they outlive a renaming.
func firstName(verb, name string) string {
	for old, now := range formerNames[verb] {
		if now == name {
			return old
		}
	}
	return name
}

// environmentOf returns the environment variable that sets a flag and its value, "" if none does.
func environmentOf(verb string, f *pflag.Flag) (name, value string) {
	for _, flag := range []string{f.Name, firstName(verb, f.Name)} {
		name = "SPDOPT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		if value = os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// The flags that mean the same for every command that has them. A picture goes to --svg, what was computed to --out. --max-seconds bounds all that a command does,
// --timeout one piece of it: an evaluation, a step, a run of a benchmark.
const (
	svg        = "svg"
	html       = "html"
	maxSeconds = "max-seconds"
)

// pictureFlag adds --svg; what says what is drawn.
func pictureFlag(cmd *cobra.Command, path *string, what string) {
	cmd.Flags().StringVar(path, svg, "", "draw "+what+" into this .svg file")
	if err := cmd.MarkFlagFilename(svg, "svg"); err != nil {
		panic(err)
	}
	writtenLast(cmd, svg)
}

// endingsOf are what names of files of one format may end in, by flag, the usual ending first.
var endingsOf = map[string][]string{svg: {".svg", ""}, html: {".html", ".htm", ""}}

// last annotates the flags of files that are written when everything is computed.
const last = "written last"

func writtenLast(cmd *cobra.Command, name string) {
	if err := cmd.Flags().SetAnnotation(name, last, nil); err != nil {
		panic(err)
	}
}

// checkFiles refuses files that could not be written, so that no command finds that out at its end, and pictures under the name of another format.
func checkFiles(cmd *cobra.Command) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, is := f.Annotations[last]; !is || err != nil {
			return
		}
		path := f.Value.String()
		if endings := endingsOf[f.Name]; endings != nil && !slices.Contains(endings, strings.ToLower(filepath.Ext(path))) {
			err = usagef("--%s %s: the name must end in %s", f.Name, path, endings[0])
			return
		}
		file, failed := reserve(path)
		file.Abort()
		err = failed
	})
	return err
}

// writePicture writes the picture of --svg, if any is asked for.
func writePicture(path string, picture interface{ SVG() string }) error {
	if path == "" {
		return nil
	}
	return writeWhole(path, []byte(picture.SVG()))
}

// seconds is the value of --max-seconds: a number of seconds, or a duration such as 1m30s. 0 is no limit.
type seconds float64

var _ pflag.Value = (*seconds)(nil)

// numbersFlag adds a list of numbers, whose default help shows as short as it can be written.
func numbersFlag(flags *pflag.FlagSet, to *[]float64, name string, def []float64, usage string) {
	flags.Float64SliceVar(to, name, def, usage)
	flags.Lookup(name).DefValue = strings.ReplaceAll(fmt.Sprint(def), " ", ",")
}

// maxSecondsFlag adds --max-seconds.
func maxSecondsFlag(cmd *cobra.Command, s *seconds) {
	cmd.Flags().Var(s, maxSeconds, "seconds that may pass, or a duration such as 1m30s; 0 is no limit")
}

// Set implements pflag.Value.
func (s *seconds) Set(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return err
		}
		v = d.Seconds()
	}
	*s = seconds(v)
	return nil
}

// String implements pflag.Value.
func (s *seconds) String() string { return strconv.FormatFloat(float64(*s), 'g', -1, 64) }

// Type implements pflag.Value.
func (s *seconds) Type() string { return "seconds" }

// check refuses what is no time.
func (s seconds) check() error {
	if !(s >= 0 && s < 1e9) {
		return usagef("--%s must be 0 or a positive number below 1e9, not %v", maxSeconds, float64(s))
	}
	return nil
}

func (s seconds) duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// resolveEnvironment gives flags of the command that nothing has set the values of their environment variables.
func (a *app) resolveEnvironment(cmd *cobra.Command) (failed error) {
	verb := verbOf(cmd)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if name, value := environmentOf(verb, f); value != "" && f.Name != "help" && f.Name != "version" && failed == nil {
			failed = a.assign(cmd, f, value, run.FromEnvironment, name)
		}
	})
	return failed
}
