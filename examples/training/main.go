// Program training shows how a training loop of one's own uses the optimizers: it hands over blocks, which are names, shapes and plain slices with values and
// gradients, and nothing else. The model is a small network written out by hand; the loop saves the optimizer in the middle and goes on with another
// one from the saved bytes, with the same numbers.
//
//	go run ./examples/training
package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"github.com/spdopt/spdopt/nnopt"
)

const in, hidden, batch, steps = 6, 16, 64, 300

// model is y = v tanh(W x).
type model struct {
	blocks []nnopt.Block[float64]
	z      [hidden]float64
}

func newModel(rng *rand.Rand) *model {
	m := &model{}
	for _, s := range []struct {
		name       string
		rows, cols int
	}{{"W", hidden, in}, {"v", 1, hidden}} {
		b := nnopt.Block[float64]{Name: s.name, Rows: s.rows, Cols: s.cols, Value: make([]float64, s.rows*s.cols), Grad: make([]float64, s.rows*s.cols)}
		for i := range b.Value {
			b.Value[i] = rng.NormFloat64() / math.Sqrt(float64(s.cols))
		}
		m.blocks = append(m.blocks, b)
	}
	return m
}

// gradient sets the gradients of the mean squared error over a batch and returns it. The features have sizes from 1 to 10.
func (m *model) gradient(rng *rand.Rand) (loss float64) {
	w, v := &m.blocks[0], &m.blocks[1]
	clear(w.Grad)
	clear(v.Grad)
	for range batch {
		var x [in]float64
		want := 0.0
		for j := range x {
			x[j] = rng.NormFloat64() * math.Pow(10, float64(j)/(in-1))
			want += math.Sin(x[j] / math.Pow(10, float64(j)/(in-1)))
		}
		y := 0.0
		for i := range m.z {
			s := 0.0
			for j, xj := range x {
				s += w.Value[i*in+j] * xj
			}
			m.z[i] = math.Tanh(s)
			y += v.Value[i] * m.z[i]
		}
		e := (y - want) / batch
		loss += e * e * batch
		for i, z := range m.z {
			v.Grad[i] += 2 * e * z
			back := 2 * e * v.Value[i] * (1 - z*z)
			for j, xj := range x {
				w.Grad[i*in+j] += back * xj
			}
		}
	}
	return loss
}

// train returns the mean loss of the last 50 steps.
func train(name, options string) (float64, error) {
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	m := newModel(rng)
	opt, err := nnopt.New[float64](name, []byte(options))
	if err != nil {
		return 0, err
	}
	if err := opt.Init(m.blocks); err != nil {
		return 0, err
	}
	schedule := nnopt.Schedule{Shape: nnopt.Cosine, Warmup: 10, Steps: steps}
	mean := 0.0
	for step := range steps {
		if step == steps/2 {
			if opt, err = saved(opt, name, options, m.blocks); err != nil {
				return 0, err
			}
		}
		loss := m.gradient(rng)
		if _, err := opt.Step(m.blocks, nnopt.StepInfo{LRScale: schedule.At(step), BatchSize: batch}); err != nil {
			return 0, err
		}
		if step >= steps-50 {
			mean += loss / 50
		}
	}
	return mean, nil
}

// saved returns another optimizer that goes on where opt is.
func saved(opt nnopt.Optimizer[float64], name, options string, blocks []nnopt.Block[float64]) (nnopt.Optimizer[float64], error) {
	bytes, err := opt.State().MarshalBinary()
	if err != nil {
		return nil, err
	}
	var state nnopt.State[float64]
	if err := state.UnmarshalBinary(bytes); err != nil {
		return nil, err
	}
	next, err := nnopt.New[float64](name, []byte(options))
	if err != nil {
		return nil, err
	}
	if err := next.Init(blocks); err != nil {
		return nil, err
	}
	return next, next.SetState(state)
}

func main() {
	for _, c := range [][2]string{{"sgd", `{"lr":0.01}`}, {"adamw", `{"lr":0.02}`}, {"spectral", `{"lr":0.02,"interval":5}`}} {
		loss, err := train(c[0], c[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%-9s mean squared error %.4f\n", c[0], loss)
	}
}
