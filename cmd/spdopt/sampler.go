package main

import (
	"fmt"

	"github.com/spdopt/spdopt/esadapt"
	"github.com/spdopt/spdopt/manifold/solve"
)

// samplerMethod is the method of "solve" that brings an evolution strategy to the manifold.
const samplerMethod = "cma"

// searchSampler lets a search of package esadapt propose points to solve.BlackBox, which knows nothing of it.
type searchSampler struct{ *esadapt.Search }

var (
	_ solve.Sampler        = (*searchSampler)(nil)
	_ solve.SamplerStopper = (*searchSampler)(nil)
)

// newSampler returns what makes the search, around the first point with unit deviations in the metric.
func newSampler(seed uint64) func(dim int) (solve.Sampler, error) {
	return func(dim int) (solve.Sampler, error) {
		s, err := esadapt.New(esadapt.Options{X0: make([]float64, dim), Sigma0: 0.5, Seed: seed})
		if err != nil {
			return nil, err
		}
		return &searchSampler{s}, nil
	}
}

// Tell implements solve.Sampler.
func (s *searchSampler) Tell(f []float64) error { return s.Search.Tell(f) }

// UnmarshalBinary implements solve.Sampler.
func (s *searchSampler) UnmarshalBinary(data []byte) error {
	restored, err := esadapt.Restore(data)
	if err == nil {
		s.Search = restored
	}
	return err
}

// Stopped implements solve.SamplerStopper.
func (s *searchSampler) Stopped() (solve.Reason, bool) {
	all := s.Stop()
	if len(all) == 0 {
		return solve.Reason{}, false
	}
	r := all[0]
	out := solve.Reason{Name: string(r.Code), Detail: fmt.Sprintf("%s (%s)", r.Code, r.Detail), Converged: r.Success}
	if !r.Success {
		out.Advice = r.Next
	}
	return out, true
}
