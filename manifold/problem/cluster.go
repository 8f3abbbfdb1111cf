package problem

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/learn"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

var cluster = Problem{
	Name:  "cluster",
	What:  "groups of SPD matrices: minimize the sum of the squared distances from the nearest of k centres; the solution is the centre of the largest group",
	Input: "SPD matrices (an m x n x n stack or several files) and the number of groups",
	Takes: Matrices,
	Uses:  []string{"components", "seed"},
	Own: []Method{{
		Name:   "kmeans",
		What:   "Lloyd's iteration with Frechet means, the best of ten seedings by k-means++ (Arthur and Vassilvitskii, SODA 2007); a local minimum",
		direct: clusterByMeans,
	}},
	geometric: true,
}

// seedings is the number of restarts of k-means.
const seedings = 10

func clusterByMeans(d *Data, o *Options) (*outcome, error) {
	frames, err := factorMatrices(d.Matrices)
	if err != nil {
		return nil, err
	}
	n := frames[0].Dim()
	mon, stopped := iteration.NewMonitor(&o.Solver, n*n), false
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], o.Seed)
	c, err := learn.KMeans(d.Matrices, learn.KMeansOptions{Metric: setMetric(o), Clusters: o.Components, Restarts: seedings, MaxIterations: mon.Options.MaxIterations,
		Source: rand.NewChaCha8(key), Stop: func(iterations int, inertia float64) bool {
			mon.Status.Iteration, mon.Status.Evaluations = iterations, iterations+1
			stopped = mon.Done(nil, inertia, math.Inf(1), 1)
			return stopped
		}})
	if err != nil {
		return nil, refusal(err)
	}
	r := &solve.Result{Converged: true, Iterations: c.Iterations, Evaluations: c.Iterations + 1, Objective: c.Inertia, GradientNorm: c.Residual,
		Certificate: certifyCentre(o, c.Residual), Reason: solve.Reason{Name: "labels", Converged: true,
			Detail: fmt.Sprintf("no matrix changes its group; the best of %d seedings", seedings)}}
	if c.Inertia > 0 {
		r.RelativeGradient = c.Residual / math.Sqrt(c.Inertia/float64(len(frames)))
	}
	if stopped {
		r.Converged, r.Reason = mon.Reason.Converged, mon.Reason
	}
	sizes, labels, centres := make([]float64, len(c.Centres)), make([]float64, len(c.Labels)), Part{Name: "centres"}
	for i, k := range c.Labels {
		sizes[k]++
		labels[i] = float64(k)
	}
	largest := 0
	for k, s := range c.Centres {
		if sizes[k] > sizes[largest] {
			largest = k
		}
		centres.Matrices = append(centres.Matrices, manifold.DenseOf(s))
	}
	return &outcome{run: r, n: n, count: len(frames), solution: c.Centres[largest], parts: []Part{vectorPart("labels", labels), vectorPart("sizes", sizes), centres}}, nil
}
