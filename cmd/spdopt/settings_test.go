package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/run"
)

// resolved returns the settings that a command would run with.
func resolved(t *testing.T, args ...string) map[string]dryRunOne {
	t.Helper()
	var o dryRunOutput
	decode(t, succeed(t, append(args, "--dry-run", "--json")...), &o)
	return o.Settings
}

func TestSettingsComeFromTheirOrigins(t *testing.T) {
	config := writeText(t, "settings.toml", `
dim = 9
popsize = 30
batch = 5          # of another command
sigma0 = 0.5
[minimize]
popsize = 40
x0 = [1, 2.5, -3]
target = 1e-3
[train]
steps = 7
[bench.es]
dims = [2, 3]
`)
	t.Setenv("SPDOPT_DIM", "8")
	t.Setenv("SPDOPT_MAX_EVALS", "77")
	s := resolved(t, "minimize", "--fn", "f1", "--config", config, "--max-evals", "55", "--set", "max_fail_rate=0.25")
	for name, want := range map[string]dryRunOne{
		"fn": {"f1", run.FromFlag}, "max-evals": {"55", run.FromFlag}, "max-fail-rate": {"0.25", run.FromFlag}, "dim": {"8", run.FromEnvironment},
		"popsize": {"40", run.FromFile}, "x0": {"1,2.5,-3", run.FromFile}, "sigma0": {"0.5", run.FromFile}, "target": {"0.001", run.FromFile},
		"jobs": {"1", run.FromDefault}, "strategy": {"", run.FromDefault},
	} {
		require.Equal(t, want, s[name], name)
	}
	require.Equal(t, dryRunOne{"7", run.FromFile}, resolved(t, "train", "graph", "--config", config)["steps"])
	require.Equal(t, dryRunOne{`["2","3"]`, run.FromFile}, resolved(t, "bench", "es", "--config", config)["dims"])
	s = resolved(t, "train", "graph", "--lr", "0.5")
	require.Equal(t, dryRunOne{"200", "default of the workload"}, s["steps"], "a run would take so many")
	require.Equal(t, dryRunOne{"0.5", run.FromFlag}, s["lr"])
	s = resolved(t, "train", "mnist-cnn", "--opt", "schedule-free-adamw", "--epochs", "2")
	require.Equal(t, dryRunOne{"64", "default of the workload"}, s["batch"])
	require.Equal(t, dryRunOne{"0.005", "default of the workload for schedule-free-adamw"}, s["lr"])
	require.Equal(t, dryRunOne{"constant", "default of the optimizer"}, s["schedule"])
	require.Equal(t, dryRunOne{"", "those of the epochs"}, s["steps"])
	require.Equal(t, dryRunOne{"", "default of the optimizer"}, resolved(t, "train", "mnist-cnn", "--opt", "muon")["lr"])
	text := succeed(t, "minimize", "--fn", "f1", "--dry-run")
	require.Contains(t, text.stdout, "77  (environment)")

	// They are not only printed: a run uses them and keeps where they came from.
	dir := filepath.Join(t.TempDir(), "run")
	m := fields(t, succeed(t, "minimize", "--fn", "f1", "--seed", "1", "--json", "--out", dir))
	require.Equal(t, []any{8.0, 77.0}, []any{m["dim"], m["evaluations"]})
	kept, err := run.ReadManifest(dir)
	require.NoError(t, err)
	require.Equal(t, "8", kept.Setting("dim"))
	origins := map[string]run.Origin{}
	for _, o := range kept.Settings {
		origins[o.Name] = o.Origin
	}
	require.Equal(t, []run.Origin{run.FromEnvironment, run.FromFlag, run.FromDefault}, []run.Origin{origins["dim"], origins["seed"], origins["jobs"]})
	drawn := filepath.Join(t.TempDir(), "run")
	m = fields(t, succeed(t, "minimize", "--fn", "f1", "--json", "--out", drawn))
	kept, err = run.ReadManifest(drawn)
	require.NoError(t, err)
	require.Equal(t, m["seed"], float64(kept.Seed))
	require.Contains(t, succeed(t, "runs", "show", drawn).stdout, "(drawn)")
}

func TestBadSettings(t *testing.T) {
	for _, c := range []struct {
		code int
		part string
		toml string
		args []string
	}{
		{exitUsage, `unknown setting "dimm"`, "", []string{"--set", "dimm=3"}},
		{exitUsage, "did you mean", "", []string{"--set", "sedd=3"}},
		{exitUsage, "is not KEY=VALUE", "", []string{"--set", "dim"}},
		{exitUsage, "is not KEY=VALUE", "", []string{"--set", `{"a":1}`}},
		{exitUsage, "--dim is given as well", "", []string{"--set", "dim=4"}},
		{exitUsage, `"many" is not a whole number for --popsize`, "", []string{"--set", "popsize=many"}},
		{exitUsage, `unknown setting "popsiz"`, "popsiz = 3\n", nil},
		{exitUsage, `unknown setting "steps"`, "[minimize]\nsteps = 3\n", nil},
		{exitUsage, `unknown command "minimise"`, "[minimise]\ndim = 3\n", nil},
		{exitUsage, "is no setting", "popsize = 2026-01-01\n", nil},
		{exitUsage, "is not a whole number", "popsize = 2.5\n", nil},
		{exitInput, "settings.toml: cannot be used", "popsize = \n", nil},
		{exitInput, "none.toml", "", []string{"--config", "none.toml"}},
		{exitUsage, "--log-format must be", "", []string{"--log-format", "xml"}},
	} {
		args := append([]string{"minimize", "--fn", "f1", "--dim", "2", "--dry-run"}, c.args...)
		if c.toml != "" {
			args = append(args, "--config", writeText(t, "settings.toml", c.toml))
		}
		o := invoke(args...)
		require.Equal(t, c.code, o.code, "%q: %s", args, o.stderr)
		require.Contains(t, o.stderr, c.part)
	}
	t.Setenv("SPDOPT_POPSIZE", "few")
	o := invoke("minimize", "--fn", "f1", "--dim", "2")
	require.Equal(t, exitUsage, o.code)
	require.Contains(t, o.stderr, `SPDOPT_POPSIZE: "few" is not a whole number`)
}

func TestEventStreamAndLogFormat(t *testing.T) {
	o := succeed(t, "minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--max-evals", "60", "--jsonl")
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	require.Len(t, lines, 11)
	for i, line := range lines {
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		if i == len(lines)-1 {
			require.Equal(t, 60.0, v["evaluations"])
			require.Contains(t, v, "best_x")
		} else {
			require.Equal(t, "iter", v["ev"])
		}
	}
	bad := invoke("minimize", "--fn", "none", "--dim", "2", "--log-format", "json")
	var message struct{ Level, Msg string }
	require.NoError(t, json.Unmarshal([]byte(bad.stderr), &message), bad.stderr)
	require.Equal(t, "error", message.Level)
	require.Contains(t, message.Msg, "unknown function")
}
