//go:build !cuda || !cgo || !linux

package cuda

import (
	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// Device is an open GPU.
type Device struct{}

// Open returns ErrNotBuilt.
func Open(int) (*Device, error) { return nil, ErrNotBuilt }

// Info describes the device.
func (*Device) Info() Info { return Info{} }

func open[T dense.Float](int) (engine.Backend[T], error) { return nil, ErrNotBuilt }
