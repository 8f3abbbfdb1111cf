// Package train runs training workloads: a network, data, and an optimizer of nnopt, with evaluation, early stopping, and checkpoints from which a run
// goes on bit for bit.
//
//	r, err := train.Run(train.Options{Workload: "graph", Optimizer: "spectral", Steps: 200})
//
// A workload is one file with one entry in Workloads. Without a data path it trains on a generated set. Equal options give equal numbers (times
// apart) for any number of threads.
package train
