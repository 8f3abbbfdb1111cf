package data_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/spdopt/spdopt/nnopt/data"
)

// folder is a place for the files of an example.
func folder() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

func write(path string, content []byte) {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		panic(err)
	}
}

// Sets that need no files: images, points in the plane, what a random network says, a graph, a text.
func ExampleTeacher() {
	r := data.Stream(1, "example", 0)
	images := data.Blobs[float32](20, r)
	fmt.Println("images:", images.N, images.Height, images.Width, images.Labels)
	rings, corners := data.Rings[float32](30, 3, 0.05, r), data.Mixture[float32](40, 5, 0.1, r)
	fmt.Println("points:", rings.N, corners.N)
	teacher := data.Teacher[float64](50, 4, 8, 3, r)
	train, valid, err := teacher.Split(0.2)
	fmt.Println("teacher:", train.N, valid.N, err)
	nodes, start, neighbours := data.Communities[float32](60, 3, 0.3, 0.02, r)
	fmt.Println("graph:", nodes.N, len(start), len(neighbours) == start[60])
	fmt.Println("text:", len(data.Sentences(500, r)) >= 500)
	// Output:
	// images: 20 28 28 10
	// points: 30 40
	// teacher: 40 10 <nil>
	// graph: 60 61 true
	// text: true
}

// Random numbers that depend on the seed, on what they are for, and on a counter: a run resumed at any step draws the same.
func ExampleNewStreams() {
	s := data.NewStreams(7)
	fmt.Println(s.At("dropout", 12).Uint64() == data.Stream(7, "dropout", 12).Uint64(), data.Stream(7, "dropout", 12).Uint64() == data.Stream(7, "batch", 12).Uint64())
	// Output: true false
}

// Pieces of a text and what follows each token.
func ExampleWindows() {
	dir, remove := folder()
	defer remove()
	write(filepath.Join(dir, "text.txt"), []byte("to be or not to be"))
	text, err := data.ReadText(filepath.Join(dir, "text.txt"))
	if err != nil {
		panic(err)
	}
	tokenizer := data.NewTokenizer(text, 0)
	tokens, err := tokenizer.Encode(text)
	if err != nil {
		panic(err)
	}
	var x data.Matrix[float32]
	var next []int32
	pieces := data.AllWindows(tokens, 10, 8, &x, &next)
	fmt.Printf("%d pieces, the first ends with %q\n", pieces, tokenizer.Decode(next[7:8]))
	data.Windows(tokens, 3, 8, data.Stream(1, "batch", 0), &x, &next)
	fmt.Println(x.Rows, len(next))
	// Output:
	// 2 pieces, the first ends with " "
	// 24 24
}

// Images in the format of the MNIST files.
func ExampleReadIDX() {
	dir, remove := folder()
	defer remove()
	header := func(sizes ...uint32) (b []byte) {
		b = append(b, 0, 0, 8, byte(len(sizes)))
		for _, n := range sizes {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	write(filepath.Join(dir, "t-images"), append(header(2, 2, 2), 0, 255, 0, 0, 255, 255, 0, 0))
	write(filepath.Join(dir, "t-labels"), append(header(2), 3, 1))
	images, labels, err := data.FindIDX(dir)
	if err != nil {
		panic(err)
	}
	s, err := data.ReadIDX[float32](images, labels, 10)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.N, s.Height, s.Width, s.Classes)
	// Output: 2 2 2 [3 1]
}

// The binary version of CIFAR-10: a label and 3072 bytes for each image.
func ExampleReadCIFAR10() {
	dir, remove := folder()
	defer remove()
	file := filepath.Join(dir, "batch.bin")
	write(file, append([]byte{6}, make([]byte, 3072)...))
	s, err := data.ReadCIFAR10[float32](file)
	if err != nil {
		panic(err)
	}
	fmt.Println(s.N, s.Channels, s.Height, s.Width, s.Classes)
	// Output: 1 3 32 32 [6]
}

// npy is what numpy.save writes for an array of numbers.
func npy(shape string, numbers ...float64) []byte {
	header := fmt.Sprintf("{'descr': '<f8', 'fortran_order': False, 'shape': %s, }\n", shape)
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0)
	b = append(b, header...)
	for _, v := range numbers {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// An archive of NumPy arrays with the name x, and y for classes.
func ExampleReadNPZ() {
	dir, remove := folder()
	defer remove()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	if w, err := archive.Create("x.npy"); err != nil {
		panic(err)
	} else if _, err := w.Write(npy("(3, 2)", 1, 2, 3, 4, 5, 6)); err != nil {
		panic(err)
	}
	if err := archive.Close(); err != nil {
		panic(err)
	}
	file := filepath.Join(dir, "set.npz")
	write(file, b.Bytes())
	s, classes, err := data.ReadNPZ[float64](file, false)
	fmt.Println(s.N, s.X.Row(2), classes, err)
	// Output: 3 [5 6] 0 <nil>
}
