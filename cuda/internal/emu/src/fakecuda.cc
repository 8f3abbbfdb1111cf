/* A stand-in for libcuda.so.1 on the processor: devices, contexts, modules, launches. It refuses what the driver's documentation forbids, and where that leaves
   a choice it refuses more than a driver may. Work on streams is deferred until something waits for it, so that a missing wait shows: managed memory that
   such work uses is closed to the processor, as on devices that cannot share it. Copies are checked against the allocations.
   spdEmuFail, spdEmuCalls and spdEmuOrder are for tests.

   With spdEmuShare all memory of the process is the device's too, and work runs when it is enqueued, so that PyTorch without CUDA can hand in its tensors. */
#include "driver.h"

#include <cstdio>
#include <elf.h>

namespace driver {

std::recursive_mutex lock;
std::vector<std::unique_ptr<CUctx_st>> contexts;
bool reverse, sharing;

static std::set<CUmodule> modules;
static std::map<std::string, std::pair<int, int>> faults;
static std::map<std::string, int> calls;
static thread_local std::vector<CUcontext> current;

int setting(const char *name, int standard) {
	const char *v = getenv(name);
	return v == nullptr ? standard : atoi(v);
}

CUcontext here() { return current.empty() ? nullptr : current.back(); }

CUresult usable() {
	if (contexts.empty()) {
		return CUDA_ERROR_NOT_INITIALIZED;
	}
	CUcontext c = here();
	return c == nullptr ? CUDA_ERROR_INVALID_CONTEXT : c->users == 0 ? CUDA_ERROR_CONTEXT_IS_DESTROYED : c->lost;
}

} // namespace driver

using namespace driver;

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

int emu::capability() { return setting("SPDOPT_EMU_CAPABILITY", 80); }
int emu::blasVersion() { return setting("SPDOPT_EMU_BLAS", 120400); }

EXPORT void spdEmuFail(const char *name, int call, int code) {
	std::lock_guard<std::recursive_mutex> l(lock);
	faults[name] = {call, code};
}
EXPORT int spdEmuCalls(const char *name) {
	std::lock_guard<std::recursive_mutex> l(lock);
	return calls[name];
}
EXPORT void spdEmuOrder(int backwards) {
	std::lock_guard<std::recursive_mutex> l(lock);
	reverse = backwards != 0;
}
EXPORT void spdEmuShare(int on) {
	std::lock_guard<std::recursive_mutex> l(lock);
	sharing = on != 0;
}

