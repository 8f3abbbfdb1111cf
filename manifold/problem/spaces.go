package problem

import (
	"sync"

	"github.com/spdopt/spdopt/internal/dense"
)

// perform does all parts of a task, if serial on the calling goroutine.
func perform(task *dense.Parallel, parts int, serial bool) {
	if !serial {
		task.Run(parts)
		return
	}
	for i := range parts {
		task.Task.RunPart(i)
	}
}

// spaces are what the parts of a task use as scratch space, one at a time.
type spaces[S any] struct {
	mu   sync.Mutex
	idle []*S // the last one used is the last
	make func() *S
}

// take returns one that nothing uses until it is released.
func (s *spaces[S]) take() *S {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return s.make()
	}
	space := s.idle[last]
	s.idle = s.idle[:last]
	return space
}

func (s *spaces[S]) release(space *S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, space)
}
