/* Fits a matrix and a vector to targets with the C library of spdopt, saves the state, goes on, and repeats that from the saved state.
 *
 *   go build -tags cuda -buildmode=c-shared -o libspdopt.so ./cuda/cshared
 *   gcc -Icuda/cshared -Icuda/include cuda/cshared/example/example.c -o example -L. -lspdopt -lcuda -Wl,-rpath,.
 *
 * It needs the CUDA driver and no toolkit: cuda/include has what it uses of cuda.h. */
#include <stdio.h>
#include <stdlib.h>

#include <cuda.h>

#include "spdopt.h"

enum { rows = 32, cols = 16, matrix = rows * cols, all = matrix + cols };

/* Ends the program with the text of an error. */
static void must(int code) {
	if (code != 0) {
		fprintf(stderr, "%s\n", spd_error());
		exit(1);
	}
}

static void driver(CUresult code) {
	if (code != CUDA_SUCCESS) {
		fprintf(stderr, "CUDA error %d\n", (int)code);
		exit(1);
	}
}

/* Memory of the device; what cuMemAlloc returns is aligned to 256 bytes. */
static CUdeviceptr allocate(int64_t bytes) {
	CUdeviceptr p;
	driver(cuMemAlloc(&p, (size_t)bytes));
	return p;
}

static float target(int i) { return (float)(i * 37 % 19) / 19 - 0.5f; }

/* Takes steps on half the squared distance to the targets, whose gradient is the difference, and returns that distance before the last step. */
static double descend(uint64_t object, CUdeviceptr params, CUdeviceptr grads, int steps) {
	static float w[all], g[all];
	double loss = 0;
	const uint64_t where[2] = {params, params + sizeof(float) * matrix}, slopes[2] = {grads, grads + sizeof(float) * matrix};
	for (int step = 0; step < steps; step++) {
		driver(cuMemcpyDtoH(w, params, sizeof w)); /* waits for the steps before it on the default stream */
		loss = 0;
		for (int i = 0; i < all; i++) {
			g[i] = w[i] - target(i);
			loss += 0.5 * g[i] * g[i];
		}
		driver(cuMemcpyHtoD(grads, g, sizeof g));
		must(spd_step(object, where, slopes, 2, NULL, 0.05, 0, 1));
	}
	return loss;
}

int main(void) {
	const spd_shape shapes[2] = {{rows, cols}, {1, cols}};
	spd_options options = {0};
	options.every = 5;
	options.precision = 2; /* float32 products */

	if (spd_abi() != SPD_ABI) {
		fprintf(stderr, "the library has interface version %d, the header %d\n", spd_abi(), SPD_ABI);
		return 1;
	}
	must(spd_open(0));
	CUdevice device;
	CUcontext context;
	driver(cuDeviceGet(&device, 0));
	driver(cuDevicePrimaryCtxRetain(&context, device));
	driver(cuCtxSetCurrent(context));

	int slots;
	int64_t stateBytes, workBytes;
	must(spd_layout(shapes, 2, &options, NULL, 0, &slots, &stateBytes));
	must(spd_work_bytes(0, shapes, 2, &options, &workBytes));
	const CUdeviceptr state = allocate(stateBytes), work = allocate(workBytes), params = allocate(sizeof(float) * all), grads = allocate(sizeof(float) * all);
	static float w[all];
	driver(cuMemcpyHtoD(params, w, sizeof w));

	uint64_t object;
	must(spd_create(0, shapes, 2, &options, (void *)state, (void *)work, &object));
	must(spd_begin(object, NULL));
	printf("loss %.6f at the start\n", descend(object, params, grads, 1));
	printf("loss %.6f after 99 steps\n", descend(object, params, grads, 99));

	void *saved = malloc((size_t)stateBytes);
	driver(cuMemcpyDtoH(saved, state, (size_t)stateBytes));
	driver(cuMemcpyDtoH(w, params, sizeof w));
	const int64_t steps = spd_steps(object);
	const double straight = descend(object, params, grads, 20);

	driver(cuMemcpyHtoD(state, saved, (size_t)stateBytes));
	driver(cuMemcpyHtoD(params, w, sizeof w));
	must(spd_resume(object, NULL, steps));
	const double resumed = descend(object, params, grads, 20);
	printf("loss %.6f after 119 steps, %.6f from the saved state\n", straight, resumed);

	driver(cuCtxSynchronize());
	must(spd_destroy(object));
	free(saved);
	driver(cuMemFree(state));
	driver(cuMemFree(work));
	driver(cuMemFree(params));
	driver(cuMemFree(grads));
	return straight == resumed ? 0 : 1;
}
