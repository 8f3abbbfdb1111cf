package dense

// Parallel calls run(0) ... run(parts-1), each once, in any order on up to GOMAXPROCS goroutines, and returns when all are done. The parts must
// not depend on each other. A product inside of a part runs on that part's goroutine. Nothing is allocated beyond what run itself allocates.
func Parallel(parts int, run func(part int)) { workers.parallel(partFunc(run), parts) }

type partFunc func(part int)

func (f partFunc) runPart(i int) { f(i) }
