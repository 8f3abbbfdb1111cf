/* The state of the stand-in driver, which its files share. */
#ifndef SPDOPT_EMU_DRIVER_H
#define SPDOPT_EMU_DRIVER_H

#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "host.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
#define API(name) EXPORT CUresult name
/* What a call does first: it takes the lock, and fails where a test wants it to. name is not handed on, because names are macros. */
#define ENTER(name)                                          \
	std::lock_guard<std::recursive_mutex> l(driver::lock);    \
	if (CUresult err = emu::injected(#name)) return err
/* The same for calls that need a current context, which must not be lost. */
#define ENTER_CONTEXT(name)                                  \
	std::lock_guard<std::recursive_mutex> l(driver::lock);    \
	if (CUresult err = emu::injected(#name)) return err;      \
	if (CUresult err = driver::usable()) return err
/* The same for calls that may wait, which a thread must not make while it records. */
#define ENTER_WAITING(name)                                  \
	std::lock_guard<std::recursive_mutex> l(driver::lock);    \
	if (CUresult err = emu::injected(#name)) return err;      \
	if (CUresult err = driver::usable()) return err;          \
	if (driver::forbidden()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED

struct Work {
	std::vector<emu::Use> uses;
	std::function<CUresult()> run;
};

struct CUgraph_st {
	std::vector<Work> nodes;
};
struct CUgraphExec_st {
	std::vector<Work> nodes;
	CUcontext ctx;
};
struct CUstream_st {
	CUcontext ctx;
	unsigned flags;
	std::deque<Work> queue;
	CUgraph recording = nullptr;
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
	std::thread::id recorder;
	bool spoiled = false;
};
struct CUctx_st {
	int device, users = 0;
	CUresult lost = CUDA_SUCCESS;
	CUstream_st null;
	std::vector<CUstream> streams;
};
/* The work that an event was recorded behind. */
struct Moment {
	CUstream stream;
	bool passed;
};
struct CUevent_st {
	bool captured = false;
	std::shared_ptr<Moment> last;
};
struct CUfunc_st {
	const emu::Entry *entry;
	CUmodule module;
};
struct CUmod_st {
	CUcontext ctx;
	std::string image;
	std::string prefix; /* of the element type */
	std::map<std::string, std::unique_ptr<CUfunc_st>> functions;
};
struct Memory {
	size_t size, mapped;
	CUcontext ctx;
	bool managed;
	int readers = 0, writers = 0; /* work that has not run yet */
	int access;
};
struct Pinned {
	size_t size, mapped;
	CUcontext ctx;
};

namespace driver {

extern std::recursive_mutex lock;
extern std::vector<std::unique_ptr<CUctx_st>> contexts; /* one for each device; empty before cuInit */
extern std::map<CUdeviceptr, Memory> memory;
extern std::map<uintptr_t, Pinned> pinned;
extern size_t limitBytes, usedBytes, peakBytes;
extern bool reverse, sharing;

int setting(const char *name, int standard);
CUcontext here();
CUresult usable();
/* Says whether this thread must not make calls that may wait, because of what is being recorded, which they spoil. */
bool forbidden();
/* Looks a stream of the current context up; null is the default one. */
CUresult resolve(CUstream *stream);
/* The memory that holds n bytes at p. */
std::map<CUdeviceptr, Memory>::iterator holder(CUdeviceptr p, size_t n);
bool inPinned(const void *p, size_t n);
/* Says whether work that has not run uses one of n bytes at p. */
bool awaited(const void *p, size_t n);
/* Counts work that is about to wait, or that runs, among those that close managed memory to the processor. */
void claim(const Work &w, int change);
void permit(CUdeviceptr p, Memory &m, int access);
void permitRest(CUdeviceptr p, Memory &m);
CUresult runFirst(CUstream s);
CUresult drain(CUstream s);
CUresult drainAll(CUcontext c);

} // namespace driver

#endif
