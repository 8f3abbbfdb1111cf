package cuda

import "github.com/spdopt/spdopt/internal/engine"

func init() {
	engine.Register(engine.Device{Name: "cuda", Float32: open[float32], Float64: open[float64], Describe: describe})
}

func describe(index int) (string, error) {
	d, err := Open(index)
	if err != nil {
		return "", err
	}
	return d.Info().String(), nil
}
