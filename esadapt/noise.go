package esadapt

import (
	"math"
	"slices"
)

// uncertainty measures noise by re-evaluating a few candidates and counting how far they change rank, and answers it by averaging more
// evaluations per candidate and then by a larger sigma: UH-CMA-ES; Hansen, Niederberger, Guzzella, Koumoutsakos: "A method for handling
// uncertainty in evolutionary optimization" (2009), with the constants of the first author's implementation.
type uncertainty struct {
	level    float64 // smoothed rank change beyond what is tolerated; > 0 means too noisy
	repeats  float64 // evaluations per candidate, rounded down when used
	limit    float64
	chosen   []int // slots re-evaluated in this generation
	old, new []float64
	joint    []ranked
	ranks    [2][]int
	distance []float64
	buffer   []float64
}

// Constants of the method.
const (
	noiseTheta     = 0.5
	noiseSmoothing = 0.3
	noiseEpsilon   = 1e-7 // relative displacement of a re-evaluated point
)

func newUncertainty(limit int) *uncertainty {
	if limit == 0 {
		limit = 100
	}
	return &uncertainty{repeats: 1, limit: float64(limit)}
}

// count is the number of evaluations per candidate.
func (u *uncertainty) count() int { return int(u.repeats) }

// schedule appends the re-evaluations of this generation: half of them the first candidates, half the best of the rest.
func (u *uncertainty) schedule(s *Search) {
	lambda := len(s.strat.Ask()) // some strategies have a population of their own
	want := 2 + float64(lambda)/20
	k := int(want)
	if newStream(s.opt.Seed, uint64(s.book.run)).at(s.generations, drawReevaluate).Float64() < want-float64(k) {
		k++
	}
	k = min(k, lambda)
	u.old = resize(u.old, lambda)
	for i := range lambda {
		u.old[i] = s.slotValue(i)
	}
	u.chosen = u.chosen[:0]
	for i := range k - k/2 {
		u.chosen = append(u.chosen, i)
	}
	rest := u.joint[:0]
	for i := k - k/2; i < lambda; i++ {
		rest = append(rest, ranked{u.old[i], i})
	}
	slices.SortFunc(rest, byValue)
	for _, r := range rest[:k/2] {
		u.chosen = append(u.chosen, r.i)
	}
	u.joint = rest
	u.append(s)
}

func (u *uncertainty) append(s *Search) {
	at := len(s.tasks)
	s.fit(at + len(u.chosen)*u.count())
	rows := s.strat.Ask()
	moved := make([]float64, s.space.m)
	for _, slot := range u.chosen {
		copy(moved, rows[slot])
		if d, ok := s.strat.(Distribution); ok {
			for j, m := range d.Mean() {
				moved[j] += noiseEpsilon * (moved[j] - m)
			}
		}
		for range u.count() {
			s.tasks[at] = task{slot: slot, extra: true}
			s.space.toX(s.points.Row(at), moved, s.stretch)
			at++
		}
	}
}

// average takes the re-evaluations in and moves the noise level. The values of re-evaluated candidates become means of both.
func (u *uncertainty) average(s *Search) {
	lambda := len(u.old)
	u.new = append(u.new[:0], u.old...)
	r := u.count()
	for k, slot := range u.chosen {
		at := lambda*r + k*r
		u.new[slot] = u.median(s.tasks[at : at+r])
	}
	u.measure()
	for _, slot := range u.chosen {
		s.fitness[slot] = (u.old[slot] + u.new[slot]) / 2
	}
}

// answer changes the evaluations per candidate of the next generation, and the step size, by the noise level.
func (u *uncertainty) answer(s *Search) {
	n := float64(s.space.m)
	factor := 1 + 2/(n+10)
	if u.level <= 0 {
		u.repeats = max(1, u.repeats*math.Pow(factor, -0.25))
		return
	}
	if u.repeats*factor <= u.limit {
		u.repeats *= factor
		return
	}
	u.repeats = u.limit
	if z, ok := s.strat.(resizer); ok {
		z.scaleSigma(factor)
	}
}

// resizer is implemented by strategies whose step size may be changed from outside between Tell and Ask.
type resizer interface{ scaleSigma(factor float64) }

// median of the values of some tasks.
func (u *uncertainty) median(t []task) float64 {
	u.buffer = u.buffer[:0]
	for _, v := range t {
		u.buffer = append(u.buffer, v.f)
	}
	slices.Sort(u.buffer)
	m := len(u.buffer) / 2
	if len(u.buffer)%2 == 1 {
		return u.buffer[m]
	}
	return (u.buffer[m-1] + u.buffer[m]) / 2
}

// measure compares the ranks of old and new values in their union and moves the noise level.
func (u *uncertainty) measure() {
	lambda := len(u.old)
	u.joint = u.joint[:0]
	for i, v := range u.old {
		u.joint = append(u.joint, ranked{v, i})
	}
	for i, v := range u.new {
		u.joint = append(u.joint, ranked{v, lambda + i})
	}
	slices.SortFunc(u.joint, byValue)
	u.ranks[0], u.ranks[1] = resize(u.ranks[0], lambda), resize(u.ranks[1], lambda)
	for rank, r := range u.joint {
		u.ranks[r.i/lambda][r.i%lambda] = rank
	}
	var s float64
	for _, i := range u.chosen {
		a, b := u.ranks[0][i], u.ranks[1][i]
		change := math.Abs(float64(a-b)) - math.Abs(sign(float64(a-b)))
		la, lb := a+1, b+1
		if a > b {
			la--
		}
		if b > a {
			lb--
		}
		s += change - (u.tolerated(la)+u.tolerated(lb))/2
	}
	u.level += noiseSmoothing * (s/float64(len(u.chosen)) - u.level)
}

// tolerated is the theta/2 quantile of the rank changes that a random value would make from the given rank.
func (u *uncertainty) tolerated(rank int) float64 {
	k := 2*len(u.old) - 1
	u.distance = resize(u.distance, k)
	for r := 1; r <= k; r++ {
		u.distance[r-1] = math.Abs(float64(r - rank))
	}
	slices.Sort(u.distance)
	at := noiseTheta / 2 * float64(k-1)
	lo := int(at)
	if lo+1 >= k {
		return u.distance[k-1]
	}
	return u.distance[lo] + (at-float64(lo))*(u.distance[lo+1]-u.distance[lo])
}

func (u *uncertainty) archive(a *archive) {
	a.float(&u.level)
	a.float(&u.repeats)
	if !(u.repeats >= 1 && u.repeats <= u.limit) {
		a.fail("%v evaluations per candidate", u.repeats)
		return
	}
	a.floats(&u.old)
	n := a.length(len(u.chosen), 8)
	u.chosen = resize(u.chosen, n)
	for i := range u.chosen {
		a.int(&u.chosen[i])
		if a.err == nil && (u.chosen[i] < 0 || u.chosen[i] >= len(u.old)) {
			a.fail("candidate %d of %d evaluated again", u.chosen[i], len(u.old))
		}
	}
}
