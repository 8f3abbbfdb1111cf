package design

import (
	"fmt"

	"github.com/spdopt/spdopt/internal/dense"
	"github.com/spdopt/spdopt/manifold/problem/internal/iteration"
	"github.com/spdopt/spdopt/manifold/solve"
)

// Exchange runs until max g <= d (1 + tolerance) holds for freshly computed g. gap is the largest amount by which log det M can miss its maximum.
func (s *Design) Exchange(o *solve.Options) (r *solve.Result, gap float64, err error) {
	d := s.y.Cols
	mon := iteration.NewMonitor(o, d*d)
	logDet, err := s.refresh()
	if err != nil {
		return nil, 0, err
	}
	near := newtonNear
	for {
		_, _, above, below := s.extremes()
		if mon.Done(nil, -logDet, max(above, below), 1) {
			r = mon.Result(nil, 0)
			gap, r.Certificate = s.certify()
			return r, gap, nil
		}
		if max(above, below) < near {
			value, moved, ok, err := s.newton(logDet)
			if err != nil {
				return nil, 0, fmt.Errorf("iteration %d: %w", mon.Status.Iteration+1, err)
			}
			mon.Status.Evaluations++
			if ok {
				logDet = value
				mon.Step(moved)
				continue
			}
			near = max(above, below) / 10
		}
		var moved float64
		active, index := s.promising()
		for range exchanges {
			most, least, above, below := active.extremes()
			if max(above, below) <= mon.Options.Tolerance || most == least {
				break
			}
			moved += active.exchange(most, least)
			mon.Status.Evaluations++
		}
		for k, i := range index {
			s.u[i] = active.u[k]
		}
		if logDet, err = s.refresh(); err != nil {
			return nil, 0, fmt.Errorf("iteration %d: %w", mon.Status.Iteration+1, err)
		}
		mon.Step(moved)
	}
}

// exchange moves weight from the point farthest inside to the one farthest outside: log det M grows by
// log((1 + c g_i)(1 - c g_j) + c^2 g_ij^2), which is largest at c = (g_i - g_j)/(2 (g_i g_j - g_ij^2)). M^-1 and g are renewed by the formula of Sherman and Morrison,
// M^-1 - t w w', t = c/(1 + c y'w), w = M^-1 y, for one point and then the other.
func (s *Design) exchange(most, least int) float64 {
	d := s.y.Cols
	s.index = append(s.index[:0], most, least)
	s.parts.Run(d, passRows(d), s.multiply)
	gi, gj, gij := s.g[most], s.g[least], dense.Dot(s.w[0], s.y.Row(least))
	c := s.u[least]
	if det := gi*gj - gij*gij; 2*det*c > gi-gj {
		c = (gi - gj) / (2 * det)
	}
	if !(c > 0) {
		return 0
	}
	s.t[0] = c / (1 + c*gi)
	dense.Axpy(-s.t[0]*gij, s.w[0], s.w[1])
	s.t[1] = -c / (1 - c*(gj-s.t[0]*gij*gij))
	s.u[most] += c
	s.u[least] = max(s.u[least]-c, 0)
	s.parts.Run(s.changed()+d, passRows(d), s.change)
	return c
}

// multiplyPart sets rows of w to M^-1 y for the two points of index.
func (s *Design) multiplyPart(_, from, to int) {
	rows := s.inv.View(from, 0, to-from, s.y.Cols)
	for side, w := range s.w {
		dense.Gemv(dense.NoTrans, 1, rows, s.y.Row(s.index[side]), 0, w[from:to])
	}
}

// changed is the number of points, rounded up to full parts; the rows of M^-1 follow them in the last pass of an exchange.
func (s *Design) changed() int {
	each := passRows(s.y.Cols)
	return dense.PartsOf(s.y.Rows, each) * each
}

// changePart subtracts t p^2, p = y w, from g, or rows of t w w' from M^-1, for both sides.
func (s *Design) changePart(_, from, to int) {
	if first := s.changed(); from >= first {
		for i := from - first; i < to-first; i++ {
			for side, w := range s.w {
				dense.Axpy(-s.t[side]*w[i], w, s.inv.Row(i))
			}
		}
		return
	}
	to = min(to, s.y.Rows)
	y, g := s.y.View(from, 0, to-from, s.y.Cols), s.g[from:to]
	for side, w := range s.w {
		p, t := s.p[side][from:to], s.t[side]
		dense.Gemv(dense.NoTrans, 1, y, w, 0, p)
		for i, x := range p {
			g[i] -= t * x * x
		}
	}
}

// promising returns the points that have weight or may soon get some, and their indices: the exchanges of one iteration are among these, and all are
// looked at again after it. M^-1 is shared. The next call overwrites them, as moment and squares overwrite the points.
func (s *Design) promising() (*Design, []int) {
	d, a := s.y.Cols, s.active
	s.index = s.index[:0]
	least := promisingShare * float64(d)
	for i, g := range s.g {
		if s.u[i] > 0 || g >= least {
			s.index = append(s.index, i)
		}
	}
	k := len(s.index)
	a.y, a.u, a.g = s.rest.View(0, 0, k, d), a.u[:k], a.g[:k]
	for side := range a.p {
		a.p[side] = s.p[side][:k]
	}
	s.copyPoints(s.index, a.y)
	for j, i := range s.index {
		a.u[j], a.g[j] = s.u[i], s.g[i]
	}
	return a, s.index
}

// copyPoints sets the rows of y to the points of an index.
func (s *Design) copyPoints(index []int, y dense.Matrix[float64]) {
	s.parts.Run(len(index), passRows(y.Cols), func(_, from, to int) {
		for j, i := range index[from:to] {
			copy(y.Row(from+j), s.y.Row(i))
		}
	})
}
