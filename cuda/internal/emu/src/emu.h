/* CUDA C on the processor: a fiber for each thread of a block, the blocks one after the other. Shared memory starts as NaN bits and ends at a guard
   page. A block in which some threads wait at a barrier while others have ended, or wait at another one, fails with CUDA_ERROR_LAUNCH_FAILED.
   With SPD_CHECKED every access of a kernel is looked at (checks.cc): its address, its alignment, and whether it races with another one. */
#ifndef SPDOPT_EMU_H
#define SPDOPT_EMU_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define SPD_EMULATED 1
#define __device__
#define __forceinline__ inline
#define UNCHECKED __attribute__((no_sanitize("thread")))

struct uint3 {
	unsigned x, y, z;
};

namespace emu {

struct Fiber {
	uint3 thread;
	void *sp;
	char *stack;
	int state, line;
	unsigned lane, warp, turn;
	unsigned number;            /* in its block */
	unsigned barriers, meetings; /* of the block that it has passed; of the block and of its warp */
};

extern Fiber *self;
extern uint3 block, blockSize, gridSize;

void blockBarrier(int line);
void warpBarrier(int line);
uint64_t exchange(int line, uint64_t mine, unsigned source);
void *shared(int line, size_t bytes);
/* What the kernels see of the running thread, for code whose accesses are looked at. */
uint3 threadNow();
uint3 blockNow();
uint3 blockSizeNow();
uint3 gridSizeNow();
unsigned laneNow();

/* A kernel with the means to call it with the parameters of cuLaunchKernel. */
struct Entry {
	using Call = void (*)(const void *function, void **params);
	const char *name;
	const void *function;
	Call call;
	int count; /* of parameters */
	char roles[40];           /* of parameters: of arrays that are read, of arrays that are written, of numbers */
	unsigned char aligned[40]; /* the alignment of what pointers point to */
	Entry *next;

	template <class... A>
	Entry(const char *n, void (*f)(A...)) : name(n), function(reinterpret_cast<const void *>(f)), call(unpack<A...>), count(sizeof...(A)), roles{role<A>()...}, aligned{alignof(typename std::remove_pointer<A>::type)...} {
		add();
	}
	template <class A> static constexpr char role() {
		return !std::is_pointer<A>::value ? 0 : std::is_const<typename std::remove_pointer<A>::type>::value ? 'r' : 'w';
	}
	void add();

	template <class... A> UNCHECKED static void unpack(const void *function, void **params) { apply<A...>(function, params, std::index_sequence_for<A...>{}); }
	template <class... A, size_t... I> UNCHECKED static void apply(const void *function, void **params, std::index_sequence<I...>) {
		(void)params;
		reinterpret_cast<void (*)(A...)>(const_cast<void *>(function))(*static_cast<A *>(params[I])...);
	}
};

template <class T> UNCHECKED T shuffle(int line, T v, unsigned source) {
	uint64_t bits = 0;
	memcpy(&bits, &v, sizeof v);
	bits = exchange(line, bits, source);
	memcpy(&v, &bits, sizeof v);
	return v;
}

} // namespace emu

#ifdef SPD_CHECKED
#define threadIdx (emu::threadNow())
#define blockIdx (emu::blockNow())
#define blockDim (emu::blockSizeNow())
#define gridDim (emu::gridSizeNow())
#define LANE (emu::laneNow())
#else
#define threadIdx (emu::self->thread)
#define blockIdx emu::block
#define blockDim emu::blockSize
#define gridDim emu::gridSize
#define LANE (emu::self->lane)
#endif

#define SHARED(type, name, n) type *name = static_cast<type *>(emu::shared(__LINE__, sizeof(type) * (n)))
#define ROLLED
#define UNROLLED
#define __syncthreads() emu::blockBarrier(__LINE__)
#define __syncwarp() emu::warpBarrier(__LINE__)
#define __shfl_xor_sync(mask, v, d) emu::shuffle(__LINE__, v, LANE ^ (d))
#define __shfl_down_sync(mask, v, d) emu::shuffle(__LINE__, v, LANE + (d) < 32 ? LANE + (d) : LANE)
#define __shfl_sync(mask, v, s) emu::shuffle(__LINE__, v, s)

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
UNCHECKED inline float __uint_as_float(unsigned u) {
	float f;
	memcpy(&f, &u, 4);
	return f;
}
UNCHECKED inline unsigned __float_as_uint(float f) {
	unsigned u;
	memcpy(&u, &f, 4);
	return u;
}

#endif
