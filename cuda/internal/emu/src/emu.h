/* CUDA C on the processor: a fiber for each thread of a block, the blocks one after the other. Shared memory starts as NaN bits and ends at a guard
   page. A block in which some threads wait at a barrier while others have ended, or wait at another one, fails with CUDA_ERROR_LAUNCH_FAILED. What it
   cannot show: races that its order of threads hides, weak memory, misaligned vector loads. */
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
};

extern Fiber *self;
extern uint3 block, blockSize, gridSize;

void blockBarrier(int line);
void warpBarrier(int line);
uint64_t exchange(int line, uint64_t mine, unsigned source);
void *shared(int line, size_t bytes);
void *dynamic();

/* A kernel with the means to call it with the parameters of cuLaunchKernel. */
struct Entry {
	using Call = void (*)(const void *function, void **params);
	const char *name;
	const void *function;
	Call call;
	int count; /* of parameters */
	char roles[40]; /* of parameters: of arrays that are read, of arrays that are written, of numbers */
	Entry *next;

	template <class... A>
	Entry(const char *n, void (*f)(A...)) : name(n), function(reinterpret_cast<const void *>(f)), call(unpack<A...>), count(sizeof...(A)), roles{role<A>()...} {
		add();
	}
	template <class A> static constexpr char role() {
		return !std::is_pointer<A>::value ? 0 : std::is_const<typename std::remove_pointer<A>::type>::value ? 'r' : 'w';
	}
	void add();

	template <class... A> static void unpack(const void *function, void **params) { apply<A...>(function, params, std::index_sequence_for<A...>{}); }
	template <class... A, size_t... I> static void apply(const void *function, void **params, std::index_sequence<I...>) {
		(void)params;
		reinterpret_cast<void (*)(A...)>(const_cast<void *>(function))(*static_cast<A *>(params[I])...);
	}
};

template <class T> T shuffle(int line, T v, unsigned source) {
	uint64_t bits = 0;
	memcpy(&bits, &v, sizeof v);
	bits = exchange(line, bits, source);
	memcpy(&v, &bits, sizeof v);
	return v;
}

} // namespace emu

#define threadIdx (emu::self->thread)
#define blockIdx emu::block
#define blockDim emu::blockSize
#define gridDim emu::gridSize

#define SHARED(type, name, n) type *name = static_cast<type *>(emu::shared(__LINE__, sizeof(type) * (n)))
#define ROLLED
#define __syncthreads() emu::blockBarrier(__LINE__)
#define __syncwarp() emu::warpBarrier(__LINE__)
#define __shfl_xor_sync(mask, v, d) emu::shuffle(__LINE__, v, emu::self->lane ^ (d))
#define __shfl_down_sync(mask, v, d) emu::shuffle(__LINE__, v, emu::self->lane + (d) < 32 ? emu::self->lane + (d) : emu::self->lane)
#define __shfl_sync(mask, v, s) emu::shuffle(__LINE__, v, s)

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned __int128)a * b >> 64; }
inline float __uint_as_float(unsigned u) {
	float f;
	memcpy(&f, &u, 4);
	return f;
}
inline unsigned __float_as_uint(float f) {
	unsigned u;
	memcpy(&u, &f, 4);
	return u;
}

#endif
