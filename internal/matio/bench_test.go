package matio

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/spdopt/spdopt/internal/dense"
)

// benchmarkMatrix is a 1000 x 1000 matrix of random numbers.
func benchmarkMatrix() dense.Matrix[float64] {
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	a := dense.New[float64](1000, 1000)
	for i := range a.Data {
		a.Data[i] = rng.NormFloat64()
	}
	return a
}

func benchmarkRead(b *testing.B, f Format) {
	var text bytes.Buffer
	w, err := Create(Target{Path: "-", Format: f, Stdout: &text})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Add("", benchmarkMatrix()); err != nil {
		b.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		b.Fatal(err)
	}
	benchmarkOpen(b, f, text.Bytes())
}

func benchmarkOpen(b *testing.B, f Format, content []byte) {
	b.SetBytes(8e6)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Open(Source{Paths: []string{"-"}, Format: f, Stdin: bytes.NewReader(content)})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadNPY(b *testing.B)  { benchmarkRead(b, NPY) }
func BenchmarkReadNPZ(b *testing.B)  { benchmarkRead(b, NPZ) }
func BenchmarkReadMTX(b *testing.B)  { benchmarkRead(b, MTX) }
func BenchmarkReadCSV(b *testing.B)  { benchmarkRead(b, CSV) }
func BenchmarkReadJSON(b *testing.B) { benchmarkRead(b, JSON) }

func BenchmarkReadSafetensors(b *testing.B) { benchmarkRead(b, Safetensors) }

func BenchmarkReadMAT(b *testing.B) {
	le := binary.LittleEndian
	element := matVar{name: "a", flags: matDouble, dims: []int32{1000, 1000}, kind: 9, data: benchmarkMatrix().Data}.element(le)
	b.Run("plain", func(b *testing.B) { benchmarkOpen(b, MAT, []byte(matBytes(le, element))) })
	b.Run("packed", func(b *testing.B) { benchmarkOpen(b, MAT, []byte(matBytes(le, matPack(le, element)))) })
}

func BenchmarkWriteNPY(b *testing.B) {
	m := benchmarkMatrix()
	b.SetBytes(8e6)
	for b.Loop() {
		if err := Write(Target{Path: "-", Format: NPY, Stdout: io.Discard}, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteCSV(b *testing.B) {
	m := benchmarkMatrix()
	b.SetBytes(8e6)
	for b.Loop() {
		if err := Write(Target{Path: "-", Format: CSV, Stdout: io.Discard}, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckSPD(b *testing.B) {
	a := dense.New[float64](500, 500)
	x := benchmarkMatrix().View(0, 0, 500, 1000)
	dense.GemmUpper(dense.NoTrans, dense.Transposed, 1, x, x, 0, a)
	dense.Mirror(a)
	m := Matrix{Matrix: a, File: "a.npy", Index: -1}
	for b.Loop() {
		if err := (Check{Kind: SPD}).Apply(&m); err != nil {
			b.Fatal(err)
		}
	}
}
