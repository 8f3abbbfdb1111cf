package dense

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// Large matrices lie in memory that the system was asked to map in huge pages.
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("the system has no huge pages: ", err)
	}
	middle := func(x []float64) uintptr { return uintptr(unsafe.Pointer(&x[len(x)/2])) }
	for name, x := range map[string][]float64{"New": New[float64](1000, 1000).Data, "Recycled": Recycled(1 << 20)} {
		if flags := mappingFlags(t, middle(x)); !slices.Contains(flags, "hg") {
			t.Errorf("%s: the flags of its memory are %v, without hg", name, flags)
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
