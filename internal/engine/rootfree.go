package engine

// Sign is the rule with direction sign(Beta1 m + (1-Beta1) g) and m <- Beta2 m + (1-Beta2) g (Chen et al., arXiv:2302.06675).
type Sign struct {
	Update
	Beta1, Beta2 float64
}

// RootFree is the rule s <- Beta2 s + Take g^2 with denominator Correction s + Eps (Lin et al., arXiv:2402.03496). Of two kinds: with Average,
// m <- Mu m + (1-Mu) g and the direction is m over the denominator; otherwise m <- Mu m + g over the denominator + Inside w, the direction is m, and
// Update.Decay plays no part. Without Mu, m may be nil in the second kind.
type RootFree struct {
	Update
	Beta2, Take, Correction, Eps float64
	Mu, Inside                   float64
	Average                      bool
}

// AdaGrad is the rule s <- min(s + g^2, Most) with direction g/(sqrt(s) + Eps).
type AdaGrad struct {
	Update
	Eps, Most float64
}

// AdaGrad implements Updates.
func (*cpu[T]) AdaGrad(u AdaGrad, w, g, s []T) {
	lr, scale, l2, shrink, eps, most := T(u.LR), T(u.GradScale), T(u.L2), T(1-u.Decay), T(u.Eps), T(u.Most)
	w, s = w[:len(g)], s[:len(g)]
	for i, v := range g {
		gi := scale*v + l2*w[i]
		s[i] = min(s[i]+gi*gi, most)
		w[i] = shrink*w[i] - lr*gi/(root(s[i])+eps)
	}
}

// Sign implements Updates.
func (*cpu[T]) Sign(u Sign, w, g, m []T) {
	beta1, beta2, lr, shrink := T(u.Beta1), T(u.Beta2), T(u.LR), T(1-u.Decay)
	scale, l2 := T(u.GradScale), T(u.L2)
	w, m = w[:len(g)], m[:len(g)]
	for i, v := range g {
		gi := scale*v + l2*w[i]
		step := lr
		if c := beta1*m[i] + (1-beta1)*gi; c < 0 {
			step = -lr
		} else if c == 0 {
			step = 0
		}
		m[i] = beta2*m[i] + (1-beta2)*gi
		w[i] = shrink*w[i] - step
	}
}

// RootFree implements Updates.
func (*cpu[T]) RootFree(u RootFree, w, g, s, m []T) {
	keep, take, correction, eps, mu := T(u.Beta2), T(u.Take), T(u.Correction), T(u.Eps), T(u.Mu)
	scale, l2, lr, shrink, inside := T(u.GradScale), T(u.L2), T(u.LR), T(1-u.Decay), T(u.Inside)
	w, s = w[:len(g)], s[:len(g)]
	for i, v := range g {
		gi := scale*v + l2*w[i]
		s[i] = keep*s[i] + take*gi*gi
		if u.Average {
			m[i] = mu*m[i] + (1-mu)*gi
			w[i] = shrink*w[i] - lr*m[i]/(s[i]*correction+eps)
			continue
		}
		d := gi/(s[i]*correction+eps) + inside*w[i]
		if mu != 0 {
			d += mu * m[i]
			m[i] = d
		}
		w[i] -= lr * d
	}
}
