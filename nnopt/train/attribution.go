package train

import (
	"fmt"
	"slices"

	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

// AsIs is the draw of examples without the changes that training makes to them at random.
const AsIs = -1

// subject is what a workload with independent examples lets be attributed to them.
type subject struct {
	training, validation  int
	height, width, colour int // of images; 0 if there are none
	// examples returns training examples, or validation examples, in new memory, in a draw of the noise of training.
	examples func(valid bool, numbers []int, draw int) *net.Batch[float32]
}

// Sizes returns the numbers of examples of training and validation; 0 if the examples of the workload are not independent of each other, or not numbered
// (graphs, windows of a text).
func (t *Trained) Sizes() (training, validation int) {
	return t.task.subject.training, t.task.subject.validation
}

// ImageSize returns height, width and channels of the examples, 0 if they are no images.
func (t *Trained) ImageSize() (height, width, channels int) {
	s := &t.task.subject
	return s.height, s.width, s.colour
}

// Training returns training examples by their numbers. draw selects the noise: AsIs leaves images unmoved; points that need noise get that of draw 0.
func (t *Trained) Training(numbers []int, draw int) (*net.Batch[float32], error) {
	return t.batchOf(false, t.task.subject.training, numbers, draw)
}

// Validating returns validation examples, as Training does those of training.
func (t *Trained) Validating(numbers []int, draw int) (*net.Batch[float32], error) {
	return t.batchOf(true, t.task.subject.validation, numbers, draw)
}

func (t *Trained) batchOf(valid bool, count int, numbers []int, draw int) (*net.Batch[float32], error) {
	if len(numbers) == 0 {
		return nil, &OptionError{"examples", "are none"}
	}
	for _, i := range numbers {
		if i < 0 || i >= count {
			return nil, &OptionError{"example", fmt.Sprintf("%d does not exist; there are %d", i, count)}
		}
	}
	return t.task.subject.examples(valid, numbers, draw), nil
}

// Retrained trains the network of a run anew on some of its training examples, for as many passes over them, with another seed of the initial parameters,
// the order and the noise. The data stay those of the run.
func (t *Trained) Retrained(subset []int, seed uint64) (again *Trained, err error) {
	defer engine.Recover(&err)
	count := t.task.subject.training
	if count == 0 {
		return nil, &OptionError{"workload", t.Workload.Name + " has no independent examples to leave out"}
	}
	o := t.Options
	o.resolveSteps(&t.Workload, t.PerEpoch)
	from := o.dataSeed()
	o.Subset, o.Seed, o.DataSeed = slices.Clone(subset), seed, &from
	o.Steps = max(1, o.Steps*len(subset)/count)
	o.Batch, o.EvalEvery, o.Target, o.Patience, o.Out = max(1, min(o.Batch, len(subset))), o.Steps, nil, 0, ""
	r, err := begin(o)
	if err != nil {
		return nil, err
	}
	if err := r.train(); err != nil {
		return nil, err
	}
	if a, ok := r.opt.(nnopt.Averager[float32]); ok {
		if err := a.Eval(r.blocks); err != nil {
			return nil, err
		}
	}
	return &Trained{Options: *r.o, Workload: *r.w, Net: r.t.net, Step: r.step, PerEpoch: r.t.perEpoch, task: r.t}, nil
}

func (o *Options) dataSeed() uint64 {
	if o.DataSeed != nil {
		return *o.DataSeed
	}
	return o.Seed
}

// chosen returns the training examples of Options.Subset, or all.
func chosen(o *Options, train *data.Set[float32]) (*data.Set[float32], error) {
	if o.Subset == nil {
		return train, nil
	}
	if len(o.Subset) == 0 {
		return nil, &OptionError{"subset", "is empty"}
	}
	for _, i := range o.Subset {
		if i < 0 || i >= train.N {
			return nil, &OptionError{"subset", fmt.Sprintf("holds %d; there are %d training examples", i, train.N)}
		}
	}
	var part data.Set[float32]
	train.Gather(o.Subset, &part)
	return &part, nil
}

// imageSubject is the subject of networks for images; shift says how far training moves them.
func imageSubject(o *Options, images *data.Images[float32], train, valid *data.Set[float32], shift int, target func(*data.Set[float32]) net.Target[float32]) subject {
	return subject{
		training: train.N, validation: valid.N, height: images.Height, width: images.Width, colour: images.Channels,
		examples: func(isValid bool, numbers []int, draw int) *net.Batch[float32] {
			var part data.Set[float32]
			if isValid {
				valid.Gather(numbers, &part)
			} else {
				train.Gather(numbers, &part)
			}
			if draw >= 0 && shift > 0 {
				images.Shift(part.X, shift, data.Stream(o.Seed, "shift of attribution", draw<<20+numbers[0]), make([]float32, part.X.Cols))
			}
			return &net.Batch[float32]{X: part.X, N: part.N, Target: target(&part)}
		},
	}
}
