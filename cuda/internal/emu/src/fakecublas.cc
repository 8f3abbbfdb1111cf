/* A stand-in for cuBLAS: products in the element types and with the rounding of inputs that this module asks for, column-major as cuBLAS is. */
#include "host.h"

#include <cstring>

namespace {

enum { R32F = 0, R64F = 1, R16BF = 14 };
enum { Compute32F = 68, Compute64F = 70, Fast16BF = 75, FastTF32 = 77 };
enum { NotInitialized = 1, InvalidValue = 7, NotSupported = 15, ExecutionFailed = 13 };

struct Handle {
	CUstream stream = nullptr;
	bool workspace = false;
	int pointers = 0; /* 1: alpha and beta are on the device */
};

/* Rounds to the nearest number with the given significant bits beside the leading one, ties to even. */
float shortened(float v, int bits) {
	uint32_t u = __float_as_uint(v);
	if ((u & 0x7f800000) == 0x7f800000) {
		return v;
	}
	int drop = 23 - bits;
	u += (1u << (drop - 1)) - 1 + (u >> drop & 1);
	return __uint_as_float(u >> drop << drop);
}

double element(const void *p, int type, int compute, size_t i) {
	if (type == R64F) {
		return static_cast<const double *>(p)[i];
	}
	if (type == R16BF) {
		return __uint_as_float(uint32_t(static_cast<const uint16_t *>(p)[i]) << 16);
	}
	float v = static_cast<const float *>(p)[i];
	return compute == FastTF32 ? shortened(v, 10) : compute == Fast16BF ? shortened(v, 7) : v;
}

struct Product {
	int ta, tb, m, n, k;
	double alpha, beta;
	const void *alphaAt, *betaAt; /* on the device, or null */
	const void *a, *b;
	void *c;
	int typeA, typeB, typeC, lda, ldb, ldc, compute;
	long long sa, sb, sc;
	int batch;
};

size_t size(int type) { return type == R64F ? 8 : type == R32F ? 4 : 2; }

/* The last element of an operand plus one. */
size_t extent(int rows, int cols, int ld, long long step, int batch) { return size_t(step) * (batch - 1) + size_t(ld) * (cols - 1) + rows; }

void store(double *c, double v) { *c = v; }
void store(float *c, float v) { *c = v; }
void store(uint16_t *c, float v) { *c = uint16_t(__float_as_uint(shortened(v, 7)) >> 16); }
double load(const double *c) { return *c; }
float load(const float *c) { return *c; }
float load(const uint16_t *c) { return __uint_as_float(uint32_t(*c) << 16); }

template <class T, class C> void multiply(const Product &p) {
	for (int g = 0; g < p.batch; g++) {
		C *c = static_cast<C *>(p.c) + g * p.sc;
		for (int j = 0; j < p.n; j++) {
			for (int i = 0; i < p.m; i++) {
				T sum = 0;
				for (int l = 0; l < p.k; l++) {
					size_t ia = p.ta ? size_t(i) * p.lda + l : size_t(l) * p.lda + i, ib = p.tb ? size_t(l) * p.ldb + j : size_t(j) * p.ldb + l;
					sum += T(element(p.a, p.typeA, p.compute, g * p.sa + ia)) * T(element(p.b, p.typeB, p.compute, g * p.sb + ib));
				}
				C *out = c + size_t(j) * p.ldc + i;
				store(out, T(p.alpha) * sum + (p.beta == 0 ? T(0) : T(p.beta) * load(out)));
			}
		}
	}
}

double number(const void *at, bool wide) { return wide ? *static_cast<const double *>(at) : *static_cast<const float *>(at); }

CUresult run(Product p) {
	if (p.alphaAt != nullptr) {
		bool wide = p.compute == Compute64F;
		if (!emu::owns(p.alphaAt, wide ? 8 : 4) || !emu::owns(p.betaAt, wide ? 8 : 4)) {
			return CUDA_ERROR_ILLEGAL_ADDRESS;
		}
		p.alpha = number(p.alphaAt, wide);
		p.beta = number(p.betaAt, wide);
	}
	bool fits = emu::owns(p.a, size(p.typeA) * extent(p.ta ? p.k : p.m, p.ta ? p.m : p.k, p.lda, p.sa, p.batch)) &&
		emu::owns(p.b, size(p.typeB) * extent(p.tb ? p.n : p.k, p.tb ? p.k : p.n, p.ldb, p.sb, p.batch)) &&
		emu::owns(p.c, size(p.typeC) * extent(p.m, p.n, p.ldc, p.sc, p.batch));
	if (!fits) {
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	}
	emu::counted(p.typeA == R64F ? "products fp64" : p.typeA == R16BF || p.compute == Fast16BF ? "products bf16" : p.compute == FastTF32 ? "products tf32" : "products fp32");
	if (p.typeC == R64F) {
		multiply<double, double>(p);
	} else if (p.typeC == R32F) {
		multiply<float, float>(p);
	} else {
		multiply<float, uint16_t>(p);
	}
	return CUDA_SUCCESS;
}

} // namespace

