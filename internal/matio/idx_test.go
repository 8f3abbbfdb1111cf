package matio

import (
	"bytes"
	"compress/gzip"
	"testing"
)

func TestIDX(t *testing.T) {
	plain := []byte{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{plain, zipped.Bytes()} {
		x, err := ReadIDX(bytes.NewReader(data), "x.idx")
		if err != nil {
			t.Fatal(err)
		}
		want := []float64{1, 2, 3, 4, 5, 255}
		if shapeString(x.Shape) != "(2, 3)" || len(x.Data) != 6 {
			t.Fatalf("shape %v", x.Shape)
		}
		for i, v := range want {
			if x.Data[i] != v {
				t.Errorf("element %d = %v", i, x.Data[i])
			}
		}
	}
	short, err := ReadIDX(bytes.NewReader([]byte{0, 0, 11, 1, 0, 0, 0, 2, 0xff, 0xfe, 1, 0}), "x.idx")
	if err != nil || short.Data[0] != -2 || short.Data[1] != 256 {
		t.Errorf("int16: %v, %v", short, err)
	}
}

func TestBadIDX(t *testing.T) {
	for want, data := range map[string][]byte{
		"truncated inside the IDX header":                          {0, 0, 8},
		"not an IDX file":                                          {1, 0, 8, 1, 0, 0, 0, 0},
		"truncated: shape (2,) needs 2 elements, only 1 are there": {0, 0, 8, 1, 0, 0, 0, 2, 5},
		"more bytes follow":                                        {0, 0, 8, 1, 0, 0, 0, 1, 5, 6},
		"truncated: shape (4294967295, 65535)":                     {0, 0, 8, 2, 255, 255, 255, 255, 0, 0, 255, 255, 5},
		"not a readable gzip file":                                 {0x1f, 0x8b, 9},
	} {
		_, err := ReadIDX(bytes.NewReader(data), "x.idx")
		requireError(t, err, "x.idx", want)
	}
	_, err := OpenIDX("missing.gz")
	requireError(t, err, "missing.gz", "no such file")
}
