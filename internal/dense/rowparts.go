package dense

// RowParts shares passes over rows among the threads. Parts do not depend on the number of threads.
type RowParts struct {
	shared     Parallel
	rows, each int
	pass       func(part, from, to int)
}

// Run calls pass for every part of the rows, each of which has as many as said but the last, on several threads where there are two parts' worth. A pass that is
// kept from run to run costs no memory.
func (p *RowParts) Run(rows, each int, pass func(part, from, to int)) {
	p.rows, p.each, p.pass, p.shared.Task = rows, each, pass, p
	if parts := PartsOf(rows, each); rows < 2*each {
		p.shared.RunSerially(parts)
	} else {
		p.shared.Run(parts)
	}
	p.pass = nil
}

// RunPart implements the task of Parallel.
func (p *RowParts) RunPart(i int) { p.pass(i, i*p.each, min((i+1)*p.each, p.rows)) }
