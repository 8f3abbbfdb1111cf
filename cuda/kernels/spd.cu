/* The kernels of this module. No include: NVRTC compiles it as it stands, once with real = float and once with real = double; for tests it is compiled
   as C++ on top of emu.h. Matrices are row-major: element (i, j) of matrix k of a batch is x[k * step + i * stride + j]. Results do not depend on the
   grid: every sum is made in a fixed order and nothing is accumulated by atomics. */
#ifndef SPD_EMULATED
#define KERNEL(name, ...) extern "C" __global__ void __launch_bounds__(256) name(__VA_ARGS__)
#define SHARED(type, name, n) __shared__ type name[n]
#define ROLLED _Pragma("unroll 1") /* a loop that is large enough as it is */
#define UNROLLED _Pragma("unroll")
#endif

typedef long long wide;
typedef unsigned long long word;
typedef unsigned short bfloat;

#define FULL 0xffffffffu
#define THREADS 128 /* of a block that works on one vector */
#define TILE 32     /* tiles are TILE x TILE elements for TILE x ROWS threads */
#define ROWS 8

template <class S> __device__ __forceinline__ S least(S a, S b) { return a < b ? a : b; }
template <class S> __device__ __forceinline__ S most(S a, S b) { return a > b ? a : b; }
template <class S> __device__ __forceinline__ S size(S a) { return a < S(0) ? -a : a; }

/* The sum over a block of THREADS, the same for every thread. */
template <class S> __device__ S blockSum(S v) {
	SHARED(S, part, THREADS / 32);
	for (int d = 16; d > 0; d >>= 1) {
		v += __shfl_xor_sync(FULL, v, d);
	}
	if (threadIdx.x % 32 == 0) {
		part[threadIdx.x / 32] = v;
	}
	__syncthreads();
	v = (part[0] + part[1]) + (part[2] + part[3]);
	__syncthreads();
	return v;
}

/* The largest value over a block of THREADS; NaN if there is one. */
template <class S> __device__ S blockMost(S v) {
	SHARED(S, part, THREADS / 32);
	for (int d = 16; d > 0; d >>= 1) {
		S other = __shfl_xor_sync(FULL, v, d);
		v = other > v || other != other ? other : v;
	}
	if (threadIdx.x % 32 == 0) {
		part[threadIdx.x / 32] = v;
	}
	__syncthreads();
	v = part[0];
	for (int i = 1; i < THREADS / 32; i++) {
		v = part[i] > v || part[i] != part[i] ? part[i] : v;
	}
	__syncthreads();
	return v;
}

/* The largest of n numbers; NaN if there is one. */
__device__ double largest(const double *x, int n) {
	double top = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		top = x[i] > top || x[i] != x[i] ? x[i] : top;
	}
	return blockMost(top);
}

__device__ __forceinline__ wide first() { return wide(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ wide stride() { return wide(gridDim.x) * blockDim.x; }

/* Walks over all elements of count matrices of rows x cols: index e is element (i, j) of matrix k. */
#define EACH(count, rows, cols)                                                                                                       \
	ROLLED for (wide e = first(), perMatrix = wide(rows) * (cols), all = (count) * perMatrix; e < all; e += stride())                        \
		ROLLED for (wide k = e / perMatrix, inside = e % perMatrix, i = inside / (cols), j = inside % (cols), once = 1; once; once = 0)

/* Walks over n elements, a BATCH at a time: all of a batch are loaded before the first is stored, so that the loads are under way together. */
#define BATCH 4
template <class Load, class Store> __device__ __forceinline__ void batches(wide n, Load load, Store store) {
	wide i = first();
	const wide by = stride();
	ROLLED for (; i + (BATCH - 1) * by < n; i += BATCH * by) {
		UNROLLED for (int b = 0; b < BATCH; b++) {
			load(b, i + b * by);
		}
		UNROLLED for (int b = 0; b < BATCH; b++) {
			store(b, i + b * by);
		}
	}
	ROLLED for (; i < n; i += by) {
		load(0, i);
		store(0, i);
	}
}

/* Walks over count matrices or arrays: a line of blocks for each, or for several where there are more than a grid can have lines. */
#define LINES(k, count) ROLLED for (wide k = blockIdx.y; k < (count); k += gridDim.y)
#define LAYERS(k, count) ROLLED for (wide k = blockIdx.z; k < (count); k += gridDim.z)

/* Marks the module for double, so that the emulated driver can tell the two apart. */
#ifdef SPD_DOUBLE
KERNEL(is_double, int *) {}
#endif

/* ---- numbers of 16 bits ---- */

__device__ __forceinline__ float widened(bfloat b) { return __uint_as_float(unsigned(b) << 16); }

/* The nearest bfloat16, of two equally near ones the even one. A double goes through the float that lies on the same side of every bfloat16. */
__device__ __forceinline__ bfloat narrowed(real v) {
	float f = float(v);
	unsigned u = __float_as_uint(f);
	if (v != v) {
		return bfloat(u >> 16 | 0x40);
	}
	if (real(f) != v) {
		if (size(double(f)) > size(double(v))) {
			u--;
		}
		u |= 1;
	}
	return bfloat((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* A number of an array that is one or the other: the pointer to the other is 0. */
__device__ __forceinline__ real got(const real *x, const bfloat *narrow16, wide at) { return narrow16 != 0 ? real(widened(narrow16[at])) : x[at]; }
__device__ __forceinline__ void put(real *x, bfloat *narrow16, wide at, real v) {
	if (narrow16 != 0) {
		narrow16[at] = narrowed(v);
	} else {
		x[at] = v;
	}
}

KERNEL(narrow, const real *x, bfloat *y, wide n) {
	real v[BATCH];
	batches(n, [&](int b, wide i) { v[b] = x[i]; }, [&](int b, wide i) { y[i] = narrowed(v[b]); });
}

/* Matrices whose stride and step may be others in bfloat16. */
KERNEL(narrow_matrices, const real *x, wide xStride, wide xStep, bfloat *y, wide yStride, wide yStep, int count, int rows, int cols) {
	EACH(count, rows, cols) { y[k * yStep + i * yStride + j] = narrowed(x[k * xStep + i * xStride + j]); }
}

KERNEL(widen, const bfloat *x, real *y, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		y[i] = widened(x[i]);
	}
}

/* ---- eigenbases ---- */

/* tan(theta/2) of the rotation that takes diag(d) + t to its diagonal in the plane of i and j, bounded by tan(pi/8): see dense.BoundedAngle. */
__device__ __forceinline__ real tangent(real si, real ri, real xi, real sj, real rj, real xj, real t) {
	const real limit = sizeof(real) == 4 ? real(1e18) : real(1e150);
	const real tiny = sizeof(real) == 4 ? real(1.1754943508222875e-38) : real(2.2250738585072014e-308);
	real phi = sj * ri - si * rj + (xj - xi), v = 2 * (t * (ri * rj));
	real a = least(limit, size(phi)), w = least(limit, size(v));
	real rho = sqrt(a * a + w * w), sum = a + rho;
	real n = least(real(0.41421356237309503), w / most(tiny, sum + sqrt((rho + rho) * sum)));
	return (phi < 0) != (v < 0) ? -n : n;
}

/* Skew-symmetric generators, in real or bfloat16; a block makes tiles above the diagonal and their mirror images. n may be t. */
KERNEL(bounded_angle, const real *s, const real *r, const real *x, const real *t, wide tStride, wide tStep, real *n, bfloat *n16, wide nStride, wide nStep, int count,
	int m) {
	SHARED(real, tile, TILE * (TILE + 1));
	const int j = blockIdx.x * TILE + threadIdx.x;
	LAYERS(k, count) {
		LINES(down, wide(blockIdx.x) + 1) {
			const wide at = k * m;
			const int top = int(down) * TILE;
			for (int l = threadIdx.y; l < TILE; l += ROWS) {
				const int i = top + l;
				real v = 0;
				if (i < j && j < m) {
					v = tangent(s[at + i], r[at + i], x[at + i], s[at + j], r[at + j], x[at + j], t[k * tStep + i * tStride + j]);
				}
				tile[l * (TILE + 1) + threadIdx.x] = v;
			}
			__syncthreads();
			for (int l = threadIdx.y; l < TILE; l += ROWS) {
				const int i = top + l;
				if (i < m && j < m && i <= j) {
					put(n, n16, k * nStep + i * nStride + j, tile[l * (TILE + 1) + threadIdx.x]);
				}
				const int row = blockIdx.x * TILE + l, col = top + threadIdx.x;
				if (row < m && col < m && row > col) {
					put(n, n16, k * nStep + row * nStride + col, -tile[threadIdx.x * (TILE + 1) + l]);
				}
			}
			__syncthreads();
		}
	}
}

/* Skew-symmetric generators t_ij/(2 (d_j - d_i)), of the elements above the diagonal: see dense.FirstOrderAngle. */
KERNEL(first_order_angle, const real *s, const real *r, const real *t, wide tStride, wide tStep, real *n, wide nStride, wide nStep, int count, int m) {
	EACH(count, m, m) {
		const wide a = least(i, j), b = most(i, j), at = k * m;
		const real gap = s[at + b] * r[at + a] - s[at + a] * r[at + b];
		const real v = a == b || gap == 0 ? real(0) : t[k * tStep + a * tStride + b] * (r[at + a] * r[at + b]) / (gap + gap);
		n[k * nStep + i * nStride + j] = i < j ? v : -v;
	}
}

/* Sums of |x| and 2-norms of every row, also of rows whose squares are beyond the range of double; one block per row. */
KERNEL(row_norms, const real *x, const bfloat *x16, wide xStride, wide xStep, int rows, int cols, double *absolute, double *norms) {
	const int k = blockIdx.x / rows, i = blockIdx.x % rows;
	const wide at = k * xStep + i * xStride;
	double a = 0, q = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		a += size(double(got(x, x16, at + j)));
	}
	a = blockSum(a);
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		const double v = a == 0 ? 0 : got(x, x16, at + j) / a;
		q += v * v;
	}
	q = blockSum(q);
	if (threadIdx.x == 0) {
		absolute[blockIdx.x] = a;
		norms[blockIdx.x] = a * sqrt(q);
	}
}

/* min(||x||_F, ||x||_1) from the norms of the rows; one block per matrix. */
KERNEL(norm_bound, const double *absolute, const double *norms, int rows, double *bound) {
	const wide at = wide(blockIdx.x) * rows;
	const double top = largest(absolute + at, rows);
	double sum = 0;
	for (int i = threadIdx.x; i < rows; i += THREADS) {
		const double v = top == 0 ? 0 : norms[at + i] / top;
		sum += v * v;
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		bound[blockIdx.x] = sum < 1 ? top * sqrt(sum) : top;
	}
}

/* The power steps of dense.NormEstimate: v starts as the row of the largest norm, of which est is the norm. */
KERNEL(power_start, const real *x, const bfloat *x16, const double *norms, int n, real *v, double *est) {
	const wide at = wide(blockIdx.x) * n;
	double top = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		top = most(top, norms[at + i]);
	}
	top = blockMost(top);
	double behind = 1 - n; /* minus the first row of that norm */
	for (int i = threadIdx.x; i < n; i += THREADS) {
		if (norms[at + i] == top) {
			behind = most(behind, double(-i));
		}
	}
	const int row = int(-blockMost(behind));
	for (int j = threadIdx.x; j < n; j += THREADS) {
		v[at + j] = top > 0 ? real(got(x, x16, (at + row) * n + j) / top) : 0;
	}
	if (threadIdx.x == 0) {
		est[blockIdx.x] = top;
	}
}

/* w = x v; one block per row. */
KERNEL(power_step, const real *x, const bfloat *x16, const real *v, int n, real *w) {
	const wide k = blockIdx.x / n;
	real sum = 0;
	for (int j = threadIdx.x; j < n; j += THREADS) {
		sum += got(x, x16, wide(blockIdx.x) * n + j) * v[k * n + j];
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		w[blockIdx.x] = sum;
	}
}

KERNEL(power_norm, const real *w, int n, real *v, double *est) {
	const wide at = wide(blockIdx.x) * n;
	double sum = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		sum += double(w[at + i]) * w[at + i];
	}
	const double norm = sqrt(blockSum(sum));
	for (int i = threadIdx.x; i < n; i += THREADS) {
		v[at + i] = norm > 0 ? real(w[at + i] / norm) : 0;
	}
	if (threadIdx.x == 0) {
		est[blockIdx.x] = most(est[blockIdx.x], norm);
	}
}

