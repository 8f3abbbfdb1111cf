package train

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/nnopt/data"
	"github.com/spdopt/spdopt/nnopt/net"
)

const (
	imageData = "a folder with IDX files of images and labels (0 to 9), or with the binary batches of CIFAR-10, or an npz file with arrays x (square images in rows, " +
		"0 to 1) and y; the last 20 % validate"
	generatedImages = 5000
	validationShare = 0.2
	imageShift      = 1 // pixels by which the images of a batch are moved at most, in training
)

var mnistMLP = Workload{
	Name: "mnist-mlp", What: "digits, moved by up to a pixel in training, with a network 784-128-10", Data: imageData, Metric: "accuracy", Higher: true,
	defaults: defaults{steps: 1500, batch: 128, evalEvery: 100, lr: map[string]float64{"adamw": 2e-3, "nadamw": 2e-3, "schedule-free-adamw": 4e-3}},
	build: func(o *Options) (*task, error) {
		return classifier(o, 1, func(r *rand.Rand, s *data.Images[float32]) net.Layer[float32] {
			pixels := s.Height * s.Width * s.Channels
			return net.Chain[float32](
				net.NewLinear[float32](r, pixels, 128, net.LinearOptions{Gain: math.Sqrt2}), net.NewActivation[float32](net.ReLU),
				net.NewLinear[float32](r, 128, s.Labels, net.LinearOptions{}),
			)
		})
	},
}

var mnistCNN = Workload{
	Name: "mnist-cnn", What: "digits, moved by up to a pixel in training, with two convolutions", Data: imageData, Metric: "accuracy", Higher: true,
	defaults: defaults{steps: 800, batch: 64, evalEvery: 100, lr: map[string]float64{"adamw": 3e-3, "nadamw": 3e-3, "schedule-free-adamw": 5e-3, "sgd": 0.05}},
	build: func(o *Options) (*task, error) {
		return classifier(o, 4, func(r *rand.Rand, s *data.Images[float32]) net.Layer[float32] {
			relu := func() net.Layer[float32] { return net.NewActivation[float32](net.ReLU) }
			first := net.NewConv2d[float32](r, net.ConvOptions{
				In: s.Channels, Out: 8, Height: s.Height, Width: s.Width, Padding: 1, Gain: math.Sqrt2,
			})
			half := net.NewPool[float32](net.Max, net.PoolOptions{Height: s.Height, Width: s.Width})
			height, width := half.OutputSize()
			second := net.NewConv2d[float32](r, net.ConvOptions{In: 8, Out: 16, Height: height, Width: width, Padding: 1, Gain: math.Sqrt2})
			quarter := net.NewPool[float32](net.Max, net.PoolOptions{Height: height, Width: width})
			height, width = quarter.OutputSize()
			return net.Chain[float32](
				net.NewPixels[float32](s.Channels), first, relu(), half, second, relu(), quarter, net.NewFlatten[float32](),
				net.NewLinear[float32](r, height*width*16, s.Labels, net.LinearOptions{}),
			)
		})
	},
}

var autoencoder = Workload{
	Name: "autoencoder", What: "images through a bottleneck of 32 numbers", Data: imageData, Metric: "mean squared error",
	defaults: defaults{steps: 1500, batch: 128, evalEvery: 100, lr: map[string]float64{"adamw": 2e-3, "nadamw": 2e-3, "schedule-free-adamw": 4e-3}},
	build:    buildAutoencoder,
}

// readImages returns the images that the options name, or generated ones.
func readImages(o *Options) (*data.Images[float32], error) {
	if o.Data == "" {
		return data.Blobs[float32](generatedImages, data.Stream(o.dataSeed(), "images", 0)), nil
	}
	if strings.HasSuffix(o.Data, ".npz") {
		s, classes, err := data.ReadNPZ[float32](o.Data, true)
		if err != nil {
			return nil, err
		}
		side := int(math.Sqrt(float64(s.X.Cols)))
		if side*side != s.X.Cols {
			return nil, dataError(o.Data, "the %d columns of x are not square images", s.X.Cols)
		}
		if err := checkPixels(o.Data, s.X.Data); err != nil {
			return nil, err
		}
		return &data.Images[float32]{Set: *s, Height: side, Width: side, Channels: 1, Labels: classes}, nil
	}
	if batches, err := filepath.Glob(filepath.Join(o.Data, "data_batch_*.bin")); err == nil && len(batches) > 0 {
		return data.ReadCIFAR10[float32](batches...)
	}
	images, labels, err := data.FindIDX(o.Data)
	if err != nil {
		return nil, err
	}
	return data.ReadIDX[float32](images, labels, 10)
}

// pixelRounding is by how much a pixel may leave the range from 0 to 1.
const pixelRounding = 1e-6

