package engine

import "github.com/spdopt/spdopt/internal/dense"

// Backend computes on one device. What a call writes must not overlap what it reads, unless it says so. Sizes that do not fit panic with Error.
type Backend[T dense.Float] interface {
	// Name is the device's name on the command line.
	Name() string
	Products[T]
	Spectral[T]
	Rows[T]
	Iteration[T]
	Normaliser[T]
	Movement[T]
	Updates[T]
	Elements[T]
	Pooling[T]
	Losses[T]
	Decompositions[T]
	Figures[T]
	Factors[T]
}

// Products are batches of matrix products. No two matrices of c may share memory.
type Products[T dense.Float] interface {
	// Gemm sets c_k = alpha op(a_k) op(b_k) + beta c_k for every k.
	Gemm(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, c Batch[T])
	// GemmSymmetric is Gemm for products that are known to be symmetric, in half the work; the upper triangles of c are read, all of c is written.
	GemmSymmetric(ta, tb dense.Trans, alpha T, a, b Batch[T], beta T, c Batch[T])
	// GemmNarrow is Gemm for operands in bfloat16; the sums are in T.
	GemmNarrow(ta, tb dense.Trans, alpha T, a, b NarrowBatch, beta T, c Batch[T])
}

// Spectral are the kernels that move eigenbases; vectors hold a stretch for each matrix of the batch, one after the other.
type Spectral[T dense.Float] interface {
	// BoundedAngle fills the skew-symmetric n_k with the bounded-angle generators of the symmetric t_k, as dense.BoundedAngle does.
	BoundedAngle(s, r, x []T, t, n Batch[T])
	// FirstOrderAngle fills them with the published generators, as dense.FirstOrderAngle does.
	FirstOrderAngle(s, r []T, t, n Batch[T])
	// NormBound sets bounds[k] to an upper bound of the spectral norm of the symmetric or skew-symmetric n_k.
	NormBound(n Batch[T], bounds []float64)
	// Cayley sets q_k to the rotation (I + N)(I - N)^-1 of the skew-symmetric N = n_k, or for terms > 0 to its product form of that many
	// factors (dense.CayleyTruncated), for norms below 1.
	Cayley(n Batch[T], terms int, q Batch[T])
	// NormEstimate sets est[k] to a lower estimate of the spectral norm of the symmetric or skew-symmetric n_k, as dense.NormEstimate does.
	NormEstimate(n Batch[T], est []float64)
	// RotatedDiagonal sets d to the diagonals of q_k^T m_k q_k for the symmetric m_k, whose lower triangles are read.
	RotatedDiagonal(q, m Batch[T], d []T)
}

// Iteration is what iterations for functions of matrices need beside products.
type Iteration[T dense.Float] interface {
	// Combine sets y_k = c0 I + c1 a_k + c2 b_k for square matrices; y may be a or b. With c2 = 0, b plays no part.
	Combine(c0, c1 T, a Batch[T], c2 T, b, y Batch[T])
	// FromIdentity sets dst[k] to ||a_k - I||_F.
	FromIdentity(a Batch[T], dst []float64)
}

// Rows are operations on the rows and columns of matrices.
type Rows[T dense.Float] interface {
	// ScaleRows sets y_k = diag(s_k) x_k + beta y_k, ScaleCols y_k = x_k diag(s_k) + beta y_k; y may be x if beta is 0.
	ScaleRows(s []T, x Batch[T], beta T, y Batch[T])
	ScaleCols(s []T, x Batch[T], beta T, y Batch[T])
	// ColSums adds the sums of the columns of x_k to sum, ColDots those of the elementwise product of x_k and y_k. The rows are added one after
	// the other.
	ColSums(x Batch[T], sum []T)
	ColDots(x, y Batch[T], sum []T)
	// RowDots sets dst to the inner products of the rows of x_k with those of y_k.
	RowDots(x, y Batch[T], dst []T)
	// SumSquares returns the sum of squares and the largest absolute value of g; a NaN makes both NaN.
	SumSquares(g []T) (sum, largest float64)
	// Measure sets sums[k] and largest[k] to what SumSquares returns for all[k].
	Measure(all [][]T, sums, largest []float64)
	// Unit divides each of count equal parts of x by the larger of its 2-norm and low, also where squares of its elements are beyond the range of T.
	Unit(x []T, count int, low float64)
	// Softmax turns the rows of x, scores, into probabilities, in place; of a causal row i only the columns 0 to i take part, the others
	// become 0. Unless norms is nil it gets the logarithms of the sums of the exponentials of the rows.
	Softmax(causal bool, x Batch[T], norms []T)
	// SoftmaxMap applies the derivative of Softmax at the probabilities p to the rows of d, in place: p (d - p.d), in digits that count where a
	// probability is near 1. It is symmetric, so that it takes tangents forward and gradients back.
	SoftmaxMap(p, d Batch[T])
	// SoftmaxMapTangent is SoftmaxMap for g and sets dg to the derivative of the result along the tangents dp of p and dg of g.
	SoftmaxMapTangent(p, dp, g, dg Batch[T])
}

