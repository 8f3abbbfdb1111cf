package engine

import (
	"errors"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// coarse is a device whose products in bfloat16 are those of the processor.
type coarse struct {
	Backend[float32]
	fast Backend[float32]
}

func (c *coarse) Rounded(p Precision) (Backend[float32], error) {
	if p == TF32 {
		return nil, errors.New("no such units")
	}
	fast := c.Backend
	if p == BF16 {
		fast = RoundedCPU[float32]()
	}
	return &coarse{c.Backend, fast}, nil
}

func (c *coarse) Fast() Backend[float32] { return c.fast }

// TestOpenRounded: what is asked for is done or refused; a default that a device lacks becomes fp32; the processor, and float64, know no other precision than their own.
func TestOpenRounded(t *testing.T) {
	Register(Device{
		Name:    "coarse",
		Float32: func(int) (Backend[float32], error) { return &coarse{CPU[float32](), CPU[float32]()}, nil },
		Float64: func(int) (Backend[float64], error) { return CPU[float64](), nil },
	})
	a := One(dense.Wrap(1, 1, []float32{1 + 0x1p-10}))
	square := func(b Backend[float32]) float32 {
		z := One(dense.New[float32](1, 1))
		Fast(b).Gemm(dense.NoTrans, dense.NoTrans, 1, a, a, 0, z)
		return z.Data[0]
	}
	for _, c := range []struct {
		name        string
		p, standard Precision
		rounds      bool
		wrong       any
	}{
		{"coarse", BF16, TF32, true, nil}, {"coarse", FP32, BF16, false, nil}, {"coarse", "", BF16, true, nil}, {"coarse", "", TF32, false, nil},
		{"coarse", TF32, BF16, false, new(*DeviceError)}, {"coarse", "fp8", BF16, false, new(*PrecisionError)},
		{"cpu", "", BF16, false, nil}, {"cpu", FP32, BF16, false, nil}, {"", BF16, TF32, false, new(*PrecisionError)}, {"abacus", "", BF16, false, new(*UnknownError)},
	} {
		b, err := OpenRounded[float32](c.name, c.p, c.standard)
		if c.wrong != nil {
			if err == nil || !errors.As(err, c.wrong) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
		} else if rounds := square(b) == 1; rounds != c.rounds {
			t.Errorf("%+v: products rounded: %v", c, rounds)
		}
	}
	for _, name := range []string{"cpu", "coarse"} {
		if _, err := OpenRounded[float64](name, "", BF16); err != nil {
			t.Error(err)
		}
		var precision *PrecisionError
		if _, err := OpenRounded[float64](name, FP32, BF16); !errors.As(err, &precision) {
			t.Errorf("%s, float64: %v", name, err)
		}
	}
}