API(cuInit)(unsigned flags) {
	ENTER(cuInit);
	if (flags != 0) {
		return CUDA_ERROR_INVALID_VALUE;
	}
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
	static const std::map<int, const char *> names = {
#define NAME(code) {code, #code},
#include "errornames.h"
#undef NAME
	};
	auto n = names.find(e);
	*name = n == names.end() ? nullptr : n->second;
	return n == names.end() ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static bool isDevice(CUdevice d) { return d >= 0 && d < int(contexts.size()); }

API(cuDeviceGet)(CUdevice *d, int ordinal) {
	ENTER(cuDeviceGet);
	*d = ordinal;
	return contexts.empty() ? CUDA_ERROR_NOT_INITIALIZED : isDevice(ordinal) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API(cuDeviceGetCount)(int *n) {
	ENTER(cuDeviceGetCount);
	*n = int(contexts.size());
	return CUDA_SUCCESS;
}
API(cuDeviceGetName)(char *name, int len, CUdevice d) {
	ENTER(cuDeviceGetName);
	snprintf(name, len, "emulated device %d", d);
	return isDevice(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API(cuDeviceTotalMem_v2)(size_t *bytes, CUdevice d) {
	ENTER(cuDeviceTotalMem);
	*bytes = limitBytes;
	return isDevice(d) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API(cuDeviceGetAttribute)(int *v, CUdevice_attribute a, CUdevice d) {
	ENTER(cuDeviceGetAttribute);
	if (!isDevice(d)) {
		return CUDA_ERROR_INVALID_DEVICE;
	}
	switch (a) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = emu::capability() / 10; break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = emu::capability() % 10; break;
	case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY: *v = 1; break;
	case CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS: *v = setting("SPDOPT_EMU_CONCURRENT", 1); break;
	default: return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}
API(cuDevicePrimaryCtxRetain)(CUcontext *c, CUdevice d) {
	ENTER(cuDevicePrimaryCtxRetain);
	if (!isDevice(d)) {
		return CUDA_ERROR_INVALID_DEVICE;
	}
	*c = contexts[d].get();
	(*c)->users++;
	return CUDA_SUCCESS;
}
API(cuDevicePrimaryCtxRelease_v2)(CUdevice d) {
	ENTER(cuDevicePrimaryCtxRelease);
	if (!isDevice(d)) {
		return CUDA_ERROR_INVALID_DEVICE;
	}
	if (contexts[d]->users == 0) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	contexts[d]->users--;
	return CUDA_SUCCESS;
}
API(cuCtxPushCurrent_v2)(CUcontext c) {
	ENTER(cuCtxPushCurrent);
	if (c == nullptr) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	if (c->users == 0) {
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	}
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
API(cuCtxSynchronize)() {
	ENTER_WAITING(cuCtxSynchronize);
	return drainAll(here());
}

/* The bytes of an image: text that ends with 0, or a binary. */
static std::string content(const void *image) {
	const char *p = static_cast<const char *>(image);
	if (memcmp(p, ELFMAG, SELFMAG) != 0) {
		return p;
	}
	const Elf64_Ehdr *h = static_cast<const Elf64_Ehdr *>(image);
	size_t sections = h->e_shoff + size_t(h->e_shentsize) * h->e_shnum, programs = h->e_phoff + size_t(h->e_phentsize) * h->e_phnum;
	return std::string(p, sections > programs ? sections : programs);
}

/* Whether the device and the driver can take an image: a binary made for the major and at most the minor capability of the device, or PTX that is not newer than the
   device and the driver. */
static CUresult suits(const std::string &image) {
	int version = setting("SPDOPT_EMU_VERSION", 12040), made, major, minor;
	if (image.compare(0, SELFMAG, ELFMAG) == 0) {
		constexpr int cuda = 190;
		const Elf64_Ehdr *h = reinterpret_cast<const Elf64_Ehdr *>(image.data());
		made = int(h->e_flags & 0xff);
		bool runs = made / 10 == emu::capability() / 10 && made <= emu::capability();
		return h->e_machine != cuda ? CUDA_ERROR_INVALID_IMAGE : runs ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU;
	}
	size_t v = image.find(".version "), t = image.find(".target sm_");
	if (v == std::string::npos || t == std::string::npos) {
		return CUDA_ERROR_INVALID_IMAGE;
	}
	if (sscanf(image.c_str() + v, ".version %d.%d", &major, &minor) != 2 || sscanf(image.c_str() + t, ".target sm_%d", &made) != 1) {
		return CUDA_ERROR_INVALID_PTX;
	}
	if (1000 * (major + 4) + 10 * minor > version) { /* CUDA 11 has PTX 7, and so on */
		return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
	}
	return made > emu::capability() ? CUDA_ERROR_NO_BINARY_FOR_GPU : CUDA_SUCCESS;
}

static bool defines(const std::string &image, const std::string &name) {
	return image.find(".entry " + name + "(") != std::string::npos || image.find(".text." + name + '\0') != std::string::npos;
}

API(cuModuleLoadData)(CUmodule *m, const void *image) {
	ENTER_WAITING(cuModuleLoadData);
	std::string text = content(image);
	if (CUresult err = suits(text)) {
		return err;
	}
	*m = new CUmod_st{here(), text, defines(text, "is_double") ? "f64." : "f32.", {}};
	modules.insert(*m);
	return CUDA_SUCCESS;
}
API(cuModuleUnload)(CUmodule m) {
	ENTER_WAITING(cuModuleUnload);
	if (modules.erase(m) == 0) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	drainAll(m->ctx);
	delete m;
	return CUDA_SUCCESS;
}
/* A driver that loads kernels when they are first asked for may have to wait here. */
API(cuModuleGetFunction)(CUfunction *f, CUmodule m, const char *name) {
	ENTER_WAITING(cuModuleGetFunction);
	if (modules.count(m) == 0) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	const emu::Entry *e = emu::find((m->prefix + name).c_str());
	if (e == nullptr || !defines(m->image, name)) {
		return CUDA_ERROR_NOT_FOUND;
	}
	auto &own = m->functions[name];
	if (own == nullptr) {
		own.reset(new CUfunc_st{e, m});
	}
	*f = own.get();
	return CUDA_SUCCESS;
}

static bool isFunction(CUfunction f) {
	for (CUmodule m : modules) {
		for (auto &own : m->functions) {
			if (own.second.get() == f) {
				return true;
			}
		}
	}
	return false;
}

/* Whether a kernel of the current context may be given this address: memory of the device, managed or page-locked memory, or nothing. */
static bool reachable(const void *p) {
	if (p == nullptr || sharing || inPinned(p, 0)) {
		return true;
	}
	auto m = holder(reinterpret_cast<CUdeviceptr>(p), 0);
	return m != memory.end() && (m->second.managed || m->second.ctx == here());
}

static bool fits(unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz) {
	constexpr unsigned mostThreads = 256; /* __launch_bounds__ of all kernels */
	bool grid = gx - 1 < 0x7fffffff && gy - 1 < 65535 && gz - 1 < 65535;
	return grid && bx - 1 < 1024 && by - 1 < 1024 && bz - 1 < 64 && bx * by * bz <= mostThreads;
}

API(cuLaunchKernel)(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned sharedBytes, CUstream stream,
	void **params, void **extra) {
	ENTER_CONTEXT(cuLaunchKernel);
	if (!isFunction(f) || f->module->ctx != here()) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	if (!fits(gx, gy, gz, bx, by, bz) || sharedBytes != 0 || extra != nullptr) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	constexpr int most = sizeof emu::Entry::roles;
	std::vector<uint64_t> values(most);
	std::vector<emu::Use> uses;
	const emu::Entry *e = f->entry;
	CUresult wrong = CUDA_SUCCESS;
	for (int i = 0; i < e->count; i++) {
		memcpy(&values[i], params[i], 8);
		if (e->roles[i] == 0) {
			continue;
		}
		const void *p = reinterpret_cast<void *>(values[i]);
		uses.push_back({p, e->roles[i] == 'w'});
		wrong = !reachable(p) ? CUDA_ERROR_ILLEGAL_ADDRESS : values[i] % e->aligned[i] != 0 ? CUDA_ERROR_MISALIGNED_ADDRESS : wrong;
	}
	return emu::enqueue(stream, uses, [=]() mutable {
		if (wrong != CUDA_SUCCESS) {
			return wrong;
		}
		void *own[most];
		for (int i = 0; i < most; i++) {
			own[i] = &values[i];
		}
		switch (emu::launch(e, {gx, gy, gz}, {bx, by, bz}, own, reverse)) {
		case emu::Diverged: return CUDA_ERROR_LAUNCH_FAILED;
		case emu::Raced: return CUDA_ERROR_ASSERT;
		case emu::Misaligned: return CUDA_ERROR_MISALIGNED_ADDRESS;
		case emu::BadAddress: return CUDA_ERROR_ILLEGAL_ADDRESS;
		default: return CUDA_SUCCESS;
		}
	});
}
