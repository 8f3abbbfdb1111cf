package train

import (
	"fmt"
	"iter"
	"strings"

	"github.com/spdopt/spdopt/nnopt"
	"github.com/spdopt/spdopt/nnopt/net"
)

// Workload is something to train.
type Workload struct {
	Name   string
	What   string
	Data   string // what a data path is
	Metric string
	Higher bool // a larger metric is better

	text     bool // Options.Merges applies
	defaults defaults
	build    func(o *Options) (*task, error)
}

// defaults are the options that a workload fills in.
type defaults struct {
	steps, batch, evalEvery int
	lr                      map[string]float64 // by optimizer; others use their own
}

// task is a workload made ready for one run.
type task struct {
	net      *net.Net[float32]
	batch    func(step int) *net.Batch[float32] // a function of seed and step
	evaluate func() (loss, metric float64)      // on the validation set
	subject  subject                            // zero if the examples are not independent
	picture  func() string                      // of what the trained network makes, as SVG; may be nil
	perEpoch int
	examples int // of training

	validation iter.Seq[*net.Batch[float32]]
}

// Workloads lists all workloads.
func Workloads() []Workload {
	return []Workload{mnistMLP, mnistCNN, charTransformer, graphNodes, diffusionPoints, autoencoder}
}

// UnknownError says that there is no workload of a name.
type UnknownError struct{ Name string }

// Error lists the known names.
func (e *UnknownError) Error() string {
	var known []string
	for _, w := range Workloads() {
		known = append(known, w.Name)
	}
	return fmt.Sprintf("unknown workload %q, want one of %s", e.Name, strings.Join(known, ", "))
}

// ByName returns the workload called name, or an *UnknownError.
func ByName(name string) (Workload, error) {
	for _, w := range Workloads() {
		if w.Name == name {
			return w, nil
		}
	}
	return Workload{}, &UnknownError{name}
}

// better reports whether metric a is better than b.
func (w *Workload) better(a, b float64) bool {
	if w.Higher {
		return a > b
	}
	return a < b
}

// scheduleFor returns the default course of the learning rate.
func scheduleFor(optimizer string) nnopt.Shape {
	if strings.HasPrefix(optimizer, "schedule-free") {
		return nnopt.Constant
	}
	return nnopt.Cosine
}
