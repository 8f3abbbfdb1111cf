/* The memory of the stand-in driver. */
#include "driver.h"

#include <sys/mman.h>
#include <unistd.h>

namespace driver {

std::map<CUdeviceptr, Memory> memory;
std::map<uintptr_t, Pinned> pinned;
size_t limitBytes = size_t(8) << 30, usedBytes, peakBytes;

std::map<CUdeviceptr, Memory>::iterator holder(CUdeviceptr p, size_t n) {
	auto m = memory.upper_bound(p);
	if (m == memory.begin()) {
		return memory.end();
	}
	--m;
	return p + n <= m->first + m->second.size ? m : memory.end();
}

bool inPinned(const void *p, size_t n) {
	auto m = pinned.upper_bound(reinterpret_cast<uintptr_t>(p));
	if (m == pinned.begin()) {
		return false;
	}
	--m;
	return reinterpret_cast<uintptr_t>(p) + n <= m->first + m->second.size;
}

/* Says whether n bytes at p are memory of a device. */
static bool known(CUdeviceptr p, size_t n) { return sharing || holder(p, n) != memory.end(); }

/* Sets what the processor may do with managed memory, whose mapping ends with a guard page. */
void permit(CUdeviceptr p, Memory &m, int access) {
	if (m.access != access) {
		size_t page = sysconf(_SC_PAGESIZE);
		mprotect(reinterpret_cast<void *>(p + m.size + page - m.mapped), m.mapped - page, access);
		m.access = access;
	}
}
void permitRest(CUdeviceptr p, Memory &m) { permit(p, m, m.writers > 0 ? PROT_NONE : m.readers > 0 ? PROT_READ : PROT_READ | PROT_WRITE); }

void claim(const Work &w, int change) {
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

} // namespace driver

using namespace driver;

bool emu::owns(const void *p, size_t n) { return known(reinterpret_cast<CUdeviceptr>(p), n); }

bool emu::place(uintptr_t at, size_t n, uintptr_t *from, uintptr_t *to) {
	auto m = holder(at, n);
	if (m != memory.end()) {
		*from = m->first;
		*to = m->first + m->second.size;
		return true;
	}
	*from = at;
	*to = at + n;
	return sharing || inPinned(reinterpret_cast<void *>(at), n);
}

EXPORT void spdEmuLimit(size_t bytes) {
	std::lock_guard<std::recursive_mutex> l(lock);
	limitBytes = bytes;
}
EXPORT size_t spdEmuUsed(void) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return usedBytes;
}
EXPORT size_t spdEmuPeak(void) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return peakBytes;
}

static Work ahead;
/* Closes memory that work will use which is still to come, or with 0 opens all such memory. */
EXPORT void spdEmuClaim(uintptr_t at, int written) {
	std::lock_guard<std::recursive_mutex> l(lock);
	if (at != 0) {
		emu::Use use{reinterpret_cast<void *>(at), written != 0};
		ahead.uses.push_back(use);
		claim({{use}, nullptr}, 1);
		return;
	}
	claim(ahead, -1);
	for (const emu::Use &u : ahead.uses) {
		auto m = holder(reinterpret_cast<CUdeviceptr>(u.at), 1);
		if (m != memory.end() && m->second.managed) {
			permitRest(m->first, m->second);
		}
	}
	ahead.uses.clear();
}

static CUresult allocate(CUdeviceptr *p, size_t n, bool managed) {
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
	constexpr size_t mostPoison = 256 << 20; /* larger memory is for tests of indices, which touch little of it */
	if (n <= mostPoison) {
		memset(data, 0xff, n);
	}
	*p = reinterpret_cast<CUdeviceptr>(data);
	memory[*p] = {n, mapped, here(), managed, 0, 0, PROT_READ | PROT_WRITE};
	usedBytes += n;
	peakBytes = usedBytes > peakBytes ? usedBytes : peakBytes;
	return CUDA_SUCCESS;
}

static void unmap(uintptr_t p, size_t size, size_t mapped) {
	size_t page = sysconf(_SC_PAGESIZE);
	munmap(reinterpret_cast<void *>(p + size + page - mapped), mapped);
}

