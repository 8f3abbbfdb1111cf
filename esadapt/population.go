package esadapt

import (
	"fmt"
	"math"
	"slices"

	"github.com/spdopt/spdopt/internal/dense"
)

// population is the sample of one generation: whitened z, steps y = (x - mean)/sigma and points x, one candidate a row, and their ranking.
type population struct {
	n, lambda  int
	generation int
	random     *stream
	z, y, x    dense.Matrix[float64]
	rows       [][]float64 // of x, handed out by Ask
	ranking    []ranked    // best first, valid within and after Tell
	sampled    bool        // between Ask and Tell
}

// ranked is a value and the candidate that has it.
type ranked struct {
	f float64
	i int
}

// byValue orders by value, equal ones by index; NaN is not there.
func byValue(a, b ranked) int {
	switch {
	case a.f < b.f:
		return -1
	case a.f > b.f:
		return 1
	}
	return a.i - b.i
}

func newPopulation(n, lambda int, s *Setup) population {
	p := population{n: n, lambda: lambda, random: newStream(s.Seed, s.Run)}
	p.z, p.y, p.x = dense.New[float64](lambda, n), dense.New[float64](lambda, n), dense.New[float64](lambda, n)
	p.rows = make([][]float64, lambda)
	for i := range p.rows {
		p.rows[i] = p.x.Row(i)
	}
	p.ranking = make([]ranked, lambda)
	return p
}

// draw fills z with the normal numbers of this generation, one candidate after the other.
func (p *population) draw() { p.random.normals(p.z.Data, p.generation) }

// place sets x = mean + sigma y.
func (p *population) place(mean []float64, sigma float64) {
	for i := range p.lambda {
		x, y := p.x.Row(i), p.y.Row(i)
		for j, m := range mean {
			x[j] = m + sigma*y[j]
		}
	}
}

// rank checks the values and sorts the candidates by them, equal ones by index.
func (p *population) rank(f []float64) error {
	if err := p.check(f); err != nil {
		return err
	}
	for i, v := range f {
		p.ranking[i] = ranked{v, i}
	}
	slices.SortFunc(p.ranking, byValue)
	return nil
}

func (p *population) check(f []float64) error {
	if !p.sampled {
		return fmt.Errorf("esadapt: Tell without Ask")
	}
	if len(f) != p.lambda {
		return fmt.Errorf("esadapt: %d values for %d candidates", len(f), p.lambda)
	}
	for i, v := range f {
		if math.IsNaN(v) {
			return fmt.Errorf("esadapt: the value of candidate %d is NaN", i)
		}
		if math.IsInf(v, -1) {
			return fmt.Errorf("esadapt: the value of candidate %d is -Inf", i)
		}
	}
	return nil
}

// close ends the generation.
func (p *population) close() {
	p.sampled = false
	p.generation++
}

// clipForeign limits the length of an injected whitened step to what a sample reaches with some luck: sqrt(n) + 2n/(n+2).
func clipForeign(z []float64) (factor float64) {
	d := float64(len(z))
	limit := math.Sqrt(d) + 2*d/(d+2)
	length := math.Sqrt(dense.Dot(z, z))
	if length <= limit {
		return 1
	}
	return limit / length
}
