package selftest

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
)

// faulty is the processor with mistakes.
type faulty[T dense.Float] struct {
	engine.Backend[T]
	mistake string
}

func (f faulty[T]) Gemm(ta, tb dense.Trans, alpha T, a, b engine.Batch[T], beta T, c engine.Batch[T]) {
	switch f.mistake {
	case "factor":
		alpha *= 1 + 1e-3
	case "idle":
		return
	case "NaN":
		alpha = T(math.NaN())
	case "lost":
		panic(&engine.DeviceError{Name: "lost", Err: errors.New("the context is lost")})
	}
	f.Backend.Gemm(ta, tb, alpha, a, b, beta, c)
}

func init() {
	for _, mistake := range []string{"none", "factor", "idle", "NaN", "lost"} {
		engine.Register(engine.Device{Name: "faulty-" + mistake,
			Float32: func(int) (engine.Backend[float32], error) {
				return faulty[float32]{engine.CPU[float32](), mistake}, nil
			},
			Float64: func(int) (engine.Backend[float64], error) {
				return faulty[float64]{engine.CPU[float64](), mistake}, nil
			},
			Describe: func(int) (string, error) { return "a processor", nil }})
	}
}

func TestDeviceChecksPassOnTheProcessor(t *testing.T) {
	checks, err := Device("faulty-none")
	if err != nil || len(checks) != 9 {
		t.Fatalf("%d checks, %v", len(checks), err)
	}
	for _, c := range checks {
		if !c.Passed() {
			t.Errorf("%+v", c)
		}
	}
}

// Every mistake fails the check of the operation and names it or its cause, and what is computed with it fails as well.
func TestDeviceChecksSeeMistakes(t *testing.T) {
	for mistake, names := range map[string]string{"factor": "largest error of Gemm", "idle": "Gemm writes nothing", "NaN": "largest error of Gemm", "lost": "the context is lost"} {
		checks, err := Device("faulty-" + mistake)
		if err != nil {
			t.Fatal(err)
		}
		text := checks[0].Name
		if checks[0].Err != nil {
			text += ": " + checks[0].Err.Error()
		}
		if checks[0].Passed() || !strings.Contains(text, names) {
			t.Errorf("%s: %v, %s", mistake, checks[0].Passed(), text)
		}
		failed := 0
		for _, c := range checks {
			if strings.Contains(c.Name, "root") || strings.Contains(c.Name, "mean") || strings.Contains(c.Name, "losses") {
				if !c.Passed() {
					failed++
				}
			}
		}
		if failed == 0 {
			t.Errorf("%s: root, mean and network pass", mistake)
		}
	}
}

func TestDeviceThatIsAbsent(t *testing.T) {
	var unknown *engine.UnknownError
	if _, err := Device("abacus"); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
}
