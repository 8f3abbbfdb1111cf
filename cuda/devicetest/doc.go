// Package devicetest holds the tests of optimizers and networks on a device: they give what they give on the processor.
package devicetest
