package algoperf

import (
	"fmt"
	"math/rand/v2"

	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

// The validation sets are the last share of the examples, or the first of those.
const (
	validationShare = 0.2
	evaluationPart  = 500 // examples in a pass of an evaluation
)

// imageSet is a set of images split for a trial.
type imageSet struct {
	*data.Images[float32]
	train, valid *data.Set[float32]
	order        *data.Order
	streams      *data.Streams
	seed         uint64

	part    data.Set[float32]
	scratch []float32
	batch   net.Batch[float32]
}

// images splits a set of images; at most the given number of examples validate.
func (s *setup) images(read func() (*data.Images[float32], error), most int) (*imageSet, error) {
	all, err := read()
	if err != nil {
		return nil, err
	}
	set := &imageSet{Images: all, streams: data.NewStreams(s.seed), seed: s.seed, scratch: make([]float32, all.X.Cols)}
	if set.train, set.valid, err = all.Split(validationShare); err != nil {
		return nil, err
	}
	if set.valid.N > most {
		set.valid = set.valid.Part(0, most)
	}
	if set.order, err = data.NewOrder(set.train.N, s.batch, s.seed); err != nil {
		return nil, fmt.Errorf("digits: %w", err)
	}
	return set, nil
}

// random returns the source of the initial parameters.
func (s *setup) random() *rand.Rand { return data.Stream(s.seed, "network", 0) }

// next returns the images of a step, moved by up to shift pixels.
func (s *imageSet) next(step, shift int) *net.Batch[float32] {
	s.train.Gather(s.order.Batch(step), &s.part)
	if shift > 0 {
		s.Shift(s.part.X, shift, s.streams.At("shift", step), s.scratch)
	}
	b := &s.batch
	b.X, b.N, b.Step, b.Target.Classes = s.part.X, s.part.N, uint64(step), s.part.Classes
	return b
}

// classify returns the task of a network that tells the digits apart.
func (s *imageSet) classify(root net.Layer[float32], shift int) *Task {
	n := net.New[float32](root, &net.CrossEntropy[float32]{}, s.seed)
	return &Task{
		Net: n, Examples: s.train.N,
		Batch: func(step int) *net.Batch[float32] { return s.next(step, shift) },
		Evaluate: func() (float64, float64) {
			var loss float64
			right := 0
			s.parts(func(p *data.Set[float32]) {
				l, out := n.Evaluate(&net.Batch[float32]{X: p.X, N: p.N, Target: net.Target[float32]{Classes: p.Classes}})
				loss += l * float64(p.N)
				k, _ := net.Hits(out, p.Classes)
				right += k
			})
			return loss / float64(s.valid.N), float64(right) / float64(s.valid.N)
		},
	}
}

// reconstruct returns the task of a network whose outputs should be its inputs; the metric is the mean squared error.
func (s *imageSet) reconstruct(root net.Layer[float32]) *Task {
	n := net.New[float32](root, net.NewSquare[float32](false), s.seed)
	return &Task{
		Net: n, Examples: s.train.N,
		Batch: func(step int) *net.Batch[float32] {
			b := s.next(step, 0)
			b.Target = net.Target[float32]{Values: b.X}
			return b
		},
		Evaluate: func() (float64, float64) {
			var loss float64
			s.parts(func(p *data.Set[float32]) {
				l, _ := n.Evaluate(&net.Batch[float32]{X: p.X, N: p.N, Target: net.Target[float32]{Values: p.X}})
				loss += l * float64(p.N)
			})
			loss /= float64(s.valid.N)
			return loss, loss
		},
	}
}

func (s *imageSet) parts(f func(*data.Set[float32])) {
	for at := 0; at < s.valid.N; at += evaluationPart {
		f(s.valid.Part(at, min(at+evaluationPart, s.valid.N)))
	}
}
