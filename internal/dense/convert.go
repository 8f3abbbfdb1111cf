package dense

// convertGroup is the number of elements that the kernels between float64 and float32 take at a time.
const convertGroup = 16

// ScaleSingle sets dst to alpha x, rounded to float64 and then to float32.
func ScaleSingle(alpha float64, x []float64, dst []float32) {
	if len(x) != len(dst) {
		panic(Error("ScaleSingle: lengths differ"))
	}
	done := scaleSingleKernel(alpha, x, dst)
	for i, v := range x[done:] {
		dst[done+i] = float32(alpha * v)
	}
}

// convertShort is the number of elements from which on kernels convert them faster.
const convertShort = 32

// Convert sets dst to alpha x, rounded to float64 and then to the precision of dst.
func Convert[T Float](alpha float64, x []float64, dst []T) {
	if len(x) < convertShort {
		if len(x) != len(dst) {
			panic(Error("Convert: lengths differ"))
		}
		for i, v := range x {
			dst[i] = T(alpha * v)
		}
		return
	}
	switch dst := any(dst).(type) {
	case []float32:
		ScaleSingle(alpha, x, dst)
	case []float64:
		Scale(alpha, x, dst)
	}
}

// AddDouble sets dst to x + y, rounded to float64.
func AddDouble(x, y []float32, dst []float64) {
	if len(x) != len(dst) || len(y) != len(dst) {
		panic(Error("AddDouble: lengths differ"))
	}
	done := addDoubleKernel(x, y, dst)
	for i, v := range x[done:] {
		dst[done+i] = float64(v) + float64(y[done+i])
	}
}

// ToDouble sets dst to x.
func ToDouble[T Float](x []T, dst []float64) {
	if len(x) != len(dst) {
		panic(Error("ToDouble: lengths differ"))
	}
	for i, v := range x {
		dst[i] = float64(v)
	}
}
