package data

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
)

// Blobs makes grey images of 28 x 28 in ten classes: each class is a picture of a few smooth blobs; an example is it shifted by up to 5 pixels, with
// random brightness and noise.
func Blobs[T Float](n int, r *rand.Rand) *Images[T] {
	const side, classes, reach = 28, 10, 5
	var pictures [classes][side * side]float64
	for c := range pictures {
		for range 6 {
			y, x, width := 5+18*r.Float64(), 5+18*r.Float64(), 1.5+2*r.Float64()
			for i := range pictures[c] {
				dy, dx := float64(i/side)-y, float64(i%side)-x
				pictures[c][i] += math.Exp(-(dy*dy + dx*dx) / (2 * width * width))
			}
		}
	}
	s := &Images[T]{Height: side, Width: side, Channels: 1, Labels: classes}
	s.N, s.X = n, dense.New[T](n, side*side)
	for k := range n {
		c := r.IntN(classes)
		s.Classes = append(s.Classes, int32(c))
		dy, dx := r.IntN(2*reach+1)-reach, r.IntN(2*reach+1)-reach
		bright := 0.5 + 0.5*r.Float64()
		for i := range s.X.Row(k) {
			y, x := i/side+dy, i%side+dx
			v := 0.4 * r.NormFloat64()
			if y >= 0 && y < side && x >= 0 && x < side {
				v += bright * pictures[c][y*side+x]
			}
			s.X.Set(k, i, T(min(max(v, 0), 1)))
		}
	}
	return s
}

// Teacher makes inputs from the normal distribution with the classes, or values, that a random network with one hidden layer of the given width gives
// them.
func Teacher[T Float](n, inputs, hidden, outputs int, r *rand.Rand) *Set[T] {
	first, second := dense.New[float64](hidden, inputs), dense.New[float64](outputs, hidden)
	for _, w := range []dense.Matrix[float64]{first, second} {
		for i := range w.Data {
			w.Data[i] = r.NormFloat64() / math.Sqrt(float64(w.Cols))
		}
	}
	s := &Set[T]{X: dense.New[T](n, inputs), N: n, Values: dense.New[T](n, outputs)}
	x, h := make([]float64, inputs), make([]float64, hidden)
	for k := range n {
		for j := range x {
			x[j] = r.NormFloat64()
			s.X.Set(k, j, T(x[j]))
		}
		for j := range h {
			h[j] = math.Tanh(2 * dense.Dot(first.Row(j), x))
		}
		best := 0
		for j := range outputs {
			s.Values.Set(k, j, T(dense.Dot(second.Row(j), h)))
			if s.Values.At(k, j) > s.Values.At(k, best) {
				best = j
			}
		}
		s.Classes = append(s.Classes, int32(best))
	}
	return s
}

// Mixture makes points of a mixture of normal distributions around the corners of a regular polygon of radius 1 in the plane; the class is the corner.
func Mixture[T Float](n, corners int, deviation float64, r *rand.Rand) *Set[T] {
	s := &Set[T]{X: dense.New[T](n, 2), N: n}
	for k := range n {
		c := r.IntN(corners)
		sin, cos := math.Sincos(2 * math.Pi * float64(c) / float64(corners))
		s.X.Set(k, 0, T(cos+deviation*r.NormFloat64()))
		s.X.Set(k, 1, T(sin+deviation*r.NormFloat64()))
		s.Classes = append(s.Classes, int32(c))
	}
	return s
}

// Rings makes points in the plane near circles of radius 1/rings, 2/rings, ..., 1 around the origin; the class is the circle.
func Rings[T Float](n, rings int, deviation float64, r *rand.Rand) *Set[T] {
	s := &Set[T]{X: dense.New[T](n, 2), N: n}
	for k := range n {
		c := r.IntN(rings)
		radius := float64(c+1)/float64(rings) + deviation*r.NormFloat64()
		sin, cos := math.Sincos(2 * math.Pi * r.Float64())
		s.X.Set(k, 0, T(radius*cos))
		s.X.Set(k, 1, T(radius*sin))
		s.Classes = append(s.Classes, int32(c))
	}
	return s
}

// Communities makes a graph by the stochastic block model: nodes in equally large communities, an edge inside of one with probability inside, between two
// with probability between. The features are a hint at the community, of which 1 in 10 nodes has a clear one, in noise. Edges go both ways; start and
// neighbours are compressed rows.
func Communities[T Float](nodes, communities int, inside, between float64, r *rand.Rand) (s *Set[T], start []int, neighbours []int32) {
	s = &Set[T]{X: dense.New[T](nodes, communities), N: nodes}
	for i := range nodes {
		c := i % communities
		s.Classes = append(s.Classes, int32(c))
		hint := 1.0
		if r.Float64() < 0.1 {
			hint = 3
		}
		for j := range communities {
			v := r.NormFloat64()
			if j == c {
				v += hint
			}
			s.X.Set(i, j, T(v))
		}
	}
	edges := make([][]int32, nodes)
	for i := range nodes {
		for j := range i {
			p := between
			if s.Classes[i] == s.Classes[j] {
				p = inside
			}
			if r.Float64() < p {
				edges[i] = append(edges[i], int32(j))
				edges[j] = append(edges[j], int32(i))
			}
		}
	}
	start = append(start, 0)
	for _, e := range edges {
		neighbours = append(neighbours, e...)
		start = append(start, len(neighbours))
	}
	return s, start, neighbours
}

// Sentences makes a text of short sentences in which each word depends on the one before it.
func Sentences(characters int, r *rand.Rand) string {
	vocabulary := strings.Fields("the a small old green river mountain cat bird child sees finds follows calls sings sleeps near under over home slowly again")
	next := make([][]int, len(vocabulary))
	for i := range next {
		for range 3 {
			next[i] = append(next[i], r.IntN(len(vocabulary)))
		}
	}
	var b strings.Builder
	for b.Len() < characters {
		k := r.IntN(len(vocabulary))
		length := 4 + r.IntN(5)
		for i := range length {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(vocabulary[k])
			k = next[k][r.IntN(3)]
		}
		b.WriteString(".\n")
	}
	return b.String()
}
