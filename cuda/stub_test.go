//go:build !cuda || !cgo || !linux

package cuda_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/spdopt/spdopt/cuda"
	"github.com/spdopt/spdopt/internal/engine"
)

func ExampleOpen() {
	_, err := cuda.Open(0)
	fmt.Println(err)
	// Output: cuda: not built in (go build -tags cuda)
}

// A program without the tag knows the device and says how to build it in.
func TestNotBuilt(t *testing.T) {
	if _, err := cuda.Open(0); !errors.Is(err, cuda.ErrNotBuilt) {
		t.Errorf("Open: %v", err)
	}
	if !slices.Contains(engine.Devices(), "cuda") {
		t.Errorf("devices %v", engine.Devices())
	}
	for _, name := range []string{"cuda", "cuda:1"} {
		if _, err := engine.Open[float32](name); !errors.Is(err, cuda.ErrNotBuilt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