API(cuMemAlloc_v2)(CUdeviceptr *p, size_t n) {
	ENTER_WAITING(cuMemAlloc);
	return allocate(p, n, false);
}
API(cuMemAllocManaged)(CUdeviceptr *p, size_t n, unsigned flags) {
	ENTER_WAITING(cuMemAllocManaged);
	return flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST ? allocate(p, n, true) : CUDA_ERROR_INVALID_VALUE;
}
API(cuMemFree_v2)(CUdeviceptr p) {
	ENTER_WAITING(cuMemFree);
	auto m = memory.find(p);
	if (m == memory.end()) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	drainAll(m->second.ctx);
	unmap(p, m->second.size, m->second.mapped);
	usedBytes -= m->second.size;
	memory.erase(m);
	return CUDA_SUCCESS;
}
API(cuMemAllocHost_v2)(void **p, size_t n) {
	ENTER_WAITING(cuMemAllocHost);
	size_t mapped = 0;
	*p = emu::guarded(n, &mapped);
	if (n == 0 || *p == nullptr) {
		return n == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
	}
	pinned[reinterpret_cast<uintptr_t>(*p)] = {n, mapped, here()};
	return CUDA_SUCCESS;
}
/* The documentation does not say that this waits, so that nothing may be under way. */
API(cuMemFreeHost)(void *p) {
	ENTER_WAITING(cuMemFreeHost);
	auto m = pinned.find(reinterpret_cast<uintptr_t>(p));
	if (m == pinned.end()) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (awaited(p, m->second.size)) {
		return CUDA_ERROR_ILLEGAL_STATE;
	}
	unmap(m->first, m->second.size, m->second.mapped);
	pinned.erase(m);
	return CUDA_SUCCESS;
}
API(cuMemGetInfo_v2)(size_t *available, size_t *total) {
	ENTER_CONTEXT(cuMemGetInfo);
	*total = limitBytes;
	*available = limitBytes - usedBytes;
	return CUDA_SUCCESS;
}
/* Page-locked memory has a device too, that of the context which it was made in. */
API(cuPointerGetAttribute)(void *data, CUpointer_attribute a, CUdeviceptr p) {
	ENTER_CONTEXT(cuPointerGetAttribute);
	auto m = holder(p, 1);
	auto h = pinned.upper_bound(p);
	bool host = m == memory.end() && inPinned(reinterpret_cast<void *>(p), 1);
	if (m == memory.end() && !host && !sharing) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	int device = host ? (--h)->second.ctx->device : m == memory.end() ? 0 : m->second.ctx->device;
	switch (a) {
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: *static_cast<unsigned *>(data) = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE; return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *static_cast<int *>(data) = device; return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED: *static_cast<unsigned *>(data) = m != memory.end() && m->second.managed; return CUDA_SUCCESS;
	default: return CUDA_ERROR_INVALID_VALUE;
	}
}

/* One side of a copy: memory of a device, or of the host. */
struct Side {
	const void *at;
	bool device;
	Side(CUdeviceptr p) : at(reinterpret_cast<void *>(p)), device(true) {}
	Side(const void *p) : at(p), device(false) {}
	bool good(size_t n) const { return !device || emu::owns(at, n); }
	bool locked(size_t n) const { return device || inPinned(at, n); }
};

static CUresult copy(Side dst, Side src, size_t n) {
	if (!dst.good(n) || !src.good(n)) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	memmove(const_cast<void *>(dst.at), src.at, n);
	return CUDA_SUCCESS;
}
/* A waiting copy acts as work of the default stream. */
static CUresult copyNow(Side dst, Side src, size_t n) {
	for (CUstream s : here()->streams) {
		if (!(s->flags & CU_STREAM_NON_BLOCKING)) {
			drain(s);
		}
	}
	if (CUresult err = drain(&here()->null)) {
		return err;
	}
	return copy(dst, src, n);
}
/* A copy of memory that is not page-locked goes through the driver's own while the caller waits, which cannot be recorded. */
static CUresult copyLater(Side dst, Side src, size_t n, CUstream stream) {
	if (!dst.good(n) || !src.good(n)) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	if (!sharing && (!dst.locked(n) || !src.locked(n)) && forbidden()) {
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return emu::enqueue(stream, {{dst.at, true, n}, {src.at, false, n}}, [=] { return copy(dst, src, n); });
}
API(cuMemcpyHtoD_v2)(CUdeviceptr d, const void *s, size_t n) {
	ENTER_WAITING(cuMemcpyHtoD);
	return copyNow(d, s, n);
}
API(cuMemcpyDtoH_v2)(void *d, CUdeviceptr s, size_t n) {
	ENTER_WAITING(cuMemcpyDtoH);
	return copyNow(static_cast<const void *>(d), s, n);
}
API(cuMemcpyHtoDAsync_v2)(CUdeviceptr d, const void *s, size_t n, CUstream stream) {
	ENTER_CONTEXT(cuMemcpyHtoDAsync);
	return copyLater(d, s, n, stream);
}
API(cuMemcpyDtoHAsync_v2)(void *d, CUdeviceptr s, size_t n, CUstream stream) {
	ENTER_CONTEXT(cuMemcpyDtoHAsync);
	return copyLater(static_cast<const void *>(d), s, n, stream);
}
API(cuMemcpyDtoDAsync_v2)(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream stream) {
	ENTER_CONTEXT(cuMemcpyDtoDAsync);
	return copyLater(d, s, n, stream);
}
API(cuMemsetD8Async)(CUdeviceptr d, unsigned char v, size_t n, CUstream stream) {
	ENTER_CONTEXT(cuMemsetD8Async);
	if (!known(d, n)) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	void *at = reinterpret_cast<void *>(d);
	return emu::enqueue(stream, {{at, true, n}}, [=] {
		if (!known(d, n)) {
			return CUDA_ERROR_ILLEGAL_ADDRESS;
		}
		memset(at, v, n);
		return CUDA_SUCCESS;
	});
}
