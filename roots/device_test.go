package roots

import (
	"errors"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/engine"
)

// tiny is a device with little memory.
type tiny struct{ engine.Backend[float64] }

func (tiny) Memory() int  { return 1 << 20 }
func (tiny) Name() string { return "tiny" }

// TestDeviceMemory: a matrix that does not fit the device is refused with the sizes before anything is moved.
func TestDeviceMemory(t *testing.T) {
	j := &job[float64]{Query: Query{N: 50}, e: tiny{engine.CPU[float64]()}}
	if err := j.hasRoom(j.N); err != nil {
		t.Errorf("50 rows: %v", err)
	}
	j.N = 200
	var e *engine.DeviceError
	if err := j.hasRoom(j.N); !errors.As(err, &e) || !strings.Contains(err.Error(), "200 rows needs about 0.00416 GB, the device has 0.00105 GB") {
		t.Errorf("200 rows: %v", err)
	}
	j.e = engine.CPU[float64]()
	if err := j.hasRoom(j.N); err != nil {
		t.Errorf("the processor: %v", err)
	}
}
