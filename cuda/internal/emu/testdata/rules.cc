/* Calls the stand-ins for the driver and cuBLAS as no program may, and says where they let it pass. Linked to the emulation; the arguments are files with the kernels
   for single precision as PTX and as a binary for capability 9.0. */
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>
#include <thread>

#include <cuda.h>

extern "C" {
int cublasCreate_v2(void **);
int cublasDestroy_v2(void *);
int cublasSetStream_v2(void *, CUstream);
int cublasSetWorkspace_v2(void *, void *, size_t);
int cublasSetPointerMode_v2(void *, int);
int cublasGemmStridedBatchedEx(void *, int, int, int, int, int, const void *, const void *, int, int, long long, const void *, int, int, long long, const void *, void *, int, int,
	long long, int, int, int);
void spdEmuFail(const char *, int, int);
}

static int failures;

static void expect(int line, const char *call, int want, int got) {
	if (want != got) {
		printf("line %d: %s gives %d instead of %d\n", line, call, got, want);
		failures++;
	}
}
#define EXPECT(want, call) expect(__LINE__, #call, want, call)
#define GOOD(call) EXPECT(CUDA_SUCCESS, call)

static std::string file(const char *name) {
	std::ifstream f(name, std::ios::binary);
	std::stringstream s;
	s << f.rdbuf();
	return s.str();
}

static CUcontext first, second;
static CUstream stream;
static CUmodule module;
static CUfunction narrow;
static CUdeviceptr device;
constexpr int bytes = 4096;

/* Launches the kernel that rounds n numbers. */
static CUresult launch(CUdeviceptr x, CUdeviceptr y, long long n, CUstream on, unsigned gx = 1, unsigned gy = 1, unsigned gz = 1, unsigned bx = 32, unsigned by = 1, unsigned bz = 1) {
	void *params[] = {&x, &y, &n};
	return cuLaunchKernel(narrow, gx, gy, gz, bx, by, bz, 0, on, params, nullptr);
}

static void contexts() {
	CUcontext c;
	CUdeviceptr p;
	EXPECT(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc(&p, 8));
	GOOD(cuInit(0));
	EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&p, 8));
	EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&c));
	EXPECT(CUDA_ERROR_INVALID_DEVICE, cuDevicePrimaryCtxRetain(&c, 2));
	EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(1));
	GOOD(cuDevicePrimaryCtxRetain(&first, 0));
	GOOD(cuDevicePrimaryCtxRetain(&second, 1));
	GOOD(cuDevicePrimaryCtxRelease(1));
	EXPECT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxPushCurrent(second));
	GOOD(cuDevicePrimaryCtxRetain(&second, 1));
	GOOD(cuCtxPushCurrent(first));
	std::thread([] {
		CUdeviceptr q;
		EXPECT(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&q, 8)); /* contexts are current to a thread */
	}).join();
}

static void modules(const std::string &ptx, const std::string &binary) {
	CUmodule m;
	EXPECT(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&m, binary.data())); /* of 9.0, on 8.0 */
	EXPECT(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&m, "nothing"));
	std::string newer = ptx, later = ptx;
	newer.replace(newer.find(".version 7.8"), 12, ".version 9.9");
	later.replace(later.find(".target sm_80"), 13, ".target sm_90");
	EXPECT(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, cuModuleLoadData(&m, newer.c_str()));
	EXPECT(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&m, later.c_str()));
	std::string without = ptx;
	without.replace(without.find(".entry widen("), 13, ".entry wider(");
	GOOD(cuModuleLoadData(&m, without.c_str()));
	EXPECT(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&narrow, m, "widen"));
	GOOD(cuModuleUnload(m));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(m));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&narrow, m, "narrow"));
	GOOD(cuModuleLoadData(&module, ptx.c_str()));
	GOOD(cuModuleGetFunction(&narrow, module, "narrow"));
	GOOD(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	GOOD(cuMemAlloc(&device, bytes));
}

