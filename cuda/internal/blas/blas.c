//go:build cuda

#include "blas.h"

#include <dlfcn.h>
#include <stdio.h>

static struct {
	int (*create)(void **);
	int (*destroy)(void *);
	int (*version)(void *, int *);
	int (*stream)(void *, CUstream);
	int (*workspace)(void *, void *, size_t);
	int (*pointers)(void *, int);
	int (*gemm)(void *, int, int, int, int, int, const void *, const void *, int, int, long long, const void *, int, int, long long, const void *, void *, int,
		int, long long, int, int, int);
} blas;

static void *find(const char *own) {
	static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"};
	if (own[0] != 0) {
		return dlopen(own, RTLD_NOW | RTLD_LOCAL);
	}
	void *lib = NULL;
	for (int flags = RTLD_NOW | RTLD_NOLOAD; lib == NULL; flags = RTLD_NOW) {
		for (size_t i = 0; i < sizeof names / sizeof names[0] && lib == NULL; i++) {
			lib = dlopen(names[i], flags);
		}
		if (flags == RTLD_NOW) {
			break;
		}
	}
	return lib;
}

int spdBlasLoad(const char *own, char *why, int size) {
	void *lib = find(own);
	if (lib == NULL) {
		const char *message = dlerror();
		snprintf(why, size, "%s", message == NULL ? "not found" : message);
		return -1;
	}
	*(void **)&blas.create = dlsym(lib, "cublasCreate_v2");
	*(void **)&blas.destroy = dlsym(lib, "cublasDestroy_v2");
	*(void **)&blas.version = dlsym(lib, "cublasGetVersion_v2");
	*(void **)&blas.stream = dlsym(lib, "cublasSetStream_v2");
	*(void **)&blas.workspace = dlsym(lib, "cublasSetWorkspace_v2");
	*(void **)&blas.pointers = dlsym(lib, "cublasSetPointerMode_v2");
	*(void **)&blas.gemm = dlsym(lib, "cublasGemmStridedBatchedEx");
	if (!blas.create || !blas.destroy || !blas.version || !blas.stream || !blas.workspace || !blas.pointers || !blas.gemm) {
		snprintf(why, size, "the library lacks a function; version 11 or newer is needed");
		return -1;
	}
	return 0;
}

int spdBlasCreate(void **handle, int *version) {
	int err = blas.create(handle);
	return err != 0 ? err : blas.version(*handle, version);
}

int spdBlasDestroy(void *handle) { return blas.destroy(handle); }

/* Setting a stream resets the workspace, which recording a graph needs. */
int spdBlasStream(void *handle, CUstream stream, CUdeviceptr workspace, size_t bytes) {
	int err = blas.stream(handle, stream);
	return err != 0 ? err : blas.workspace(handle, (void *)workspace, bytes);
}

/* A stride of matrices without columns may be 0. */
static int atLeastOne(int stride) { return stride < 1 ? 1 : stride; }

/* Row-major c is column-major c^T = op(b)^T op(a)^T. */
static int gemm(void *handle, const spdGemm *g, const void *alpha, const void *beta) {
	return blas.gemm(handle, g->tb, g->ta, g->cols, g->rows, g->inner, alpha, (const void *)g->b, g->typeAB, atLeastOne(g->strideB), g->stepB, (const void *)g->a,
		g->typeAB, atLeastOne(g->strideA), g->stepA, beta, (void *)g->c, g->typeC, g->strideC, g->stepC, g->count, g->compute, -1);
}

int spdBlasGemm(void *handle, const spdGemm *g) {
	enum { OnHost = 0, OnDevice = 1 };
	if (g->numbers != 0) {
		int err = blas.pointers(handle, OnDevice);
		if (err != 0) {
			return err;
		}
		err = gemm(handle, g, (const void *)g->numbers, (const void *)(g->numbers + 8));
		int back = blas.pointers(handle, OnHost);
		return err != 0 ? err : back;
	}
	float alpha32 = (float)g->alpha, beta32 = (float)g->beta;
	int wide = g->compute == SPD_COMPUTE_F64;
	return gemm(handle, g, wide ? (const void *)&g->alpha : &alpha32, wide ? (const void *)&g->beta : &beta32);
}
