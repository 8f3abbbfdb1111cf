package problem

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/internal/engine"
	"github.com/spdopt/spdopt/internal/matfun"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

var meanDevice = &deviceMethod{run64: meanOnDevice[float64], run32: meanOnDevice[float32], elements: func(n, count int) int { return (count + 27) * n * n }}

// deviceMean is the Karcher mean by gradient steps along geodesics in products only: C_k = G A_k G', their logarithms, and F <- F exp(t eta/2) with eta the
// mean of the logarithms, the negative gradient. The Hessian is at least 1 and is 1 where all matrices commute, so that t starts at 1 and is a secant
// length in (0.05, 1] after that. Steps are accepted by the slope at their end, as in followedIterate.
type deviceMean[T dense.Float] struct {
	*place[T]
	w       *matfun.Work[T] // of as many matrices as fit
	at      *moving[T]
	data    engine.Batch[T]
	weights []float64
	c, l, t engine.Batch[T]
	eta     engine.Batch[T] // of the present point
	next    engine.Batch[T]
}

func meanOnDevice[T dense.Float](d *Data, o *Options, p *place[T]) (*outcome, error) {
	data, err := p.matrices(d)
	if err != nil {
		return nil, err
	}
	weights, err := normalizedWeights(d.Weights, data.Count)
	if err != nil {
		return nil, err
	}
	n, group := data.Rows, data.Count
	if p.room > 0 && (16*group+16)*n*n > p.room {
		group = 1
	}
	m := &deviceMean[T]{place: p, w: matfun.New(p.Backend, p.arena, group, n), at: newMoving(p, n), data: data, weights: weights}
	m.c, m.l, m.t, m.eta, m.next = m.w.Take(), m.w.Take(), m.w.Take(), m.at.w.Take(), m.at.w.Take()
	return m.run(o)
}

func (m *deviceMean[T]) run(o *Options) (*outcome, error) {
	n := m.data.Rows
	mon := iteration.NewMonitor(&o.Solver, n*n)
	if err := m.start(); err != nil {
		return nil, err
	}
	cost, err := m.evaluate(m.at.g, m.eta)
	if err != nil {
		return nil, dataFault(err, "")
	}
	for t := 1.0; ; {
		square := m.dot(m.eta, m.eta)
		norm := math.Sqrt(square)
		if mon.Done(nil, cost, norm, math.Sqrt(2*cost)) {
			break
		}
		next, r, moved := cost, 0.0, false
		for range 20 {
			if err := m.at.move(t, m.eta); err != nil {
				return nil, err
			}
			if next, err = m.evaluate(m.at.gNext, m.next); err == nil {
				r = m.dot(m.next, m.eta) / square
			}
			mon.Status.Evaluations++
			if moved = err == nil && r >= -0.5; moved {
				break
			}
			t *= 0.25
			if err == nil {
				t *= 4 * min(max(1/(1-r), 0.1), 0.7)
			}
		}
		if !moved {
			mon.Stall()
			break
		}
		m.at.accept()
		m.eta, m.next, cost = m.next, m.eta, next
		mon.Step(t * norm)
		t = secant(t, r, 0.05, 1)
	}
	bound := solve.Certificate{Kind: "strong-convexity", Value: mon.Status.GradientNorm}
	return finishRun(mon, bound, n, m.data.Count, m.at.matrix()), nil
}

// start sets the point to the arithmetic mean.
func (m *deviceMean[T]) start() error {
	sum := m.next
	m.Combine(0, 0, sum, 0, sum, sum)
	for k, v := range m.weights {
		m.Combine(0, 1, sum, T(v), one(m.data, k), sum)
	}
	return dataFault(m.at.w.Sqrt(sum, m.at.f, m.at.g), "arithmetic mean")
}

// evaluate sets eta to the mean of the logarithms of G A_k G' and returns 1/2 sum w_k ||log||^2.
func (m *deviceMean[T]) evaluate(g, eta engine.Batch[T]) (cost float64, err error) {
	m.Combine(0, 0, eta, 0, eta, eta)
	size := m.c.Count
	left := g
	left.Count, left.Step = size, 0
	for from := 0; from < m.data.Count; from += size {
		part := m.data
		part.Count, part.Data = size, m.data.Data[from*m.data.Step:(from+size)*m.data.Step]
		m.Gemm(dense.NoTrans, dense.NoTrans, 1, left, part, 0, m.t)
		m.GemmSymmetric(dense.NoTrans, dense.Transposed, 1, m.t, left, 0, m.c)
		if err := m.w.Log(m.c, m.l); err != nil {
			if e, ok := err.(*matfun.Error); ok {
				e.Matrix += from
			}
			return 0, err
		}
		for k := range size {
			v := m.weights[from+k]
			square, _ := m.SumSquares(m.l.At(k).Data)
			cost += v * square / 2
			m.Combine(0, 1, eta, T(v), one(m.l, k), eta)
		}
	}
	return cost, nil
}
