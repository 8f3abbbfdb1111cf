//go:build cuda && !cudalink

/* Trampolines in place of libcuda.so.1: every entry point jumps through a slot that spdDriverOpen fills from the driver. Until then, and for
   entry points that the driver lacks, a slot answers CUDA_ERROR_NO_DEVICE or CUDA_ERROR_NOT_SUPPORTED. They are hidden, so that a shared library
   made of this program does not stand in for the driver of the process that loads it. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <cuda.h>

#include "dl.h"

static CUresult absent(void) { return CUDA_ERROR_NO_DEVICE; }
static CUresult lacking(void) { return CUDA_ERROR_NOT_SUPPORTED; }

#define ENTRY(name) __attribute__((visibility("hidden"))) void *spdSlot_##name = (void *)absent;
#include "entries.h"
#undef ENTRY

#if defined(__x86_64__)
#define JUMP(name) "\tjmp *spdSlot_" #name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(name) "\tadrp x16, spdSlot_" #name "\n\tldr x16, [x16, :lo12:spdSlot_" #name "]\n\tbr x16\n"
#else
#error "no trampolines for this processor; build with -tags cuda,cudalink"
#endif
#define ENTRY(name) \
	__asm__(".text\n\t.globl " #name "\n\t.hidden " #name "\n\t.type " #name ", %function\n" #name ":\n" JUMP(name));
#include "entries.h"
#undef ENTRY

/* gorgonia.org/cu initialises the driver before main and exits where there is none; the real call is made by spdDriverOpen. */
__attribute__((visibility("hidden"))) CUresult cuInit(unsigned int flags) {
	(void)flags;
	return CUDA_SUCCESS;
}

static const struct {
	const char *name;
	void **slot;
} slots[] = {
#define ENTRY(name) {#name, &spdSlot_##name},
#include "entries.h"
#undef ENTRY
};

int spdDriverOpen(const char *const *candidates, int count, char *why, int size) {
	void *lib = NULL;
	why[0] = 0;
	for (int i = 0; i < count && lib == NULL; i++) {
		lib = dlopen(candidates[i], RTLD_NOW | RTLD_LOCAL);
		if (lib == NULL && why[0] == 0) {
			snprintf(why, size, "%s", dlerror());
		}
	}
	if (lib == NULL) {
		return SPD_NO_DRIVER;
	}
	CUresult (*init)(unsigned int) = (CUresult(*)(unsigned int))dlsym(lib, "cuInit");
	if (init == NULL) {
		snprintf(why, size, "cuInit is missing");
		return SPD_NO_DRIVER;
	}
	why[0] = 0;
	for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
		void *f = dlsym(lib, slots[i].name);
		*slots[i].slot = f == NULL ? (void *)lacking : f;
	}
	return init(0);
}
