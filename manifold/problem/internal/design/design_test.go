package design

import (
	"math"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/gallery"
)

// TestExchanges: they allocate nothing, and leave M^-1 and g as if they were computed afresh.
func TestExchanges(t *testing.T) {
	s := New(gallery.Tyler(6, 10), 0)
	if _, err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	a, index := s.promising()
	if n := allocs.PerRun(5, func() {
		most, least, _, _ := a.extremes()
		a.exchange(most, least)
	}); n > 0 {
		t.Errorf("%v allocations in an exchange", n)
	}
	inv, g := s.inv.Clone(), slices.Clone(a.g)
	for k, i := range index {
		s.u[i] = a.u[k]
	}
	if _, err := s.refresh(); err != nil {
		t.Fatal(err)
	}
	for k, i := range index {
		if !(math.Abs(g[k]-s.g[i]) <= 1e-12*s.g[i]) {
			t.Errorf("g %v, afresh %v", g[k], s.g[i])
		}
	}
	dense.Axpy(-1, s.inv.Data, inv.Data)
	if d := math.Sqrt(dense.Dot(inv.Data, inv.Data)); !(d <= 1e-12*math.Sqrt(dense.Dot(s.inv.Data, s.inv.Data))) {
		t.Errorf("M^-1 is %v off", d)
	}
}

// TestSpan: the first points have equal weights, are as many as dimensions, and span them, though most of the others are copies of one.
func TestSpan(t *testing.T) {
	const d = 7
	y := gallery.NewStream(5).Normals(400, d)
	for i := d; i < y.Rows; i++ {
		copy(y.Row(i), y.Row(0))
	}
	if _, err := Whiten(y); err != nil {
		t.Fatal(err)
	}
	s := New(y, 0)
	count := 0
	for _, u := range s.u {
		if u > 0 {
			count++
			if u != 1./d {
				t.Errorf("weight %v", u)
			}
		}
	}
	if _, err := s.refresh(); count != d || err != nil {
		t.Errorf("%d points, %v", count, err)
	}
}
