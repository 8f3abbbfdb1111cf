package engine

// ShareFrom makes calls of that many elementary operations be shared with other goroutines, and returns how to undo it.
func ShareFrom(work int) (undo func()) {
	before := parallelWork
	parallelWork = work
	return func() { parallelWork = before }
}