/* y = beta I + alpha x. */
KERNEL(shifted, const real *x, wide xStride, wide xStep, real alpha, real beta, real *y, wide yStride, wide yStep, int count, int m) {
	EACH(count, m, m) { y[k * yStep + i * yStride + j] = alpha * x[k * xStep + i * xStride + j] + (i == j ? beta : real(0)); }
}

/* y = c0 I + c1 a + c2 b; y may be a or b, and b plays no part where c2 is 0. */
KERNEL(combine, real c0, real c1, const real *a, wide aStride, wide aStep, real c2, const real *b, wide bStride, wide bStep, real *y, wide yStride, wide yStep,
	int count, int m) {
	EACH(count, m, m) {
		real v = c1 * a[k * aStep + i * aStride + j];
		if (c2 != 0) {
			v += c2 * b[k * bStep + i * bStride + j];
		}
		y[k * yStep + i * yStride + j] = i == j ? v + c0 : v;
	}
}

/* Sums of squares of the rows of x - I; one block per row. */
KERNEL(from_identity, const real *x, wide xStride, wide xStep, int m, double *sums) {
	const int k = blockIdx.x / m, i = blockIdx.x % m;
	x += k * xStep + i * xStride;
	double sum = 0;
	for (int j = threadIdx.x; j < m; j += THREADS) {
		const double v = double(x[j]) - (i == j ? 1 : 0);
		sum += v * v;
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		sums[blockIdx.x] = sum;
	}
}

/* Inverts blocks of m <= TILE rows in place, without pivoting: their symmetric part is positive definite. One block of threads each. */
KERNEL(invert, real *x, wide xStride, wide xStep, int m) {
	SHARED(real, a, TILE * (TILE + 1));
	x += blockIdx.x * xStep;
	const int j = threadIdx.x;
	for (int i = threadIdx.y; i < m; i += ROWS) {
		if (j < m) {
			a[i * (TILE + 1) + j] = x[i * xStride + j];
		}
	}
	__syncthreads();
	for (int p = 0; p < m; p++) {
		const real inverse = 1 / a[p * (TILE + 1) + p];
		__syncthreads();
		if (threadIdx.y == 0 && j < m) {
			a[p * (TILE + 1) + j] = j == p ? inverse : a[p * (TILE + 1) + j] * inverse;
		}
		__syncthreads();
		for (int i = threadIdx.y; i < m; i += ROWS) {
			const real f = a[i * (TILE + 1) + p];
			__syncwarp();
			if (i != p && j < m) {
				a[i * (TILE + 1) + j] = (j == p ? real(0) : a[i * (TILE + 1) + j]) - f * a[p * (TILE + 1) + j];
			}
		}
		__syncthreads();
	}
	for (int i = threadIdx.y; i < m; i += ROWS) {
		if (j < m) {
			x[i * xStride + j] = a[i * (TILE + 1) + j];
		}
	}
}

/* Sets y to the symmetric matrix whose upper (lower) triangle x holds. y may be x. */
KERNEL(mirror, int upper, const real *x, wide xStride, wide xStep, real *y, wide yStride, wide yStep, int count, int m) {
	EACH(count, m, m) {
		if (upper ? i <= j : i >= j) {
			const real v = x[k * xStep + i * xStride + j];
			y[k * yStep + i * yStride + j] = v;
			y[k * yStep + j * yStride + i] = v;
		}
	}
}

/* ---- rows and columns ---- */

KERNEL(scale_rows, const real *s, const real *x, wide xStride, wide xStep, real beta, real *y, wide yStride, wide yStep, int count, int rows, int cols) {
	EACH(count, rows, cols) {
		real *out = y + k * yStep + i * yStride + j;
		const real v = s[k * rows + i] * x[k * xStep + i * xStride + j];
		*out = beta == 0 ? v : v + beta * *out;
	}
}

KERNEL(scale_cols, const real *s, const real *x, wide xStride, wide xStep, real beta, real *y, wide yStride, wide yStep, int count, int rows, int cols) {
	EACH(count, rows, cols) {
		real *out = y + k * yStep + i * yStride + j;
		const real v = s[k * cols + j] * x[k * xStep + i * xStride + j];
		*out = beta == 0 ? v : v + beta * *out;
	}
}

/* Adds the sums of the columns, or with y those of the products of x and y, row after row. */
KERNEL(col_sums, const real *x, wide xStride, wide xStep, const real *y, wide yStride, wide yStep, int count, int rows, int cols, real *sum) {
	for (wide c = first(); c < wide(count) * cols; c += stride()) {
		const wide k = c / cols, j = c % cols;
		real total = sum[c];
		for (int i = 0; i < rows; i++) {
			const real v = x[k * xStep + i * xStride + j];
			total += y == 0 ? v : v * y[k * yStep + i * yStride + j];
		}
		sum[c] = total;
	}
}

/* One block per row. */
KERNEL(row_dots, const real *x, wide xStride, wide xStep, const real *y, wide yStride, wide yStep, int rows, int cols, real *dot) {
	const int k = blockIdx.x / rows, i = blockIdx.x % rows;
	x += k * xStep + i * xStride;
	y += k * yStep + i * yStride;
	real sum = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		sum += x[j] * y[j];
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		dot[blockIdx.x] = sum;
	}
}

/* Sums of squares and largest sizes of pieces of arrays of n elements, one after the other; one block per piece, one line of blocks per array. */
KERNEL(pieces, const real *x, wide n, int arrays, wide each, double *sums, double *tops) {
	const wide from = blockIdx.x * each, end = least(n, from + each);
	LINES(k, arrays) {
		double sum = 0, top = 0;
		for (wide i = from + threadIdx.x; i < end; i += THREADS) {
			const double v = x[k * n + i], a = size(v);
			sum += v * v;
			top = a > top || a != a ? a : top;
		}
		sum = blockSum(sum);
		top = blockMost(top);
		if (threadIdx.x == 0) {
			sums[k * gridDim.x + blockIdx.x] = sum;
			tops[k * gridDim.x + blockIdx.x] = top;
		}
	}
}

/* Sums of squares of the pieces over the largest size of their array, that of its count pieces. */
KERNEL(scaled_pieces, const real *x, wide n, int arrays, wide each, const double *tops, int count, double *sums) {
	const wide from = blockIdx.x * each, end = least(n, from + each);
	LINES(k, arrays) {
		const double top = largest(tops + k * count, count);
		double sum = 0;
		for (wide i = from + threadIdx.x; i < end; i += THREADS) {
			const double v = top == 0 ? 0 : double(x[k * n + i]) / top;
			sum += v * v;
		}
		sum = blockSum(sum);
		if (threadIdx.x == 0) {
			sums[k * count + blockIdx.x] = sum;
		}
	}
}

/* Divides the arrays by the larger of their norm, from what pieces and scaled_pieces found, and low. */
KERNEL(unit, real *x, wide n, int arrays, wide each, const double *tops, const double *sums, int count, double low) {
	const wide from = blockIdx.x * each, end = least(n, from + each);
	LINES(k, arrays) {
		const double top = largest(tops + k * count, count);
		double sum = 0;
		for (int i = threadIdx.x; i < count; i += THREADS) {
			sum += sums[k * count + i];
		}
		const double root = sqrt(blockSum(sum)), norm = top * root;
		const bool usual = norm > 1e-140 && norm < 1e150;
		for (wide i = from + threadIdx.x; i < end; i += THREADS) {
			if (top != 0) {
				real *at = x + k * n + i;
				*at = usual ? *at * real(1 / most(norm, low)) : real(double(*at) / top / root);
			}
		}
	}
}

/* ---- figures ---- */

/* The sum, the sum of the squares and the largest size of pieces of count arrays of n numbers; one block per piece. out holds the sums of all pieces, those of an array
   after those of the one before, then the sums of squares, then the sizes. */
KERNEL(tally, const real *x, wide n, wide each, double *out, int count) {
	const wide from = blockIdx.x * each, end = least(n, from + each), apart = wide(gridDim.x) * count;
	LINES(k, count) {
		double plain = 0, sum = 0, top = 0;
		for (wide i = from + threadIdx.x; i < end; i += THREADS) {
			const double v = x[k * n + i], a = size(v);
			plain += v;
			sum += v * v;
			top = a > top || a != a ? a : top;
		}
		plain = blockSum(plain);
		sum = blockSum(sum);
		top = blockMost(top);
		if (threadIdx.x == 0) {
			double *at = out + k * gridDim.x + blockIdx.x;
			at[0] = plain;
			at[apart] = sum;
			at[2 * apart] = top;
		}
	}
}

