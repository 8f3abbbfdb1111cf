package curvature

import (
	"cmp"
	"math"
	"math/rand/v2"
)

// DensityOptions are the options of a spectral density.
type DensityOptions struct {
	Steps      int        // of Lanczos, one product each; default 128, at most the dimension
	Repeats    int        // start vectors to average over; default 1
	Points     int        // of the grid, at most 2^24; default 1024
	Kappa      float64    // above 1: smaller is smoother; default 3, of the logarithmic density 1.04
	Margin     float64    // by which the interval is widened on each side, in widths; default 0.05
	Boundaries [2]float64 // smallest and largest eigenvalue, default estimated by Lanczos; of the logarithmic density sizes, from 0 by default
	Epsilon    float64    // added to the size of eigenvalues before the logarithm; default 1e-5
}

// mostPoints bounds a grid.
const mostPoints = 1 << 24

// Validate reports what cannot be.
func (o *DensityOptions) Validate() error {
	if min(o.Steps, o.Repeats, o.Points) < 0 || o.Steps == 1 || o.Points == 1 {
		return dataError("density", "%d steps, %d repeats, %d points: steps and points must be at least 2, repeats positive", o.Steps, o.Repeats, o.Points)
	}
	if o.Points > mostPoints {
		return dataError("density", "%d points are more than the %d of the finest grid", o.Points, mostPoints)
	}
	if o.Kappa != 0 && !(o.Kappa > 1) || o.Kappa-o.Kappa != 0 || !(o.Margin >= 0) || !(o.Epsilon >= 0) {
		return dataError("density", "kappa %v must be above 1, margin %v and epsilon %v not negative", o.Kappa, o.Margin, o.Epsilon)
	}
	if width := o.Boundaries[1] - o.Boundaries[0]; o.Boundaries != [2]float64{} && (!(width > 0) || width-width != 0) {
		return dataError("boundaries", "%v must be finite and ascend", o.Boundaries)
	}
	return nil
}

func (o DensityOptions) resolved(n int, kappa float64) DensityOptions {
	o.Steps = min(cmp.Or(o.Steps, 128), n)
	o.Repeats, o.Points = cmp.Or(o.Repeats, 1), cmp.Or(o.Points, 1024)
	o.Kappa, o.Margin, o.Epsilon = cmp.Or(o.Kappa, kappa), cmp.Or(o.Margin, 0.05), cmp.Or(o.Epsilon, 1e-5)
	return o
}

// Density is a function on a grid.
type Density struct {
	Grid, Values []float64
}

// SpectralDensity estimates the density of the eigenvalues of a symmetric operator, with integral 1: the quadrature rules of Lanczos from Gaussian start
// vectors, smoothed by normal densities (Papyan 2018; Ghorbani et al. 2019; constants of curvlinops).
func SpectralDensity(a Operator, o DensityOptions, r *rand.Rand) (*Density, error) {
	n, err := prepareDensity(a, &o, r)
	if err != nil {
		return nil, err
	}
	o = o.resolved(n, 3)
	if o.Boundaries == [2]float64{} {
		if o.Boundaries[0], o.Boundaries[1], err = Bounds(a, 1e-2, max(o.Steps, 2), r); err != nil {
			return nil, err
		}
		o.Boundaries[1] = max(o.Boundaries[1], o.Boundaries[0]+1e-12*math.Abs(o.Boundaries[0])+math.SmallestNonzeroFloat64)
	}
	d := newDensity(o.Boundaries, o)
	for range o.Repeats {
		q, err := lanczos(a, gaussian(r, n), o.Steps)
		if err != nil {
			return nil, err
		}
		d.add(q.values, q.weights)
	}
	return d.result(o.Repeats, func(x float64) (float64, float64) { return x, 1 }), nil
}

// LogSpectralDensity estimates the density of the sizes of the eigenvalues, on a grid that is even in log(|lambda| + Epsilon), with integral 1 over
// |lambda| + Epsilon.
func LogSpectralDensity(a Operator, o DensityOptions, r *rand.Rand) (*Density, error) {
	n, err := prepareDensity(a, &o, r)
	if err != nil {
		return nil, err
	}
	if o.Boundaries[0] < 0 {
		return nil, dataError("boundaries", "%v bound sizes and must not be negative", o.Boundaries)
	}
	o = o.resolved(n, 1.04)
	sizes := o.Boundaries
	if sizes == [2]float64{} {
		low, high, err := Bounds(a, 1e-2, max(o.Steps, 2), r)
		if err != nil {
			return nil, err
		}
		sizes = [2]float64{0, max(math.Abs(low), math.Abs(high))}
	}
	d := newSizes(sizes, o)
	for range o.Repeats {
		q, err := lanczos(a, gaussian(r, n), o.Steps)
		if err != nil {
			return nil, err
		}
		d.addSizes(q, o)
	}
	return d.result(o.Repeats, backFromLog), nil
}

// backFromLog maps the logarithm of a size to the size, with the slope of the logarithm there.
func backFromLog(x float64) (at, slope float64) { return math.Exp(x), math.Exp(-x) }

func prepareDensity(a Operator, o *DensityOptions, r *rand.Rand) (int, error) {
	if err := o.Validate(); err != nil {
		return 0, err
	}
	if r == nil {
		return 0, errNoRandom
	}
	return squareDim(a)
}

// newSizes is newDensity for logarithms of sizes.
func newSizes(sizes [2]float64, o DensityOptions) *smoother {
	return newDensity([2]float64{math.Log(sizes[0] + o.Epsilon), math.Log(sizes[1] + o.Epsilon)}, o)
}

func (d *smoother) addSizes(q ritz, o DensityOptions) {
	for i, v := range q.values {
		q.values[i] = math.Log(math.Abs(v) + o.Epsilon)
	}
	d.add(q.values, q.weights)
}

// smoother adds up normal densities on a grid of [-1, 1].
type smoother struct {
	centre, half, width float64
	points              []float64
	sums                []float64
}

func newDensity(boundaries [2]float64, o DensityOptions) *smoother {
	pad := o.Margin * (boundaries[1] - boundaries[0])
	low, high := boundaries[0]-pad, boundaries[1]+pad
	d := &smoother{
		centre: (low + high) / 2, half: (high - low) / 2, width: 2 / (float64(max(o.Steps, 2)-1) * math.Sqrt(8*math.Log(o.Kappa))),
		points: make([]float64, o.Points), sums: make([]float64, o.Points),
	}
	for i := range d.points {
		d.points[i] = -1 + 2*float64(i)/float64(o.Points-1)
	}
	return d
}

func (d *smoother) add(values, weights []float64) {
	for j, v := range values {
		at := (v - d.centre) / d.half
		scale := weights[j] / d.half / (d.width * math.Sqrt(2*math.Pi))
		for i, u := range d.points {
			z := (u - at) / d.width
			d.sums[i] += scale * math.Exp(-z*z/2)
		}
	}
}

// result maps the grid, and the density by the slope of the map back.
func (d *smoother) result(repeats int, place func(x float64) (at, slope float64)) *Density {
	out := &Density{make([]float64, len(d.points)), d.sums}
	for i, u := range d.points {
		var slope float64
		out.Grid[i], slope = place(d.centre + d.half*u)
		out.Values[i] *= slope / float64(repeats)
	}
	return out
}
