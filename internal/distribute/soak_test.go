package distribute

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/objective"
)

// TestMain lets the test binary be a worker process: "worker URL FILE", where FILE gets a line with the identifier and the time of every evaluation that it begins.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "worker" {
		if err := beWorker(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most tests wait for an acknowledgement wait to pass
		panic(err)
	}
	os.Exit(m.Run())
}

func beWorker(url, file string) error {
	go func() { // the end of the input is the end of the process that started this one
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	conn, err := Connect(context.Background(), Login{URL: url}, nil)
	if err != nil {
		return err
	}
	return Work(context.Background(), conn, WorkerOptions{Name: fmt.Sprint("process", os.Getpid()), Version: "v1", Once: true, Open: func(*Spec) (objective.Evaluator, error) {
		return function(func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
			fmt.Fprintln(f, id, time.Now().UnixNano())
			return sum(ctx, id, x)
		}), nil
	}})
}

// killer keeps three worker processes at work, and kills one of them at a random instant after every number on kept.
func killer(t *testing.T, url, file string, random *rand.Rand, kept <-chan int) (killed int) {
	hire := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "worker", url, file)
		cmd.Stderr = os.Stderr
		if _, err := cmd.StdinPipe(); err != nil {
			t.Error(err)
		}
		if err := cmd.Start(); err != nil {
			t.Error(err)
		}
		return cmd
	}
	fire := func(cmd *exec.Cmd) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	workers := []*exec.Cmd{hire(), hire(), hire()}
	for range kept {
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		i := random.IntN(len(workers))
		fire(workers[i])
		killed++
		workers[i] = hire()
	}
	for _, w := range workers {
		fire(w)
	}
	return killed
}

// TestSoak: worker processes are killed at random; no evaluation is lost, none is kept twice, and none begins after its result was kept. SPDOPT_TEST_SOAK sets the number of evaluations.
func TestSoak(t *testing.T) {
	t.Parallel()
	total, every := 1500, 300
	if text := os.Getenv("SPDOPT_TEST_SOAK"); text != "" {
		var err error
		total, err = strconv.Atoi(text)
		require.NoError(t, err)
		every = 2000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := startServer(t, t.TempDir(), ":0")
	spec := testSpec()
	spec.AckWait, spec.MaxDeliver = time.Second, 1000 // here workers die without the evaluation's fault
	keptAt, kept := make([]int64, total+1), 0
	kills := make(chan int, 1)
	c := startCoordinator(t, s, Options{Spec: spec, Keep: func(r *Result) error {
		if keptAt[r.ID] != 0 {
			t.Errorf("evaluation %d was kept twice", r.ID)
		}
		keptAt[r.ID] = time.Now().UnixNano()
		if kept++; kept%every == 0 {
			select {
			case kills <- kept:
			default: // the killer is still at it
			}
		}
		return nil
	}})
	file := filepath.Join(t.TempDir(), "begun")
	killed := make(chan int)
	go func() { killed <- killer(t, s.URL(), file, rand.New(rand.NewPCG(seed, 0)), kills) }()
	began := time.Now()
	heap := handOut(t, c, total)
	took := time.Since(began)
	c.Stop()
	close(kills)
	deaths := <-killed
	again, late := begunAfter(t, file, keptAt)
	t.Logf("%d evaluations in %v, %d workers killed; lost 0, begun after completion %d, more than %v after it %d, %+v; heap after a fifth %d KiB, at the end %d KiB", total, took, deaths, again, glance, late, c.Stats(), heap[0]>>10, heap[1]>>10)
	require.Equal(t, total, c.Stats().Kept)
	require.Zero(t, late)
}

// handOut evaluates 1 to total, a hundred at once, and returns the size of the heap after a fifth and at the end.
func handOut(t *testing.T, c *Coordinator, total int) (heap [2]uint64) {
	var next atomic.Int64
	var group sync.WaitGroup
	measure := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range 100 {
		group.Go(func() {
			for id := int(next.Add(1)); id <= total; id = int(next.Add(1)) {
				v, err := c.Evaluate(context.Background(), uint64(id), point(id))
				if want, _ := sum(context.Background(), 0, point(id)); err != nil || v.F != want.F {
					t.Errorf("evaluation %d: %v %v", id, v, err)
				}
				if id == total/5 {
					heap[0] = measure()
				}
			}
		})
	}
	group.Wait()
	heap[1] = measure()
	return heap
}

// glance is what may pass between the look of a worker whether a task that came again is done and the beginning of its evaluation, on a machine that does much else.
const glance = 250 * time.Millisecond

// begunAfter counts the evaluations that began although their result was kept, and those of them that had more than a glance of time to know.
func begunAfter(t *testing.T, file string, keptAt []int64) (again, late int) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var id, at int64
		_, err := fmt.Sscan(lines.Text(), &id, &at)
		require.NoError(t, err, "%q", lines.Text())
		if at > keptAt[id] {
			again++
		}
		if at > keptAt[id]+int64(glance) {
			late++
		}
	}
	require.NoError(t, lines.Err())
	return again, late
}
