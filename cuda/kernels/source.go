//go:build cuda

package kernels

import _ "embed"

// Source is the text of the kernels; the emulation compiles it.
//
//go:embed spd.cu
var Source []byte
