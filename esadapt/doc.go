// Package esadapt minimizes functions of real and integer variables from their values alone, by evolution strategies that adapt the
// covariance of their search distribution.
//
//	r, err := esadapt.Minimize(ctx, f, esadapt.Options{X0: x0, Sigma0: 0.5, MaxEvaluations: 10000})
//	fmt.Println(r.Best.X, r.Best.F)
//
// Where the caller drives, evaluates elsewhere or keeps states, New makes a Search:
//
//	for s.Stop() == nil {
//		x := s.Ask()
//		// evaluate every point
//		err := s.Tell(values)
//	}
//
// There are two layers, both driven by ask and tell. A Strategy samples points from a distribution on R^n and moves that distribution by
// the ranks of their values; it knows no bounds, restarts or budgets. A Search is what callers hold: it wraps a strategy and adds box
// bounds, fixed and integer variables, constraints, noise handling, restarts, budgets, failed and late results, and a state that resumes
// bit for bit. Minimize is a loop around Search.
//
// The covariance of the full-matrix strategies is a spectral.Factor, C = B diag(d) B^T: it is never decomposed. Samples, evolution paths
// and rank-mu updates live in the basis B, increments of several generations are summed there, and one bounded-angle sweep turns the basis.
//
// Everything random derives from one seed: the candidates of generation g of run r take, in their order, the normal numbers at g's place of a counter-based stream whose
// key ChaCha8 draws for (seed, r); other draws come from the ChaCha8 stream keyed by (seed, r, g, index), so that no order of evaluation, number of workers or interruption changes a single bit of a run.
package esadapt
