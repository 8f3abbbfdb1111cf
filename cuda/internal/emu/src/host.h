/* What the stand-in driver asks of the emulation, and the stand-in cuBLAS of the driver. */
#ifndef SPDOPT_EMU_HOST_H
#define SPDOPT_EMU_HOST_H

#include <functional>

#include <cuda.h>

#include "emu.h"

namespace emu {

enum Outcome { Ended, Diverged, BadAddress };

const Entry *find(const char *name);
char *guarded(size_t bytes, size_t *mapped);
Outcome launch(const Entry *e, uint3 grid, uint3 size, size_t sharedBytes, void **params, bool reverse);

/* Puts work on a stream of the current context, or into the graph that the stream records. */
CUresult enqueue(CUstream stream, std::function<CUresult()> work);

/* Says whether n bytes at p are memory of the device. */
bool owns(const void *p, size_t n);

/* The error that fault injection wants from this call, or success. */
CUresult injected(const char *name);

} // namespace emu

#endif
