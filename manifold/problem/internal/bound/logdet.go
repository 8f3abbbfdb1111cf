// Package bound turns gaps of objectives into distances from their optima.
package bound

import "math"

// LogDet bounds (sum t^2)^(1/2) given that sum (e^t - 1 - t) <= gap: e^t - 1 - t >= t^2/(2 + |t|), and so |t| <= T with T^2/(2 + T) = gap.
func LogDet(gap float64) float64 {
	largest := (gap + math.Sqrt(gap*gap+8*gap)) / 2
	return math.Sqrt(gap * (2 + largest))
}
