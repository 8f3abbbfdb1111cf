package dense

// Crew is a task whose parts need scratch, one at a time, which is kept from run to run. Parts must be independent of the number of threads, as those of Parallel.
// Keep the value in the caller's workspace; Run then allocates nothing but scratch for further threads.
type Crew[S any] struct {
	Do  func(part int, scratch *S)
	New func() *S // makes a scratch

	shared Parallel
	spaces Spaces[S]
}

// Run calls Do for every part < count and returns when all calls are done.
func (c *Crew[S]) Run(count int) {
	c.spaces.Make, c.shared.Task = c.New, c
	c.shared.Run(count)
}

// RunSerially is Run on the calling goroutine, for parts that are too small for helpers.
func (c *Crew[S]) RunSerially(count int) {
	c.spaces.Make, c.shared.Task = c.New, c
	c.shared.RunSerially(count)
}

// RunPart does a part; it is called by Run and RunSerially alone.
func (c *Crew[S]) RunPart(part int) {
	scratch := c.spaces.Take()
	c.Do(part, scratch)
	c.spaces.Give(scratch)
}
