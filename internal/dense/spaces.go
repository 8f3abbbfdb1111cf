package dense

import "sync"

// Spaces are what the parts of a task use as scratch space, one at a time; there are as many as parts that ran at the same time.
type Spaces[S any] struct {
	// Make returns a new one.
	Make func() *S
	mu   sync.Mutex
	idle []*S
}

// Take returns one that nobody else gets until it is given back: the one that was given back last, or a new one.
func (s *Spaces[S]) Take() *S {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return s.Make()
	}
	space := s.idle[last]
	s.idle = s.idle[:last]
	return space
}

// Give takes one back, or adds one.
func (s *Spaces[S]) Give(space *S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, space)
}

// Each calls do for every i < count and returns the error of the lowest i. If all calls together take about as long as that many multiplications with an
// addition in a product, and that is worth it, several goroutines make them: they must write to different memory.
func Each(count, operations int, do func(i int) error) error {
	if !workers.worth(lengthOf[float64](float64(operations))) {
		for i := range count {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, count)
	task := Parallel{Task: PartFunc(func(i int) { errs[i] = do(i) })}
	task.Run(count)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
