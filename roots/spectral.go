package roots

import "github.com/spdopt/spdopt/internal/dense"

var spectralMethod = Method{
	Name:   "spectral",
	Title:  "bounded-angle sweeps of Options.Start to the eigenbasis, any function; products only while the start is near, else a decomposition",
	Source: "arXiv:2502.06268 for the moving basis; bounded angles as in spectral.Factor.Follow",
	Can: func(q Query) bool {
		return q.Kind != KindPolar && q.needsPositive() && !q.Cutoff
	},
	Work: func(q Query) float64 {
		if q.Start {
			return 1.5 + 2*3.5 + applyWork(q, 2)
		}
		return 1.5 + 8 + applyWork(q, 2)
	},
	exact: true,
	Bound: eigenBound,
	rate:  rate{83, 44.5, 15.5, 5.6, 2.6, 1.8, 1.5, 1.2, 1.1, 1.05},
	run64: runSpectral[float64],
	run32: runSpectral[float32],
}

func runSpectral[T dense.Float](j *job[T]) error {
	t, err := newTracker[float64](j.N, nil)
	if err != nil {
		return err
	}
	if j.start.Data != nil {
		t.b.Copy(j.start)
		if t.defect() > 1e-8 {
			return &MethodError{"spectral", "Options.Start is not orthogonal"}
		}
		t.orthogonalise()
	}
	convert(t.w1, j.a)
	rep, err := t.follow()
	if err != nil {
		return err
	}
	before := t.rotations
	if err := t.diagonalise(); err != nil {
		return err
	}
	j.rep.Iterations = t.rotations - before
	j.rep.Work += rep.Work + 3.5*float64(j.rep.Iterations)
	w, order := sortedSpectrum(t.d)
	q := dense.New[float64](j.N, j.N)
	permuteColumns(q, t.b, order)
	// Taking M for diagonal is a backward error of ||offdiag||, which the spectrum turns into a forward error like any other.
	j.trunc += t.tau * j.sensitivityAt(w)
	return j.fromSpectrum(q, w)
}
