package engine

import (
	"math"

	"github.com/spdopt/spdopt/internal/dense"
)

// Update is what the fused updates of one block of parameters have in common: the gradient that enters a rule is GradScale g + L2 w, and the
// parameters become (1 - Decay) w - LR times the rule's direction.
type Update struct {
	LR        float64
	GradScale float64
	L2        float64
	Decay     float64
}

// Momentum is the heavy-ball rule m <- Mu m + g with direction m, or g + Mu m for Nesterov. Without Mu, m is not touched and may be nil.
type Momentum struct {
	Update
	Mu       float64
	Nesterov bool
}

// Adam is the rule m <- Beta1 m + (1-Beta1) g, v <- Beta2 v + (1-Beta2) g^2 with direction (A m + B g) / (sqrt(C v) + Eps).
type Adam struct {
	Update
	Beta1, Beta2, Eps float64
	A, B, C           float64
}

// ScheduleFree is the rule of Defazio et al., arXiv:2405.15682, with an Adam denominator: with y the parameters,
// d = LR (A m + B g)/(sqrt(C v) + Eps) + Decay times y (or x when DecayAverage is set), z <- z - d, x <- (1-Mix) x + Mix z,
// y <- z + Beta1 (x - z), where m averages g with Inner. m may be nil when A is 0.
type ScheduleFree struct {
	Update
	Beta1, Beta2, Inner, Eps float64
	A, B, C                  float64
	Mix                      float64
	DecayAverage             bool
}

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

// Momentum implements Updates.
func (*cpu[T]) Momentum(u Momentum, w, g, m []T) {
	lr, scale, l2, keep, mu := T(u.LR), T(u.GradScale), T(u.L2), T(1-u.Decay), T(u.Mu)
	g = g[:len(w)]
	if mu == 0 {
		for i, wi := range w {
			w[i] = keep*wi - lr*(scale*g[i]+l2*wi)
		}
		return
	}
	m = m[:len(w)]
	for i, wi := range w {
		gi := scale*g[i] + l2*wi
		mi := mu*m[i] + gi
		m[i] = mi
		if u.Nesterov {
			mi = gi + mu*mi
		}
		w[i] = keep*wi - lr*mi
	}
}

// Adam implements Updates.
func (*cpu[T]) Adam(u Adam, w, g, m, v []T) {
	lr, scale, l2, keep := T(u.LR), T(u.GradScale), T(u.L2), T(1-u.Decay)
	b1, b2, r1, r2, eps := T(u.Beta1), T(u.Beta2), T(1-u.Beta1), T(1-u.Beta2), T(u.Eps)
	ca, cb, cc := T(u.A), T(u.B), T(u.C)
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i, wi := range w {
		gi := scale*g[i] + l2*wi
		mi := b1*m[i] + r1*gi
		vi := b2*v[i] + r2*gi*gi
		m[i], v[i] = mi, vi
		w[i] = keep*wi - lr*((ca*mi+cb*gi)/(root(cc*vi)+eps))
	}
}

// ScheduleFree implements Updates.
func (*cpu[T]) ScheduleFree(u ScheduleFree, y, g, m, v, z, x []T) {
	lr, scale, l2 := T(u.LR), T(u.GradScale), T(u.L2)
	b1, b2, r2, eps := T(u.Beta1), T(u.Beta2), T(1-u.Beta2), T(u.Eps)
	inner, rest := T(u.Inner), T(1-u.Inner)
	ca, cb, cc := T(u.A), T(u.B), T(u.C)
	mix, stay, decay := T(u.Mix), T(1-u.Mix), T(u.Decay)
	g, v, z, x = g[:len(y)], v[:len(y)], z[:len(y)], x[:len(y)]
	for i, yi := range y {
		gi := scale*g[i] + l2*yi
		vi := b2*v[i] + r2*gi*gi
		v[i] = vi
		top := cb * gi
		if ca != 0 {
			m[i] = inner*m[i] + rest*gi
			top += ca * m[i]
		}
		at := yi
		if u.DecayAverage {
			at = x[i]
		}
		zi := z[i] - (lr*(top/(root(cc*vi)+eps)) + decay*at)
		xi := stay*x[i] + mix*zi
		z[i], x[i] = zi, xi
		y[i] = zi + b1*(xi-zi)
	}
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

func root[T dense.Float](v T) T { return T(math.Sqrt(float64(v))) }
