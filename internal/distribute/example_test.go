package distribute_test

import (
	"context"
	"fmt"
	"os"

	"github.com/spdopt/spdopt/internal/distribute"
	"github.com/spdopt/spdopt/internal/objective"
)

// square is an objective in this process.
type square struct{}

func (square) Evaluate(_ context.Context, _ uint64, x []float64) (objective.Value, error) {
	return objective.Value{F: x[0] * x[0]}, nil
}

func (square) Close() {}

// A coordinator with a server of its own, and a worker that reaches it as from another machine.
func Example() {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	server, err := distribute.StartServer(distribute.ServerOptions{Address: ":0", Dir: dir})
	if err != nil {
		panic(err)
	}
	defer server.Stop()
	conn, err := server.Connect()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	coordinator, err := distribute.Start(context.Background(), conn, distribute.Options{
		Spec: distribute.Spec{Run: "example", Version: "1", Dim: 1},
		Keep: func(r *distribute.Result) error {
			fmt.Println("evaluation", r.ID, "by", r.Worker)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}

	ended := make(chan error)
	go func() {
		far, err := distribute.Connect(context.Background(), distribute.Login{URL: server.URL()}, nil)
		if err != nil {
			panic(err)
		}
		defer far.Close()
		ended <- distribute.Work(context.Background(), far, distribute.WorkerOptions{
			Name: "worker 1", Version: "1", Once: true, Open: func(*distribute.Spec) (objective.Evaluator, error) { return square{}, nil },
		})
	}()
	value, err := coordinator.Evaluate(context.Background(), 1, []float64{3})
	fmt.Println(value.F, err)
	fmt.Println(coordinator.Finish(context.Background()), <-ended)
	// Output:
	// evaluation 1 by worker 1
	// 9 <nil>
	// <nil> <nil>
}
