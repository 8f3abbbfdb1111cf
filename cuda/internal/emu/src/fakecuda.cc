/* A stand-in for libcuda.so.1 on the processor. Work on streams is deferred until something waits for it, so that a missing wait shows: managed memory that
   such work uses is closed to the processor, as on devices that cannot share it. Copies
   are checked against the allocations. spdEmuFail, spdEmuCalls and spdEmuOrder are for tests.

   With spdEmuShare all memory of the process is the device's too, and work runs when it is enqueued, so that PyTorch without CUDA can hand in its tensors. */
#include "host.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#define API(name) extern "C" __attribute__((visibility("default"))) CUresult name
#define ENTER(name)                               \
	std::lock_guard<std::recursive_mutex> l(lock); \
	if (CUresult err = emu::injected(#name)) return err

struct Work {
	std::vector<emu::Use> uses;
	std::function<CUresult()> run;
};

struct CUgraph_st {
	std::vector<Work> nodes;
};
struct CUgraphExec_st {
	std::vector<Work> nodes;
};
struct CUctx_st;
struct CUstream_st {
	CUctx_st *ctx;
	unsigned flags;
	std::deque<Work> queue;
	CUgraph recording = nullptr;
	bool spoiled = false;
};
struct CUctx_st {
	int device, users = 0;
	CUresult lost = CUDA_SUCCESS;
	CUstream_st null;
	std::vector<CUstream> streams;
};
struct CUevent_st {
	CUstream stream = nullptr;
	int pending = 0;
};
struct CUfunc_st {
	const emu::Entry *entry;
	int mostShared = 48 << 10;
};
struct CUmod_st {
	std::string prefix; /* of the element type */
	std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};
struct Memory {
	size_t size, mapped;
	CUctx_st *ctx;
	bool managed;
	int readers = 0, writers = 0; /* work that has not run yet */
	int access = PROT_READ | PROT_WRITE;
};

static std::recursive_mutex lock;
static std::vector<std::unique_ptr<CUctx_st>> contexts;
static std::map<CUdeviceptr, Memory> memory;
static std::map<void *, size_t> pinned;
static std::map<std::string, std::pair<int, int>> faults;
static std::map<std::string, int> calls;
static size_t limitBytes = size_t(8) << 30, usedBytes, peakBytes;
static bool reverse, sharing;
static thread_local std::vector<CUcontext> current;

static int setting(const char *name, int standard) {
	const char *v = getenv(name);
	return v == nullptr ? standard : atoi(v);
}

CUresult emu::injected(const char *name) {
	calls[name]++;
	auto f = faults.find(name);
	if (f == faults.end() || --f->second.first > 0) {
		return CUDA_SUCCESS;
	}
	CUresult code = CUresult(f->second.second);
	faults.erase(f);
	return code;
}

void emu::counted(const char *name) { calls[name]++; }

extern "C" __attribute__((visibility("default"))) void spdEmuFail(const char *name, int call, int code) {
	std::lock_guard<std::recursive_mutex> l(lock);
	faults[name] = {call, code};
}
extern "C" __attribute__((visibility("default"))) int spdEmuCalls(const char *name) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return calls[name];
}
extern "C" __attribute__((visibility("default"))) void spdEmuOrder(int backwards) {
	std::lock_guard<std::recursive_mutex> l(lock);
	reverse = backwards != 0;
}
extern "C" __attribute__((visibility("default"))) void spdEmuLimit(size_t bytes) {
	std::lock_guard<std::recursive_mutex> l(lock);
	limitBytes = bytes;
}
extern "C" __attribute__((visibility("default"))) size_t spdEmuUsed(void) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return usedBytes;
}

extern "C" __attribute__((visibility("default"))) size_t spdEmuPeak(void) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return peakBytes;
}
extern "C" __attribute__((visibility("default"))) void spdEmuShare(int on) {
	std::lock_guard<std::recursive_mutex> l(lock);
	sharing = on != 0;
}

