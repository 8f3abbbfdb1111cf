package main

import (
	"context"
	"errors"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/internal/objective"
)

// flow keeps evaluations under way all the time and reports each when it comes, until the search stops.
func (d *driver) flow(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	verdicts := make(chan verdict)
	waiting := make(map[int]esadapt.Candidate)
	defer func() { // nobody may be left evaluating
		cancel()
		for range waiting {
			<-verdicts
		}
	}()
	for d.async.Stop() == nil {
		for _, c := range d.async.Take(d.jobs - len(waiting)) {
			waiting[int(c.ID)] = c
			go func() {
				v, err := d.eval(inner, c.ID+1, c.X)
				verdicts <- verdict{int(c.ID), v, err}
			}()
		}
		v := <-verdicts
		delete(waiting, v.index)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := d.land(v); err != nil {
			return err
		}
		d.show()
	}
	return nil
}

// land reports one verdict. The first evaluation must not fail, and none may break the protocol.
func (d *driver) land(v verdict) error {
	if v.err != nil {
		var failed *objective.Error
		if !errors.As(v.err, &failed) || failed.Fatal() {
			return v.err
		}
		d.lastFailure = failed
		if v.index == 0 {
			return v.err
		}
	}
	return d.async.Report(esadapt.Evaluation{ID: uint64(v.index), F: v.value.F, G: v.value.G, Failed: v.err != nil})
}
