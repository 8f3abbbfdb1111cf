// Command generate computes testdata/digit_covariances.npy from the MNIST files. See testdata/README.md.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/spdopt/spdopt/internal/digits"
	"github.com/spdopt/spdopt/internal/matio"
)

func main() {
	images := flag.String("images", "", "IDX file of 28x28 images, plain or gzip")
	labels := flag.String("labels", "", "IDX file of labels, plain or gzip")
	out := flag.String("out", "digit_covariances.npy", "file to write")
	flag.Parse()
	if err := run(*images, *labels, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(images, labels, out string) error {
	x, err := matio.OpenIDX(images)
	if err != nil {
		return err
	}
	y, err := matio.OpenIDX(labels)
	if err != nil {
		return err
	}
	covariances, err := digits.Covariances(x, y)
	if err != nil {
		return err
	}
	w, err := matio.Create(matio.Target{Path: out, Stack: true})
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, c := range covariances {
		if err := w.Add("", c); err != nil {
			return err
		}
	}
	return w.Commit()
}