static void claimAhead(CUdeviceptr at, bool written);
/* Closes memory that work will use which is still to come, or with 0 opens all such memory. */
extern "C" __attribute__((visibility("default"))) void spdEmuClaim(uintptr_t at, int written) {
	std::lock_guard<std::recursive_mutex> l(lock);
	claimAhead(at, written != 0);
}

static CUctx_st *here() { return current.empty() ? nullptr : current.back(); }

static CUresult usable() {
	CUctx_st *c = here();
	return c == nullptr ? CUDA_ERROR_INVALID_CONTEXT : c->lost;
}

static CUresult resolve(CUstream *stream) {
	if (CUresult err = usable()) {
		return err;
	}
	if (*stream == nullptr) {
		*stream = &here()->null;
		return CUDA_SUCCESS;
	}
	for (CUstream s : here()->streams) {
		if (s == *stream) {
			return CUDA_SUCCESS;
		}
	}
	return CUDA_ERROR_INVALID_HANDLE;
}

static std::map<CUdeviceptr, Memory>::iterator holder(CUdeviceptr p, size_t n) {
	auto m = memory.upper_bound(p);
	if (m == memory.begin()) {
		return memory.end();
	}
	--m;
	return p + n <= m->first + m->second.size ? m : memory.end();
}

/* Says whether n bytes at p are memory of a device. */
static bool known(CUdeviceptr p, size_t n) { return sharing || holder(p, n) != memory.end(); }

/* Sets what the processor may do with managed memory, whose mapping ends with a guard page. */
static void permit(CUdeviceptr p, Memory &m, int access) {
	if (m.access != access) {
		size_t page = sysconf(_SC_PAGESIZE);
		mprotect(reinterpret_cast<void *>(p + m.size + page - m.mapped), m.mapped - page, access);
		m.access = access;
	}
}
static void permitRest(CUdeviceptr p, Memory &m) {
	permit(p, m, m.writers > 0 ? PROT_NONE : m.readers > 0 ? PROT_READ : PROT_READ | PROT_WRITE);
}

/* Counts work that is about to wait, or that runs. */
static void claim(const Work &w, int change) {
	for (const emu::Use &u : w.uses) {
		auto m = holder(reinterpret_cast<CUdeviceptr>(u.at), 1);
		if (m != memory.end() && m->second.managed) {
			(u.written ? m->second.writers : m->second.readers) += change;
			if (change > 0) {
				permitRest(m->first, m->second);
			}
		}
	}
}

static Work ahead;
static void claimAhead(CUdeviceptr at, bool written) {
	if (at == 0) {
		claim(ahead, -1);
		for (const emu::Use &u : ahead.uses) {
			auto m = holder(reinterpret_cast<CUdeviceptr>(u.at), 1);
			if (m != memory.end() && m->second.managed) {
				permitRest(m->first, m->second);
			}
		}
		ahead.uses.clear();
		return;
	}
	emu::Use use{reinterpret_cast<void *>(at), written};
	ahead.uses.push_back(use);
	claim({{use}, nullptr}, 1);
}

/* Runs the first work of a stream. All memory must be permitted. */
static CUresult runFirst(CUstream s) {
	Work w = std::move(s->queue.front());
	s->queue.pop_front();
	claim(w, -1);
	return w.run();
}

static CUresult drain(CUstream s) {
	if (s->queue.empty()) {
		return s->ctx->lost;
	}
	for (auto &m : memory) {
		permit(m.first, m.second, PROT_READ | PROT_WRITE);
	}
	while (!s->queue.empty()) {
		if (s->ctx->lost != CUDA_SUCCESS) {
			claim(s->queue.front(), -1);
			s->queue.pop_front();
		} else if (CUresult err = runFirst(s)) {
			s->ctx->lost = err;
		}
	}
	for (auto &m : memory) {
		permitRest(m.first, m.second);
	}
	return s->ctx->lost;
}

static CUresult drainAll(CUctx_st *c) {
	drain(&c->null);
	for (CUstream s : c->streams) {
		drain(s);
	}
	return c->lost;
}

static bool recording(CUctx_st *c) {
	for (CUstream s : c->streams) {
		if (s->recording != nullptr) {
			s->spoiled = true;
			return true;
		}
	}
	return false;
}