/* Brings the numbers of the pieces of each array together; one block per array. */
KERNEL(tally_all, const double *parts, int pieces, double *out) {
	const wide k = blockIdx.x, count = gridDim.x, apart = count * pieces;
	parts += k * pieces;
	double plain = 0, sum = 0, top = 0;
	for (int i = threadIdx.x; i < pieces; i += THREADS) {
		const double a = parts[2 * apart + i];
		plain += parts[i];
		sum += parts[apart + i];
		top = a > top || a != a ? a : top;
	}
	plain = blockSum(plain);
	sum = blockSum(sum);
	top = blockMost(top);
	if (threadIdx.x == 0) {
		out[k] = plain;
		out[count + k] = sum;
		out[2 * count + k] = top;
	}
}

struct instruction {
	unsigned what, to, a, b;
	double value;
};

enum { Set, Plus, Minus, Times, Over, Root, Least, Most, Below, Pick };

/* engine.Reckon; one thread per matrix. */
KERNEL(reckon, const instruction *program, int n, double *registers, int count) {
	for (wide k = first(); k < count; k += stride()) {
		double *r = registers + k;
		for (int i = 0; i < n; i++) {
			const instruction p = program[i];
			double *to = r + wide(p.to) * count;
			if (p.what == Set) {
				if (p.a == 0 || p.a == k + 1) {
					*to = p.value;
				}
				continue;
			}
			const double a = r[wide(p.a) * count], b = r[wide(p.b) * count];
			double v = 0;
			switch (p.what) {
			case Plus:
				v = a + b;
				break;
			case Minus:
				v = a - b;
				break;
			case Times:
				v = a * b;
				break;
			case Over:
				v = a / b;
				break;
			case Root:
				v = sqrt(a);
				break;
			case Least:
				v = b < a || b != b ? b : a;
				break;
			case Most:
				v = b > a || b != b ? b : a;
				break;
			case Below:
				v = a < b ? 1 : 0;
				break;
			case Pick:
				v = *to != 0 ? a : b;
				break;
			}
			*to = v;
		}
	}
}

/* y_k = a_k x_k + b_k z_k of count arrays of n numbers with reckoned factors, each one for all or of their own; none stands for 1. */
KERNEL(blend_by, const double *by, int apart, const double *and_by, int andApart, const real *x, wide xStep, const real *z, wide zStep, real *y, wide yStep, wide n,
	int count) {
	LINES(k, count) {
		const real a = by ? real(by[apart ? k : 0]) : real(1), b = z == 0 ? real(0) : and_by ? real(and_by[andApart ? k : 0]) : real(1);
		for (wide i = first(); i < n; i += stride()) {
			const real v = a == 0 ? real(0) : a * x[k * xStep + i];
			y[k * yStep + i] = b == 0 ? v : v + b * z[k * zStep + i];
		}
	}
}

/* ---- softmax; one block per row ---- */

KERNEL(softmax, int causal, real *x, wide xStride, wide xStep, int rows, int cols, real *norms) {
	const int k = blockIdx.x / rows, i = blockIdx.x % rows;
	x += k * xStep + i * xStride;
	const int seen = causal ? i + 1 : cols;
	real top = x[0];
	for (int j = threadIdx.x; j < seen; j += THREADS) {
		top = most(top, x[j]);
	}
	top = blockMost(top);
	real sum = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		const real v = j < seen ? exp(x[j] - top) : real(0);
		x[j] = v;
		sum += v;
	}
	sum = blockSum(sum);
	for (int j = threadIdx.x; j < seen; j += THREADS) {
		x[j] *= 1 / sum;
	}
	if (norms != 0 && threadIdx.x == 0) {
		norms[blockIdx.x] = top + log(sum);
	}
}

/* The value of x at the probability above 1/2, or 0. Derivatives of a softmax do not change with what all of a row have in common; without that value, nothing cancels that
   rounding of a probability near 1 would leave a part of. */
__device__ real likely(const real *p, const real *x, int cols) {
	real at = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		if (p[j] > real(0.5)) {
			at = x[j];
		}
	}
	return blockSum(at);
}

KERNEL(softmax_map, const real *p, wide pStride, wide pStep, real *d, wide dStride, wide dStep, int rows, int cols) {
	const int k = blockIdx.x / rows, i = blockIdx.x % rows;
	p += k * pStep + i * pStride;
	d += k * dStep + i * dStride;
	const real top = likely(p, d, cols);
	real mean = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		mean += p[j] * (d[j] - top);
	}
	mean = blockSum(mean);
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		d[j] = p[j] * ((d[j] - top) - mean);
	}
}

KERNEL(softmax_map_tangent, const real *p, wide pStride, wide pStep, const real *dp, wide dpStride, wide dpStep, real *g, wide gStride, wide gStep, real *dg,
	wide dgStride, wide dgStep, int rows, int cols) {
	const int k = blockIdx.x / rows, i = blockIdx.x % rows;
	p += k * pStep + i * pStride;
	dp += k * dpStep + i * dpStride;
	g += k * gStep + i * gStride;
	dg += k * dgStep + i * dgStride;
	const real top = likely(p, g, cols), topMoved = likely(p, dg, cols);
	real mean = 0, moved = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		const real at = g[j] - top, turn = dg[j] - topMoved;
		mean += p[j] * at;
		moved += dp[j] * at + p[j] * turn;
	}
	mean = blockSum(mean);
	moved = blockSum(moved);
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		const real at = g[j] - top - mean, turn = dg[j] - topMoved - moved;
		dg[j] = dp[j] * at + p[j] * turn;
		g[j] = p[j] * at;
	}
}

/* ---- normalisation; one block per vector, a row or a column; all matrices have one stride ---- */

/* The offset of vector number v and the distance of its elements. */
#define VECTOR                                                                                                  \
	const wide v = blockIdx.x, k = columns ? v / cols : v / rows, at = columns ? v % cols : v % rows * stride;   \
	const wide from = k * step + at, by = columns ? stride : 1;                                                 \
	const int length = columns ? rows : cols

KERNEL(normalise, int center, int columns, real eps, const real *x, real *h, wide stride, wide step, int rows, int cols, real *scale) {
	VECTOR;
	real mean = 0, square = 0;
	if (center) {
		for (int l = threadIdx.x; l < length; l += THREADS) {
			mean += x[from + l * by];
		}
		mean = blockSum(mean) / length;
	}
	for (int l = threadIdx.x; l < length; l += THREADS) {
		const real d = x[from + l * by] - mean;
		square += d * d;
	}
	square = blockSum(square);
	const real s = 1 / sqrt(square / length + eps);
	for (int l = threadIdx.x; l < length; l += THREADS) {
		h[from + l * by] = (x[from + l * by] - mean) * s;
	}
	if (threadIdx.x == 0) {
		scale[v] = s;
	}
}

KERNEL(normalise_map, int center, int columns, const real *h, const real *scale, real *bend, const real *x, real *y, wide stride, wide step, int rows, int cols) {
	VECTOR;
	real mean = 0, cross = 0;
	for (int l = threadIdx.x; l < length; l += THREADS) {
		mean += x[from + l * by];
		cross += h[from + l * by] * x[from + l * by];
	}
	mean = center ? blockSum(mean) / length : real(0);
	cross = blockSum(cross) / length;
	const real s = scale[v];
	for (int l = threadIdx.x; l < length; l += THREADS) {
		y[from + l * by] = s * (x[from + l * by] - mean - h[from + l * by] * cross);
	}
	if (bend != 0 && threadIdx.x == 0) {
		bend[v] = -s * s * cross;
	}
}

KERNEL(normalise_map_tangent, int center, int columns, const real *h, const real *dh, const real *scale, const real *bend, const real *x, const real *dx,
	const real *y, real *dy, wide stride, wide step, int rows, int cols) {
	VECTOR;
	real mean = 0, cross = 0, moved = 0;
	for (int l = threadIdx.x; l < length; l += THREADS) {
		const wide o = from + l * by;
		mean += dx[o];
		cross += h[o] * x[o];
		moved += h[o] * dx[o] + dh[o] * x[o];
	}
	mean = center ? blockSum(mean) / length : real(0);
	cross = blockSum(cross) / length;
	moved = blockSum(moved) / length;
	const real s = scale[v], ds = bend[v];
	for (int l = threadIdx.x; l < length; l += THREADS) {
		const wide o = from + l * by;
		dy[o] = ds / s * y[o] + s * (dx[o] - mean - dh[o] * cross - h[o] * moved);
	}
}

/* ---- movement ---- */

KERNEL(gather, const real *table, wide tStride, const int *index, real *y, wide yStride, int rows, int cols) {
	EACH(1, rows, cols) { y[k + i * yStride + j] = table[index[i] * tStride + j]; }
}

/* One thread per column, so that rows that meet are added in order. */
KERNEL(scatter, const real *x, wide xStride, const int *index, real *table, wide tStride, int rows, int cols) {
	for (wide j = first(); j < cols; j += stride()) {
		for (int i = 0; i < rows; i++) {
			table[index[i] * tStride + j] += x[i * xStride + j];
		}
	}
}

/* The geometry of engine.Window: w holds its fields in order. */
enum { Height, Width, Channels, Groups, KernelHeight, KernelWidth, Dilation, StrideHeight, StrideWidth, PaddingHeight, PaddingWidth };

KERNEL(patches, const int *w, const real *images, wide iStep, real *y, wide yStride, wide yStep, int count, int rows, int cols, int across) {
	const int per = w[Channels] / w[Groups];
	EACH(count, rows, cols) {
		const int c = j % per, b = j / per % w[KernelWidth], a = j / per / w[KernelWidth] % w[KernelHeight], g = j / per / w[KernelWidth] / w[KernelHeight];
		const int top = i / across * w[StrideHeight] + a * w[Dilation] - w[PaddingHeight];
		const int left = i % across * w[StrideWidth] + b * w[Dilation] - w[PaddingWidth];
		const bool in = top >= 0 && top < w[Height] && left >= 0 && left < w[Width];
		y[k * yStep + i * yStride + j] = in ? images[k * iStep + (wide(top) * w[Width] + left) * w[Channels] + g * per + c] : real(0);
	}
}

/* Every value of a pixel collects what the patches over it hold, in the order of the patches. */
KERNEL(pixels, const int *w, const real *y, wide yStride, wide yStep, real *images, wide iStep, int count, int down, int across) {
	const int per = w[Channels] / w[Groups];
	EACH(count, w[Height] * w[Width], w[Channels]) {
		const int row = i / w[Width], col = i % w[Width], g = j / per, c = j % per;
		real sum = 0;
		for (int a = w[KernelHeight] - 1; a >= 0; a--) {
			const int top = row + w[PaddingHeight] - a * w[Dilation];
			for (int b = w[KernelWidth] - 1; b >= 0; b--) {
				const int left = col + w[PaddingWidth] - b * w[Dilation];
				if (top < 0 || left < 0 || top % w[StrideHeight] != 0 || left % w[StrideWidth] != 0) {
					continue;
				}
				const int p = top / w[StrideHeight], q = left / w[StrideWidth];
				if (p < down && q < across) {
					sum += y[k * yStep + (wide(p) * across + q) * yStride + ((wide(g) * w[KernelHeight] + a) * w[KernelWidth] + b) * per + c];
				}
			}
		}
		images[k * iStep + i * w[Channels] + j] = sum;
	}
}

