package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMinimizeBadProblem: a problem that contradicts itself is named before anything is evaluated or written.
func TestMinimizeBadProblem(t *testing.T) {
	for name, c := range map[string]struct {
		want string
		args []string
	}{
		"x0 above the upper bound":     {"--x0[1] = 4 is outside [0, 3.5]", []string{"--dim", "2", "--x0", "3,4", "--lower", "0", "--upper", "3.5"}},
		"x0 below the lower bound":     {"--x0[0] = -1 is outside [0, +Inf]", []string{"--x0", "-1,4", "--lower", "0"}},
		"lower bound above upper":      {"lower bound 1 is not below upper bound 0", []string{"--dim", "2", "--lower", "1", "--upper", "0"}},
		"sigma0 is zero":               {"--sigma0 must be a positive number, not 0", []string{"--dim", "2", "--sigma0", "0"}},
		"sigma0 is not a number":       {"--sigma0 must be a positive number, not NaN", []string{"--dim", "2", "--sigma0", "nan"}},
		"sigma0 is infinite":           {"--sigma0 must be a positive number, not +Inf", []string{"--dim", "2", "--sigma0", "inf"}},
		"no variables":                 {"--dim must be at least 1", []string{"--dim", "0"}},
		"x0 of another length":         {"--x0 has 3 values for 2", []string{"--dim", "2", "--x0", "1,2,3"}},
		"x0 of a value that is no one": {"--x0 must be numbers", []string{"--x0", "1,b"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			o := invoke(append([]string{"minimize", "--fn", "f1", "--out", dir}, c.args...)...)
			require.Equal(t, exitUsage, o.code)
			require.Contains(t, o.stderr, c.want)
			require.Empty(t, o.stdout)
			require.NoDirExists(t, dir)
		})
	}
}

// TestMinimizeRunDirectoryOfAnotherProblem: a directory that holds a run is neither written to by another one nor driven by commands that it was not made for.
func TestMinimizeRunDirectoryOfAnotherProblem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	succeed(t, "minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--max-evals", "50", "--out", dir)
	before := told(t, dir)
	other := invoke("minimize", "--fn", "f8", "--dim", "3", "--seed", "1", "--max-evals", "50", "--out", dir)
	require.Equal(t, exitInput, other.code)
	require.Contains(t, other.stderr, "holds a run already")
	for _, verb := range [][]string{{"ask", dir}, {"tell", dir, writeText(t, "results.jsonl", `{"id":1,"f":1}`)}} {
		o := invoke(verb...)
		require.Equal(t, exitInput, o.code, verb)
		require.Contains(t, o.stderr, "not driven by ask and tell")
	}
	require.Equal(t, before, told(t, dir))
}

// TestMinimizeInfiniteValues: +Infinity is the worst of all values and no failure; a search that sees nothing else spends its budget and says so.
func TestMinimizeInfiniteValues(t *testing.T) {
	m := fields(t, succeed(t, "minimize", "--expr", "1/(x[0]-x[0])", "--dim", "2", "--seed", "1", "--max-evals", "60", "--json"))
	require.Equal(t, 60.0, m["evaluations"])
	require.Equal(t, 0.0, m["failures"])
	require.Equal(t, []any{"max-evaluations"}, m["stop"])
}
