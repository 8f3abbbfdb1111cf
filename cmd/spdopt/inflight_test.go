package main

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/loopback"
	"github.com/spdopt/spdopt/internal/run"
)

// flightArgs is a run that keeps evaluations in flight, without the directory.
var flightArgs = []string{"minimize", "--cmd", program("counted"), "--dim", "4", "--seed", "5", "--max-evals", "400", "--in-flight", "6", "--checkpoint-every", "5ms", "--json", "--out"}

// requireRetraced asks and tells a new search what the whole journal says, line by line: the points are those of the journal and the end is the last state, bit for bit.
func requireRetraced(t *testing.T, dir string, evaluations int) {
	t.Helper()
	r, err := run.Open(dir, run.Options{})
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, flightKind, r.State().Kind)
	end, err := esadapt.RestoreAsync(r.State().Data)
	require.NoError(t, err)
	s, err := esadapt.NewAsync(end.Search().Options(), 6)
	require.NoError(t, err)
	best := math.Inf(1)
	for e, err := range run.Events(dir, "ask", "tell") {
		require.NoError(t, err)
		if e.Kind == "ask" {
			c := s.Take(1)
			require.Len(t, c, 1, "line %d", e.Line)
			require.Equal(t, e.ID, c[0].ID+1, "line %d", e.Line)
			require.True(t, slices.Equal(c[0].X, e.X), "line %d: the search asks for %v, the journal says %v", e.Line, c[0].X, e.X)
			continue
		}
		best = min(best, e.F)
		require.NoError(t, s.Report(evaluationOf(e.ID, e.F, e.G, e.Status != "")), "line %d", e.Line)
	}
	data, err := s.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, r.State().Data, data, "the state that the journal leads to")
	require.Equal(t, evaluations, s.Search().Evaluations())
	require.Equal(t, best, s.Search().Best().F)
	require.Len(t, told(t, dir), evaluations)
}

// notAgain demands that what was evaluated since is nothing that the journal had.
func notAgain(t *testing.T, counted string, before map[string]bool, evaluated int, seed uint64) {
	t.Helper()
	after, _ := os.ReadFile(counted)
	for _, id := range strings.Fields(string(after[evaluated:])) {
		require.False(t, before[id], "seed %d: evaluation %s was made again", seed, id)
	}
}

// TestKilledFlights kills runs with evaluations in flight at random instants: no result is lost, no evaluation is made again whose result had come, and the journal leads to the last state bit for bit.
func TestKilledFlights(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	began := time.Now()
	whole := filepath.Join(t.TempDir(), "whole")
	args := append([]string{"minimize", "--env", "SPDOPT_TEST_COUNTED"}, flightArgs[1:]...)
	output(t, process(filepath.Join(t.TempDir(), "ignored"), append(slices.Clone(args), whole)...))
	requireRetraced(t, whole, 400)
	took := time.Since(began)
	for range kills(t) {
		dir, counted := filepath.Join(t.TempDir(), "killed"), filepath.Join(t.TempDir(), "counted")
		command := append(slices.Clone(args), dir)
		for range 1 + random.IntN(3) {
			before, evaluated := told(t, dir), size(counted)
			kill(t, process(counted, command...), time.Duration(random.Float64()*float64(took)))
			notAgain(t, counted, before, evaluated, seed)
			command = goOn(args, dir)
		}
		before, evaluated := told(t, dir), size(counted)
		finished(t, counted, command, dir)
		require.Positive(t, size(counted), "programs count what they evaluate")
		notAgain(t, counted, before, evaluated, seed)
		requireRetraced(t, dir, 400)
	}
}

func size(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// TestKilledDistributedFlights is the same with workers in processes of their own, which are killed as well.
func TestKilledDistributedFlights(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	dir, counted := filepath.Join(t.TempDir(), "far"), filepath.Join(t.TempDir(), "counted")
	coordinator := process(counted, append(slices.Clone(flightArgs), dir, "--distributed", "--listen", loopback.Host(7)+":0", "--ack-wait", "3s", "--max-deliver", "20")...)
	require.NoError(t, coordinator.Start())
	url := queueOf(t, dir)
	hire := func() *exec.Cmd {
		return background(t, process(counted, "worker", "--nats", url, "--jobs", "2", "--cmd", program("counted"), "--env", "SPDOPT_TEST_COUNTED"))
	}
	workers := []*exec.Cmd{hire(), hire()}
	for range 3 {
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		i := random.IntN(len(workers))
		require.NoError(t, workers[i].Process.Kill())
		workers[i] = hire()
		_ = coordinator.Process.Kill()
		_ = coordinator.Wait()
		before, evaluated := told(t, dir), size(counted)
		if i, err := run.Inspect(dir); err == nil && i.Result != nil {
			break
		}
		coordinator = process(counted, "runs", "resume", dir, "--json")
		require.NoError(t, coordinator.Start())
		time.Sleep(200 * time.Millisecond)
		notAgain(t, counted, before, evaluated, seed)
	}
	_ = coordinator.Process.Signal(os.Interrupt)
	_ = coordinator.Wait()
	finished(t, counted, []string{"runs", "resume", dir, "--json"}, dir)
	requireRetraced(t, dir, 400)
	require.NoDirExists(t, filepath.Join(dir, queueFolder))
	for e, err := range run.Events(dir, "tell") {
		require.NoError(t, err)
		require.NotEmpty(t, e.Worker, "every result names its worker")
	}
}

// TestInterruptedFlight ends with 130 and goes on to its end; the waiting evaluations are made under their numbers.
func TestInterruptedFlight(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	command, release := held(t)
	cmd := process("", "minimize", "--cmd", command, "--dim", "3", "--seed", "1", "--max-evals", "40", "--in-flight", "6", "--json", "--out", dir)
	require.NoError(t, cmd.Start())
	for began := time.Now(); len(told(t, dir)) < 8; time.Sleep(5 * time.Millisecond) {
		require.Less(t, time.Since(began), 60*time.Second)
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 130, exit.ExitCode())
	require.Less(t, len(told(t, dir)), 40)
	release()
	o := succeed(t, "runs", "resume", dir, "--json")
	require.Contains(t, o.stderr, "are open")
	require.Equal(t, 40.0, fields(t, o)["evaluations"])
	requireRetraced(t, dir, 40)
}