// checkPixels refuses pixels that are not from 0 to 1, such as bytes.
func checkPixels(file string, x []float32) error {
	least, most := slices.Min(x), slices.Max(x)
	if least >= -pixelRounding && most <= 1+pixelRounding {
		return nil
	}
	try := "scale x to 0 to 1"
	if least >= 0 && most <= 255 {
		try = "divide x by 255"
	}
	return &matio.Error{File: file, What: fmt.Sprintf("array x holds numbers from %v to %v, and pixels are from 0 to 1", least, most), Try: try}
}

// splitImages returns the training and validation sets, and the order of training.
func splitImages(o *Options) (all *data.Images[float32], train, valid *data.Set[float32], order *data.Order, err error) {
	if all, err = readImages(o); err != nil {
		return
	}
	if train, valid, err = all.Split(validationShare); err != nil {
		err = dataError(o.Data, "%v", err)
		return
	}
	if train, err = chosen(o, train); err != nil {
		return
	}
	if order, err = data.NewOrder(train.N, o.Batch, o.Seed); err != nil {
		err = &OptionError{"batch", "does not fit: " + err.Error()}
	}
	return
}

// classifier is the task of a network for images of at least the given side. In training the images are moved by up to imageShift pixels.
func classifier(o *Options, side int, layer func(*rand.Rand, *data.Images[float32]) net.Layer[float32]) (*task, error) {
	images, train, valid, order, err := splitImages(o)
	if err != nil {
		return nil, err
	}
	if min(images.Height, images.Width) < side {
		return nil, dataError(o.Data, "images of %d x %d are too small; at least %d x %d are needed", images.Height, images.Width, side, side)
	}
	n := net.New[float32](layer(data.Stream(o.Seed, "network", 0), images), &net.CrossEntropy[float32]{}, o.Seed)
	var part data.Set[float32]
	b := &net.Batch[float32]{}
	streams, scratch := data.NewStreams(o.Seed), make([]float32, images.X.Cols)
	validation := pieces(valid, func(p *data.Set[float32]) net.Target[float32] { return net.Target[float32]{Classes: p.Classes} })
	return &task{
		net: n, perEpoch: order.PerEpoch(), examples: train.N, validation: validation,
		batch: func(step int) *net.Batch[float32] {
			train.Gather(order.Batch(step), &part)
			images.Shift(part.X, imageShift, streams.At("shift", step), scratch)
			b.X, b.N, b.Step, b.Target.Classes = part.X, part.N, uint64(step), part.Classes
			return b
		},
		evaluate: func() (float64, float64) {
			var loss float64
			right := 0
			for b := range validation {
				l, out := n.Evaluate(b)
				loss += l * float64(b.N)
				k, _ := net.Hits(out, b.Target.Classes)
				right += k
			}
			return loss / float64(valid.N), float64(right) / float64(valid.N)
		},
		subject: imageSubject(o, images, train, valid, imageShift, func(s *data.Set[float32]) net.Target[float32] { return net.Target[float32]{Classes: s.Classes} }),
	}, nil
}

// pieces yields batches of at most 500 examples.
func pieces(s *data.Set[float32], target func(*data.Set[float32]) net.Target[float32]) iter.Seq[*net.Batch[float32]] {
	return func(yield func(*net.Batch[float32]) bool) {
		const size = 500
		for at := 0; at < s.N; at += size {
			p := s.Part(at, min(at+size, s.N))
			if !yield(&net.Batch[float32]{X: p.X, N: p.N, Target: target(p)}) {
				return
			}
		}
	}
}

func buildAutoencoder(o *Options) (*task, error) {
	images, train, valid, order, err := splitImages(o)
	if err != nil {
		return nil, err
	}
	r := data.Stream(o.Seed, "network", 0)
	width := images.Height * images.Width * images.Channels
	linear := func(in, out int) net.Layer[float32] { return net.NewLinear[float32](r, in, out, net.LinearOptions{}) }
	curve := func(c net.Curve) net.Layer[float32] { return net.NewActivation[float32](c) }
	n := net.New[float32](net.Chain(
		linear(width, 256), curve(net.GELU), linear(256, 32), linear(32, 256), curve(net.GELU), linear(256, width), curve(net.Sigmoid),
	), net.NewSquare[float32](false), o.Seed)
	var part data.Set[float32]
	b := &net.Batch[float32]{}
	validation := pieces(valid, func(p *data.Set[float32]) net.Target[float32] { return net.Target[float32]{Values: p.X} })
	return &task{
		net: n, perEpoch: order.PerEpoch(), examples: train.N, validation: validation,
		batch: func(step int) *net.Batch[float32] {
			train.Gather(order.Batch(step), &part)
			b.X, b.N, b.Step, b.Target.Values = part.X, part.N, uint64(step), part.X
			return b
		},
		evaluate: func() (float64, float64) {
			var loss float64
			for b := range validation {
				l, _ := n.Evaluate(b)
				loss += l * float64(b.N)
			}
			loss /= float64(valid.N)
			return loss, loss
		},
		subject: imageSubject(o, images, train, valid, 0, func(s *data.Set[float32]) net.Target[float32] { return net.Target[float32]{Values: s.X} }),
	}, nil
}
