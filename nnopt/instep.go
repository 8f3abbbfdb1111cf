package nnopt

import "iter"

// inStep runs routines that wait for a device now and then, by calling pause: each until it waits, then it waits once for all of them, and so on until none is left.
func inStep(wait func(), routines []func(pause func())) {
	var left []func() (struct{}, bool)
	for _, f := range routines {
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			defer func() {
				if r := recover(); r != nil && r != (stopped{}) {
					panic(r)
				}
			}()
			f(func() {
				if !yield(struct{}{}) {
					panic(stopped{})
				}
			})
		})
		defer stop()
		left = append(left, next)
	}
	for {
		going := left[:0]
		for _, next := range left {
			if _, goes := next(); goes {
				going = append(going, next)
			}
		}
		if left = going; len(left) == 0 {
			return
		}
		wait()
	}
}

// stopped ends a routine that is not needed any more, because another one has failed.
type stopped struct{}