/* ---- elements ---- */

/* y = u[0] x + u[1] z; an operand whose factor is 0 plays no part. y may be x or z. */
KERNEL(blend, const real *u, const real *x, const real *z, real *y, wide n) {
	const real a = u[0], b = u[1];
	for (wide i = first(); i < n; i += stride()) {
		const real v = a == 0 ? real(0) : a * x[i];
		y[i] = b == 0 ? v : v + b * z[i];
	}
}

/* y = keep y + x z; y may be x or z. */
KERNEL(multiply, const real *x, const real *z, real keep, real *y, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		const real v = x[i] * z[i];
		y[i] = keep == 0 ? v : keep * y[i] + v;
	}
}

/* v = u[0] v + (u[1] x^2 + u[2]). */
KERNEL(add_squares, const real *u, const real *x, real *v, wide n) {
	const real keep = u[0], take = u[1], add = u[2];
	for (wide i = first(); i < n; i += stride()) {
		v[i] = keep * v[i] + (take * x[i] * x[i] + add);
	}
}

KERNEL(divide_root, const double *u, const real *v, real *y, wide n) {
	const double correction = u[0], eps = u[1];
	for (wide i = first(); i < n; i += stride()) {
		y[i] /= real(sqrt(double(v[i]) / correction) + eps);
	}
}

KERNEL(power, const real *x, double e, real *y, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		y[i] = real(pow(double(x[i]), e));
	}
}

__device__ __forceinline__ real sigmoid(real x) {
	const real e = exp(-size(x));
	return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* The curves of engine.Apply with their derivatives. */
enum { CurveReLU, CurveGELU, CurveSiLU, CurveTanh, CurveLogistic };

KERNEL(curve, int kind, const real *x, real *f, real *slope, real *bend, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		const real v = x[i];
		real y = v > 0 ? v : real(0), d = v > 0 ? real(1) : real(0), c = 0;
		if (kind == CurveGELU) {
			const real cdf = real(0.5) * erfc(real(-0.70710678118654752440) * v), density = real(0.39894228040143267794) * exp(real(-0.5) * v * v);
			y = v * cdf;
			d = cdf + v * density;
			c = density * (2 - v * v);
		} else if (kind == CurveTanh) {
			y = tanh(v);
			d = 1 - y * y;
			c = -2 * y * d;
		} else if (kind != CurveReLU) {
			const real s = sigmoid(v), t = s * (1 - s);
			y = kind == CurveSiLU ? v * s : s;
			d = kind == CurveSiLU ? s + v * t : t;
			c = kind == CurveSiLU ? t * (2 + v * (1 - 2 * s)) : t * (1 - 2 * s);
		}
		f[i] = y;
		slope[i] = d;
		if (bend != 0) {
			bend[i] = c;
		}
	}
}

/* y = keep y + b in every row. */
KERNEL(add_row, const real *b, real keep, real *y, wide yStride, wide yStep, int count, int rows, int cols) {
	EACH(count, rows, cols) {
		real *out = y + k * yStep + i * yStride + j;
		*out = keep == 0 ? b[j] : keep * *out + b[j];
	}
}

KERNEL(copy, const real *x, wide xStride, wide xStep, real *y, wide yStride, wide yStep, int count, int rows, int cols) {
	EACH(count, rows, cols) { y[k * yStep + i * yStride + j] = x[k * xStep + i * xStride + j]; }
}

/* y = x^T for rows x cols matrices x; a block of threads for each tile. */
KERNEL(transpose, const real *x, wide xStride, wide xStep, real *y, wide yStride, wide yStep, int count, int rows, int cols) {
	SHARED(real, tile, TILE * (TILE + 1));
	const wide left = wide(blockIdx.x) * TILE;
	LAYERS(k, count) {
		LINES(across, (wide(rows) + TILE - 1) / TILE) {
			const wide top = across * TILE;
			for (int l = threadIdx.y; l < TILE; l += ROWS) {
				const wide i = top + l, j = left + threadIdx.x;
				tile[l * (TILE + 1) + threadIdx.x] = i < rows && j < cols ? x[k * xStep + i * xStride + j] : real(0);
			}
			__syncthreads();
			for (int l = threadIdx.y; l < TILE; l += ROWS) {
				const wide i = left + l, j = top + threadIdx.x;
				if (i < cols && j < rows) {
					y[k * yStep + i * yStride + j] = tile[threadIdx.x * (TILE + 1) + l];
				}
			}
			__syncthreads();
		}
	}
}

/* d = the diagonals of x, or x's diagonals = d. */
KERNEL(diagonal, int set, real *x, wide xStride, wide xStep, real *d, int count, int m) {
	for (wide e = first(); e < wide(count) * m; e += stride()) {
		real *at = x + e / m * xStep + e % m * (xStride + 1);
		if (set) {
			*at = d[e];
		} else {
			d[e] = *at;
		}
	}
}

/* ---- rows of graphs and masks ---- */

/* Row i of y becomes keep times itself plus the rows of x that entries from[i] to from[i + 1] name, times their weights, in order. */
KERNEL(weigh_rows, const int *from, const int *index, const real *weight, const real *x, wide xStride, real keep, real *y, wide yStride, int rows, int cols) {
	EACH(1, rows, cols) {
		real *out = y + k + i * yStride + j;
		real sum = keep == 0 ? real(0) : keep * *out;
		for (int l = from[i]; l < from[i + 1]; l++) {
			sum += weight[l] * x[index[l] * xStride + j];
		}
		*out = sum;
	}
}

/* Numbers of 128 bits, and the map of states s -> a s + c. */
struct Long {
	word high, low;
};
struct Jump {
	Long a, c;
};

__device__ __forceinline__ Long times(Long x, Long y) { return {__umul64hi(x.low, y.low) + x.high * y.low + x.low * y.high, x.low * y.low}; }
__device__ __forceinline__ Long plus(Long x, Long y) { return {x.high + y.high + (x.low + y.low < x.low ? 1 : 0), x.low + y.low}; }

/* n steps of the generator PCG DXSM of Go's math/rand/v2. */
__device__ __forceinline__ Jump jump(word n) {
	Jump all = {{0, 1}, {0, 0}}, step = {{2549297995355413924ull, 4865540595714422341ull}, {6364136223846793005ull, 1442695040888963407ull}};
	ROLLED for (; n > 0; n >>= 1) {
		if (n & 1) {
			all = {times(step.a, all.a), plus(times(step.a, all.c), step.c)};
		}
		step = {times(step.a, step.a), plus(times(step.a, step.c), step.c)};
	}
	return all;
}

/* mask[i] = keep where number i of the generator with the state u[0], u[1] is at least u[2] in its upper 53 bits, 0 elsewhere. */
KERNEL(mask, const word *u, real keep, real *y, wide n) {
	const word limit = u[2];
	Jump by = jump(word(first()) + 1);
	Long s = plus(times(by.a, {u[0], u[1]}), by.c);
	by = jump(word(stride()));
	for (wide i = first(); i < n; i += stride()) {
		word v = s.high;
		v ^= v >> 32;
		v *= 0xda942042e4dd58b5ull;
		v ^= v >> 48;
		v *= s.low | 1;
		y[i] = v >> 11 >= limit ? keep : real(0);
		s = plus(times(by.a, s), by.c);
	}
}

/* ---- pools: w holds the fields of engine.Pool in order ---- */

enum { PoolHeight, PoolWidth, PoolWindow, PoolStride, PoolOutHeight, PoolOutWidth };

/* The rows that row i of so many outputs summarises: height runs of width neighbouring rows, w[PoolWidth] apart. */
#define RUNS(i)                                                                                                                          \
	const int per = w[PoolOutHeight] * w[PoolOutWidth], length = per == 0 ? rows / outputs : 0, height = per == 0 ? 1 : w[PoolWindow];      \
	const int width = per == 0 ? length : w[PoolWindow];                                                                                   \
	const wide from = per == 0 ? wide(i) * length                                                                                          \
							   : (i / per * w[PoolHeight] + i % per / w[PoolOutWidth] * w[PoolStride]) * wide(w[PoolWidth]) + i % w[PoolOutWidth] * w[PoolStride]

KERNEL(pool_choose, const int *w, const real *x, wide xStride, int rows, int outputs, int cols, int *chosen) {
	EACH(1, outputs, cols) {
		RUNS(i);
		wide best = from;
		for (int a = 0; a < height; a++) {
			for (int b = 0; b < width; b++) {
				const wide r = from + wide(a) * w[PoolWidth] + b;
				if (x[r * xStride + j] > x[best * xStride + j]) {
					best = r;
				}
			}
		}
		chosen[k + i * cols + j] = int(best);
	}
}

KERNEL(pool_reduce, const int *w, real weight, const int *chosen, const real *x, wide xStride, int rows, real *y, wide yStride, int outputs, int cols) {
	EACH(1, outputs, cols) {
		real sum = 0;
		if (chosen != 0) {
			sum = x[chosen[i * cols + j] * xStride + j];
		} else {
			RUNS(i);
			for (int a = 0; a < height; a++) {
				for (int b = 0; b < width; b++) {
					sum += weight * x[(from + wide(a) * w[PoolWidth] + b) * xStride + j];
				}
			}
		}
		y[k + i * yStride + j] = sum;
	}
}

/* Every element of x collects what the outputs over it hold, in their order. */
KERNEL(pool_spread, const int *w, real weight, const int *chosen, const real *y, wide yStride, int outputs, real *x, wide xStride, int rows, int cols) {
	const int per = w[PoolOutHeight] * w[PoolOutWidth], area = w[PoolHeight] * w[PoolWidth];
	EACH(1, rows, cols) {
		wide first = i / (per == 0 ? wide(rows / outputs) : area), top = 0, bottom = 0, left = 0, right = 0;
		if (per != 0) {
			const int row = i % area / w[PoolWidth], col = i % w[PoolWidth], s = w[PoolStride];
			top = row < w[PoolWindow] ? 0 : (row - w[PoolWindow]) / s + 1;
			left = col < w[PoolWindow] ? 0 : (col - w[PoolWindow]) / s + 1;
			bottom = least(row / s, w[PoolOutHeight] - 1);
			right = least(col / s, w[PoolOutWidth] - 1);
			first *= per;
		}
		real sum = 0;
		for (wide a = top; a <= bottom; a++) {
			for (wide b = left; b <= right; b++) {
				const wide o = first + a * w[PoolOutWidth] + b;
				if (o >= outputs) {
					continue;
				}
				if (chosen == 0) {
					sum += weight * y[o * yStride + j];
				} else if (chosen[o * cols + j] == i) {
					sum += y[o * yStride + j];
				}
			}
		}
		x[k + i * xStride + j] = sum;
	}
}

