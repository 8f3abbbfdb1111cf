package problem

// List returns every problem, in a fixed order.
func List() []Problem {
	return []Problem{
		mean,
		logdet,
		tyler,
		nearestCorrelation,
		nearestSPD,
		shrinkage,
		student,
		huber,
		barycenter,
		median,
		maskedMean,
		metricNearness,
		lyapunov,
		riccati,
		glasso,
		kronMLE,
		mve,
		dopt,
		ellipsoid,
		gmm,
		metricLearning,
		procrustes,
		classify,
		tangent,
		cluster,
		outliers,
		recenter,
		csp,
	}
}

// ByName returns the problem with the given name, or an *UnknownError.
func ByName(name string) (Problem, error) {
	var known []string
	for _, p := range List() {
		if p.Name == name {
			return p, nil
		}
		known = append(known, p.Name)
	}
	return Problem{}, &UnknownError{Kind: "problem", Name: name, Known: known}
}
