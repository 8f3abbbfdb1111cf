//go:build cuda && cgo && linux

package cuda

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/spdopt/spdopt/cuda/kernels"
)

// careless is arithmetic that rounds worse than it must, or takes tiny numbers for zero. (Built-in functions use ex2.approx and rcp.approx as a start.)
var careless = regexp.MustCompile(`(add|sub|mul|fma|neg|abs|min|max)\.[a-z.]*ftz\.f32|(div|sqrt|sin|cos|lg2|tanh)\.approx[a-z.]*\.f(32|64)`)

// exact are kernels that ask whether a difference of two products is zero: a fused product would leave what the other one is rounded by.
var exact = regexp.MustCompile(`\.entry (first_order_angle|bounded_angle)\((?s:.*?)\n}`)

// TestImages: every capability gets an image, each with all kernels that this package launches; what is too old is refused.
func TestImages(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	launches := regexp.MustCompile(`(?:launch|each|rows|tiles|lines)\("([a-z_]+)"`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range launches.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
	}
	if len(names) < 40 {
		t.Fatalf("only %d kernels were found in the sources", len(names))
	}
	for _, element := range []string{"float", "double"} {
		for _, capability := range []int{70, 75, 80, 86, 89, 90, 100, 120} {
			image, err := kernels.Image(element, capability)
			if err != nil {
				t.Fatal(err)
			}
			for name := range names {
				plan := len(name) > 5 && (name[:5] == "plan_" || name[:5] == "power")
				if plan && element == "double" {
					continue
				}
				if !bytes.Contains(image, []byte(".entry "+name+"(")) && !bytes.Contains(image, []byte(".text."+name+"\x00")) {
					t.Errorf("%s, %d: kernel %s is missing", element, capability, name)
				}
			}
			if bad := careless.Find(image); bad != nil {
				t.Errorf("%s, %d: %s", element, capability, bad)
			}
			texts := exact.FindAll(image, -1)
			for _, text := range texts {
				if bytes.Contains(text, []byte("fma.")) {
					t.Errorf("%s, %d: fused products in %s", element, capability, text[:40])
				}
			}
			if capability != 90 && len(texts) != 2 {
				t.Errorf("%s, %d: %d of 2 exact kernels were found", element, capability, len(texts))
			}
			if binary := bytes.HasPrefix(image, []byte("\x7fELF")); binary != (capability == 90) {
				t.Errorf("%s, %d: a binary: %v", element, capability, binary)
			}
		}
		if _, err := kernels.Image(element, 61); err == nil {
			t.Error("capability 6.1 got an image")
		}
	}
}