/* Waiting calls and allocations are not allowed while a stream records. */
static CUresult waits() {
	if (CUresult err = usable()) {
		return err;
	}
	return recording(here()) ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult emu::enqueue(CUstream stream, std::vector<Use> uses, std::function<CUresult()> run) {
	Work work{std::move(uses), std::move(run)};
	std::lock_guard<std::recursive_mutex> l(lock);
	CUstream s = stream;
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording != nullptr) {
		s->recording->nodes.push_back(std::move(work));
		return CUDA_SUCCESS;
	}
	CUctx_st *c = s->ctx;
	if (s == &c->null) {
		if (recording(c)) {
			return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
		}
		for (CUstream other : c->streams) {
			if (!(other->flags & CU_STREAM_NON_BLOCKING)) {
				drain(other);
			}
		}
	} else if (!(s->flags & CU_STREAM_NON_BLOCKING)) {
		drain(&c->null);
	}
	claim(work, 1);
	s->queue.push_back(std::move(work));
	return sharing ? drain(s) : c->lost;
}

bool emu::owns(const void *p, size_t n) { return known(reinterpret_cast<CUdeviceptr>(p), n); }

API(cuInit)(unsigned) {
	ENTER(cuInit);
	if (contexts.empty()) {
		limitBytes = setting("SPDOPT_EMU_MEMORY", 0) > 0 ? setting("SPDOPT_EMU_MEMORY", 0) : limitBytes;
		if (int waits = setting("SPDOPT_EMU_LOSE", 0)) {
			faults["cuStreamSynchronize"] = {waits, CUDA_ERROR_LAUNCH_FAILED};
		}
		int n = setting("SPDOPT_EMU_DEVICES", 2);
		for (int i = 0; i < n; i++) {
			contexts.emplace_back(new CUctx_st);
			contexts[i]->device = i;
			contexts[i]->null.ctx = contexts[i].get();
			contexts[i]->null.flags = 0;
		}
	}
	return contexts.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}
