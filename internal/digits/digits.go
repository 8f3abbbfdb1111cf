// Package digits turns the MNIST images of handwritten digits into the ten class covariance matrices that the demo and the examples use.
package digits

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
)

const (
	// Classes is the number of digits.
	Classes = 10
	// Ridge is added to the diagonal of every covariance matrix: the border pixels are black in every image, so that without it each
	// matrix would be singular. Pixels run from 0 to 1.
	Ridge = 1e-3

	pool  = 2       // images are averaged over pool x pool pixels
	white = 4 * 255 // the sum of four white pixels
)

// Covariances returns the sample covariance matrix (divisor N-1) plus Ridge times the identity of the images of each class. images is
// N x h x w of bytes with even h and w, labels is N of 0 ... 9; pixels are averaged over 2 x 2 squares and scaled to [0, 1], and ordered row
// by row. Sums are taken in integers and each element is one division, so the result has the same bits everywhere.
func Covariances(images, labels *matio.IDX) ([]dense.Matrix[float64], error) {
	if len(images.Shape) != 3 || images.Shape[1]%pool != 0 || images.Shape[2]%pool != 0 {
		return nil, fmt.Errorf("images have shape %v, want N x h x w with even h and w", images.Shape)
	}
	if len(labels.Shape) != 1 || labels.Shape[0] != images.Shape[0] {
		return nil, fmt.Errorf("labels have shape %v, want one for each of %d images", labels.Shape, images.Shape[0])
	}
	h, w := images.Shape[1], images.Shape[2]
	n := h / pool * (w / pool)
	sums := make([]moments, Classes)
	for c := range sums {
		sums[c] = moments{first: make([]int64, n), second: make([]int64, n*n)}
	}
	pixels := make([]int64, n)
	for k, label := range labels.Data {
		c := int(label)
		if c < 0 || c >= Classes || float64(c) != label {
			return nil, fmt.Errorf("label %d is %v, not a digit", k, label)
		}
		pooled(images.Data[k*h*w:(k+1)*h*w], w, pixels)
		sums[c].add(pixels)
	}
	covariances := make([]dense.Matrix[float64], Classes)
	for c, s := range sums {
		if s.count < 2 {
			return nil, fmt.Errorf("digit %d has %d images; a covariance needs two", c, s.count)
		}
		covariances[c] = s.covariance()
	}
	return covariances, nil
}

// pooled sets pixels to the sums over 2 x 2 squares of an image whose rows have width w.
func pooled(image []float64, w int, pixels []int64) {
	for p := range pixels {
		i, j := p/(w/pool)*pool, p%(w/pool)*pool
		pixels[p] = int64(image[i*w+j] + image[i*w+j+1] + image[(i+1)*w+j] + image[(i+1)*w+j+1])
	}
}

// moments holds exact sums of pixels and of products of pixels.
type moments struct {
	count         int64
	first, second []int64
}

func (m *moments) add(pixels []int64) {
	m.count++
	n := len(pixels)
	for i, x := range pixels {
		m.first[i] += x
		if x == 0 {
			continue
		}
		row := m.second[i*n : (i+1)*n]
		for j, y := range pixels {
			row[j] += x * y
		}
	}
}

func (m *moments) covariance() dense.Matrix[float64] {
	n := len(m.first)
	a := dense.New[float64](n, n)
	divisor := float64(m.count * (m.count - 1) * white * white)
	for i := range n {
		for j := range n {
			a.Set(i, j, float64(m.count*m.second[i*n+j]-m.first[i]*m.first[j])/divisor)
		}
		a.Set(i, i, a.At(i, i)+Ridge)
	}
	return a
}
