// Package roots computes powers, square roots, inverses, logarithms, exponentials and polar factors of a given symmetric positive-definite
// (SPD) matrix, formed or applied to vectors, in float64 and float32, by several methods behind one interface; and it follows a matrix that
// changes a little at each step without decomposing it again (Tracker).
//
// # One call
//
//	rep, err := roots.Pow(dst, a, -0.25, nil) // dst = a^(-1/4)
//
// Options choose the method by name ("" or "auto" lets the cost model choose), the wanted accuracy, a ridge and a cut-off. Every call returns
// a Report with the method used, estimates of the extreme eigenvalues, the relative residual of the defining equation, a bound on the relative
// forward error and the work done in GEMM-equivalents (products of two n x n matrices, 2n^3 flops each).
//
// # What the error bound means
//
// Report.Bound bounds ||X - f(A)||_F / ||f(A)||_F for the matrix A as given (after the ridge or the cut-off asked for). It is the sum of
// the truncation error of the method, which is measured (residuals) or known in closed form, and of its rounding error, modelled as
//
//	c sqrt(n) eps (1 + sensitivity), sensitivity = ||A||_2 max |f'| / max |f| over the spectrum,
//
// because eps ||A||_2 is the backward error of any method that reads A in floating point, and because the derivative of a matrix function
// in the Frobenius norm is at most max |f'| over the hull of the spectrum (Daleckii and Krein; Higham, Functions of Matrices, 2008,
// Theorem 3.11). For f = x^p with p < 0 the sensitivity is |p| cond(A); for 0 < p < 1 it is p cond(A)^(1-p). The constants c were
// set from measured errors with a margin (method refined, which measures the residual of a decomposition in twice the precision, leaves only
// the first of the two terms and a remainder of second order) and are held by a property test over random matrices.
//
// # Bad input
//
// Errors are values and name numbers: NotPositiveDefiniteError carries the smallest and the largest eigenvalue, RangeError the exponent that
// overflows, MethodError what a method cannot do, AccuracyError the bound that was reached when Options.Tol asked for more. A result is never
// NaN or Inf without an error. A matrix that is nil is an error too. Shape mismatches between arguments of one call panic with Error.
package roots
