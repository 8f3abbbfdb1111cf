package esadapt

import "math"

// rates holds recombination weights and learning rates of CMA-ES; Hansen, "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772),
// table 1 with the constants of the author's implementation 4.4.
type rates struct {
	w         []float64 // by rank, best first; the positive ones sum to 1, the others are <= 0
	mu        int       // number of positive weights
	muEff     float64   // 1/sum of squared positive weights
	sumW      float64   // sum of all weights
	c1, cMu   float64   // rank-one and rank-mu learning rates
	cC        float64   // rate of the path of the covariance
	cSigma    float64   // rate of the path of sigma
	dampSigma float64
	chi       float64 // E|N(0,I)|

	raw      []float64 // weights before the negative ones are scaled
	muEffNeg float64   // effective number of the negative ones
	active   bool      // there are negative ones
	bound    float64   // dimension in the limit of the negative weights that keeps the covariance positive definite
	plainMu  float64   // rank-mu learning rate without haste
}

// rawWeights returns ln((lambda+1)/2) - ln i with its positive part scaled to sum 1, the number of positive ones, and the effective
// numbers of parents of the positive and the negative part.
func rawWeights(lambda int) (w []float64, mu int, muEff, muEffNeg float64) {
	w = make([]float64, lambda)
	var pos, pos2, neg, neg2 float64
	for i := range w {
		w[i] = math.Log((float64(lambda)+1)/2) - math.Log(float64(i+1))
		if w[i] > 0 {
			mu++
			pos += w[i]
			pos2 += w[i] * w[i]
		} else {
			neg -= w[i]
			neg2 += w[i] * w[i]
		}
	}
	for i := range mu {
		w[i] /= pos
	}
	if neg2 > 0 {
		muEffNeg = neg * neg / neg2
	}
	return w, mu, pos * pos / pos2, muEffNeg
}

// expectedNorm approximates E|N(0,I)| in n dimensions.
func expectedNorm(n int) float64 {
	d := float64(n)
	return math.Sqrt(d) * (1 - 1/(4*d) + 1/(21*d*d))
}

// haste is the factor by which small populations in few dimensions may learn faster from their ranking than the published rate of the rank-mu update has it: 2 up to ten
// dimensions, 1.5 in 20, 1.1 in 40 (where more would cost evaluations on f6). Expected running times to 1e-8 over those at the published rate: 0.82 on the ill-conditioned
// functions in 2 and 5 dimensions. A large population gains nothing in a generation that is already rich, and loses on multimodal functions. Strategies with a full covariance
// give it only while it pays (agreement).
func haste(n, lambda int) float64 {
	d := float64(n)
	return 1 + min(1, 10/d, 200/(d*d))*min(1, float64(defaultLambda(n))/float64(lambda))
}

// defaultRates returns the rates with all of their haste.
func defaultRates(n, lambda int, active bool) rates {
	r := rates{active: active, bound: float64(n)}
	r.raw, r.mu, r.muEff, r.muEffNeg = rawWeights(lambda)
	r.w = append([]float64(nil), r.raw...)
	d := float64(n)
	r.c1 = min(1, float64(lambda)/6) * 2 / ((d+1.3)*(d+1.3) + r.muEff)
	rich, size := 0.25+r.muEff+1/r.muEff-2, (d+2)*(d+2)+r.muEff
	r.plainMu = 2 * rich / size
	// Not hurry(haste(n, lambda)), which rounds otherwise: runs of a seed would not be those that the tables were made from.
	r.cMu = min(1-r.c1, haste(n, lambda)*2*rich/size)
	r.cC = (4 + r.muEff/d) / (d + 4 + 2*r.muEff/d)
	r.cSigma = (r.muEff + 2) / (d + r.muEff + 3)
	r.dampSigma = 1 + r.cSigma + 2*max(0, math.Sqrt((r.muEff-1)/(d+1))-1)
	r.chi = expectedNorm(n)
	r.setNegative()
	return r
}

// hurry sets the rank-mu learning rate to its plain value times haste, and the negative weights accordingly.
func (r *rates) hurry(haste float64) {
	r.cMu = min(1-r.c1, haste*r.plainMu)
	r.setNegative()
}

// setNegative scales the negative weights so that they neither outweigh the decay nor can make the covariance indefinite.
func (r *rates) setNegative() {
	var neg float64
	for _, v := range r.raw[r.mu:] {
		neg -= v
	}
	goal := 0.0
	if r.active && r.cMu > 0 {
		goal = min(1+r.c1/r.cMu, 1+2*r.muEffNeg/(r.muEff+2), max(0, (1-r.c1-r.cMu)/(r.bound*r.cMu)))
	}
	r.sumW = 1
	for i := r.mu; i < len(r.w); i++ {
		if neg > 0 {
			r.w[i] = r.raw[i] * (goal / neg)
		}
		r.sumW += r.w[i]
	}
}
