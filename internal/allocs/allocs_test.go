package allocs

import "testing"

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
