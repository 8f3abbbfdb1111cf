/* Kernels for accesses.cc, each with two blocks of 64 threads: those that end with _right are, the others do one thing that no kernel may. */
typedef long long wide;
#define FIRST (wide(blockIdx.x) * blockDim.x + threadIdx.x)

KERNEL(block_right, const real *x, real *y) {
	SHARED(real, tile, 64);
	tile[threadIdx.x] = x[FIRST];
	__syncthreads();
	y[FIRST] = tile[63 - threadIdx.x];
}

KERNEL(warp_right, const real *x, real *y) {
	SHARED(real, tile, 64);
	tile[threadIdx.x] = x[FIRST];
	__syncwarp();
	y[FIRST] = tile[threadIdx.x ^ 31];
}

KERNEL(outside, const real *, real *y) { y[FIRST + 4096] = 1; }

KERNEL(host, const real *x, real *) {
	static real own;
	*const_cast<volatile real *>(&own) = x[FIRST];
}

KERNEL(askew, const real *, real *y) { *reinterpret_cast<real *>(reinterpret_cast<char *>(y + FIRST) + 2) = 1; }

KERNEL(two_threads, const real *, real *y) {
	if (blockIdx.x == 0 && threadIdx.x < 2) {
		y[0] = real(threadIdx.x);
	}
}

KERNEL(two_blocks, const real *, real *y) { y[threadIdx.x] = real(blockIdx.x); }

KERNEL(other_block, const real *, real *y) {
	y[FIRST] = 1;
	__syncthreads();
	if (blockIdx.x == 1) {
		y[FIRST] = y[threadIdx.x];
	}
}

KERNEL(no_barrier, const real *x, real *y) {
	SHARED(real, tile, 64);
	tile[threadIdx.x] = x[FIRST];
	y[FIRST] = tile[threadIdx.x ^ 31];
}

KERNEL(other_warp, const real *x, real *y) {
	SHARED(real, tile, 64);
	tile[threadIdx.x] = x[FIRST];
	__syncwarp();
	y[FIRST] = tile[63 - threadIdx.x];
}

KERNEL(some_threads, const real *, real *) {
	if (threadIdx.x < 3) {
		__syncthreads();
	}
}
