/* What the stand-in driver asks of the emulation, and the stand-in cuBLAS of the driver. */
#ifndef SPDOPT_EMU_HOST_H
#define SPDOPT_EMU_HOST_H

#include <functional>
#include <vector>

#include <cuda.h>

#include "emu.h"

namespace emu {

enum Outcome { Ended, Diverged, BadAddress, Misaligned, Raced };

const Entry *find(const char *name);
char *guarded(size_t bytes, size_t *mapped);
Outcome launch(const Entry *e, uint3 grid, uint3 size, void **params, bool reverse);

/* Ends the running kernel, from within. */
[[noreturn]] void abandon(Outcome why);
bool running();
const char *kernel();
bool inStack(uintptr_t at);
bool inShared(uintptr_t at, size_t n);
/* The number of the launch, and of the block in it. */
unsigned launches();
unsigned blockNumber();

/* Memory that work uses. */
struct Use {
	const void *at;
	bool written;
	size_t bytes = 0; /* if they are known */
};

/* Puts work on a stream of the current context, or into the graph that the stream records. Until it has run, the processor cannot touch managed memory that
   it writes, and cannot write what it reads. */
CUresult enqueue(CUstream stream, std::vector<Use> uses, std::function<CUresult()> run);

/* Says whether n bytes at p are memory of the device. */
bool owns(const void *p, size_t n);

/* Says whether a kernel may touch n bytes at an address, and the stretch for which that holds. */
bool place(uintptr_t at, size_t n, uintptr_t *from, uintptr_t *to);

/* Says whether a stream records, and whether this thread must not make calls that may wait, because of what is being recorded, which they spoil. */
bool recording(CUstream stream);
bool forbidden();

/* The current context, ten times the compute capability of the devices, and the version of cuBLAS. */
CUcontext context();
int capability();
int blasVersion();

/* The error that fault injection wants from this call, or success. */
CUresult injected(const char *name);

/* Counts work that runs as a call of that name, for spdEmuCalls. */
void counted(const char *name);

} // namespace emu

#endif
