package matio_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/matio"
)

func ExampleOpen() {
	text := "%%MatrixMarket matrix array real symmetric\n2 2\n4\n1\n3\n"
	s, err := matio.Open(matio.Source{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for m, err := range s.All() {
		fmt.Println(m.Subject(), m.Data, err)
	}
	// Output: matrix [4 1 1 3] <nil>
}

func ExampleReadAll() {
	in := strings.NewReader("[[[2,0],[0,1]], [[2,0],[0,-1]]]")
	src := matio.Source{Paths: []string{"-"}, Format: matio.JSON, Stdin: in}
	_, _, err := matio.ReadAll(src, matio.Check{Kind: matio.SPD})
	fmt.Println(err)
	// Output: standard input: matrix 1 is not positive definite: smallest eigenvalue -1 (largest 2); try --nearest-spd
}

func ExampleReadSamples() {
	in := strings.NewReader("height,weight\n1.8,75\n1.7,68\n1.6,60\n")
	m, err := matio.ReadSamples(matio.Source{Paths: []string{"-"}, Format: matio.CSV, Stdin: in})
	fmt.Println(m.Rows, m.Cols, err)
	// Output: 3 2 <nil>
}

func ExampleCheck_Apply() {
	m := matio.Matrix{Matrix: dense.Wrap(2, 2, []float64{1, 2, 2, 1}), File: "a.npy", Index: -1}
	fmt.Println(matio.Check{Kind: matio.SPD}.Apply(&m))
	fmt.Println(matio.Check{Kind: matio.SPD, NearestSPD: true}.Apply(&m))
	fmt.Printf("%.4f\n", m.Data)
	// Output:
	// a.npy: matrix is not positive definite: smallest eigenvalue -1 (largest 3); try --nearest-spd
	// <nil>
	// [1.5000 1.5000 1.5000 1.5000]
}

func ExampleCreate() {
	w, err := matio.Create(matio.Target{Path: "-", Format: matio.JSON, Stack: true, Stdout: os.Stdout})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort()
	for k := range 2 {
		if err := w.Add("", dense.Wrap(1, 2, []float64{float64(k), 0.5})); err != nil {
			fmt.Println(err)
		}
	}
	if err := w.Commit(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [[[0,0.5]],
	// [[1,0.5]]]
}

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "spdopt-matio-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "example.csv")
	if err := matio.Write(matio.Target{Path: path}, dense.Wrap(2, 2, []float64{1, 0.5, 0.5, 2})); err != nil {
		fmt.Println(err)
	}
	text, _ := os.ReadFile(path)
	fmt.Print(string(text))
	// Output:
	// 1,0.5
	// 0.5,2
}

func ExampleReadIDX() {
	data := "\x00\x00\x08\x01\x00\x00\x00\x03\x07\x02\x01" // one axis of three unsigned bytes
	x, err := matio.ReadIDX(strings.NewReader(data), "labels")
	fmt.Println(x.Shape, x.Data, err)
	// Output: [3] [7 2 1] <nil>
}

func ExampleParseFormat() {
	_, err := matio.ParseFormat("xlsx")
	fmt.Println(err)
	// Output: unknown format "xlsx"; use one of npy, npz, safetensors, mat, mtx, csv, tsv, json
}

func ExampleFormat_Written() {
	fmt.Println(matio.NPY.Written(), matio.MAT.Written())
	// Output: true false
}

func ExampleLoad() {
	in := strings.NewReader("[[1,0],[0,2]]")
	all, many, err := matio.Load(matio.Source{Paths: []string{"-"}, Format: matio.JSON, Stdin: in})
	fmt.Println(len(all), many, err)
	// Output: 1 false <nil>
}

func ExampleReadVector() {
	in := strings.NewReader("2\n1\n1\n")
	v, err := matio.ReadVector(matio.Source{Paths: []string{"-"}, Format: matio.CSV, Stdin: in})
	fmt.Println(v, err)
	// Output: [2 1 1] <nil>
}

func ExampleJoin() {
	a := matio.Matrix{Matrix: dense.Wrap(1, 2, []float64{1, 2}), Index: -1}
	b := matio.Matrix{Matrix: dense.Wrap(2, 2, []float64{3, 4, 5, 6}), Index: -1}
	m, err := matio.Join([]matio.Matrix{a, b})
	fmt.Println(m.Rows, m.Data, err)
	// Output: 3 [1 2 3 4 5 6] <nil>
}

func ExampleCenter() {
	m := matio.Matrix{Matrix: dense.Wrap(2, 2, []float64{1, 10, 3, 30})}
	matio.Center(&m)
	fmt.Println(m.Data)
	// Output: [-1 -10 1 10]
}

func ExampleFinite() {
	m := matio.Matrix{Matrix: dense.Wrap(1, 2, []float64{1, math.NaN()}), File: "a.csv", Index: -1}
	fmt.Println(matio.Finite(&m))
	// Output: a.csv: matrix has NaN at row 0, column 1 (counting from 0)
}

func ExampleAppendRows() {
	fmt.Printf("%s\n", matio.AppendRows(nil, dense.Wrap(2, 1, []float64{0.1, 1e-20})))
	// Output:
	// [[0.1],
	// [1e-20]]
}

func ExampleFormatOf() {
	fmt.Println(matio.FormatOf("a.NPY"), matio.FormatOf("samples.txt"), matio.FormatOf("x") == "")
	// Output: npy csv true
}
