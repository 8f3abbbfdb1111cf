package digits

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spdopt/spdopt/internal/matio"
	"github.com/spdopt/spdopt/testdata"
)

// madeUp returns random images of 4 x 6 pixels, three of each class, one pooled pixel always black.
func madeUp(seed uint64) (images, labels *matio.IDX) {
	rng := rand.New(rand.NewPCG(seed, 1))
	images = &matio.IDX{Shape: []int{30, 4, 6}, Data: make([]float64, 30*24)}
	labels = &matio.IDX{Shape: []int{30}, Data: make([]float64, 30)}
	for k := range labels.Data {
		labels.Data[k] = float64(k * 7 % 10)
		for p := range 24 {
			if i, j := p/6, p%6; i >= 2 || j >= 2 {
				images.Data[24*k+p] = float64(rng.IntN(256))
			}
		}
	}
	return images, labels
}

func TestCovariancesAgainstTheDefinition(t *testing.T) {
	images, labels := madeUp(5)
	got, err := Covariances(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	for c, a := range got {
		var samples [][]float64
		for k, l := range labels.Data {
			if int(l) != c {
				continue
			}
			x := make([]float64, 6)
			for p := range 24 {
				x[p/6/2*3+p%6/2] += images.Data[24*k+p] / 4 / 255
			}
			samples = append(samples, x)
		}
		mean := make([]float64, 6)
		for _, x := range samples {
			for p := range x {
				mean[p] += x[p] / float64(len(samples))
			}
		}
		for i := range 6 {
			for j := range 6 {
				want := 0.0
				for _, x := range samples {
					want += (x[i] - mean[i]) * (x[j] - mean[j]) / float64(len(samples)-1)
				}
				if i == j {
					want += Ridge
				}
				if math.Abs(a.At(i, j)-want) > 1e-15 {
					t.Fatalf("class %d: element (%d,%d) is %v, want %v", c, i, j, a.At(i, j), want)
				}
			}
		}
		if a.At(0, 0) != Ridge {
			t.Errorf("class %d: a black pixel has variance %v", c, a.At(0, 0))
		}
	}
}

func TestBadImages(t *testing.T) {
	for want, change := range map[string]func(images, labels *matio.IDX){
		"even h and w":      func(x, _ *matio.IDX) { x.Shape = []int{30, 3, 8} },
		"one for each":      func(_, y *matio.IDX) { y.Shape = []int{29} },
		"not a digit":       func(_, y *matio.IDX) { y.Data[3] = 10 },
		"covariance needs":  func(_, y *matio.IDX) { clear(y.Data) },
		"label 0 is 0.5":    func(_, y *matio.IDX) { y.Data[0] = 0.5 },
		"have shape [30 24": func(x, _ *matio.IDX) { x.Shape = []int{30, 24} },
	} {
		images, labels := madeUp(1)
		change(images, labels)
		if _, err := Covariances(images, labels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestShippedFileIsSound(t *testing.T) {
	src := matio.Source{Paths: []string{"-"}, Stdin: bytes.NewReader(testdata.DigitCovariances)}
	all, many, err := matio.ReadAll(src, matio.Check{Kind: matio.SPD})
	if err != nil || !many || len(all) != Classes || all[0].Rows != 196 {
		t.Fatalf("%d matrices, %v", len(all), err)
	}
	for c, m := range all {
		trace := 0.0
		for i := range m.Rows {
			trace += m.At(i, i)
		}
		if m.At(0, 0) != Ridge || !(trace > 1 && trace < 20) {
			t.Errorf("digit %d: corner variance %v, trace %v", c, m.At(0, 0), trace)
		}
	}
}

// SPDOPT_MNIST names a folder with the image and label files of the MNIST test set; with it the shipped file is computed again.
func TestShippedFileIsReproduced(t *testing.T) {
	dir := os.Getenv("SPDOPT_MNIST")
	if dir == "" {
		t.Skip("SPDOPT_MNIST is not set")
	}
	find := func(pattern string) *matio.IDX {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		x, err := matio.OpenIDX(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	covariances, err := Covariances(find("*images-idx3-ubyte*"), find("*labels-idx1-ubyte*"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := matio.Create(matio.Target{Path: "-", Format: matio.NPY, Stack: true, Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range covariances {
		if err := w.Add("", c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), testdata.DigitCovariances) {
		t.Error("the shipped file differs from what the images give")
	}
}
