package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/run"
)

// everyCommand calls visit with each command of the tree.
func everyCommand(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, child := range c.Commands() {
		everyCommand(child, visit)
	}
}

// TestFlagNames holds the flags of all commands to one name for one thing.
func TestFlagNames(t *testing.T) {
	root := (&app{}).command()
	everyCommand(root, func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			where := c.CommandPath() + " --" + f.Name
			picture := strings.Contains(f.Usage, ".svg")
			require.Equal(t, picture, f.Name == svg, "%s: pictures, and nothing else, go to --svg: %s", where, f.Usage)
			if f.Name == maxSeconds {
				require.Equal(t, "seconds", f.Value.Type(), where)
			}
			if f.Name == "timeout" {
				require.Equal(t, "duration", f.Value.Type(), where)
			}
			require.NotContains(t, []string{"plot", "max-time", "tolerance", "workers", "threads", "max-evaluations", "export", "output"}, f.Name, where)
		})
	})
}

// TestFormerNames gives every renamed flag under its old name, on the command line, by --set, in a file and in the environment.
func TestFormerNames(t *testing.T) {
	values := map[string][2]string{
		"timeout": {"1m30s", "90"}, "log": {"true", "true"}, "seeds": {"3", "3"}, "max-time": {"3s", "3s"}, "limit": {"4m", "4m0s"},
	}
	for verb, names := range formerNames {
		for old, now := range names {
			given, want := "x.csv", "x.csv"
			if v, ok := values[old]; ok {
				given, want = v[0], v[1]
			}
			words := strings.Fields(verb)
			if n, ok := map[string]int{"solve": 1, "laplace": 1, "curvature spectrum": 1, "curvature factors": 1, "influence score": 1, "influence lds": 1,
				"influence remove": 1, "bench compare": 2, "bench score": 1, "runs export": 1}[verb]; ok {
				words = append(words, []string{"one", "two"}[:n]...)
			}
			note := "--" + old + " is now --" + now
			o := succeed(t, append(words, "--"+old+"="+given, "--dry-run", "--json")...)
			require.Contains(t, o.stderr, note, verb)
			require.Empty(t, succeed(t, append(words, "--"+old+"="+given, "--dry-run", "--json", "-q")...).stderr, verb)
			var printed dryRunOutput
			decode(t, o, &printed)
			require.Equal(t, dryRunOne{want, run.FromFlag}, printed.Settings[now], "%s --%s", verb, old)
			require.NotContains(t, printed.Settings, old, verb)

			o = succeed(t, append(words, "--set", old+"="+given, "--dry-run", "--json")...)
			require.Contains(t, o.stderr, note, verb)
			config := writeText(t, "settings.toml", "["+strings.Join(strings.Fields(verb), ".")+"]\n"+old+" = \""+given+"\"\n")
			require.Equal(t, dryRunOne{want, run.FromFile}, resolved(t, append(words, "--config", config)...)[now], "%s --%s", verb, old)
			variable := "SPDOPT_" + strings.ToUpper(strings.ReplaceAll(old, "-", "_"))
			os.Setenv(variable, given)
			require.Equal(t, dryRunOne{want, run.FromEnvironment}, resolved(t, words...)[now], "%s --%s", verb, old)
			os.Unsetenv(variable)

			help := succeed(t, append(strings.Fields(verb), "--help")...).stdout
			require.Contains(t, help, "--"+now+" ", verb)
			require.NotContains(t, help, "--"+old+" ", verb)
			suggestion := invoke(append(words, "--"+now+"x=1")...)
			require.Equal(t, exitUsage, suggestion.code)
			require.Contains(t, suggestion.stderr, `did you mean "--`+now+`"`, verb)
		}
	}
}

// TestMaxSeconds takes numbers and durations.
func TestMaxSeconds(t *testing.T) {
	for text, want := range map[string]string{"30": "30", "0.5": "0.5", "30s": "30", "1m30s": "90", "250ms": "0.25", "0": "0"} {
		require.Equal(t, want, resolved(t, "solve", "mean", "--max-seconds", text)[maxSeconds].Value)
		require.Equal(t, want, resolved(t, "minimize", "--max-seconds", text)[maxSeconds].Value)
	}
	for _, verb := range [][]string{{"solve", "mean"}, {"minimize", "--fn", "f1", "--dim", "2"}} {
		for _, text := range []string{"-1", "-2s", "inf", "nan", "1e9"} {
			o := invoke(append(verb, "--max-seconds", text)...)
			require.Equal(t, exitUsage, o.code, "%v %s", verb, text)
			require.Contains(t, o.stderr, "--max-seconds must be", "%v %s", verb, text)
		}
	}
}

// TestRunsOfFormerNames resumes runs whose settings have old names.
func TestRunsOfFormerNames(t *testing.T) {
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(interrupted{os.Interrupt})
	ms, _ := pairOfFour(5)
	data := write(t, "data.npy", ms...)
	picture := filepath.Join(t.TempDir(), "search.svg")
	for _, c := range []struct {
		old, now string
		args     []string
	}{
		{"timeout", maxSeconds, []string{"solve", "mean", "--data", data, "--max-seconds", "10m", "--run"}},
		{"plot", svg, []string{"minimize", "--fn", "f8", "--dim", "3", "--seed", "1", "--max-evals", "200", "--svg", picture, "--out"}},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		o := invokeWith(ended, "", append(c.args, dir)...)
		require.Equal(t, 130, o.code, o.stderr)
		path := filepath.Join(dir, "run.json")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, json.Valid(text))
		before := bytes.Replace(text, []byte(`"name": "`+c.now+`"`), []byte(`"name": "`+c.old+`"`), 1)
		require.NotEqual(t, text, before)
		require.NoError(t, os.WriteFile(path, before, 0o666))
		o = succeed(t, "runs", "resume", dir)
		require.NotContains(t, o.stderr, "is now", "the user gave no old name")
	}
	require.FileExists(t, picture)
}
