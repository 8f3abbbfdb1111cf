//go:build cuda && !cudalink

package dl

/*
#cgo CFLAGS: -I${SRCDIR}/../../include -Wno-deprecated-declarations
#cgo LDFLAGS: -Wl,--as-needed -L${SRCDIR}/ld -ldl
#include <stdlib.h>
#include "dl.h"
*/
import "C"

import (
	"os"
	"unsafe"
)

// candidates are the libraries that are tried in turn.
func candidates() []string {
	all := []string{"libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}
	if own := os.Getenv("SPDOPT_LIBCUDA"); own != "" {
		all = []string{own}
	}
	return all
}

func open() (code int, why string) {
	all := candidates()
	names := make([]*C.char, len(all))
	for i, name := range all {
		names[i] = C.CString(name)
		defer C.free(unsafe.Pointer(names[i]))
	}
	const size = 256
	buffer := (*C.char)(C.calloc(size, 1))
	defer C.free(unsafe.Pointer(buffer))
	table := (**C.char)(C.calloc(C.size_t(len(all)), C.size_t(unsafe.Sizeof(names[0]))))
	defer C.free(unsafe.Pointer(table))
	copy(unsafe.Slice(table, len(all)), names)
	code = int(C.spdDriverOpen(table, C.int(len(all)), buffer, size))
	return code, C.GoString(buffer)
}
