package esadapt

import (
	"math"
	"slices"
	"testing"
)

func TestInjection(t *testing.T) {
	f := function(t, "sphere", 5)
	distance := func(inject bool) float64 {
		s := newSearch(t, Options{X0: []float64{9, 9, 9, 9, 9}, Seed: 2, Restarts: RestartNone})
		for range 8 {
			if inject {
				if err := s.Inject(make([]float64, 5)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Tell(evaluateAll(f, s.Ask())); err != nil {
				t.Fatal(err)
			}
		}
		if inject && s.Best().F != 0 {
			t.Errorf("the injected optimum was not evaluated: best %v", s.Best())
		}
		return f.Eval(s.Mean())
	}
	if with, without := distance(true), distance(false); with > without/2 {
		t.Errorf("f(mean) = %v with the optimum injected, %v without", with, without)
	}
	s := newSearch(t, Options{Dim: 2, Lower: []float64{0, 0}, Upper: []float64{1, 1}})
	for _, x := range [][]float64{{0.5}, {0.5, 2}, {0.5, math.NaN()}} {
		if s.Inject(x) == nil {
			t.Errorf("injection of %v was accepted", x)
		}
	}
}

// TestInjectionWaits: points that are injected while a generation is under way, or more than it has candidates, are in the generations that follow, once each.
func TestInjectionWaits(t *testing.T) {
	s := newSearch(t, Options{X0: []float64{9, 9, 9}, Seed: 2, PopSize: 4})
	count := func(rows [][]float64) (n int) {
		for _, x := range rows {
			if x[0] == 1 {
				n++
			}
		}
		return n
	}
	s.Ask()
	for k := range 6 {
		if err := s.Inject([]float64{1, float64(k), 0}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{0, 4, 2, 0} {
		s = restored(t, s)
		if rows := s.Ask(); count(rows) != want {
			t.Errorf("%d injected points in a generation, want %d", count(rows), want)
		}
		if err := s.Tell([]float64{1, 2, 3, 4}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := NewAsync(Options{Dim: 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if a.Search().Inject([]float64{0, 0}) == nil {
		t.Error("a search with evaluations in flight took a point from outside")
	}
}

// TestOldStates: states of the format before are read.
func TestOldStates(t *testing.T) {
	s := newSearch(t, Options{X0: []float64{9, 9, 9}, Seed: 2, PopSize: 4})
	for range 2 {
		if err := s.Inject([]float64{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Clone(s.Ask()[3])
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	old := &archive{}
	old.tag(oldFormat)
	o := s.opt
	o.archive(old)
	// what follows is as before but for the number of injected points in the generation, which stands before the generation
	body := data[len(old.buf) : len(data)-8]
	generation := &archive{}
	s.archiveGeneration(generation)
	at := len(body) - len(generation.buf)
	old.buf = append(append(old.buf, body[:at-8]...), body[at:]...)
	r, err := Restore(withChecksum(old.buf))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Ask(); !slices.Equal(got[3], want) || r.placed != 2 {
		t.Errorf("%v, want %v last; %d injected", got, want, r.placed)
	}
}
