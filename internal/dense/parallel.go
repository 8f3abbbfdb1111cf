package dense

// Parallel runs the parts of a task on the goroutines that large products share. Which goroutine runs a part, and in which order, is not
// defined: parts must write to different memory, and what they compute must not depend on how the task was cut, so that results keep
// their bits for any number of threads. Keep the value in the caller's workspace; Run then allocates nothing.
type Parallel struct {
	Task interface{ RunPart(i int) }
}

// PartFunc is a function as a task. Keep the value of the interface, not the function: converting it allocates.
type PartFunc func(i int)

// RunPart calls the function.
func (f PartFunc) RunPart(i int) { f(i) }

// Run calls Task.RunPart for every i < parts and returns when all calls are done.
func (p *Parallel) Run(parts int) { workers.parallel(p, parts, 0) }

// RunFor is Run where the parts together, which take about as long as so many multiplications with an addition in a product, are worth sharing, and RunSerially otherwise.
func (p *Parallel) RunFor(parts, operations int) {
	if length := lengthOf[float64](float64(operations)); workers.worth(length) {
		workers.parallel(p, parts, length)
	} else {
		p.RunSerially(parts)
	}
}

// RunNear is Run for a series of calls with parts of the same memory, at most 64: each goroutine takes the parts first that it took the last time.
func (p *Parallel) RunNear(parts int) {
	if parts > maxNear {
		panic(Error("RunNear: too many parts"))
	}
	workers.parallelNear(p, parts)
}

// RunSerially is Run on the calling goroutine, for parts that are too small to be shared.
func (p *Parallel) RunSerially(parts int) {
	for i := range parts {
		p.Task.RunPart(i)
	}
}

func (p *Parallel) runPart(i int) { p.Task.RunPart(i) }

// PartsOf returns the number of parts that have as many elements as said but the last.
func PartsOf(count, each int) int { return (count + each - 1) / each }
