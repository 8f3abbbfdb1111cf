package dense

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// TestSpaces: no space is used by two parts at a time, and no more are made than parts run at a time.
func TestSpaces(t *testing.T) {
	type space struct{ used bool }
	made := 0
	s := Spaces[space]{Make: func() *space { made++; return new(space) }}
	sums := make([]int, 40)
	task := Parallel{Task: PartFunc(func(i int) {
		own := s.Take()
		defer s.Give(own)
		if own.used {
			t.Error("a space is used twice")
		}
		own.used = true
		for k := range 1000 {
			sums[i] += k
		}
		own.used = false
	})}
	task.Run(len(sums))
	for i, sum := range sums {
		if sum != 499500 {
			t.Errorf("part %d: sum %d", i, sum)
		}
	}
	if made < 1 || made > runtime.GOMAXPROCS(0) {
		t.Errorf("%d spaces", made)
	}
}

// TestSpacesAllocateNothing: those that were given back are taken again.
func TestSpacesAllocateNothing(t *testing.T) {
	s := Spaces[int]{Make: func() *int { return new(int) }}
	s.Give(s.Take())
	if allocs := testing.AllocsPerRun(10, func() { s.Give(s.Take()) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestEach: every call is made, and the error is that of the lowest index, however much work it is.
func TestEach(t *testing.T) {
	for _, operations := range []int{0, 1 << 28} {
		done := make([]bool, 20)
		err := Each(len(done), operations, func(i int) error { done[i] = true; return nil })
		if err != nil || slices.Contains(done, false) {
			t.Errorf("%d operations: %v %v", operations, done, err)
		}
		err = Each(20, operations, func(i int) error {
			if i == 7 || i == 12 {
				return fmt.Errorf("call %d", i)
			}
			return nil
		})
		if err == nil || err.Error() != "call 7" {
			t.Errorf("%d operations: %v", operations, err)
		}
	}
}
