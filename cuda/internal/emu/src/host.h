/* What the stand-in driver asks of the emulation, and the stand-in cuBLAS of the driver. */
#ifndef SPDOPT_EMU_HOST_H
#define SPDOPT_EMU_HOST_H

#include <functional>
#include <vector>

#include <cuda.h>

#include "emu.h"

namespace emu {

enum Outcome { Ended, Diverged, BadAddress };

const Entry *find(const char *name);
char *guarded(size_t bytes, size_t *mapped);
Outcome launch(const Entry *e, uint3 grid, uint3 size, size_t sharedBytes, void **params, bool reverse);

/* Memory that work uses. */
struct Use {
	const void *at;
	bool written;
};

/* Puts work on a stream of the current context, or into the graph that the stream records. Until it has run, the processor cannot touch managed memory that
   it writes, and cannot write what it reads. */
CUresult enqueue(CUstream stream, std::vector<Use> uses, std::function<CUresult()> run);

/* Says whether n bytes at p are memory of the device. */
bool owns(const void *p, size_t n);

/* The error that fault injection wants from this call, or success. */
CUresult injected(const char *name);

/* Counts work that runs as a call of that name, for spdEmuCalls. */
void counted(const char *name);

} // namespace emu

#endif