/* ---- losses; one block per row ---- */

/* q_j of a row: its class, or its values where there are no classes, smoothed. */
__device__ __forceinline__ real goal(const int *classes, const real *values, wide row, int j, real rest, real spread) {
	return classes == 0 ? rest * values[j] + spread : classes[row] == j ? spread + rest : spread;
}

KERNEL(cross_entropy, const real *u, const int *classes, const real *values, wide vStride, wide vStep, const real *out, wide oStride, wide oStep,
	const real *p, wide pStride, wide pStep, const real *norms, double *cost, real *g, wide gStride, wide gStep, real *d, wide dStride, wide dStep, int flat,
	int rows, int cols) {
	const wide row = blockIdx.x, k = row / rows, i = row % rows;
	const bool counts = classes == 0 || classes[row] >= 0;
	const real factor = u[0], smoothing = u[1], rest = 1 - smoothing, spread = smoothing / cols;
	values += k * vStep + i * vStride;
	out += k * oStep + i * oStride;
	p += k * pStep + i * pStride;
	double sum = 0;
	real mass = 0;
	for (int j = threadIdx.x; counts && j < cols; j += THREADS) {
		const real q = goal(classes, values, row, j, rest, spread);
		mass += q;
		if (q != 0) {
			sum += double(q) * double(norms[row] - out[j]);
		}
	}
	sum = blockSum(sum);
	mass = blockSum(mass);
	if (threadIdx.x == 0) {
		cost[row] = sum;
	}
	if (g == 0) {
		return;
	}
	g += k * gStep + i * gStride;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		g[j] = counts ? factor * (mass * p[j] - goal(classes, values, row, j, rest, spread)) : real(0);
		if (d != 0) {
			real *at = d + k * dStep + i * dStride + j;
			*at = counts && !flat ? factor * mass * *at : real(0);
		}
	}
}

enum { MisfitSquare, MisfitAbsolute, MisfitBinary };

KERNEL(misfits, int kind, const real *u, const real *out, wide oStride, wide oStep, const real *dout, wide pStride, wide pStep, const real *target, wide tStride,
	wide tStep, real *g, wide gStride, wide gStep, real *dg, wide dStride, wide dStep, double *cost, int rows, int cols) {
	const wide row = blockIdx.x, k = row / rows, i = row % rows;
	const real factor = u[0];
	double sum = 0;
	for (int j = threadIdx.x; j < cols; j += THREADS) {
		const real x = out[k * oStep + i * oStride + j], t = target[k * tStep + i * tStride + j], off = x - t;
		real c = off * off / 2, slope = off, bend = 1;
		if (kind == MisfitAbsolute) {
			c = size(off);
			slope = off > 0 ? real(1) : off < 0 ? real(-1) : real(0);
			bend = 0;
		} else if (kind == MisfitBinary) {
			const real s = sigmoid(x);
			c = most(x, real(0)) - x * t + log1p(exp(-size(x)));
			slope = s - t;
			bend = s * (1 - s);
		}
		sum += double(c);
		if (g != 0) {
			g[k * gStep + i * gStride + j] = factor * slope;
			if (dg != 0) {
				dg[k * dStep + i * dStride + j] = dout == 0 ? real(0) : factor * bend * dout[k * pStep + i * pStride + j];
			}
		}
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		cost[row] = sum;
	}
}

/* ---- updates of parameters; u holds the numbers that change from step to step ---- */

enum { LR, GradScale, L2, Keep, OwnNumbers };

KERNEL(momentum, const real *u, int nesterov, real *w, const real *g, real *m, wide n) {
	const real mu = u[OwnNumbers];
	for (wide i = first(); i < n; i += stride()) {
		const real gi = u[GradScale] * g[i] + u[L2] * w[i];
		real d = gi;
		if (m != 0) {
			d = mu * m[i] + gi;
			m[i] = d;
			d = nesterov ? gi + mu * d : d;
		}
		w[i] = u[Keep] * w[i] - u[LR] * d;
	}
}

enum { Beta1 = OwnNumbers, Rest1, Beta2, Rest2, Eps, FactorA, FactorB, FactorC };

/* Adam with m in real or, where narrow is not 0, in bfloat16. */
KERNEL(adam, const real *u, real *w, const real *g, real *m, bfloat *narrow, real *v, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		const real gi = u[GradScale] * g[i] + u[L2] * w[i];
		const real mi = u[Beta1] * (narrow != 0 ? real(widened(narrow[i])) : m[i]) + u[Rest1] * gi;
		const real vi = u[Beta2] * v[i] + u[Rest2] * gi * gi;
		if (narrow != 0) {
			narrow[i] = narrowed(mi);
		} else {
			m[i] = mi;
		}
		v[i] = vi;
		w[i] = u[Keep] * w[i] - u[LR] * ((u[FactorA] * mi + u[FactorB] * gi) / (sqrt(u[FactorC] * vi) + u[Eps]));
	}
}

enum { Inner = FactorC + 1, InnerRest, Mix, Stay, Decay };

KERNEL(schedule_free, const real *u, int decayAverage, real *y, const real *g, real *m, real *v, real *z, real *x, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		const real gi = u[GradScale] * g[i] + u[L2] * y[i];
		const real vi = u[Beta2] * v[i] + u[Rest2] * gi * gi;
		v[i] = vi;
		real top = u[FactorB] * gi;
		if (u[FactorA] != 0) {
			m[i] = u[Inner] * m[i] + u[InnerRest] * gi;
			top += u[FactorA] * m[i];
		}
		const real zi = z[i] - (u[LR] * (top / (sqrt(u[FactorC] * vi) + u[Eps])) + u[Decay] * (decayAverage ? x[i] : y[i]));
		const real xi = u[Stay] * x[i] + u[Mix] * zi;
		z[i] = zi;
		x[i] = xi;
		y[i] = zi + u[Beta1] * (xi - zi);
	}
}

KERNEL(adagrad, const real *u, real *w, const real *g, real *s, wide n) {
	const real eps = u[OwnNumbers], top = u[OwnNumbers + 1];
	for (wide i = first(); i < n; i += stride()) {
		const real gi = u[GradScale] * g[i] + u[L2] * w[i], si = least(s[i] + gi * gi, top);
		s[i] = si;
		w[i] = u[Keep] * w[i] - u[LR] * gi / (sqrt(si) + eps);
	}
}

KERNEL(sign, const real *u, real *w, const real *g, real *m, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		const real gi = u[GradScale] * g[i] + u[L2] * w[i], c = u[Beta1] * m[i] + u[Rest1] * gi;
		m[i] = u[Beta2] * m[i] + u[Rest2] * gi;
		w[i] = u[Keep] * w[i] - (c > 0 ? u[LR] : c < 0 ? -u[LR] : real(0));
	}
}

enum { Take = OwnNumbers, Decayed, Correction, Damping, Mu, MuRest, Inside };

KERNEL(root_free, const real *u, int average, real *w, const real *g, real *s, real *m, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		const real gi = u[GradScale] * g[i] + u[L2] * w[i];
		const real si = u[Decayed] * s[i] + u[Take] * gi * gi, below = si * u[Correction] + u[Damping];
		s[i] = si;
		if (average) {
			m[i] = u[Mu] * m[i] + u[MuRest] * gi;
			w[i] = u[Keep] * w[i] - u[LR] * m[i] / below;
			continue;
		}
		real d = gi / below + u[Inside] * w[i];
		if (m != 0) {
			d += u[Mu] * m[i];
			m[i] = d;
		}
		w[i] -= u[LR] * d;
	}
}

/* ---- formulas of Kronecker factors, for nnopt.Spectral on the engine (engine.Factors) and for cuda.Spectral ---- */

__device__ __forceinline__ double within(double v, double low, double high) { return least(most(v, low), high); }

/* What a moving average of weight beta, corrected where gamma is 1, makes of the form and the trace of an update: the weight as corrected, the rate of the scale alpha,
   and the share of its statistics. */
struct Weight {
	double beta, rate, share;
};
__device__ Weight weigh(double form, double trace, double alpha, double elements, double beta, double gamma, double updates) {
	if (gamma == 1) {
		beta /= 1 - pow(1 - beta, updates + 2);
	}
	return {beta, beta * ((form + trace) / (alpha * elements) - gamma), beta / (elements * alpha)};
}

__device__ __forceinline__ real moved(double alpha, double rate, double low, double high, bool exponential = false) {
	return real(within(alpha * (exponential || rate <= -1 ? exp(within(rate, -1, 1)) : 1 + rate), low, high));
}

/* An eigenvalue that moves to next, where that is positive, and otherwise by the bounded increment x. */
__device__ __forceinline__ real adopted(real own, real next, real x, double low, double high) {
	return real(within(next > 0 ? next : real(double(own) * exp(within(x, -1, 1))), low, high));
}

/* min(1, limit/norm), where the norm is the estimate once the bound exceeds the limit. */
__device__ __forceinline__ double shortened(double bound, double estimate, double limit) {
	const double norm = bound > limit ? least(bound, estimate) : bound;
	return norm > limit ? limit / norm : 1;
}

/* ---- the preconditioner on a device: groups of equal m x n matrices, in single precision ---- */
#ifndef SPD_DOUBLE

/* Bounds of eigenvalues, and of the scale alpha. */
#define LOW 1e-14
#define HIGH 1e14
#define LEAST 1e-28
#define LARGEST 1e28

typedef unsigned long long address;

/* What changes from step to step: one launch writes it, so that recorded graphs stay valid and no host memory is read later. */
enum { StepLR, StepGradScale, StepKeep, StepMomentum, StepMomentumRest, StepCorrection, AdamBeta1, AdamRest1, AdamBeta2, AdamRest2, AdamEps, AdamA, AdamC, StepNumbers };

KERNEL(plan_numbers, float *u, float a, float b, float c, float d, float e, float f, float g, float h, float i, float j, float k, float l, float m) {
	const float all[StepNumbers] = {a, b, c, d, e, f, g, h, i, j, k, l, m};
	for (int n = threadIdx.x; n < StepNumbers; n += blockDim.x) {
		u[n] = all[n];
	}
}

KERNEL(plan_pointers, address *table, int n, address a, address b, address c, address d, address e, address f, address g, address h) {
	const address all[8] = {a, b, c, d, e, f, g, h};
	if (int(threadIdx.x) < n) {
		table[threadIdx.x] = all[threadIdx.x];
	}
}

