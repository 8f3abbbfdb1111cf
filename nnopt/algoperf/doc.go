// Package algoperf compares training algorithms by the time they take to a result, with the rules of AlgoPerf (Dahl et al., arXiv:2306.07179; results
// of the competition: Kasimbeg et al., arXiv:2502.15015).
//
// A Workload fixes the network, the data, the loss and the target of a metric; a Submission is a training algorithm in five hooks, and every optimizer
// of nnopt is one. A trial trains a workload until an evaluation meets the target or its budget is spent: the clock runs during the hooks of the
// submission and rests during evaluations. Run makes the trials of a whole comparison, several tunings in several studies, and appends each to a Log
// from which an interrupted comparison goes on. Score turns logs into performance profiles and benchmark scores.
//
// With Steps as clock a step takes the seconds that a table states for it (Costs), so that equal seeds give equal logs on every machine of equal
// arithmetic; with Real as clock time is measured.
package algoperf
