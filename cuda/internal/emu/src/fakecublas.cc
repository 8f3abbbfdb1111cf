/* A stand-in for cuBLAS: products in the element types and with the rounding of inputs that this module asks for, column-major as cuBLAS is. It refuses what the
   documentation forbids. */
#include "host.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace {

enum { R32F = 0, R64F = 1, R16BF = 14 };
enum { Compute32F = 68, Compute64F = 70, Fast16BF = 75, FastTF32 = 77 };
enum { NotInitialized = 1, InvalidValue = 7, ArchMismatch = 8, ExecutionFailed = 13, NotSupported = 15 };

struct Handle {
	CUcontext context;
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

/* The rows of memory of a batch, a column of the matrices each, in the order of their addresses. */
std::vector<std::pair<uintptr_t, uintptr_t>> stretches(const void *p, int type, int rows, int cols, int ld, long long step, int batch) {
	std::vector<std::pair<uintptr_t, uintptr_t>> all;
	for (int g = 0; g < batch; g++) {
		for (int j = 0; j < cols; j++) {
			uintptr_t from = reinterpret_cast<uintptr_t>(p) + size(type) * (size_t(g) * step + size_t(j) * ld);
			all.push_back({from, from + size(type) * rows});
		}
	}
	std::sort(all.begin(), all.end());
	return all;
}

/* Says whether a result overlaps itself or an operand: nobody knows then what comes out. */
bool overlaps(const Product &p) {
	auto c = stretches(p.c, p.typeC, p.m, p.n, p.ldc, p.sc, p.batch);
	for (size_t i = 1; i < c.size(); i++) {
		if (c[i].first < c[i - 1].second) {
			return true;
		}
	}
	auto a = stretches(p.a, p.typeA, p.ta ? p.k : p.m, p.ta ? p.m : p.k, p.lda, p.sa, p.batch);
	auto b = stretches(p.b, p.typeB, p.tb ? p.n : p.k, p.tb ? p.k : p.n, p.ldb, p.sb, p.batch);
	for (auto *x : {&a, &b}) {
		for (size_t i = 0, j = 0; i < x->size() && j < c.size();) {
			if ((*x)[i].first < c[j].second && c[j].first < (*x)[i].second) {
				return true;
			}
			(*x)[i].second <= c[j].second ? i++ : j++;
		}
	}
	return false;
}

double number(const void *at, bool wide) { return wide ? *static_cast<const double *>(at) : *static_cast<const float *>(at); }

CUresult run(Product p) {
	if (p.alphaAt != nullptr) {
		bool wide = p.compute == Compute64F;
		size_t bytes = wide ? 8 : 4;
		if (!emu::owns(p.alphaAt, bytes) || !emu::owns(p.betaAt, bytes)) {
			return CUDA_ERROR_ILLEGAL_ADDRESS;
		}
		if (reinterpret_cast<uintptr_t>(p.alphaAt) % bytes != 0 || reinterpret_cast<uintptr_t>(p.betaAt) % bytes != 0) {
			return CUDA_ERROR_MISALIGNED_ADDRESS;
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

static std::set<Handle *> handles;

/* The handle, if there is one that belongs to the current context. */
static Handle *handleOf(void *h) {
	Handle *handle = static_cast<Handle *>(h);
	return handles.count(handle) != 0 && handle->context == emu::context() ? handle : nullptr;
}

/* Making a handle allocates memory. */
EXPORT(cublasCreate_v2)(void **h) {
	if (emu::injected("cublasCreate") || emu::context() == nullptr || emu::forbidden()) {
		return NotInitialized;
	}
	Handle *made = new Handle;
	made->context = emu::context();
	handles.insert(made);
	*h = made;
	return 0;
}
EXPORT(cublasDestroy_v2)(void *h) {
	Handle *handle = handleOf(h);
	if (handle == nullptr || emu::forbidden()) {
		return NotInitialized;
	}
	handles.erase(handle);
	delete handle;
	return 0;
}
EXPORT(cublasGetVersion_v2)(void *h, int *v) {
	*v = emu::blasVersion();
	return handleOf(h) == nullptr ? NotInitialized : 0;
}
/* Setting a stream takes the workspace away. */
EXPORT(cublasSetStream_v2)(void *h, CUstream stream) {
	Handle *handle = handleOf(h);
	if (handle == nullptr) {
		return NotInitialized;
	}
	handle->stream = stream;
	handle->workspace = false;
	return 0;
}
EXPORT(cublasSetWorkspace_v2)(void *h, void *p, size_t n) {
	Handle *handle = handleOf(h);
	if (handle == nullptr) {
		return NotInitialized;
	}
	if (!emu::owns(p, n) || reinterpret_cast<uintptr_t>(p) % 256 != 0) {
		return InvalidValue;
	}
	handle->workspace = true;
	return 0;
}
EXPORT(cublasSetPointerMode_v2)(void *h, int mode) {
	Handle *handle = handleOf(h);
	if (handle == nullptr) {
		return NotInitialized;
	}
	handle->pointers = mode;
	return mode == 0 || mode == 1 ? 0 : InvalidValue;
}

static int types(const Product &p) {
	bool wide = p.compute == Compute64F;
	bool known = emu::blasVersion() < 130000 || emu::capability() >= 75; /* version 13 has nothing for 7.0 */
	if (!known || (p.typeA == R16BF && emu::capability() < 80)) {
		return ArchMismatch;
	}
	if (wide != (p.typeC == R64F) || wide != (p.typeA == R64F) || p.typeA != p.typeB || (p.typeA == R16BF && p.compute != Compute32F) || (p.typeC == R16BF && p.typeA != R16BF)) {
		return NotSupported;
	}
	return p.compute == Compute32F || wide || p.compute == Fast16BF || p.compute == FastTF32 ? 0 : NotSupported;
}

EXPORT(cublasGemmStridedBatchedEx)(void *h, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int typeA, int lda, long long sa,
	const void *b, int typeB, int ldb, long long sb, const void *beta, void *c, int typeC, int ldc, long long sc, int batch, int compute, int) {
	if (CUresult err = emu::injected("cublasGemmStridedBatchedEx")) {
		return err == CUDA_ERROR_LAUNCH_FAILED ? ExecutionFailed : NotSupported;
	}
	Handle *handle = handleOf(h);
	if (handle == nullptr) {
		return NotInitialized;
	}
	if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < std::max(1, ta ? k : m) || ldb < std::max(1, tb ? n : k) || ldc < std::max(1, m) || sa < 0 || sb < 0 || sc < 0) {
		return InvalidValue;
	}
	Product p{ta, tb, m, n, k, 0, 0, nullptr, nullptr, a, b, c, typeA, typeB, typeC, lda, ldb, ldc, compute, sa, sb, sc, batch};
	if (int err = types(p)) {
		return err;
	}
	if (!handle->workspace) { /* it would take memory of its own, which cannot be recorded */
		return emu::recording(handle->stream) ? ExecutionFailed : InvalidValue;
	}
	if (m == 0 || n == 0 || batch == 0) {
		return 0;
	}
	if (overlaps(p)) {
		return InvalidValue;
	}
	for (auto part : {std::make_pair(a, typeA), std::make_pair(b, typeB), std::make_pair(static_cast<const void *>(c), typeC)}) {
		if (reinterpret_cast<uintptr_t>(part.first) % size(part.second) != 0) {
			return InvalidValue;
		}
	}
	std::vector<emu::Use> uses{{a, false}, {b, false}, {c, true}};
	bool wide = compute == Compute64F;
	if (handle->pointers == 1) {
		p.alphaAt = alpha;
		p.betaAt = beta;
	} else {
		p.alpha = number(alpha, wide);
		p.beta = number(beta, wide);
	}
	return emu::enqueue(handle->stream, uses, [=] { return run(p); }) == CUDA_SUCCESS ? 0 : ExecutionFailed;
}
