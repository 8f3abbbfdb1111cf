// Package data reads and makes the sets that networks are trained on: images in IDX files and CIFAR batches, text as characters or byte pairs, arrays in
// npz files, and generated sets. What a step of training sees is a function of the seed and the step alone, so that a run can be resumed anywhere.
//
// Errors about files name the file, what is wrong and what to do. Functions that return no error panic for counts that are negative, numbers of examples that
// the set does not have, and a nil source of random numbers.
package data
