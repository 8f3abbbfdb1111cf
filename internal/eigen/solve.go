package eigen

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

const (
	partPoles = 64 // rows or columns of one part of parallel work; a multiple of 4
	poleWork  = 30 // multiplications that a phase takes for each pair of poles, on average
)

// secularPhase is a step of solve whose rows or columns are independent of each other.
type secularPhase int

const (
	findRoots secularPhase = iota
	findWeights
	findVectors
)

// secularTask is the work of a phase cut into parts of partPoles.
type secularTask struct {
	s      *Secular
	phase  secularPhase
	column []int
}

// RunPart does part i.
func (t *secularTask) RunPart(i int) {
	lo, hi := i*partPoles, min((i+1)*partPoles, t.s.k)
	switch t.phase {
	case findRoots:
		t.s.roots(lo, hi)
	case findWeights:
		t.s.weights(lo, hi)
	case findVectors:
		t.s.vectors(lo, hi, t.column, t.s.buf[i*t.s.k:][:t.s.k])
	}
}

// solve finds the roots and eigenvectors of the deflated problem. column[i], if given, is the column of s.ut that pole i goes to.
func (s *Secular) solve(column []int) {
	k := s.k
	parts := (k + partPoles - 1) / partPoles
	s.lam, s.zhat, s.buf = grow(s.lam, k), grow(s.zhat, k), grow(s.buf, parts*k)
	s.ut = grow(s.ut, k*k)
	s.task = secularTask{s: s, column: column}
	s.shared.Task = &s.task
	for s.task.phase = findRoots; s.task.phase <= findVectors; s.task.phase++ {
		s.shared.RunFor(parts, poleWork*k*k)
	}
}

// roots finds roots lo..hi-1 and writes the differences d_i - lambda_j to row j of s.ut.
func (s *Secular) roots(lo, hi int) {
	k := s.k
	for j := lo; j < hi; j++ {
		org, tau := s.root(j)
		origin := s.d[org]
		s.lam[j] = origin + tau
		row := s.ut[j*k : j*k+k]
		for i, di := range s.d[:k] {
			row[i] = (di - origin) - tau
		}
	}
}

// weights computes from the differences d_i - lambda_j in s.ut elements lo..hi-1 of the vector zhat for which the lambda are exact roots:
// zhat_i^2 = prod_j (lambda_j - d_i) / prod_{j != i} (d_j - d_i), up to a common factor. Four roots share a division: after deflation and
// scaling no difference is below 2^-200, so that four cannot underflow.
func (s *Secular) weights(lo, hi int) {
	k, zh := s.k, s.zhat
	for i := lo; i < hi; i++ {
		zh[i] = 1
	}
	j := 0
	for ; j+4 <= k; j += 4 {
		if j < lo || j >= hi {
			s.fourRoots(lo, hi, j)
			continue
		}
		s.fourRoots(lo, j, j)
		for i := j; i < j+4; i++ {
			for l := j; l < j+4; l++ {
				zh[i] *= s.ratio(i, l)
			}
		}
		s.fourRoots(j+4, hi, j)
	}
	for ; j < k; j++ {
		for i := lo; i < hi; i++ {
			zh[i] *= s.ratio(i, j)
		}
	}
	for i := lo; i < hi; i++ {
		zh[i] = math.Copysign(math.Sqrt(math.Abs(zh[i])), s.zall[s.keep[i]])
	}
}

// fourRoots multiplies the factors of roots j..j+3 into zhat[lo:hi], none of whose poles belongs to these roots.
func (s *Secular) fourRoots(lo, hi, j int) {
	if lo < hi {
		dense.PoleWeights(s.zhat[lo:hi], s.d[lo:hi], s.ut[j*s.k+lo:], s.k, (*[4]float64)(s.d[j:]))
	}
}

func (s *Secular) ratio(i, j int) float64 {
	if i == j {
		return s.ut[j*s.k+i]
	}
	return s.ut[j*s.k+i] / (s.d[i] - s.d[j])
}

// vectors turns rows lo..hi-1 of differences into the unit eigenvectors zhat_i/(d_i - lambda). buf is scratch of k elements.
func (s *Secular) vectors(lo, hi int, column []int, buf []float64) {
	for j := lo; j < hi; j++ {
		row := s.ut[j*s.k:][:s.k]
		inv := 1 / math.Sqrt(dense.PoleQuotients(s.zhat, row))
		if column == nil {
			dense.Scale(inv, row, row)
			continue
		}
		for i, v := range row {
			buf[column[i]] = v * inv
		}
		copy(row, buf)
	}
}
