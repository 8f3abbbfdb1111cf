/* Launches a kernel of careless.cu, named by the argument, and prints what comes of it. Linked to an emulation that looks at every access. */
#include <cstdio>
#include <string>

#include <cuda.h>

int main(int argc, char **argv) {
	if (argc != 2) {
		return 2;
	}
	std::string image = std::string(".version 6.0\n.target sm_70\n.visible .entry ") + argv[1] + "(";
	CUcontext context;
	CUmodule module;
	CUfunction kernel;
	CUdeviceptr x, y;
	constexpr int bytes = 8 * 128;
	if (cuInit(0) || cuDevicePrimaryCtxRetain(&context, 0) || cuCtxPushCurrent(context) || cuModuleLoadData(&module, image.c_str()) ||
		cuModuleGetFunction(&kernel, module, argv[1]) || cuMemAlloc(&x, bytes) || cuMemAlloc(&y, bytes)) {
		return 3;
	}
	void *params[] = {&x, &y};
	if (cuLaunchKernel(kernel, 2, 1, 1, 64, 1, 1, 0, nullptr, params, nullptr)) {
		return 4;
	}
	const char *name = nullptr;
	cuGetErrorName(cuStreamSynchronize(nullptr), &name);
	puts(name);
	return 0;
}
