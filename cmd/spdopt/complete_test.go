package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompletions asks for completions as a shell does.
func TestCompletions(t *testing.T) {
	root := t.TempDir()
	succeed(t, "minimize", "--fn", "f1", "--dim", "2", "--seed", "1", "--max-evals", "30", "--out", filepath.Join(root, "first"))
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"solve", ""}, "glasso\t"},
		{[]string{"root", "pow", "--method", ""}, "eigen\t"},
		{[]string{"minimize", "--fn", ""}, "f24\t"},
		{[]string{"minimize", "--strategy", ""}, "sep-cma\t"},
		{[]string{"train", ""}, "mnist-mlp\t"},
		{[]string{"train", "graph", "--opt", ""}, "spectral\t"},
		{[]string{"--runs", root, "runs", "show", ""}, "first\tminimize es-f1, finished"},
		{[]string{"--runs", root, "report", ""}, "first\t"},
	} {
		require.Contains(t, succeed(t, append([]string{"__complete"}, c.words...)...).stdout, c.want, "%q", c.words)
	}
	require.Contains(t, succeed(t, "__complete", "solve", "mean", "--method", "").stdout, "richardson\n")
	require.NotContains(t, succeed(t, "__complete", "solve", "mean", "--method", "").stdout, "sgd")
	require.NotContains(t, succeed(t, "__complete", "solve", "tyler", "--metric", "").stdout, "kullback")
	require.Contains(t, succeed(t, "__complete", "solve", "--metric", "").stdout, "kullback\t")
	require.Equal(t, "show\n:4\n", succeed(t, "__complete", "help", "runs", "sh").stdout)
	require.Contains(t, succeed(t, "--version").stdout, "dense kernels")
}
