package main

import (
	"fmt"
	"time"
)

// progressEvery is the shortest time between two reports of progress.
const progressEvery = 100 * time.Millisecond

// progressLine shows how far a run is: one line rewritten on a terminal, lines for "plain".
type progressLine struct {
	a     *app
	mode  string
	last  time.Time
	shown bool
}

func (a *app) newProgress() *progressLine {
	p := &progressLine{a: a, mode: a.progress, last: time.Now()}
	if a.quiet || p.mode == "auto" && !a.terminal {
		p.mode = "none"
	}
	a.line = p
	return p
}

func (p *progressLine) show(format string, args ...any) {
	if p.mode == "none" || time.Since(p.last) < progressEvery {
		return
	}
	p.force(format, args...)
}

// force shows without regard to the time since the last report.
func (p *progressLine) force(format string, args ...any) {
	if p.mode == "none" {
		return
	}
	p.last = time.Now()
	if p.mode == "plain" {
		fmt.Fprintf(p.a.err, format+"\n", args...)
		return
	}
	p.shown = true
	fmt.Fprintf(p.a.err, "\r\x1b[K"+format, args...)
}

// clear removes the line.
func (p *progressLine) clear() {
	if p.shown {
		fmt.Fprint(p.a.err, "\r\x1b[K")
		p.shown = false
	}
}