/* m <- mu m + (1 - mu) g, with a copy in bfloat16 where one is wanted. */
KERNEL(plan_momentum, const float *u, const address *grads, float *m, bfloat *narrow16, wide size, int count) {
	LINES(k, count) {
		const float *g = (const float *)grads[k], mu = u[StepMomentum], rest = u[StepMomentumRest], scale = u[StepGradScale];
		const wide at = k * size;
		float v[BATCH];
		batches(size, [&](int b, wide i) { v[b] = mu * m[at + i] + rest * (scale * g[i]); }, [&](int b, wide i) {
			m[at + i] = v[b];
			if (narrow16 != 0) {
				narrow16[at + i] = narrowed(v[b]);
			}
		});
	}
}

KERNEL(plan_collect, const float *u, const address *grads, float *g32, bfloat *g16, wide size, int count) {
	LINES(k, count) {
		const float *g = (const float *)grads[k], scale = u[StepGradScale];
		float v[BATCH];
		batches(size, [&](int b, wide i) { v[b] = scale * g[i]; }, [&](int b, wide i) { put(g32, g16, k * size + i, v[b]); });
	}
}

/* s = sqrt d, r = 1/s, and the sum of 1/d; one block per matrix. */
KERNEL(plan_roots, const float *d, int n, float *s, float *r, double *trace) {
	const wide at = wide(blockIdx.x) * n;
	double sum = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		const float v = sqrt(d[at + i]);
		s[at + i] = v;
		r[at + i] = 1 / v;
		sum += 1 / double(d[at + i]);
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		trace[blockIdx.x] = sum;
	}
}

/* z = diag(left) x diag(right) and the sums of squares of its rows; one block per row. */
KERNEL(plan_whiten, const float *x, const float *left, const float *right, int m, int n, float *z32, bfloat *z16, double *sums) {
	const wide k = blockIdx.x / m, at = wide(blockIdx.x) * n;
	const float l = left[blockIdx.x];
	double sum = 0;
	for (int j = threadIdx.x; j < n; j += THREADS) {
		const float v = l * x[at + j] * right[k * n + j];
		put(z32, z16, at + j, v);
		sum += double(v) * v;
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		sums[blockIdx.x] = sum;
	}
}

/* The state of a matrix beside its arrays, and the numbers of one of its updates. */
enum { Alpha, Updates, Totals };
enum { Valid, CoefLeft, RidgeLeft, CoefRight, RidgeRight, Rate, Coefs };

/* The weight of an update and what follows from it; one block per matrix. See nnopt.Spectral. */
KERNEL(plan_rates, const double *sums, const double *traceLeft, const double *traceRight, int m, int n, double keep, double gamma, double damping, float *totals,
	double *coefs) {
	const int k = blockIdx.x;
	double form = 0;
	for (int i = threadIdx.x; i < m; i += THREADS) {
		form += sums[wide(k) * m + i];
	}
	form = blockSum(form);
	if (threadIdx.x != 0) {
		return;
	}
	float *t = totals + Totals * k;
	double *c = coefs + Coefs * k;
	const double elements = double(m) * n;
	if (t[Alpha] == 0 && form > 0 && form < 1e37) {
		t[Alpha] = real(within(form / elements + damping, LEAST, LARGEST));
	}
	c[Valid] = t[Alpha] > 0 && form < 1e37;
	if (c[Valid] == 0) {
		return;
	}
	const double trace = damping * traceLeft[k] * traceRight[k];
	const Weight by = weigh(form, trace, t[Alpha], elements, 1 - keep, gamma, t[Updates]);
	t[Updates] += 1;
	c[Rate] = by.rate;
	c[CoefLeft] = by.share * m;
	c[RidgeLeft] = c[CoefLeft] * trace / traceLeft[k];
	c[CoefRight] = by.share * n;
	c[RidgeRight] = c[CoefRight] * trace / traceRight[k];
}

/* h <- diag(d) + rest + c D^(1/2) h D^(1/2) + ridge I, where rest is what earlier turns left off the diagonal, if that is kept, with a copy in bfloat16 where one is wanted, and x the relative increments of its diagonal; diag(d) and 0
   where the statistics are of no use. One block per row. */
KERNEL(plan_target, const double *coefs, int side, const float *d, const float *s, const float *rest, float *h, bfloat *narrow16, float *x, int n) {
	const wide k = blockIdx.x / n, row = blockIdx.x;
	const int i = blockIdx.x % n;
	const double *c = coefs + Coefs * k;
	const bool valid = c[Valid] != 0;
	const float scale = valid ? float(c[CoefLeft + 2 * side]) * s[row] : 0, ridge = valid ? float(c[RidgeLeft + 2 * side]) : 0;
	for (int j = threadIdx.x; j < n; j += THREADS) {
		float v = valid ? scale * s[k * n + j] * h[row * n + j] : 0;
		if (i == j) {
			v += ridge;
			x[row] = v / d[row];
			v += d[row];
		} else if (rest != 0 && valid) {
			v += rest[row * n + j];
		}
		h[row * n + j] = v;
		if (narrow16 != 0) {
			narrow16[row * n + j] = narrowed(v);
		}
	}
}

/* y = I - f x, for the inverse of a generator that is not too long; one block per row. */
KERNEL(plan_shift, const float *x, const double *bound, const double *est, double limit, float *y, int n) {
	const int k = blockIdx.x / n, i = blockIdx.x % n;
	const wide at = wide(blockIdx.x) * n;
	const float f = float(shortened(bound[k], est[k], limit));
	for (int j = threadIdx.x; j < n; j += THREADS) {
		y[at + j] = (i == j ? 1.0f : 0.0f) - f * x[at + j];
	}
}

/* x <- f x for a generator that is too long; one block per row. */
KERNEL(plan_shorten, float *x, bfloat *x16, const double *bound, const double *est, double limit, int n) {
	const int k = blockIdx.x / n;
	const wide at = wide(blockIdx.x) * n;
	const float f = float(shortened(bound[k], est[k], limit));
	if (f == 1) {
		return;
	}
	for (int j = threadIdx.x; j < n; j += THREADS) {
		put(x, x16, at + j, f * got(x, x16, at + j));
	}
}

__device__ __forceinline__ float value(float v) { return v; }
__device__ __forceinline__ float value(bfloat v) { return widened(v); }
__device__ __forceinline__ void assign(float &y, float v) { y = v; }
__device__ __forceinline__ void assign(bfloat &y, float v) { y = narrowed(v); }

template <class E> __device__ __forceinline__ void addUp(float factor, const E *a, const E *b, const E *c, E *y, wide n) {
	float v[BATCH];
	const auto store = [&](int k, wide i) { assign(y[i], v[k]); };
	if (c != 0) {
		batches(n, [&](int k, wide i) { v[k] = factor * value(a[i]) + value(b[i]) + value(c[i]); }, store);
	} else {
		batches(n, [&](int k, wide i) { v[k] = factor * value(a[i]) + value(b[i]); }, store);
	}
}

/* y = factor a + b + c, of either kind of numbers; c may be missing. */
KERNEL(plan_sum, float factor, const float *a, const bfloat *a16, const float *b, const bfloat *b16, const float *c, const bfloat *c16, float *y, bfloat *y16, wide n) {
	if (y16 != 0) {
		addUp(factor, a16, b16, c16, y16, n);
	} else {
		addUp(factor, a, b, c, y, n);
	}
}

/* next_i = (Q^T W)_ii with Q = I + x; a block of TILE x ROWS threads for TILE columns. */
KERNEL(plan_quotients, const float *x, const bfloat *x16, const float *w, int n, int count, float *next) {
	SHARED(float, part, ROWS * TILE);
	const int i = blockIdx.x * TILE + threadIdx.x;
	LINES(k, count) {
		const wide at = k * n * n;
		float sum = 0;
		if (i < n) {
			for (int j = threadIdx.y; j < n; j += ROWS) {
				sum += got(x, x16, at + wide(j) * n + i) * w[at + wide(j) * n + i];
			}
		}
		part[threadIdx.y * TILE + threadIdx.x] = sum;
		__syncthreads();
		if (threadIdx.y == 0 && i < n) {
			float total = w[at + wide(i) * n + i];
			for (int l = 0; l < ROWS; l++) {
				total += part[l * TILE + threadIdx.x];
			}
			next[k * n + i] = total;
		}
		__syncthreads();
	}
}

/* d moves to next and is divided by its geometric mean; powers = d^exponent. One block per matrix. */
KERNEL(plan_settle, const double *coefs, const float *next, const float *x, int n, double exponent, float *d, float *powers, double *scale) {
	const wide at = wide(blockIdx.x) * n;
	if (coefs[Coefs * blockIdx.x + Valid] == 0) {
		return;
	}
	double mean = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		d[at + i] = adopted(d[at + i], next[at + i], x[at + i], LOW, HIGH);
		mean += log(double(d[at + i]));
	}
	const double c = exp(-blockSum(mean) / n);
	if (threadIdx.x == 0) {
		scale[blockIdx.x] = c;
	}
	for (int i = threadIdx.x; i < n; i += THREADS) {
		d[at + i] = real(within(c * d[at + i], LOW, HIGH));
		powers[at + i] = real(pow(double(d[at + i]), exponent));
	}
}

/* rest <- what the turned target h has off its diagonal, in the scale of d. */
KERNEL(plan_rest, const double *coefs, const double *scale, const float *h, float *rest, int count, int n) {
	EACH(count, n, n) {
		if (coefs[Coefs * k + Valid] != 0) {
			rest[e] = i == j ? 0.0f : float(scale[k]) * 0.5f * (h[e] + h[k * n * n + j * n + i]);
		}
	}
}

KERNEL(plan_alpha, const double *coefs, float *totals, int count) {
	for (wide k = first(); k < count; k += stride()) {
		if (coefs[Coefs * k + Valid] != 0) {
			totals[Totals * k + Alpha] = moved(totals[Totals * k + Alpha], coefs[Coefs * k + Rate], LEAST, LARGEST);
		}
	}
}

/* y = alpha^exponent diag(left) x diag(right); x itself while there was no gradient. One block per row. */
KERNEL(plan_precondition, const float *x, const float *left, const float *right, const float *totals, double exponent, float *y32, bfloat *y16, int m, int n) {
	SHARED(float, scale, 1);
	const wide k = blockIdx.x / m, at = wide(blockIdx.x) * n;
	const float alpha = totals[Totals * k + Alpha];
	if (threadIdx.x == 0) {
		scale[0] = alpha > 0 ? float(pow(double(alpha), exponent)) * left[blockIdx.x] : 0;
	}
	__syncthreads();
	for (int j = threadIdx.x; j < n; j += THREADS) {
		put(y32, y16, at + j, alpha > 0 ? x[at + j] * (scale[0] * right[k * n + j]) : x[at + j]);
	}
}

