//go:build cuda && cudalink

package dl

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#cgo LDFLAGS: -lcuda
#include <cuda.h>
*/
import "C"

func open() (code int, why string) { return int(C.cuInit(0)), "" }
