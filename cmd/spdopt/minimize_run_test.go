package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/objective"
	"github.com/spdopt/spdopt/internal/run"
)

// part drives a search on the run in dir until it has made stopAt evaluations itself, or completed generations; it returns the identifiers that it evaluated.
func part(t *testing.T, dir string, every time.Duration, stopAt, generations int) (evaluated []uint64, s *esadapt.Search) {
	t.Helper()
	r, err := run.Open(dir, run.Options{})
	require.NoError(t, err)
	k := &keeper{run: r, every: every, began: time.Now(), saved: time.Now()}
	defer r.Close()
	k.begin("resumed")
	a := &app{ctx: context.Background(), quiet: true, progress: "none"}
	s, err = esadapt.New(esadapt.Options{X0: []float64{3, -2}, Seed: 1, MaxEvaluations: 60})
	require.NoError(t, err)
	rec, s, err := a.recorder(k, s)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	eval := func(_ context.Context, id uint64, x []float64) (objective.Value, error) {
		evaluated = append(evaluated, id)
		if len(evaluated) == stopAt {
			cancel()
		}
		return objective.Value{F: x[0]*x[0] + 10*x[1]*x[1]}, nil
	}
	after := func(s *esadapt.Search) error {
		if generations--; generations == 0 {
			cancel()
		}
		return rec.after(s)
	}
	d := &driver{search: s, eval: rec.evaluator(eval), jobs: 1, progress: a.newProgress(), after: after}
	_ = d.run(ctx)
	return evaluated, s
}

// TestStatesDoNotOvertakeTheJournal: results in the journal that a resumed search has not yet come to are not behind the next state.
func TestStatesDoNotOvertakeTheJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := run.Create(dir, run.Manifest{Verb: "minimize"}, run.Options{})
	require.NoError(t, err)
	require.NoError(t, r.Close())
	first, _ := part(t, dir, time.Hour, 15, 0) // two generations of six and a half
	second, _ := part(t, dir, 0, 0, 1)         // one generation, from the journal, and a state if it were allowed
	third, s := part(t, dir, 0, 0, 0)
	require.Len(t, first, 15)
	require.Empty(t, second)
	require.Equal(t, uint64(16), third[0])
	require.Len(t, third, 45)
	require.NotNil(t, s.Stop())
	require.Len(t, told(t, dir), 60)
}