KERNEL(plan_leave, const float *u, const address *params, const float *x, wide size, int count) {
	const float keep = u[StepKeep], step = u[StepLR] * u[StepCorrection];
	LINES(k, count) {
		float *w = (float *)params[k], v[BATCH];
		batches(size, [&](int b, wide i) { v[b] = keep * w[i] - step * x[k * size + i]; }, [&](int b, wide i) { w[i] = v[b]; });
	}
}

/* AdamW for what is no matrix: the moments of parameter k start at offsets[k]. */
KERNEL(plan_adam, const float *u, const address *params, const address *grads, const wide *offsets, int count, float *m, float *v) {
	LINES(k, count) {
		const wide from = offsets[k], n = offsets[k + 1] - from;
		float *w = (float *)params[k];
		const float *g = (const float *)grads[k];
		for (wide i = first(); i < n; i += stride()) {
			const float gi = u[StepGradScale] * g[i];
			const float mi = u[AdamBeta1] * m[from + i] + u[AdamRest1] * gi, vi = u[AdamBeta2] * v[from + i] + u[AdamRest2] * gi * gi;
			m[from + i] = mi;
			v[from + i] = vi;
			w[i] = u[StepKeep] * w[i] - u[StepLR] * (u[AdamA] * mi / (sqrt(u[AdamC] * vi) + u[AdamEps]));
		}
	}
}

#endif

/* ---- decompositions ---- */

#define MOST 48 /* rows of a block of jacobi */
#define LINE (MOST + 1)

/* The players of pair p of a round of a tournament of n, an even number: i < j. */
__device__ __forceinline__ void meet(int round, int p, int n, int &i, int &j) {
	const int a = p == 0 ? round : (round + p) % (n - 1), b = p == 0 ? n - 1 : (round - p + n - 1) % (n - 1);
	i = least(a, b);
	j = most(a, b);
}

/* The rotation that makes b zero and sorts the diagonal elements around it; they become what they are after it. See engine.Jacobi. */
__device__ __forceinline__ void rotation(real b, real noise, int ascending, real &first, real &second, real &c, real &s) {
	real t = 0;
	if (size(b) > noise) {
		const real tau = (second - first) / (2 * b);
		t = 1 / (size(tau) + sqrt(1 + tau * tau));
		t = tau < 0 ? -t : t;
	}
	c = 1 / sqrt(1 + t * t);
	s = t * c;
	first -= t * b;
	second += t * b;
	const real gap = second - first;
	if (ascending ? -gap > noise : gap > noise) {
		const real value = first, sine = s;
		first = second;
		second = value;
		s = c;
		c = -sine;
	}
}

/* One block of threads per diagonal block of m x m: sweeps of rotations in rounds of disjoint pairs, all of a round at once. */
KERNEL(jacobi, const real *a, wide aStride, wide aStep, int rows, int m, int sweeps, real noise, real *v, wide vStride, wide vStep) {
	SHARED(real, x, MOST * LINE);
	SHARED(real, y, MOST * LINE);
	SHARED(real, c, MOST / 2);
	SHARED(real, s, MOST / 2);
	SHARED(real, diagonal, MOST);
	const int blocks = rows / m, even = m + m % 2, pairs = even / 2;
	a += blockIdx.x / blocks * aStep + blockIdx.x % blocks * m * (aStride + 1);
	v += blockIdx.x * vStep;
	for (int e = threadIdx.x; e < even * even; e += THREADS) {
		const int i = e / even, j = e % even;
		x[i * LINE + j] = i < m && j < m ? a[least(i, j) * aStride + most(i, j)] : real(0);
		y[i * LINE + j] = i == j ? 1 : 0;
	}
	__syncthreads();
	real balance = 0; /* of two blocks the one with the larger eigenvalues keeps those */
	for (int i = 0; i < m; i++) {
		balance += i < m - m / 2 ? x[i * LINE + i] : -x[i * LINE + i];
	}
	const int ascending = balance < 0;
	__syncthreads();
	for (int sweep = 0; sweep < sweeps; sweep++) {
		int turned = 0;
		ROLLED for (int round = 0; round < even - 1; round++) {
			const int p = threadIdx.x;
			if (p < pairs) {
				int i, j;
				meet(round, p, even, i, j);
				c[p] = 1;
				s[p] = 0;
				if (j < m) {
					real first = x[i * LINE + i], second = x[j * LINE + j];
					rotation(x[i * LINE + j], noise, ascending, first, second, c[p], s[p]);
					diagonal[2 * p] = first;
					diagonal[2 * p + 1] = second;
				}
				turned += s[p] != 0;
			}
			__syncthreads();
			ROLLED for (int e = threadIdx.x; e < pairs * pairs; e += THREADS) {
				const int f = e / pairs, g = e % pairs;
				const real cp = c[f], sp = s[f], cq = c[g], sq = s[g];
				if (f > g || (sp == 0 && sq == 0)) {
					continue;
				}
				int i, j, k, l;
				meet(round, f, even, i, j);
				meet(round, g, even, k, l);
				if (f == g) {
					x[i * LINE + i] = diagonal[2 * f];
					x[j * LINE + j] = diagonal[2 * f + 1];
					x[i * LINE + j] = x[j * LINE + i] = 0;
					continue;
				}
				const real ik = x[i * LINE + k], jk = x[j * LINE + k], il = x[i * LINE + l], jl = x[j * LINE + l];
				const real fk = sp == 0 ? ik : cp * ik - sp * jk, gk = sp == 0 ? jk : sp * ik + cp * jk;
				const real fl = sp == 0 ? il : cp * il - sp * jl, gl = sp == 0 ? jl : sp * il + cp * jl;
				x[i * LINE + k] = x[k * LINE + i] = sq == 0 ? fk : cq * fk - sq * fl;
				x[i * LINE + l] = x[l * LINE + i] = sq == 0 ? fl : sq * fk + cq * fl;
				x[j * LINE + k] = x[k * LINE + j] = sq == 0 ? gk : cq * gk - sq * gl;
				x[j * LINE + l] = x[l * LINE + j] = sq == 0 ? gl : sq * gk + cq * gl;
			}
			ROLLED for (int e = threadIdx.x; e < pairs * m; e += THREADS) {
				const int f = e / m, k = e % m;
				if (s[f] == 0) {
					continue;
				}
				int i, j;
				meet(round, f, even, i, j);
				const real above = y[i * LINE + k], below = y[j * LINE + k];
				y[i * LINE + k] = c[f] * above - s[f] * below;
				y[j * LINE + k] = s[f] * above + c[f] * below;
			}
			__syncthreads();
		}
		if (blockSum(turned) == 0) {
			break;
		}
	}
	for (int e = threadIdx.x; e < m * m; e += THREADS) {
		v[e / m * vStride + e % m] = y[e / m * LINE + e % m];
	}
}

/* Frees row of the rows [from, to) of w, twice, and gives it the norm 1 unless next to nothing of the norm before is left. */
__device__ int unitise(const real *w, wide stride, int from, int to, real *row, int cols, real before, real *dots) {
	ROLLED for (int turn = 0; turn < 2; turn++) {
		ROLLED for (int base = from; base < to; base += MOST) {
			const int n = least(MOST, to - base);
			ROLLED for (int j = threadIdx.x / 32; j < n; j += THREADS / 32) {
				real sum = 0;
				for (int l = threadIdx.x % 32; l < cols; l += 32) {
					sum += w[(base + j) * stride + l] * row[l];
				}
				for (int d = 16; d > 0; d >>= 1) {
					sum += __shfl_xor_sync(FULL, sum, d);
				}
				if (threadIdx.x % 32 == 0) {
					dots[j] = sum;
				}
			}
			__syncthreads();
			for (int l = threadIdx.x; l < cols; l += THREADS) {
				real value = row[l];
				for (int j = 0; j < n; j++) {
					value -= dots[j] * w[(base + j) * stride + l];
				}
				row[l] = value;
			}
			__syncthreads();
		}
	}
	real square = 0;
	for (int l = threadIdx.x; l < cols; l += THREADS) {
		square += row[l] * row[l];
	}
	const real norm = sqrt(blockSum(square)), enough = sizeof(real) == 4 ? real(1e-4) : real(1e-10);
	if (!(norm > enough * before)) {
		return 0;
	}
	for (int l = threadIdx.x; l < cols; l += THREADS) {
		row[l] = row[l] / norm;
	}
	__syncthreads();
	return 1;
}

/* One block of threads per matrix of all x cols: see engine.Orthonormalise. */
KERNEL(orthonormalise, int first, int rows, real *w, wide wStride, wide wStep, const real *spare, wide spareStride, wide spareStep, const real *squares, int all,
	int cols) {
	SHARED(real, dots, MOST);
	w += blockIdx.x * wStep;
	spare += blockIdx.x * spareStep;
	ROLLED for (int i = first; i < first + rows; i++) {
		real *row = w + i * wStride;
		int done = unitise(w, wStride, first, i, row, cols, sqrt(squares[wide(blockIdx.x) * all + i]), dots);
		ROLLED for (int unit = -1; !done && unit < cols; unit++) {
			__syncthreads();
			real square = 0;
			for (int l = threadIdx.x; l < cols; l += THREADS) {
				const real value = unit < 0 ? spare[i * spareStride + l] : l == unit ? real(1) : real(0);
				row[l] = value;
				square += value * value;
			}
			square = blockSum(square);
			done = unitise(w, wStride, 0, i, row, cols, sqrt(square), dots);
		}
	}
}

/* ---- the other precision ---- */

KERNEL(from_single, const float *x, real *y, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		y[i] = real(x[i]);
	}
}

KERNEL(to_single, const real *x, float *y, wide n) {
	for (wide i = first(); i < n; i += stride()) {
		y[i] = float(x[i]);
	}
}

/* ---- factors of groups of tensors: see engine.Factors. Block k of a stretch is block k / tensors of tensor k % tensors, whose n eigenvalues begin at
   d[(k % tensors) * dStep + (k / tensors) * n]. ---- */

/* Adds up n numbers for each of the blocks. */
KERNEL(add_up, const double *x, int n, double *sums) {
	double sum = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		sum += x[wide(blockIdx.x) * n + i];
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		sums[blockIdx.x] = sum;
	}
}

KERNEL(inverse_sums, const real *d, int n, double *sums) {
	double sum = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		sum += 1 / double(d[wide(blockIdx.x) * n + i]);
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		sums[blockIdx.x] = sum;
	}
}

