//go:build cuda && cgo && linux

package cuda

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/cuda/internal/emu"
	"github.com/spdopt/spdopt/internal/allocs"
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/engine/enginetest"
)

// TestOperations: every operation of the engine gives on the device what it gives on the processor in float64, on small and larger shapes, with
// threads in either order. Stated tolerances: relative 1e-12 for double; 1e-4 for float, 0.05 where bfloat16 is involved, because a float may round to
// another one.
func TestOperations(t *testing.T) {
	d := device(t)
	orders := []bool{false, true}
	if os.Getenv("SPDOPT_TEST_CHECKED") != "" { // every access is looked at, and the order does not matter
		orders = orders[:1]
	}
	for _, shape := range [][2]int{{3, 7}, {2, 45}} {
		for _, backwards := range orders {
			t.Run(fmt.Sprint(shape, backwards), func(t *testing.T) {
				if backwards {
					emulated(t)
					emu.Order(true)
					defer emu.Order(false)
				}
				operations(t, newBackend[float64](d), shape[0], shape[1], 1e-12)
				operations(t, newBackend[float32](d), shape[0], shape[1], 1e-4)
			})
		}
	}
}

func operations[T dense.Float](t *testing.T, b engine.Backend[T], count, n int, tol float64) {
	for _, d := range enginetest.Deviations(b, 7, count, n) {
		allowed := tol
		if d.Narrow && tol > 1e-6 {
			allowed = 0.05
		}
		if d.Idle || !(d.Largest <= allowed) {
			t.Errorf("%s, %d of size %d: relative deviation %v, allowed %v; nothing done: %v", d.Name, count, n, d.Largest, allowed, d.Idle)
		}
	}
}

// TestAllocations: calls allocate nothing but for the few that describe their work in closures or pass small arrays.
func TestAllocations(t *testing.T) {
	few := map[string]float64{"Cayley": 5, "Invert": 5, "FromIdentity": 1, "Patches": 1, "Pixels": 1, "Choose": 1, "Reduce": 1, "Spread": 1}
	for _, o := range enginetest.Operations[float32](newBackend[float32](device(t)), 6, 2, 5) {
		o.Call()
		if n := allocs.PerRun(3, o.Call); n > few[strings.Fields(o.Name)[0]] {
			t.Errorf("%s: %v allocations", o.Name, n)
		}
	}
}
