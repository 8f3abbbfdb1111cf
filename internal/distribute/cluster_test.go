package distribute

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/spdopt/spdopt/internal/loopback"
	"github.com/spdopt/spdopt/internal/objective"
)

// cluster starts three servers that keep copies of each other's streams and force everything to the disk, and returns when they have agreed on a leader.
func cluster(t *testing.T) []*natsserver.Server {
	t.Helper()
	var routes []*url.URL
	ports := make([]int, 3)
	for i := range ports {
		l, err := net.Listen("tcp", loopback.Host(5)+":0")
		require.NoError(t, err)
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		require.NoError(t, l.Close())
	}
	var all []*natsserver.Server
	for i, port := range ports {
		s, err := natsserver.NewServer(&natsserver.Options{
			ServerName: fmt.Sprint("server", i), Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
			Cluster: natsserver.ClusterOpts{Name: "test", Host: loopback.Host(5), Port: port}, Routes: routes,
		})
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		all = append(all, s)
	}
	require.Eventually(t, func() bool {
		for _, s := range all {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return true
			}
		}
		return false
	}, 30*time.Second, 10*time.Millisecond)
	return all
}

// TestClusterLosesAServer: with three copies, one of three servers stops in the middle, the one that coordinator and worker are connected to; nothing is lost and nothing is evaluated again after its result was kept.
func TestClusterLosesAServer(t *testing.T) {
	if testing.Short() {
		t.Skip("elections take seconds")
	}
	t.Parallel()
	servers := cluster(t)
	var urls []string
	for _, s := range servers {
		urls = append(urls, "nats://"+s.Addr().String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	login := Login{URL: strings.Join(urls, ",")}
	near, err := Connect(ctx, login, nil)
	require.NoError(t, err)
	defer near.Close()
	j := newJournal(t)
	var keptAt sync.Map
	keep := func(r *Result) error {
		keptAt.Store(r.ID, time.Now())
		return j.keep(r)
	}
	c, err := Start(ctx, near, Options{Spec: testSpec(), Replicas: 3, Keep: keep, Log: t.Logf})
	require.NoError(t, err)
	defer c.Stop()
	var late atomic.Int32
	for i := range 2 {
		conn, err := Connect(ctx, login, nil)
		require.NoError(t, err)
		defer conn.Close()
		go func() {
			_ = Work(ctx, conn, WorkerOptions{Name: fmt.Sprint("worker", i), Version: "v1", Jobs: 2, Open: func(*Spec) (objective.Evaluator, error) {
				return function(func(ctx context.Context, id uint64, x []float64) (objective.Value, error) {
					if at, kept := keptAt.Load(id); kept && time.Since(at.(time.Time)) > glance {
						late.Add(1)
					}
					time.Sleep(5 * time.Millisecond)
					return sum(ctx, id, x)
				}), nil
			}})
		}()
	}
	values := make(chan []float64)
	go func() { values <- evaluateAll(t, c, 1, 60) }()
	require.Eventually(t, func() bool { return j.count() >= 15 }, 30*time.Second, time.Millisecond)
	connected := near.ConnectedServerId()
	for _, s := range servers {
		if s.ID() == connected {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	requireSums(t, <-values, 1)
	require.Equal(t, 60, j.count())
	require.Zero(t, late.Load())
}