/* The numbers of a step: see engine.Rates. u holds its numbers, the sizes of the factors, and for each tensor whether it is due. */
enum { RateElements, RateOthers, RateBatch, RateBeta, RateGamma, RateDamping, RateExponent, RateLow, RateHigh, RateSurprise, RatePlain, RateExponential, RateSizes };
enum { RateTake, RateLearns, RateTurns, RateLead, RateFails, RateStart, RateKeep, RateKinds };

KERNEL(rates, const double *u, const double *squares, const double *shape, int factors, int count, real *totals, double *found) {
	const double *sizes = u + RateSizes, *due = sizes + factors;
	const double elements = u[RateElements], none = 1.7976931348623157e308;
	const bool plain = u[RatePlain] != 0;
	for (wide k = first(); k < count; k += stride()) {
		double form = u[RateBatch] * squares[k], take = 1, gram = 0, ridge = 0, start = 1, keep = 1;
		if (totals[2 * k] == 0 && form / elements > 0) {
			totals[2 * k] = real(within(form / elements + u[RateDamping], u[RateLow], u[RateHigh]));
			if (plain) {
				start = totals[2 * k];
				totals[2 * k] = 1;
			}
		}
		const double alpha = totals[2 * k];
		const double limit = u[RateSurprise] * (plain ? start * shape[k] : alpha) * elements;
		if (alpha != 0 && form > limit && form <= none) {
			take = sqrt(limit / form);
			form = limit;
		}
		const bool fails = alpha != 0 && !(form < none), learns = alpha != 0 && !fails;
		if (learns) {
			double trace = u[RateDamping] * u[RateOthers];
			for (int f = 0; f < factors && !plain; f++) {
				trace *= shape[wide(f) * count + k];
			}
			const Weight by = weigh(form, trace, alpha, elements, u[RateBeta], u[RateGamma], totals[2 * k + 1]);
			gram = by.share * u[RateBatch] * take * take;
			totals[2 * k + 1] += 1;
			if (plain) {
				ridge = by.beta * u[RateDamping];
				keep = 1 - by.beta * u[RateGamma];
			} else {
				ridge = by.share * trace;
				totals[2 * k] = moved(alpha, by.rate, u[RateLow], u[RateHigh], u[RateExponential] != 0);
			}
		}
		for (int f = 0; f < factors; f++) {
			found[(RateKinds + f) * wide(count) + k] = gram * sizes[f];
			found[(RateKinds + factors + f) * wide(count) + k] = plain ? ridge : ridge * sizes[f] / shape[wide(f) * count + k];
		}
		found[RateTake * wide(count) + k] = fails ? 0 : take;
		found[RateLearns * wide(count) + k] = learns;
		found[RateTurns * wide(count) + k] = learns && due[k] != 0;
		found[RateLead * wide(count) + k] = totals[2 * k] != 0 ? pow(double(totals[2 * k]), u[RateExponent]) : 1;
		found[RateFails * wide(count) + k] = fails;
		found[RateStart * wide(count) + k] = start;
		found[RateKeep * wide(count) + k] = keep;
	}
}

/* alpha divided by its scale, for tensors that learn, and alpha^exponent. */
KERNEL(lead, double low, double high, double exponent, int count, const double *scales, const double *learns, real *totals, double *lead) {
	for (wide k = first(); k < count; k += stride()) {
		if (learns[k] != 0) {
			totals[2 * k] = real(within(double(totals[2 * k]) / scales[k], low, high));
		}
		lead[k] = totals[2 * k] != 0 ? pow(double(totals[2 * k]), exponent) : 1;
	}
}

/* The largest mean of n eigenvalues of one of the blocks of a tensor, or what was there if that is larger; one block each. */
KERNEL(means, const real *d, wide dStep, int n, int cuts, int fresh, double *out) {
	double top = fresh ? 0 : out[blockIdx.x];
	for (int c = 0; c < cuts; c++) {
		double sum = 0;
		for (int i = threadIdx.x; i < n; i += THREADS) {
			sum += double(d[blockIdx.x * dStep + c * n + i]);
		}
		sum = blockSum(sum) / n;
		top = sum > top ? sum : top;
	}
	if (threadIdx.x == 0) {
		out[blockIdx.x] = top;
	}
}

/* The sum of the increments of a tensor, added to what was there; one block each. */
KERNEL(increments, const real *x, int n, int cuts, int fresh, double *sums) {
	double sum = 0;
	for (int c = 0; c < cuts; c++) {
		for (int i = threadIdx.x; i < n; i += THREADS) {
			sum += double(x[(wide(c) * gridDim.x + blockIdx.x) * n + i]);
		}
	}
	sum = blockSum(sum);
	if (threadIdx.x == 0) {
		sums[blockIdx.x] = fresh ? sum : sums[blockIdx.x] + sum;
	}
}

/* Takes the mean of the increments of a factor of so many eigenvalues out of them. */
KERNEL(lessen, const real *d, wide dStep, real *m, wide mStride, wide mStep, int tensors, int count, int n, const double *sums, int all, real *x, real *next) {
	for (wide e = first(); e < wide(count) * n; e += stride()) {
		const wide k = e / n, i = e % n, tensor = k % tensors;
		const real mean = real(sums[tensor] / all);
		x[e] -= mean;
		next[e] -= d[tensor * dStep + k / tensors * n + i] * mean;
		m[k * mStep + i * mStride + i] = next[e];
	}
}

/* y = keep y + take by_k x, where x plays no part if by_k is 0; a line of blocks for each array of n elements. */
KERNEL(blend_each, const real *u, const double *by, const real *x, real *y, wide n, int count) {
	LINES(k, count) {
		const real keep = u[0], take = u[1] * real(by[k]);
		const wide at = k * n;
		for (wide i = first(); i < n; i += stride()) {
			const real v = keep * y[at + i];
			y[at + i] = take == 0 ? v : v + take * x[at + i];
		}
	}
}

KERNEL(power_each, const real *x, double e, const double *by, real *y, wide n, int count) {
	LINES(k, count) {
		const real c = real(by[k]);
		const wide at = k * n;
		for (wide i = first(); i < n; i += stride()) {
			y[at + i] = c * real(pow(double(x[at + i]), e));
		}
	}
}

/* m = keep (diag(d) + m) + gram h + ridge I above the diagonal, for tensors that learn, with s = sqrt d, r = 1/s, the new diagonal and its relative increments x. */
KERNEL(target, const real *d, wide dStep, real *m, wide mStride, wide mStep, int tensors, int count, int n, const real *h, wide hStride, wide hStep, const double *keep,
	const double *gram, const double *ridge, const double *learns, real *s, real *r, real *x, real *next) {
	EACH(count, n, n) {
		if (i <= j) {
			const wide tensor = k % tensors;
			const bool live = learns[tensor] != 0;
			real *out = m + k * mStep + i * mStride + j;
			const real share = live ? real(keep[tensor]) : real(1), more = live ? real(gram[tensor]) * h[k * hStep + i * hStride + j] : real(0);
			if (i < j) {
				*out = share * *out + more;
			} else {
				const real own = d[tensor * dStep + k / tensors * n + i], v = live ? share * own + more + real(ridge[tensor]) : own;
				const wide at = k * n + i;
				*out = v;
				next[at] = v;
				x[at] = (v - own) / own;
				s[at] = sqrt(own);
				r[at] = 1 / s[at];
			}
		}
	}
}

KERNEL(shorten, real *x, wide xStride, wide xStep, int count, int rows, int cols, const double *bounds, const double *estimates, double limit, const double *live, int period) {
	EACH(count, rows, cols) {
		const real c = live[k % period] == 0 ? real(0) : real(shortened(bounds[k], estimates[k], limit));
		x[k * xStep + i * xStride + j] *= c;
	}
}

/* Whether elements of a row, right of the diagonal, exceed tol sqrt(|m_ii m_jj|) and rounding; one block per row. */
KERNEL(coupled_rows, const real *m, wide stride, wide step, int n, double tol, double *rows) {
	const int i = blockIdx.x % n;
	m += blockIdx.x / n * step;
	double top = 0;
	for (int j = threadIdx.x; j < n; j += THREADS) {
		const double v = size(double(m[j * stride + j]));
		top = v > top ? v : top;
	}
	const double noise = 4 * (sizeof(real) == 4 ? 0x1p-23 : 0x1p-52) * blockMost(top), own = m[i * stride + i];
	double found = 0;
	for (int j = i + 1 + threadIdx.x; j < n; j += THREADS) {
		const double v = size(double(m[i * stride + j]));
		if (!(v <= noise) && !(v <= tol * sqrt(size(own * double(m[j * stride + j]))))) {
			found = 1;
		}
	}
	found = blockMost(found);
	if (threadIdx.x == 0) {
		rows[blockIdx.x] = found;
	}
}

/* Whether one of n rows does, of matrices that may turn; one block each. */
KERNEL(coupled, const double *rows, int n, const double *turns, int period, double *live) {
	double found = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		found = most(found, rows[wide(blockIdx.x) * n + i]);
	}
	found = blockMost(found);
	if (threadIdx.x == 0) {
		live[blockIdx.x] = found != 0 && turns[blockIdx.x % period] != 0;
	}
}

KERNEL(adopt, real *d, wide dStep, const real *, wide, wide, int tensors, int count, int n, double low, double high, const real *next, const real *x) {
	for (wide e = first(); e < wide(count) * n; e += stride()) {
		const wide k = e / n;
		real *own = d + k % tensors * dStep + k / tensors * n + e % n;
		*own = adopted(*own, next[e], x[e], low, high);
	}
}

/* Divides n eigenvalues by their geometric mean, for tensors that learn; one block each. */
KERNEL(centre, real *d, int n, double low, double high, const double *learns, double *scales) {
	const wide at = wide(blockIdx.x) * n;
	double sum = 0;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		sum += log(double(d[at + i]));
	}
	sum = blockSum(sum);
	const bool live = learns[blockIdx.x] != 0;
	const double scale = live ? exp(-sum / n) : 1;
	for (int i = threadIdx.x; i < n; i += THREADS) {
		if (live) {
			d[at + i] = real(within(scale * d[at + i], low, high));
		}
	}
	if (threadIdx.x == 0) {
		scales[blockIdx.x] = scale;
	}
}

/* m above the diagonal times its scale, or 0 where it is dropped, and d on the diagonal. */
KERNEL(rescale, const real *d, wide dStep, real *m, wide mStride, wide mStep, int tensors, int count, int n, const double *scales, const double *drops, int period) {
	EACH(count, n, n) {
		const wide tensor = k % tensors;
		real *out = m + k * mStep + i * mStride + j;
		if (i == j) {
			*out = d[tensor * dStep + k / tensors * n + i];
		} else if (i < j) {
			*out = drops != 0 && drops[k % period] != 0 ? real(0) : *out * real(scales[tensor]);
		}
	}
}