static void launches() {
	for (auto grid : {std::initializer_list<unsigned>{0, 1, 1, 32, 1, 1}, {1, 0, 1, 32, 1, 1}, {1u << 31, 1, 1, 32, 1, 1}, {1, 65536, 1, 32, 1, 1}, {1, 1, 65536, 32, 1, 1}, {1, 1, 1, 0, 1, 1},
			 {1, 1, 1, 257, 1, 1}, {1, 1, 1, 32, 9, 1}, {1, 1, 1, 1, 1, 65}}) {
		const unsigned *g = grid.begin();
		EXPECT(CUDA_ERROR_INVALID_VALUE, launch(device, device, 1, stream, g[0], g[1], g[2], g[3], g[4], g[5]));
	}
	GOOD(cuCtxPushCurrent(second));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, launch(device, device, 1, nullptr)); /* a function of another context */
	CUstream foreign;
	GOOD(cuStreamCreate(&foreign, CU_STREAM_NON_BLOCKING));
	CUcontext c;
	GOOD(cuCtxPopCurrent(&c));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, launch(device, device, 1, foreign));
	CUstream gone;
	GOOD(cuStreamCreate(&gone, CU_STREAM_NON_BLOCKING));
	GOOD(cuStreamDestroy(gone));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, launch(device, device, 1, gone));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(gone));
	GOOD(launch(device, device + 2048, 8, stream));
	GOOD(cuStreamSynchronize(stream));
}

static void memories() {
	CUdeviceptr p, managed;
	void *host;
	static char ordinary[64];
	int number;
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&p, 0));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&managed, 8, 0));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFree(device + 8));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync(device + bytes - 4, ordinary, 8, stream));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemsetD8Async(device, 0, bytes + 1, stream));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuPointerGetAttribute(&number, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CUdeviceptr(ordinary)));
	GOOD(cuMemAllocHost(&host, 64));
	GOOD(cuPointerGetAttribute(&number, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, CUdeviceptr(host))); /* also of the host's page-locked memory */
	GOOD(cuPointerGetAttribute(&number, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CUdeviceptr(host)));
	EXPECT(CU_MEMORYTYPE_HOST, number);
	GOOD(cuMemcpyHtoDAsync(device, host, 64, stream));
	EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuMemFreeHost(host)); /* under way */
	GOOD(cuStreamSynchronize(stream));
	GOOD(cuMemFreeHost(host));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(host));
}

/* What must not be called while the thread records: each spoils the recording. */
static void recordings() {
	void *host, *handle;
	CUdeviceptr p;
	CUmodule m;
	CUfunction f;
	CUevent event, captured;
	CUgraph graph;
	CUgraphExec exec;
	char ordinary[64];
	GOOD(cuMemAllocHost(&host, 64));
	GOOD(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	GOOD(cuEventCreate(&captured, CU_EVENT_DISABLE_TIMING));
	EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(stream, &graph));
#define SPOILS(want, call)                                                                \
	GOOD(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));               \
	EXPECT(want, call);                                                                    \
	EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, launch(device, device, 1, stream));      \
	EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph))
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc(&p, 8));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAllocManaged(&p, 8, CU_MEM_ATTACH_GLOBAL));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAllocHost(&host, 8));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemFree(device));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemFreeHost(host));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemcpyHtoD(device, ordinary, 8));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemcpyDtoH(ordinary, device, 8));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemcpyHtoDAsync(device, ordinary, 8, stream)); /* not page-locked */
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuModuleLoadData(&m, ""));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuModuleGetFunction(&f, module, "widen"));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxSynchronize());
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(stream));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamQuery(stream));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamDestroy(stream));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuEventQuery(event));
	SPOILS(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuEventSynchronize(event));
	SPOILS(1, cublasCreate_v2(&handle)); /* allocates */

	CUstream blocking;
	GOOD(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
	GOOD(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
	EXPECT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, launch(device, device, 1, nullptr)); /* the default stream waits for it */
	EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &graph));

	GOOD(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	EXPECT(CUDA_ERROR_ILLEGAL_STATE, cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	GOOD(cuEventRecord(captured, stream));
	std::thread([&] {
		CUgraph other;
		CUdeviceptr q;
		GOOD(cuCtxPushCurrent(first));
		GOOD(cuMemAlloc(&q, 8)); /* another thread may */
		EXPECT(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, cuStreamEndCapture(stream, &other));
		EXPECT(CUDA_ERROR_CAPTURED_EVENT, cuEventQuery(captured));
	}).join();
	GOOD(cuMemcpyHtoDAsync(device, host, 64, stream));
	GOOD(launch(device, device + 2048, 8, stream));
	GOOD(cuStreamEndCapture(stream, &graph));
	GOOD(cuGraphInstantiateWithFlags(&exec, graph, 0));
	GOOD(cuGraphDestroy(graph));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphDestroy(graph));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphInstantiateWithFlags(&exec, graph, 0));
	GOOD(cuGraphLaunch(exec, nullptr));
	GOOD(cuStreamSynchronize(nullptr));
	GOOD(cuGraphExecDestroy(exec));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphLaunch(exec, stream));
	EXPECT(CUDA_ERROR_INVALID_VALUE, cuGraphExecDestroy(exec));

	GOOD(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	std::thread([] {
		CUdeviceptr q;
		GOOD(cuCtxPushCurrent(first));
		EXPECT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc(&q, 8)); /* no other thread may */
	}).join();
	EXPECT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(stream, &graph));
	GOOD(cuEventDestroy(event));
	EXPECT(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(event, stream));
}

