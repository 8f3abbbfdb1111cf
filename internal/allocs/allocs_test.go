package allocs

import (
	"sync"
	"testing"
)

var kept []byte

func TestPerRunSeesEveryCallsAllocationAndNoneThatIsRare(t *testing.T) {
	if n := PerRun(10, func() { kept = make([]byte, 64) }); n != 1 {
		t.Errorf("%v allocations per call, want 1", n)
	}
	calls := 0
	if n := PerRun(10, func() {
		if calls++; calls == 5 {
			for range 100 {
				kept = make([]byte, 64)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations per call, want 0: they happened once", n)
	}
}

func TestGrowthSeesWhatTheLongerCallAllocatesMore(t *testing.T) {
	several := func(times int) func() {
		return func() {
			for range times {
				kept = make([]byte, 64)
			}
		}
	}
	if n := Growth(10, several(3), several(6)); n != 3 {
		t.Errorf("%v allocations more, want 3", n)
	}
}

// TestGrowthDoesNotCountWhatPoolsLose: two calls that take the same from pools, of which the race detector drops a quarter, differ by nothing.
func TestGrowthDoesNotCountWhatPoolsLose(t *testing.T) {
	pools := make([]sync.Pool, 100)
	call := func() {
		for i := range pools {
			v, _ := pools[i].Get().(*[64]byte)
			if v == nil {
				v = new([64]byte)
			}
			pools[i].Put(v)
		}
	}
	for range 200 {
		if n := Growth(3, call, call); n > 0 {
			t.Fatalf("%v allocations more, want none", n)
		}
	}
}
