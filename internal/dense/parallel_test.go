package dense

import (
	"runtime"
	"sync/atomic"
	"testing"
)

func TestParallel(t *testing.T) {
	for _, procs := range []int{1, 2, 8} {
		old := runtime.GOMAXPROCS(procs)
		var counts [100]atomic.Int32
		run := func(i int) {
			counts[i].Add(1)
			if i == 3 { // a product inside of a part
				a := New[float64](20, 20)
				Gemm(NoTrans, NoTrans, 1, a, a, 0, New[float64](20, 20))
			}
		}
		Parallel(len(counts), run)
		for i := range counts {
			if n := counts[i].Load(); n != 1 {
				t.Errorf("GOMAXPROCS %d: part %d ran %d times", procs, i, n)
			}
		}
		nothing := func(int) {}
		Parallel(8, nothing)
		if n := testing.AllocsPerRun(20, func() { Parallel(8, nothing) }); n != 0 {
			t.Errorf("GOMAXPROCS %d: %v allocations", procs, n)
		}
		runtime.GOMAXPROCS(old)
	}
}
