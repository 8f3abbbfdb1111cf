/* The kernels, compiled for the processor in both element types. */
#include "emu.h"

#include <math.h>

#define KERNEL(name, ...)                                       \
	static void name(__VA_ARGS__);                              \
	static emu::Entry entry_##name(PREFIX "." #name, name);     \
	static void name(__VA_ARGS__)

#define real float
#define PREFIX "f32"
namespace single {
#include "spd.cu"
}
#undef real
#undef PREFIX
#undef FULL
#undef THREADS
#undef TILE
#undef ROWS
#undef EACH
#undef LINES
#undef LAYERS
#undef VECTOR
#undef MOST
#undef LINE
#define SPD_DOUBLE
#define real double
#define PREFIX "f64"
namespace twice {
#include "spd.cu"
}
