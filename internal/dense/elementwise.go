package dense

import "math"

// Exp sets dst[i] = exp(x[i]); dst may be x. The error is below 1 ulp.
func Exp[T Float](dst, x []T) {
	if len(x) != len(dst) {
		panic(Error("Exp: lengths differ"))
	}
	if expKernel(x, dst) {
		return
	}
	for i, v := range x {
		dst[i] = T(math.Exp(float64(v)))
	}
}

// Log sets dst[i] = log(x[i]); dst may be x. The error is below 1 ulp.
func Log[T Float](dst, x []T) {
	if len(x) != len(dst) {
		panic(Error("Log: lengths differ"))
	}
	if logKernel(x, dst) {
		return
	}
	for i, v := range x {
		dst[i] = T(logOf(float64(v)))
	}
}

// logOf is math.Log with subnormal arguments put right: on amd64 math.Log of go1.26 treats them as if they had a leading one.
func logOf(v float64) float64 {
	if v > 0 && v < 0x1p-1022 {
		return math.Log(v*0x1p54) - 54*math.Ln2
	}
	return math.Log(v)
}

// Pow sets dst[i] = x[i]^p for x[i] >= 0, with the values of math.Pow at zero (of either sign: +0) and infinity; dst may be x. The error is
// below 1.5 ulp for any finite p with AVX2 and AVX-512; elsewhere it is that of math.Pow, several ulp for large powers. For negative x the result is
// NaN, unless p is 0 or 1.
func Pow[T Float](dst, x []T, p float64) {
	if len(x) != len(dst) {
		panic(Error("Pow: lengths differ"))
	}
	switch {
	case p == 0:
		for i := range dst {
			dst[i] = 1
		}
	case p == 1:
		copy(dst, x)
	case p == 0.5:
		Sqrt(dst, x)
	case math.IsInf(p, 0) || math.IsNaN(p) || !powKernel(x, dst, p):
		for i, v := range x {
			if v < 0 {
				dst[i] = T(math.NaN())
			} else {
				dst[i] = T(powOf(math.Abs(float64(v)), p))
			}
		}
	}
}

// powOf is math.Pow(v, p) for v >= 0 with subnormal arguments put right, as in logOf.
func powOf(v, p float64) float64 {
	if v > 0 && v < 0x1p-1022 {
		return math.Pow(v*0x1p54, p) * math.Exp2(-54*p)
	}
	return math.Pow(v, p)
}
