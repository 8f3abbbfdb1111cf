package problem

import (
	"errors"
	"strings"

	"github.com/spdopt/spdopt/manifold"
	"github.com/spdopt/spdopt/manifold/solve"
)

// setMetric returns the metric that the options ask for, as package learn names it.
func setMetric(o *Options) string {
	if o.Metric == "" && o.Kappa == 2 {
		return fisherName
	}
	return o.Metric
}

// refusal turns an error of package learn, whose options are known to be valid, into one about the data.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	e := &DataError{Err: errors.New(strings.TrimPrefix(err.Error(), "learn: "))}
	if point := (*manifold.PointError)(nil); errors.As(err, &point) {
		e.Remedy = ridgeRemedy
	}
	return e
}

// certifyCentre bounds the distance of a centre from the mean of its matrices, given the norm of the mean of the logarithms there: half the mean square distance
// is strongly convex with modulus 1 in every metric but bures-wasserstein, where the number is an estimate.
func certifyCentre(o *Options, residual float64) solve.Certificate {
	return solve.Certificate{Kind: "strong-convexity", Value: residual, Bound: o.Metric != "bures-wasserstein"}
}

// metricNames returns the names of manifold.Metrics.
func metricNames() (names []string) {
	for _, g := range manifold.Metrics() {
		names = append(names, g.Name)
	}
	return names
}
