package dense

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestKernelsStayWithAVX: an instruction on vector registers without the prefix of AVX costs some processors more than a microsecond where wide registers are in use, and so
// does what follows a kernel that leaves them in use.
func TestKernelsStayWithAVX(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of assembly, %v", len(files), err)
	}
	vector, wide := regexp.MustCompile(`\b[XYZ]\d+\b`), regexp.MustCompile(`\b[YZ]\d+\b`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var name, last string
		var dirty bool
		for line := range strings.Lines(string(text)) {
			switch line = strings.TrimSpace(line); {
			case line == "" || strings.HasPrefix(line, "//"):
				continue
			case strings.HasPrefix(line, "TEXT"):
				name, dirty = line, false
			case line == "RET" && dirty && last != "VZEROUPPER":
				t.Errorf("%s: %s returns without VZEROUPPER", file, name)
			case vector.MatchString(line) && line[0] != 'V' && line[0] != 'K':
				t.Errorf("%s: %s has %s", file, name, line)
			}
			dirty = dirty || wide.MatchString(line)
			last = line
		}
	}
}
