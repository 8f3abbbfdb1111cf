package dense

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// Large matrices lie in memory that the system was asked to map in huge pages.
func TestHugePages(t *testing.T) {
	asked := func(address unsafe.Pointer) bool { return slices.Contains(mappingFlags(t, uintptr(address)), "hg") }
	control, err := syscall.Mmap(-1, 0, hugeLeast, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = syscall.Munmap(control) }()
	if err := syscall.Madvise(control, syscall.MADV_HUGEPAGE); err != nil || !asked(unsafe.Pointer(&control[0])) {
		t.Skip("the system, or the emulator, takes no such advice: ", err)
	}
	for name, x := range map[string][]float64{"New": New[float64](1000, 1000).Data, "Recycled": Recycled(1 << 20)} {
		if !asked(unsafe.Pointer(&x[len(x)/2])) {
			t.Errorf("%s: nobody asked for huge pages", name)
		}
	}
}

// mappingFlags returns the flags of the mapping of an address.
func mappingFlags(t *testing.T, address uintptr) []string {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return strings.Fields(flags)
		}
	}
	t.Skip("the system does not tell the flags of mappings")
	return nil
}
