package spectral_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/spdopt/spdopt/spectral"
)

func ExampleIdentity() {
	f := spectral.Identity(3, 2)
	fmt.Println(f.Dim(), f.Eigenvalues(), f.Cond())
	// Output: 3 [2 2 2] 1
}

func ExampleFromSym() {
	f, err := spectral.FromSym(mat.NewSymDense(2, []float64{2, 1, 1, 2}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f\n", f.Eigenvalues())
	_, err = spectral.FromSym(mat.NewSymDense(2, []float64{1, 2, 2, 1}))
	fmt.Println(err)
	// Output:
	// [1.000 3.000]
	// spectral: matrix: not positive definite: smallest eigenvalue -1, largest 3; add a ridge of at least that much
}

func ExampleFromEigen() {
	f, err := spectral.FromEigen(mat.NewDense(2, 2, []float64{0.6, -0.8, 0.8, 0.6}), []float64{1, 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	var s mat.SymDense
	f.ToSym(&s)
	fmt.Printf("%.2f\n", mat.Formatted(&s))
	// Output:
	// ⎡ 2.92  -1.44⎤
	// ⎣-1.44   2.08⎦
}

func ExampleFactor_Update() {
	// A moving average of gradient outer products, kept in factored form without any eigendecomposition.
	f := spectral.Identity(2, 1)
	g := mat.NewDense(2, 1, nil)
	for k := range 200 {
		g.Set(0, 0, 1)
		g.Set(1, 0, float64(k%3-1))
		f.Update(spectral.Increment{Decay: 0.05, Vectors: g, Weights: []float64{0.05}}, nil)
	}
	x := []float64{1, 1}
	f.PowVec(-0.5, x, x)
	fmt.Printf("S^(-1/2) (1,1) = %.2f, defect below 1e-12: %t\n", x, f.Defect() < 1e-12)
	// Output: S^(-1/2) (1,1) = [1.01 1.25], defect below 1e-12: true
}

func ExampleMovingAverage() {
	c := mat.NewSymDense(2, []float64{2, 1, 1, 2})
	f := spectral.Identity(2, 1)
	for range 300 {
		f.Update(spectral.MovingAverage(c, 0.1, 1, 0), nil)
	}
	var s mat.SymDense
	f.ToSym(&s)
	fmt.Printf("%.6f\n", mat.Formatted(&s))
	// Output:
	// ⎡2.000000  1.000000⎤
	// ⎣1.000000  2.000000⎦
}

func ExampleGradient() {
	// Minimise tr(S) - log det S from 4 I: the gradient is I - S^-1, the minimum I.
	f := spectral.Identity(2, 4)
	var g mat.SymDense
	for range 100 {
		f.PowSym(-1, &g)
		g.ScaleSym(-1, &g)
		for i := range 2 {
			g.SetSym(i, i, g.At(i, i)+1)
		}
		f.Update(spectral.Gradient(&g, 0.3, 1), &spectral.Step{Eigenvalues: spectral.Exponential})
	}
	fmt.Printf("%.6f\n", f.Eigenvalues())
	// Output: [1.000000 1.000000]
}

func ExampleInverseGradient() {
	// H = dL/d(S^-1) of 1/2 (log det S + tr(S^-1 Q)) is (Q - S)/2.
	f, q := spectral.Identity(2, 1), []float64{3, 5}
	for range 200 {
		h := mat.NewSymDense(2, []float64{(q[0] - f.Eigenvalues()[0]) / 2, 0, 0, (q[1] - f.Eigenvalues()[1]) / 2})
		f.Update(spectral.InverseGradient(h, 0.1, 2), nil)
	}
	fmt.Printf("%.6f\n", f.Eigenvalues())
	// Output: [3.000000 5.000000]
}

func ExampleFactor_Follow() {
	f := spectral.Identity(2, 1)
	for t := range 3 {
		a := mat.NewSymDense(2, []float64{2 + 0.01*float64(t), 1, 1, 5})
		rep := f.Follow(a, nil)
		fmt.Printf("%.4f %t\n", f.Eigenvalues(), rep.Converged)
	}
	// Output:
	// [1.6972 5.3028] true
	// [1.7064 5.3036] true
	// [1.7155 5.3045] true
}

func ExampleEigenbasis_Follow() {
	e := spectral.NewEigenbasis(2)
	e.Follow(mat.NewSymDense(2, []float64{1, 2, 2, -2}), nil)
	fmt.Printf("%.4f\n", e.Values())
	// Output: [2.0000 -3.0000]
}

func ExampleFactor_RankOne() {
	f := spectral.Identity(2, 1)
	if err := f.RankOne(2, []float64{0.6, 0.8}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n", f.Eigenvalues())
	fmt.Println(f.RankOne(-4, []float64{0.6, 0.8}))
	// Output:
	// [1.0000 3.0000]
	// spectral: rank-one update: the result has the eigenvalues -1 to 1; they must lie within [2^-1000, 2^1000]
}

func ExampleFactor_ScaleShift() {
	// The exact moving average of outer products.
	f := spectral.Identity(2, 1)
	for range 50 {
		if err := f.ScaleShift(0.9, 0); err != nil {
			fmt.Println(err)
			return
		}
		if err := f.RankOne(0.1, []float64{3, 4}); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%.4f\n", f.Eigenvalues())
	// Output: [0.0052 24.8763]
}

func ExampleFactor_RankK() {
	f := spectral.Identity(3, 1)
	if err := f.RankK(mat.NewDense(3, 2, []float64{1, 0, 0, 2, 0, 0}), nil); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n", f.Eigenvalues())
	// Output: [1.0000 2.0000 5.0000]
}

func ExampleAccumulator() {
	f := spectral.Identity(3, 1)
	a := spectral.NewAccumulator(3, 0)
	for _, v := range [][]float64{{1, 0, 0}, {0, 2, 0}, {1, 0, 0}} {
		a.AddVector(0.1, 0.1, v)
	}
	steps := a.Steps()
	rep := a.Flush(f, nil)
	fmt.Printf("%d steps, %d rotation: %.4f\n", steps, rep.Sweeps, f.Eigenvalues())
	// Output: 3 steps, 1 rotation: [0.9100 1.0890 0.7290]
}

func ExampleFactor_Pow() {
	f, err := spectral.FromSym(mat.NewSymDense(2, []float64{5, 4, 4, 5}))
	if err != nil {
		fmt.Println(err)
		return
	}
	var root mat.SymDense
	f.PowSym(0.5, &root)
	var x mat.Dense
	f.Pow(-0.5, &x, mat.NewDense(2, 1, []float64{3, 3}))
	fmt.Printf("%.3f\n%.3f\n", mat.Formatted(&root), mat.Formatted(&x))
	// Output:
	// ⎡2.000  1.000⎤
	// ⎣1.000  2.000⎦
	// ⎡1.000⎤
	// ⎣1.000⎦
}

func ExampleFactor_LogDensity() {
	f := spectral.Identity(2, 4)
	fmt.Printf("%.4f %.4f %.4f\n", f.LogDet(), f.LogDensity([]float64{2, 0}), f.KL(spectral.Identity(2, 1)))
	// Output: 2.7726 -3.7242 1.6137
}

func ExampleFactor_Sample() {
	f, x := spectral.Identity(2, 9), make([]float64, 2)
	rng := rand.New(rand.NewChaCha8([32]byte{1}))
	var sum float64
	for range 10000 {
		f.Sample(rng, x)
		sum += x[0] * x[0]
	}
	fmt.Printf("variance %.0f\n", sum/10000)
	// Output: variance 9
}

func ExampleFactor_MarshalJSON() {
	data, err := json.Marshal(spectral.Identity(2, 0.1))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(data))
	var f spectral.Factor
	fmt.Println(json.Unmarshal(data, &f), f.Eigenvalues())
	// Output:
	// {"format":"spdopt.factor","version":1,"n":2,"turns":0,"defect":0,"d":[0.1,0.1],"b":[[1,0],[0,1]]}
	// <nil> [0.1 0.1]
}

func ExampleFactor_MarshalBinary() {
	data, err := spectral.Identity(2, 0.1).MarshalBinary()
	if err != nil {
		fmt.Println(err)
		return
	}
	var f spectral.Factor
	fmt.Println(f.UnmarshalBinary(data), f.Eigenvalues())
	data[40] ^= 1
	fmt.Println(f.UnmarshalBinary(data))
	// Output:
	// <nil> [0.1 0.1]
	// spectral: factor state: checksum does not match: the data is corrupted
}

func ExampleKron_Learn() {
	// Gradients G = A^(1/2) Z C^(1/2) of a 2 x 2 weight: S tends to their covariance A (x) C.
	rng := rand.New(rand.NewChaCha8([32]byte{7}))
	k := spectral.NewKron(1, 2, 2)
	for range 4000 {
		g := []float64{2 * rng.NormFloat64(), 4 * rng.NormFloat64(), rng.NormFloat64(), 2 * rng.NormFloat64()}
		k.Learn([][]float64{g}, 0.002, 1, 0, nil)
	}
	fmt.Printf("condition %.0f, dimension %d\n", k.Part(0).Cond(), k.Dim())
	// Output: condition 4, dimension 4
}

func ExampleKron_LearnProduct() {
	k := spectral.NewKron(1, 2, 2)
	u := []mat.Symmetric{mat.NewSymDense(2, []float64{4, 0, 0, 1}), mat.NewSymDense(2, []float64{1, 0, 0, 1})}
	for range 500 {
		k.LearnProduct(u, 0.1, 1, 0, nil)
	}
	var s mat.SymDense
	k.ToSym(&s)
	fmt.Printf("%.4f %.4f %.4f %.4f\n", s.At(0, 0), s.At(1, 1), s.At(2, 2), s.At(3, 3))
	// Output: 4.0000 4.0000 1.0000 1.0000
}

func ExampleKron_Pow() {
	c, err := spectral.FromEigen(mat.NewDense(2, 2, []float64{1, 0, 0, 1}), []float64{4, 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	k, err := spectral.KronOf(1, c, spectral.Identity(2, 9))
	if err != nil {
		fmt.Println(err)
		return
	}
	x := []float64{6, 6, 3, 3}
	k.Pow(-0.5, x, x)
	fmt.Printf("%.2f, log det %.4f\n", x, k.LogDet())
	// Output: [1.00 1.00 1.00 1.00], log det 11.5615
}

func ExampleStep() {
	// The published rule never leaves an exact tie; the default does, and with Tol it sweeps until the target is diagonal.
	target := spectral.Increment{Decay: 1, Dense: mat.NewSymDense(2, []float64{2, 1, 1, 2})}
	for _, o := range []*spectral.Step{{Rotation: spectral.TiesToZero, Eigenvalues: spectral.Exponential}, nil, {Tol: 1e-10}} {
		f := spectral.Identity(2, 1)
		rep := f.Update(target, o)
		fmt.Printf("%d sweep, residual %.2f, eigenvalues %.4f\n", rep.Sweeps, rep.Residual, f.Eigenvalues())
	}
	// Output:
	// 1 sweep, residual 0.45, eigenvalues [2.7183 2.7183]
	// 1 sweep, residual 0.00, eigenvalues [1.0000 3.0000]
	// 1 sweep, residual 0.00, eigenvalues [1.0000 3.0000]
}

func ExampleFactor_Reorthogonalize() {
	b := mat.NewDense(2, 2, []float64{1, 1e-9, 0, 1})
	f, err := spectral.FromEigen(b, []float64{1, 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	f.Reorthogonalize() // FromEigen has done so already
	fmt.Println(f.Defect() < 1e-15)
	// Output: true
}

func ExampleFactor_SampleRows() {
	f := spectral.Identity(2, 4)
	x := mat.NewDense(20000, 2, nil)
	f.SampleRows(rand.New(rand.NewChaCha8([32]byte{3})), x)
	cov := mat.NewSymDense(2, nil)
	cov.SymOuterK(1.0/20000, x.T())
	fmt.Printf("%.0f\n", mat.Formatted(mat.NewDiagDense(2, []float64{cov.At(0, 0), cov.At(1, 1)})))
	// Output:
	// ⎡4  0⎤
	// ⎣0  4⎦
}

func ExampleKron_Gradient() {
	// Minimise tr(S) - log det S over products: G = I - S^-1, S = alpha C (x) K.
	k := spectral.NewKron(3, 2, 2)
	for range 60 {
		// At C = K = I: P_C = alpha Tr_2[G (I (x) K)] = 2 (alpha - 1) I, and the same for K.
		p := 2 * (k.Alpha() - 1)
		pc := mat.NewSymDense(2, []float64{p, 0, 0, p})
		k.Gradient(2*p, []mat.Symmetric{pc, pc}, 0.2, 1, nil)
	}
	fmt.Printf("%.4f\n", k.Alpha())
	// Output: 1.0000
}

// A covariance is learned from a stream of samples and whitens them, without any decomposition.
func Example() {
	r := rand.New(rand.NewPCG(1, 2))
	s := spectral.Identity(2, 1)
	x := mat.NewDense(2, 1, nil)
	for range 5000 { // samples with the covariance [5 2; 2 1]
		u, v := r.NormFloat64(), r.NormFloat64()
		x.Set(0, 0, 2*u+v)
		x.Set(1, 0, u)
		s.Update(spectral.Increment{Decay: 0.002, Vectors: x, Weights: []float64{0.002}}, nil) // S <- 0.998 S + 0.002 x x^T
	}
	white := []float64{2, 1}
	s.PowVec(-0.5, white, white)
	fmt.Printf("eigenvalues %.1f, S^(-1/2) (2, 1) has the length %.1f\n", s.Eigenvalues(), math.Hypot(white[0], white[1]))
	fmt.Println("orthogonal to rounding:", s.Defect() < 1e-12)
	// Output:
	// eigenvalues [5.9 0.2], S^(-1/2) (2, 1) has the length 1.0
	// orthogonal to rounding: true
}