#define EXPORT(name) extern "C" __attribute__((visibility("default"))) int name

EXPORT(cublasCreate_v2)(void **h) {
	if (emu::injected("cublasCreate")) {
		return NotInitialized;
	}
	*h = new Handle;
	return 0;
}
EXPORT(cublasDestroy_v2)(void *h) {
	delete static_cast<Handle *>(h);
	return 0;
}
EXPORT(cublasGetVersion_v2)(void *, int *v) {
	*v = 120400;
	return 0;
}
EXPORT(cublasSetStream_v2)(void *h, CUstream stream) {
	static_cast<Handle *>(h)->stream = stream;
	static_cast<Handle *>(h)->workspace = false;
	return 0;
}
EXPORT(cublasSetWorkspace_v2)(void *h, void *p, size_t n) {
	static_cast<Handle *>(h)->workspace = true;
	return emu::owns(p, n) ? 0 : InvalidValue;
}
EXPORT(cublasSetPointerMode_v2)(void *h, int mode) {
	static_cast<Handle *>(h)->pointers = mode;
	return mode == 0 || mode == 1 ? 0 : InvalidValue;
}
EXPORT(cublasGemmStridedBatchedEx)(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int typeA, int lda, long long sa,
	const void *b, int typeB, int ldb, long long sb, const void *beta, void *c, int typeC, int ldc, long long sc, int batch, int compute, int) {
	if (CUresult err = emu::injected("cublasGemmStridedBatchedEx")) {
		return err == CUDA_ERROR_LAUNCH_FAILED ? ExecutionFailed : NotSupported;
	}
	Handle *handle = static_cast<Handle *>(h);
	if (!handle->workspace || m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) {
		return InvalidValue;
	}
	bool wide = compute == Compute64F;
	if (wide != (typeC == R64F) || wide != (typeA == R64F) || typeA != typeB || (typeA == R16BF && compute != Compute32F) || (typeC == R16BF && typeA != R16BF)) {
		return NotSupported;
	}
	if (m == 0 || n == 0 || batch == 0) {
		return 0;
	}
	Product p{ta, tb, m, n, k, 0, 0, nullptr, nullptr, a, b, c, typeA, typeB, typeC, lda, ldb, ldc, compute, sa, sb, sc, batch};
	std::vector<emu::Use> uses{{a, false}, {b, false}, {c, true}};
	if (handle->pointers == 1) {
		p.alphaAt = alpha;
		p.betaAt = beta;
	} else {
		p.alpha = number(alpha, wide);
		p.beta = number(beta, wide);
	}
	return emu::enqueue(handle->stream, uses, [=] { return run(p); }) == CUDA_SUCCESS ? 0 : ExecutionFailed;
}