// Normaliser brings vectors to mean 0 and variance 1.
type Normaliser[T dense.Float] interface {
	// Normalise sets n.H and n.Scale for the vectors of x.
	Normalise(n Normalisation[T], x Batch[T])
	// NormaliseMap applies the derivative of Normalise to the vectors of x: y = s (x - mean x - h mean(h x)). It is symmetric, so that it takes tangents
	// forward and gradients back. Unless n.Bend is nil it sets it to the derivative of n.Scale.
	NormaliseMap(n Normalisation[T], x, y Batch[T])
	// NormaliseMapTangent sets dy to the derivative of y, the result of NormaliseMap for x, along the tangents n.H, n.Scale and x have: n.DH, n.Bend and dx.
	NormaliseMapTangent(n Normalisation[T], x, dx, y, dy Batch[T])
}

// Movement copies parts of matrices.
type Movement[T dense.Float] interface {
	// Gather sets row i of dst to row index[i] of table, Scatter adds row i of src to row index[i] of table, for one i after the other.
	Gather(table dense.Matrix[T], index []int32, dst dense.Matrix[T])
	Scatter(src dense.Matrix[T], index []int32, table dense.Matrix[T])
	// WeighRows sets row i of y to keep y_i + sum_j a_ij x_j, adding the rows of x in the order of a.
	WeighRows(a Sparse[T], x dense.Matrix[T], keep T, y dense.Matrix[T])
	// Copy sets y_k = x_k.
	Copy(x, y Batch[T])
	// Patches copies the patches of images, Pixels adds patches up at the pixels they came from, which is the transposed map. Matrix k of images
	// is an image, a pixel a row; matrix k of patches holds its patches, one a row.
	Patches(w Window, images, patches Batch[T])
	Pixels(w Window, patches, images Batch[T])
	// Narrow rounds to bfloat16, to nearest and to even between two; Widen is exact. The lengths are equal.
	Narrow(x []T, dst []BFloat16)
	Widen(x []BFloat16, dst []T)
}

// Updates move the parameters w along the gradient g; all slices have one length.
type Updates[T dense.Float] interface {
	Momentum(u Momentum, w, g, m []T)
	Adam(u Adam, w, g, m, v []T)
	// AdamNarrow is Adam with m stored in bfloat16: it is rounded after every step, and the step is taken with the value before that.
	AdamNarrow(u Adam, w, g []T, m []BFloat16, v []T)
	ScheduleFree(u ScheduleFree, y, g, m, v, z, x []T)
	Sign(u Sign, w, g, m []T)
	RootFree(u RootFree, w, g, s, m []T)
	AdaGrad(u AdaGrad, w, g, s []T)
}

// Elements are operations on the corresponding elements of slices of one length, and simple ones on matrices. An operand whose factor is 0 plays no
// part and may be nil.
type Elements[T dense.Float] interface {
	// Blend sets y = a x + b z; y may be x or z.
	Blend(a T, x []T, b T, z, y []T)
	// Multiply sets y = keep y + x z; y may be x or z.
	Multiply(x, z []T, keep T, y []T)
	// AddSquares sets v = keep v + (take x^2 + add).
	AddSquares(keep, take, add T, x, v []T)
	// DivideRoot divides y by sqrt(v/correction) + eps.
	DivideRoot(v []T, correction, eps float64, y []T)
	// Power sets y = x^e for positive x; y may be x.
	Power(x []T, e float64, y []T)
	// Apply sets f to the curve at the elements of x, slope to its derivative and, unless bend is nil, bend to its second derivative.
	Apply(c Curve, x, f, slope, bend []T)
	// Mask draws a mask.
	Mask(m Mask[T], mask []T)
	// AddRow adds b to every row of keep y_k.
	AddRow(b []T, keep T, y Batch[T])
	// Transpose sets y_k = x_k^T.
	Transpose(x, y Batch[T])
	// Mirror completes the symmetric x_k from their upper triangles.
	Mirror(x Batch[T])
	// Diagonal sets d to the diagonals of x_k, SetDiagonal sets them.
	Diagonal(x Batch[T], d []T)
	SetDiagonal(d []T, x Batch[T])
}

// Pooling summarises rows.
type Pooling[T dense.Float] interface {
	// Choose sets chosen to the rows of x that hold the maxima for each element of so many outputs.
	Choose(p Pool, x dense.Matrix[T], outputs int, chosen []int32)
	// Reduce is the linear map from x to y, Spread its transpose. Where p.Max is set they follow chosen.
	Reduce(p Pool, x dense.Matrix[T], chosen []int32, y dense.Matrix[T])
	Spread(p Pool, y dense.Matrix[T], chosen []int32, x dense.Matrix[T])
}

// Losses are losses of rows with their gradients.
type Losses[T dense.Float] interface {
	CrossEntropy(l CrossEntropy[T])
	// Misfits sets cost to the sums of the losses of the rows and, unless g is empty, g to factor times their derivatives and, unless dg is empty, dg to
	// the derivatives of those along dout, 0 where dout is empty.
	Misfits(kind Misfit, factor T, out, dout, target, g, dg Batch[T], cost []float64)
}
