package cuda

import "github.com/spdopt/spdopt/internal/engine"

func init() {
	engine.Register(engine.Device{Name: "cuda", Float32: open[float32], Float64: open[float64]})
}
