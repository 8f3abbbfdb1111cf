// Package testdata embeds the data that the demo runs on, so that an installed program has it with it.
package testdata

import _ "embed"

//go:generate go run ../internal/digits/generate --images $MNIST/t10k-images-idx3-ubyte.gz --labels $MNIST/t10k-labels-idx1-ubyte.gz --out digit_covariances.npy

// DigitCovariances is the file digit_covariances.npy: a 10 x 196 x 196 stack of float64, one covariance matrix for each digit.
//
//go:embed digit_covariances.npy
var DigitCovariances []byte
