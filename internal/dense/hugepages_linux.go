package dense

import (
	"os"
	"syscall"
	"unsafe"
)

// hugeLeast is the number of bytes from which on memory is worth huge pages.
const hugeLeast = 4 << 20

// adviseHuge asks for huge pages for x, which should not have been written to yet: large matrices are then mapped at fewer faults, and processors read ahead
// further. It is advice, which the system may ignore.
func adviseHuge[T Float](x []T) {
	size := len(x) * int(unsafe.Sizeof(*new(T)))
	if size < hugeLeast {
		return
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), size)
	page := uintptr(os.Getpagesize())
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(bytes))) % page
	_ = syscall.Madvise(bytes[skip:], syscall.MADV_HUGEPAGE)
}
