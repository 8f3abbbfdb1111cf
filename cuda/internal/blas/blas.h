/* The few functions of cuBLAS that this module calls, loaded at run time: any major version from 11 to 13, that of the process if it has one. */
#include <stddef.h>

#include <cuda.h>

enum { SPD_F32 = 0, SPD_F64 = 1, SPD_BF16 = 14 };
enum { SPD_COMPUTE_F32 = 68, SPD_COMPUTE_F64 = 70, SPD_COMPUTE_BF16 = 75, SPD_COMPUTE_TF32 = 77 };

/* Loads the library. Returns 0 or the message of the loader in why. */
int spdBlasLoad(const char *own, char *why, int size);

/* The functions below return the status of cuBLAS, 0 for success. */
int spdBlasCreate(void **handle, int *version);
int spdBlasDestroy(void *handle);
int spdBlasStream(void *handle, CUstream stream, CUdeviceptr workspace, size_t bytes);

/* c = alpha op(a) op(b) + beta c for count row-major matrices; steps and strides in elements. types holds those of a and b, and of c. */
typedef struct {
	int ta, tb, rows, cols, inner, count;
	double alpha, beta;
	CUdeviceptr numbers; /* unless 0, where alpha and, 8 bytes later, beta are instead */
	CUdeviceptr a, b, c;
	int strideA, strideB, strideC, typeAB, typeC, compute;
	long long stepA, stepB, stepC;
} spdGemm;
int spdBlasGemm(void *handle, const spdGemm *g);
