package distribute

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/cputime"
	"github.com/spdopt/spdopt/internal/objective"
)

// BenchmarkEvaluate measures an evaluation on its way through server, worker and coordinator, all in this process but with connections of their own, 256 at once.
func BenchmarkEvaluate(b *testing.B) {
	for _, noSync := range []bool{true, false} {
		for _, dim := range []int{20, 1000} {
			for _, workers := range []int{1, 4, 16} {
				b.Run(fmt.Sprintf("sync=%v/dim=%d/workers=%d", !noSync, dim, workers), func(b *testing.B) { evaluations(b, noSync, dim, workers) })
			}
		}
	}
}

func evaluations(b *testing.B, noSync bool, dim, workers int) {
	s, err := StartServer(ServerOptions{Address: ":0", Dir: b.TempDir(), NoSync: noSync})
	require.NoError(b, err)
	defer s.Stop()
	spec := testSpec()
	spec.Dim, spec.AckWait = dim, 30*time.Second
	c := startCoordinator(b, s, Options{Spec: spec, Keep: func(*Result) error { return nil }})
	for i := range workers {
		startWorker(b, s, WorkerOptions{Name: fmt.Sprint(i)}, sum)
	}
	x := make([]float64, dim)
	for i := range x {
		x[i] = 1 / float64(i+3)
	}
	_, err = c.Evaluate(context.Background(), 1, x)
	require.NoError(b, err)
	var next atomic.Uint64
	next.Store(1)
	last := uint64(b.N) + 1
	b.ResetTimer()
	cpu, _ := cputime.Seconds()
	var group sync.WaitGroup
	for range 256 {
		group.Go(func() {
			for id := next.Add(1); id <= last; id = next.Add(1) {
				if _, err := c.Evaluate(context.Background(), id, x); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	report(b, cpu)
}

// report adds the rate, and the processor time of server and all clients since it was cpu.
func report(b *testing.B, cpu float64) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
	if now, known := cputime.Seconds(); known {
		b.ReportMetric((now-cpu)*1e6/float64(b.N), "cpu-us/op")
	}
}

// BenchmarkBareJetStream measures what JetStream itself takes for the same two messages: a task published and pulled, a result published and pulled, both acknowledged.
func BenchmarkBareJetStream(b *testing.B) {
	for _, noSync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%v/dim=20", !noSync), func(b *testing.B) { bare(b, noSync) })
	}
}

func bare(b *testing.B, noSync bool) {
	s, err := StartServer(ServerOptions{Address: ":0", Dir: b.TempDir(), NoSync: noSync})
	require.NoError(b, err)
	defer s.Stop()
	conn, err := s.Connect()
	require.NoError(b, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(b, err)
	ctx := context.Background()
	data := encodeTask("bare", 1, make([]float64, 20))
	consumers := map[string]jetstream.Consumer{}
	for _, name := range []string{"tasks", "results"} {
		stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage})
		require.NoError(b, err)
		consumers[name], err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
		require.NoError(b, err)
	}
	room, ended := make(chan struct{}, 256), make(chan struct{})
	done := 0
	work, err := consumers["tasks"].Consume(func(m jetstream.Msg) {
		if _, err := js.PublishAsync("results", data); err != nil {
			b.Error(err)
		}
		_ = m.Ack()
	})
	require.NoError(b, err)
	defer work.Stop()
	b.ResetTimer()
	cpu, _ := cputime.Seconds()
	collect, err := consumers["results"].Consume(func(m jetstream.Msg) {
		_ = m.Ack()
		<-room
		if done++; done == b.N {
			close(ended)
		}
	})
	require.NoError(b, err)
	defer collect.Stop()
	for range b.N {
		room <- struct{}{}
		if _, err := js.PublishAsync("tasks", data); err != nil {
			b.Fatal(err)
		}
	}
	<-ended
	report(b, cpu)
}

// BenchmarkRedelivery measures from the death of a worker, which has just taken an evaluation, to the result of another.
func BenchmarkRedelivery(b *testing.B) {
	for _, wait := range []time.Duration{500 * time.Millisecond, 2 * time.Second} {
		b.Run(wait.String(), func(b *testing.B) {
			s := startServer(b, b.TempDir(), ":0")
			spec := testSpec()
			spec.AckWait = wait
			c := startCoordinator(b, s, Options{Spec: spec, Keep: func(*Result) error { return nil }})
			for i := range b.N {
				taken := takeTask(b, s, c)
				answered := make(chan struct{})
				go func() {
					evaluateAll(b, c, i+1, 1)
					close(answered)
				}()
				<-taken
				end := startWorker(b, s, WorkerOptions{}, sum)
				<-answered
				b.StopTimer()
				_ = end()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkRestart measures a coordinator that starts again, server included, with 1,000 evaluations in the queue and 1,000 results that came meanwhile.
func BenchmarkRestart(b *testing.B) {
	for range b.N {
		b.StopTimer()
		dir := b.TempDir()
		s, err := StartServer(ServerOptions{Address: ":0", Dir: dir, NoSync: true})
		require.NoError(b, err)
		j := newJournal(b)
		c := startCoordinator(b, s, Options{Keep: j.keep})
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		var open []uint64
		for id := uint64(1); id <= 2000; id++ {
			open = append(open, id)
			group.Go(func() { _, _ = c.Evaluate(ctx, id, point(int(id))) })
		}
		require.Eventually(b, func() bool {
			there, err := c.waiting(context.Background())
			return err == nil && len(there) == 2000
		}, 20*time.Second, 10*time.Millisecond)
		cancel()
		group.Wait()
		c.Stop()
		js, err := jetstream.New(dial(b, s))
		require.NoError(b, err)
		for id := uint64(1); id <= 1000; id++ {
			_, err := js.PublishAsync(c.o.subject("result", id), (&Result{ID: id, Attempt: 1, Value: objective.Value{F: 1}, Worker: "w"}).encode(&c.o.Spec))
			require.NoError(b, err)
		}
		<-js.PublishAsyncComplete()
		s.Stop()
		b.StartTimer()
		s, err = StartServer(ServerOptions{Address: ":0", Dir: dir, NoSync: true})
		require.NoError(b, err)
		c = startCoordinator(b, s, Options{Open: open, Keep: j.keep})
		b.StopTimer()
		require.Equal(b, 1000, j.count())
		c.Stop()
		s.Stop()
	}
}
