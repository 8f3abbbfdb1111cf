package data

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
)

// Images is a set of images, one a row of X: pixel after pixel, the channels of a pixel next to each other, from 0 to 1.
type Images[T Float] struct {
	Set[T]
	Height, Width, Channels int
	Labels                  int // number of classes
}

// ReadIDX reads images and labels in the IDX format of the MNIST files, plain or compressed by gzip. Images have one channel, pixels are whole numbers
// from 0 to 255 there, and labels are 0 to classes-1.
func ReadIDX[T Float](images, labels string, classes int) (*Images[T], error) {
	x, err := matio.OpenIDX(images)
	if err != nil {
		return nil, err
	}
	y, err := matio.OpenIDX(labels)
	if err != nil {
		return nil, err
	}
	switch {
	case len(x.Shape) != 3 || len(x.Data) == 0:
		return nil, badf(images, "", "shape %v is not that of images, count x height x width", x.Shape)
	case len(y.Shape) != 1:
		return nil, badf(labels, "", "shape %v is not that of labels", y.Shape)
	case x.Shape[0] != y.Shape[0]:
		return nil, badf(labels, "", "%d labels for %d images of %s", y.Shape[0], x.Shape[0], images)
	}
	for i, v := range x.Data {
		if !(v >= 0 && v <= 255) || v != math.Trunc(v) {
			return nil, badf(images, "IDX images are bytes; npz files may hold pixels from 0 to 1", "pixel %v of image %d is not a whole number from 0 to 255", v, i/(x.Shape[1]*x.Shape[2]))
		}
	}
	s := &Images[T]{Height: x.Shape[1], Width: x.Shape[2], Channels: 1, Labels: classes}
	s.N = x.Shape[0]
	s.X = dense.Wrap(s.N, s.Height*s.Width, converted[T](x.Data))
	for i := range s.X.Data {
		s.X.Data[i] /= 255
	}
	s.Classes, err = labelsOf(labels, y.Data, classes)
	return s, err
}

func labelsOf(file string, values []float64, classes int) ([]int32, error) {
	out := make([]int32, len(values))
	for i, v := range values {
		if !(v >= 0 && v < float64(classes)) || v != float64(int(v)) {
			return nil, badf(file, "", "label %v at %d is not one of 0 to %d", v, i, classes-1)
		}
		out[i] = int32(v)
	}
	return out, nil
}

// Shift moves each image of a batch, one a row of x, by up to reach pixels in both directions, with zeros where nothing was. scratch must hold an image.
func (s *Images[T]) Shift(x Matrix[T], reach int, r *rand.Rand, scratch []T) {
	width := s.Width * s.Channels
	for k := range x.Rows {
		image := x.Row(k)
		dy, dx := r.IntN(2*reach+1)-reach, (r.IntN(2*reach+1)-reach)*s.Channels
		copy(scratch, image)
		clear(image)
		from, to := max(0, -dx), width-max(0, dx)
		for i := max(0, -dy); i < s.Height-max(0, dy) && from < to; i++ {
			copy(image[(i+dy)*width+from+dx:], scratch[i*width+from:i*width+to])
		}
	}
}

// FindIDX returns the files of images and labels in a folder: those whose names contain "images" and "labels". Of several pairs it takes the first by
// name.
func FindIDX(folder string) (images, labels string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		failed := matio.SystemError(folder, "open", err)
		failed.Try = "name a folder with IDX files of images and labels"
		return "", "", failed
	}
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if images == "" && strings.Contains(name, "images") {
			images = filepath.Join(folder, e.Name())
		}
		if labels == "" && strings.Contains(name, "labels") {
			labels = filepath.Join(folder, e.Name())
		}
	}
	if images == "" || labels == "" {
		return "", "", badf(folder, "name a folder with IDX files of images and labels", "no file of images or none of labels is there")
	}
	return images, labels, nil
}

// The layout of a record of CIFAR-10: a label, then three planes of 32 x 32 bytes.
const (
	cifarSide   = 32
	cifarRecord = 1 + 3*cifarSide*cifarSide
)

// ReadCIFAR10 reads batches in the binary version of CIFAR-10, one after the other.
func ReadCIFAR10[T Float](files ...string) (*Images[T], error) {
	s := &Images[T]{Height: cifarSide, Width: cifarSide, Channels: 3, Labels: 10}
	const plane = cifarSide * cifarSide
	var pixels []T
	for _, file := range files {
		bytes, err := os.ReadFile(file)
		if err != nil {
			return nil, matio.SystemError(file, "open", err)
		}
		if len(bytes) == 0 || len(bytes)%cifarRecord != 0 {
			return nil, badf(file, "use the binary version of CIFAR-10", "%d bytes are not a number of records of %d", len(bytes), cifarRecord)
		}
		for ; len(bytes) > 0; bytes = bytes[cifarRecord:] {
			if bytes[0] > 9 {
				return nil, badf(file, "", "label %d at record %d is not one of 0 to 9", bytes[0], s.N)
			}
			s.Classes = append(s.Classes, int32(bytes[0]))
			s.N++
			for i := range plane {
				for c := range 3 {
					pixels = append(pixels, T(bytes[1+c*plane+i])/255)
				}
			}
		}
	}
	if s.N == 0 {
		return nil, badf("CIFAR-10", "", "no file given")
	}
	s.X = dense.Wrap(s.N, 3*plane, pixels)
	return s, nil
}

// ReadNPZ reads the arrays x (examples x features) and, if labels is set, y (a class for each) of an npz file; classes are 0 to the largest.
func ReadNPZ[T Float](file string, labels bool) (s *Set[T], classes int, err error) {
	x, err := matio.ReadSamples(matio.Source{Paths: []string{file + ":x"}})
	if err != nil {
		return nil, 0, err
	}
	if x.Rows == 0 || x.Cols == 0 {
		return nil, 0, badf(file, "", "array x is %d x %d", x.Rows, x.Cols)
	}
	s = &Set[T]{X: dense.Wrap(x.Rows, x.Cols, converted[T](x.Data)), N: x.Rows}
	if !labels {
		return s, 0, nil
	}
	y, err := matio.ReadVector(matio.Source{Paths: []string{file + ":y"}})
	if err != nil {
		return nil, 0, err
	}
	if len(y) != s.N {
		return nil, 0, badf(file, "", "%d labels in y for %d rows of x", len(y), s.N)
	}
	top := 0.0
	for _, v := range y {
		top = max(top, v)
	}
	classes = int(min(top, 1<<20)) + 1
	s.Classes, err = labelsOf(file, y, classes)
	return s, classes, err
}