static void products() {
	enum { F32 = 0, F64 = 1, BF16 = 14, InvalidValue = 7, NotInitialized = 1, NotSupported = 15, Failed = 13, Compute32 = 68, Compute64 = 70 };
	void *h, *at = reinterpret_cast<void *>(device), *work;
	CUdeviceptr p;
	float one = 1;
	GOOD(cuMemAlloc(&p, bytes));
	work = reinterpret_cast<void *>(p);
	float *a = static_cast<float *>(at), *b = a + 16, *c = a + 32;
	int type = F32, compute = Compute32, ld = 4, count = 1;
	long long step = 0;
	auto multiply = [&](const void *x, const void *y, void *z, int k) {
		return cublasGemmStridedBatchedEx(h, 0, 0, 4, 4, k, &one, x, type, ld, step, y, type, 4, step, &one, z, type, 4, step, count, compute, -1);
	};
	GOOD(cublasCreate_v2(&h));
	EXPECT(InvalidValue, multiply(a, b, c, 4)); /* without a workspace it allocates one */
	EXPECT(InvalidValue, cublasSetWorkspace_v2(h, static_cast<char *>(work) + 64, 256));
	GOOD(cublasSetStream_v2(h, stream));
	GOOD(cublasSetWorkspace_v2(h, work, 2048));
	GOOD(multiply(a, b, c, 4));
	EXPECT(InvalidValue, multiply(a, b, b, 4)); /* the result overlaps an operand */
	EXPECT(InvalidValue, multiply(a, b, a + 8, 4));
	count = 2;
	EXPECT(InvalidValue, multiply(a, b, c, 4)); /* the results overlap */
	count = 1;
	EXPECT(InvalidValue, multiply(reinterpret_cast<char *>(a) + 2, b, c, 4));
	ld = 0;
	EXPECT(InvalidValue, multiply(a, b, c, 4));
	ld = 4;
	type = BF16;
	compute = Compute64;
	EXPECT(NotSupported, multiply(a, b, c, 4));
	type = F32;
	compute = Compute32;
	GOOD(cublasSetStream_v2(h, stream)); /* takes the workspace away */
	EXPECT(InvalidValue, multiply(a, b, c, 4));
	GOOD(cublasSetWorkspace_v2(h, work, 2048));
	EXPECT(InvalidValue, cublasSetPointerMode_v2(h, 2));
	GOOD(cuCtxPushCurrent(second));
	EXPECT(NotInitialized, multiply(a, b, c, 4)); /* a handle of another context */
	CUcontext back;
	GOOD(cuCtxPopCurrent(&back));
	GOOD(cublasDestroy_v2(h));
	EXPECT(NotInitialized, cublasDestroy_v2(h));
	GOOD(cuStreamSynchronize(stream));
}

/* After what a kernel does wrong, every call fails. */
static void lost(int which) {
	static float ordinary[64];
	CUdeviceptr bad = which == 0 ? CUdeviceptr(ordinary) : device + 2, p;
	int want = which == 0 ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_MISALIGNED_ADDRESS, number;
	CUcontext c;
	GOOD(launch(bad, device, 1, stream)); /* shows later only */
	EXPECT(want, cuStreamSynchronize(stream));
	EXPECT(want, launch(device, device + 2048, 1, stream));
	EXPECT(want, cuMemAlloc(&p, 8));
	EXPECT(want, cuMemFree(device));
	EXPECT(want, cuPointerGetAttribute(&number, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, device));
	EXPECT(want, cuStreamGetCtx(stream, &c));
}

int main(int argc, char **argv) {
	if (argc != 4) {
		return 2;
	}
	std::string ptx = file(argv[1]), binary = file(argv[2]);
	contexts();
	modules(ptx, binary);
	launches();
	memories();
	recordings();
	products();
	lost(argv[3][0] - '0');
	return failures == 0 ? 0 : 1;
}