API(cuDriverGetVersion)(int *v) {
	ENTER(cuDriverGetVersion);
	*v = setting("SPDOPT_EMU_VERSION", 12040);
	return CUDA_SUCCESS;
}
API(cuGetErrorName)(CUresult e, const char **name) {
	switch (e) {
#define NAME(code) \
	case code: *name = #code; return CUDA_SUCCESS;
		NAME(CUDA_ERROR_INVALID_VALUE)
		NAME(CUDA_ERROR_OUT_OF_MEMORY)
		NAME(CUDA_ERROR_NO_DEVICE)
		NAME(CUDA_ERROR_INVALID_DEVICE)
		NAME(CUDA_ERROR_INVALID_CONTEXT)
		NAME(CUDA_ERROR_INVALID_HANDLE)
		NAME(CUDA_ERROR_ILLEGAL_ADDRESS)
		NAME(CUDA_ERROR_ECC_UNCORRECTABLE)
		NAME(CUDA_ERROR_LAUNCH_FAILED)
		NAME(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
	default: return CUDA_ERROR_INVALID_VALUE;
	}
}

API(cuDeviceGet)(CUdevice *d, int ordinal) {
	ENTER(cuDeviceGet);
	*d = ordinal;
	return ordinal >= 0 && ordinal < int(contexts.size()) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API(cuDeviceGetCount)(int *n) {
	ENTER(cuDeviceGetCount);
	*n = int(contexts.size());
	return CUDA_SUCCESS;
}
API(cuDeviceGetName)(char *name, int len, CUdevice d) {
	ENTER(cuDeviceGetName);
	snprintf(name, len, "emulated device %d", d);
	return CUDA_SUCCESS;
}
API(cuDeviceTotalMem_v2)(size_t *bytes, CUdevice) {
	ENTER(cuDeviceTotalMem);
	*bytes = limitBytes;
	return CUDA_SUCCESS;
}
API(cuDeviceGetAttribute)(int *v, CUdevice_attribute a, CUdevice) {
	ENTER(cuDeviceGetAttribute);
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = setting("SPDOPT_EMU_CAPABILITY", 80) / 10; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = setting("SPDOPT_EMU_CAPABILITY", 80) % 10; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = 4; break;
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *v = 1024; break;
	case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *v = 32; break;
	case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
	case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
	case CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS: *v = 1; break;
	default: return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}
API(cuDevicePrimaryCtxRetain)(CUcontext *c, CUdevice d) {
	ENTER(cuDevicePrimaryCtxRetain);
	if (d < 0 || d >= int(contexts.size())) {
		return CUDA_ERROR_INVALID_DEVICE;
	}
	*c = contexts[d].get();
	(*c)->users++;
	return CUDA_SUCCESS;
}
API(cuDevicePrimaryCtxRelease_v2)(CUdevice d) {
	ENTER(cuDevicePrimaryCtxRelease);
	contexts[d]->users--;
	return CUDA_SUCCESS;
}
API(cuCtxPushCurrent_v2)(CUcontext c) {
	ENTER(cuCtxPushCurrent);
	current.push_back(c);
	return CUDA_SUCCESS;
}
API(cuCtxPopCurrent_v2)(CUcontext *c) {
	ENTER(cuCtxPopCurrent);
	if (current.empty()) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	*c = current.back();
	current.pop_back();
	return CUDA_SUCCESS;
}
API(cuCtxSetCurrent)(CUcontext c) {
	ENTER(cuCtxSetCurrent);
	if (!current.empty()) {
		current.pop_back();
	}
	if (c != nullptr) {
		current.push_back(c);
	}
	return CUDA_SUCCESS;
}
API(cuCtxGetCurrent)(CUcontext *c) {
	ENTER(cuCtxGetCurrent);
	*c = here();
	return CUDA_SUCCESS;
}
API(cuCtxGetDevice)(CUdevice *d) {
	ENTER(cuCtxGetDevice);
	if (here() == nullptr) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	*d = here()->device;
	return CUDA_SUCCESS;
}
API(cuCtxSynchronize)() {
	ENTER(cuCtxSynchronize);
	if (CUresult err = waits()) {
		return err;
	}
	return drainAll(here());
}

API(cuModuleLoadData)(CUmodule *m, const void *image) {
	ENTER(cuModuleLoadData);
	if (CUresult err = usable()) {
		return err;
	}
	const char *text = static_cast<const char *>(image);
	if (strstr(text, ".version") == nullptr) {
		return CUDA_ERROR_INVALID_IMAGE;
	}
	*m = new CUmod_st;
	(*m)->prefix = strstr(text, ".entry is_double") == nullptr ? "f32." : "f64.";
	return CUDA_SUCCESS;
}
API(cuModuleUnload)(CUmodule m) {
	ENTER(cuModuleUnload);
	delete m;
	return CUDA_SUCCESS;
}
API(cuModuleGetFunction)(CUfunction *f, CUmodule m, const char *name) {
	ENTER(cuModuleGetFunction);
	const emu::Entry *e = emu::find((m->prefix + name).c_str());
	if (e == nullptr) {
		return CUDA_ERROR_NOT_FOUND;
	}
	auto &own = m->functions[name];
	if (own == nullptr) {
		own.reset(new CUfunc_st{e});
	}
	*f = own.get();
	return CUDA_SUCCESS;
}
API(cuFuncSetAttribute)(CUfunction f, CUfunction_attribute a, int v) {
	ENTER(cuFuncSetAttribute);
	if (a != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || v > 227 << 10) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	f->mostShared = v;
	return CUDA_SUCCESS;
}
API(cuLaunchKernel)(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned sharedBytes, CUstream stream,
	void **params, void **) {
	ENTER(cuLaunchKernel);
	if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz == 0 || bx * by * bz > 1024 || int(sharedBytes) > f->mostShared) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	constexpr int most = 40;
	std::vector<uint64_t> values(most);
	std::vector<emu::Use> uses;
	const emu::Entry *e = f->entry;
	for (int i = 0; i < e->count; i++) {
		memcpy(&values[i], params[i], 8);
		if (e->roles[i] != 0) {
			uses.push_back({reinterpret_cast<void *>(values[i]), e->roles[i] == 'w'});
		}
	}
	return emu::enqueue(stream, uses, [=]() mutable {
		void *own[most];
		for (int i = 0; i < most; i++) {
			own[i] = &values[i];
		}
		switch (emu::launch(e, {gx, gy, gz}, {bx, by, bz}, sharedBytes, own, reverse)) {
		case emu::Diverged: return CUDA_ERROR_LAUNCH_FAILED;
		case emu::BadAddress: return CUDA_ERROR_ILLEGAL_ADDRESS;
		default: return CUDA_SUCCESS;
		}
	});
}

static CUresult allocate(CUdeviceptr *p, size_t n, bool managed) {
	if (CUresult err = waits()) {
		return err;
	}
	if (n == 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (usedBytes + n > limitBytes) {
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	size_t mapped = 0;
	char *data = emu::guarded(n, &mapped);
	if (data == nullptr) {
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	memset(data, 0xff, n);
	*p = reinterpret_cast<CUdeviceptr>(data);
	memory[*p] = {n, mapped, here(), managed};
	usedBytes += n;
	peakBytes = usedBytes > peakBytes ? usedBytes : peakBytes;
	return CUDA_SUCCESS;
}
API(cuMemAlloc_v2)(CUdeviceptr *p, size_t n) {
	ENTER(cuMemAlloc);
	return allocate(p, n, false);
}
API(cuMemAllocManaged)(CUdeviceptr *p, size_t n, unsigned) {
	ENTER(cuMemAllocManaged);
	return allocate(p, n, true);
}
API(cuMemFree_v2)(CUdeviceptr p) {
	ENTER(cuMemFree);
	auto m = memory.find(p);
	if (m == memory.end()) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	drainAll(m->second.ctx);
	size_t page = sysconf(_SC_PAGESIZE);
	munmap(reinterpret_cast<void *>(p + m->second.size + page - m->second.mapped), m->second.mapped);
	usedBytes -= m->second.size;
	memory.erase(m);
	return CUDA_SUCCESS;
}
API(cuMemAllocHost_v2)(void **p, size_t n) {
	ENTER(cuMemAllocHost);
	if (CUresult err = waits()) {
		return err;
	}
	*p = malloc(n);
	pinned[*p] = n;
	return CUDA_SUCCESS;
}
API(cuMemFreeHost)(void *p) {
	ENTER(cuMemFreeHost);
	pinned.erase(p);
	free(p);
	return CUDA_SUCCESS;
}
API(cuMemGetInfo_v2)(size_t *available, size_t *total) {
	ENTER(cuMemGetInfo);
	*total = limitBytes;
	*available = limitBytes - usedBytes;
	return usable();
}
API(cuPointerGetAttribute)(void *data, CUpointer_attribute a, CUdeviceptr p) {
	ENTER(cuPointerGetAttribute);
	auto m = holder(p, 1);
	if (m == memory.end()) {
		if (sharing && a == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL) {
			*static_cast<int *>(data) = 0;
			return CUDA_SUCCESS;
		}
		return CUDA_ERROR_INVALID_VALUE;
	}
	switch (a) {
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: *static_cast<unsigned *>(data) = CU_MEMORYTYPE_DEVICE; return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int *>(data) = m->second.ctx->device; return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<unsigned *>(data) = m->second.managed; return CUDA_SUCCESS;
	default: return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult copy(void *dst, const void *src, size_t n, CUdeviceptr a, CUdeviceptr b) {
	if ((a != 0 && !known(a, n)) || (b != 0 && !known(b, n))) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	memmove(dst, src, n);
	return CUDA_SUCCESS;
}
/* A waiting copy acts as work of the default stream. */
static CUresult copyNow(void *dst, const void *src, size_t n, CUdeviceptr a, CUdeviceptr b) {
	if (CUresult err = waits()) {
		return err;
	}
	for (CUstream s : here()->streams) {
		if (!(s->flags & CU_STREAM_NON_BLOCKING)) {
			drain(s);
		}
	}
	if (CUresult err = drain(&here()->null)) {
		return err;
	}
	return copy(dst, src, n, a, b);
}
static CUresult copyLater(void *dst, const void *src, size_t n, CUdeviceptr a, CUdeviceptr b, CUstream stream) {
	if ((a != 0 && !known(a, n)) || (b != 0 && !known(b, n))) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	return emu::enqueue(stream, {{dst, true}, {src, false}}, [=] { return copy(dst, src, n, a, b); });
}
#define AT(p) reinterpret_cast<void *>(p)
API(cuMemcpyHtoD_v2)(CUdeviceptr d, const void *s, size_t n) {
	ENTER(cuMemcpyHtoD);
	return copyNow(AT(d), s, n, d, 0);
}
API(cuMemcpyDtoH_v2)(void *d, CUdeviceptr s, size_t n) {
	ENTER(cuMemcpyDtoH);
	return copyNow(d, AT(s), n, s, 0);
}
API(cuMemcpyDtoD_v2)(CUdeviceptr d, CUdeviceptr s, size_t n) {
	ENTER(cuMemcpyDtoD);
	return copyNow(AT(d), AT(s), n, d, s);
}
API(cuMemcpyHtoDAsync_v2)(CUdeviceptr d, const void *s, size_t n, CUstream stream) {
	ENTER(cuMemcpyHtoDAsync);
	return copyLater(AT(d), s, n, d, 0, stream);
}
API(cuMemcpyDtoHAsync_v2)(void *d, CUdeviceptr s, size_t n, CUstream stream) {
	ENTER(cuMemcpyDtoHAsync);
	return copyLater(d, AT(s), n, s, 0, stream);
}
API(cuMemcpyDtoDAsync_v2)(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream stream) {
	ENTER(cuMemcpyDtoDAsync);
	return copyLater(AT(d), AT(s), n, d, s, stream);
}
static CUresult fill(CUdeviceptr d, unsigned v, size_t n, size_t size) {
	if (!known(d, n * size)) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(static_cast<char *>(AT(d)) + i * size, &v, size);
	}
	return CUDA_SUCCESS;
}
API(cuMemsetD8Async)(CUdeviceptr d, unsigned char v, size_t n, CUstream stream) {
	ENTER(cuMemsetD8Async);
	return emu::enqueue(stream, {{AT(d), true}}, [=] { return fill(d, v, n, 1); });
}
API(cuMemsetD32Async)(CUdeviceptr d, unsigned v, size_t n, CUstream stream) {
	ENTER(cuMemsetD32Async);
	return emu::enqueue(stream, {{AT(d), true}}, [=] { return fill(d, v, n, 4); });
}
API(cuMemPrefetchAsync)(CUdeviceptr d, size_t n, CUdevice, CUstream stream) {
	ENTER(cuMemPrefetchAsync);
	return holder(d, n) == memory.end() ? CUDA_ERROR_INVALID_VALUE : resolve(&stream);
}

API(cuStreamCreate)(CUstream *s, unsigned flags) {
	ENTER(cuStreamCreate);
	if (CUresult err = usable()) {
		return err;
	}
	*s = new CUstream_st;
	(*s)->ctx = here();
	(*s)->flags = flags;
	here()->streams.push_back(*s);
	return CUDA_SUCCESS;
}
API(cuStreamDestroy_v2)(CUstream s) {
	ENTER(cuStreamDestroy);
	drain(s);
	auto &all = s->ctx->streams;
	for (size_t i = 0; i < all.size(); i++) {
		if (all[i] == s) {
			all.erase(all.begin() + i);
			break;
		}
	}
	delete s;
	return CUDA_SUCCESS;
}
API(cuStreamGetCtx)(CUstream s, CUcontext *c) {
	ENTER(cuStreamGetCtx);
	if (s == nullptr) {
		*c = here();
		return usable();
	}
	for (auto &ctx : contexts) {
		for (CUstream own : ctx->streams) {
			if (own == s) {
				*c = ctx.get();
				return CUDA_SUCCESS;
			}
		}
	}
	return CUDA_ERROR_INVALID_HANDLE;
}
API(cuStreamSynchronize)(CUstream s) {
	ENTER(cuStreamSynchronize);
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (CUresult err = waits()) {
		return err;
	}
	return drain(s);
}
API(cuStreamQuery)(CUstream s) {
	ENTER(cuStreamQuery);
	if (CUresult err = resolve(&s)) {
		return err;
	}
	return s->queue.empty() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
API(cuStreamWaitEvent)(CUstream s, CUevent e, unsigned) {
	ENTER(cuStreamWaitEvent);
	return emu::enqueue(s, {}, [=] {
		while (e->pending > 0 && !e->stream->queue.empty()) {
			if (CUresult err = runFirst(e->stream)) {
				return err;
			}
		}
		return CUDA_SUCCESS;
	});
}
API(cuStreamBeginCapture_v2)(CUstream s, CUstreamCaptureMode) {
	ENTER(cuStreamBeginCapture);
	if (s == nullptr) {
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	if (CUresult err = resolve(&s)) {
		return err;
	}
	if (s->recording != nullptr) {
		return CUDA_ERROR_ILLEGAL_STATE;
	}
	s->recording = new CUgraph_st;
	s->spoiled = false;
	return CUDA_SUCCESS;
}
API(cuStreamEndCapture)(CUstream s, CUgraph *g) {
	ENTER(cuStreamEndCapture);
	if (CUresult err = resolve(&s)) {
		return err;
	}
	*g = s->recording;
	s->recording = nullptr;
	if (*g == nullptr) {
		return CUDA_ERROR_ILLEGAL_STATE;
	}
	if (s->spoiled) {
		delete *g;
		*g = nullptr;
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	}
	return CUDA_SUCCESS;
}
API(cuStreamIsCapturing)(CUstream s, CUstreamCaptureStatus *status) {
	ENTER(cuStreamIsCapturing);
	if (CUresult err = resolve(&s)) {
		return err;
	}
	*status = s->recording == nullptr ? CU_STREAM_CAPTURE_STATUS_NONE : CU_STREAM_CAPTURE_STATUS_ACTIVE;
	return CUDA_SUCCESS;
}
API(cuGraphInstantiateWithFlags)(CUgraphExec *e, CUgraph g, unsigned long long) {
	ENTER(cuGraphInstantiateWithFlags);
	*e = new CUgraphExec_st{g->nodes};
	return CUDA_SUCCESS;
}
API(cuGraphLaunch)(CUgraphExec e, CUstream s) {
	ENTER(cuGraphLaunch);
	for (const Work &w : e->nodes) {
		if (CUresult err = emu::enqueue(s, w.uses, w.run)) {
			return err;
		}
	}
	return CUDA_SUCCESS;
}
API(cuGraphExecDestroy)(CUgraphExec e) {
	ENTER(cuGraphExecDestroy);
	delete e;
	return CUDA_SUCCESS;
}
API(cuGraphDestroy)(CUgraph g) {
	ENTER(cuGraphDestroy);
	delete g;
	return CUDA_SUCCESS;
}

API(cuEventCreate)(CUevent *e, unsigned) {
	ENTER(cuEventCreate);
	*e = new CUevent_st;
	return usable();
}
API(cuEventRecord)(CUevent e, CUstream s) {
	ENTER(cuEventRecord);
	CUstream own = s;
	if (CUresult err = resolve(&own)) {
		return err;
	}
	e->stream = own;
	e->pending++;
	return emu::enqueue(s, {}, [=] {
		e->pending--;
		return CUDA_SUCCESS;
	});
}
API(cuEventQuery)(CUevent e) {
	ENTER(cuEventQuery);
	return e->pending > 0 ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}
API(cuEventSynchronize)(CUevent e) {
	ENTER(cuEventSynchronize);
	return e->stream == nullptr ? CUDA_SUCCESS : drain(e->stream);
}
API(cuEventElapsedTime)(float *ms, CUevent, CUevent) {
	ENTER(cuEventElapsedTime);
	*ms = 1;
	return CUDA_SUCCESS;
}
API(cuEventDestroy_v2)(CUevent e) {
	ENTER(cuEventDestroy);
	delete e;
	return CUDA_SUCCESS;
}
