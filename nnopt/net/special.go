package net

import "math"

func sqrt[T Float](x T) T { return T(math.Sqrt(float64(x))) }
