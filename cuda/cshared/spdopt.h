/* The spectral preconditioner of spdopt for parameters in the memory of an NVIDIA GPU, as a shared library for Linux.
 *
 *   go build -tags cuda -buildmode=c-shared -o libspdopt.so ./cuda/cshared
 *
 * cuda/cshared/example/example.c is a whole program. Calls go in this order: spd_layout and spd_work_bytes say how much memory is needed, spd_create makes
 * an optimizer around it, spd_begin or spd_resume gives it a state, spd_step moves the parameters, spd_destroy ends it.
 *
 * Device. The library uses the primary context of a device, as PyTorch and the CUDA runtime do, and leaves the calling thread's current context as it was.
 * It loads the driver and cuBLAS when it is first called (SPDOPT_LIBCUDA and SPDOPT_LIBCUBLAS name other files): driver 520 (CUDA 11.8) or newer, cuBLAS
 * 11 to 13, compute capability 7.0 or newer, 8.0 for precision 0.
 *
 * Memory. All of it belongs to the caller, who frees it after spd_destroy: parameters, gradients, the state, which is worth saving, and the workspace,
 * which is not. Addresses are those of the device, such as tensor.data_ptr(). Parameters and gradients are float32, contiguous, row after row, aligned to
 * 4 bytes; state and workspace are aligned to 256 bytes. The library itself holds graphs and a cuBLAS handle. Arrays on the host (shapes, options, slots,
 * addresses) are read or written during the call only.
 *
 * Streams. Work is enqueued on the stream that a call is given (a CUstream or cudaStream_t of the object's device; NULL is its default stream) and never
 * waited for: memory must stay as it is until it has run. Calls for one object come one after the other, on whatever streams they are: the device orders
 * them by an event. That the stream has the parameters and gradients ready is the caller's. The stream
 * must not be recording a graph: a step would be recorded with the numbers of that step. The library makes graphs of its own.
 *
 * Errors. Functions return 0, or -1 with the text of the error and its remedy in spd_error(). Then nothing has been changed: no parameter, no state, no
 * count of steps; the same call may be tried again. Exceptions: after spd_begin or spd_resume failed one of them has to be called again; with no_graphs a
 * step whose launches fail halfway has been applied in part; and a lost context (CUDA_ERROR_ILLEGAL_ADDRESS and the like, from any work in the process)
 * makes all calls fail from then on.
 *
 * Threads. Functions may be called from any thread; one object by one thread at a time, different objects at the same time. A process must not fork after
 * the first call and use the library in the child. The library installs the signal handlers of the Go runtime when it is loaded.
 *
 * Run on an H100; the tests run it on an emulated driver.
 */
#ifndef SPDOPT_H
#define SPDOPT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SPD_CONST
#define SPD_CONST const
#endif

#define SPD_ABI 2

/* A parameter of rows x cols elements, both at least 1. A tensor of more dimensions is its first one by all others. Matrices of one shape are worked on
 * together. Vectors (rows or cols 1) and parameters with a dimension above max_dim take AdamW steps. */
typedef struct {
	int64_t rows, cols;
} spd_shape;

/* Zeros are the defaults, which stand behind each field with the values that it can have. */
typedef struct {
	int32_t precision;     /* of products: 0 bfloat16, 1 tf32, 2 float32; masters are float32 in all of them */
	int32_t every;         /* steps between two updates of a matrix's factors, each step updating its share of the matrices, each of the first every steps all; 1 or more, 10 */
	int32_t max_dim;       /* larger dimensions take AdamW steps; 1 or more, 8192 */
	int32_t no_graphs;     /* 1 enqueues kernels one by one instead of a recorded graph; 0 */
	int32_t terms;         /* factors of the truncated Cayley map; 2 or more, 4; none with exact */
	int32_t exact;         /* 1 takes the exact Cayley map: fewer operations, many small kernels; 0 */
	int32_t keep;          /* 1 keeps what a turn leaves off the diagonal: a product more for each factor, twice the memory for factors; 0 */
	int32_t unused;        /* 0 */
	double root;           /* the step is S^(-1/root) m; above 0, 2 */
	double momentum;       /* weight of the past in m, which has bias correction; below 1, 0.9; the least double stands for none */
	double beta2;          /* weight of a step in S, the second moment of gradients; below 1, 0.05 */
	double damping;        /* added to the second moments, in squares of gradients; 1e-16 */
	double max_norm;       /* of a rotation's generator; 0.5, and 0.7 with exact */
	double adam_beta1, adam_beta2, adam_eps; /* of AdamW steps; 0.9, 0.999, 1e-8 */
} spd_options;

/* An array of the state of a parameter: rows x cols float32 numbers, row after row, from number (not byte) offset of the state on. Names: momentum,
 * left_basis (rows x rows), left_values, right_basis (cols x cols), right_values, totals, and with keep left_rest and right_rest, of a matrix; first and
 * second, the moments of AdamW, of other parameters. parameter counts from 0 in the order of the shapes; name ends with 0. */
typedef struct {
	int64_t parameter, rows, cols, offset;
	char name[16];
} spd_slot;

/* The version of this interface, which must be SPD_ABI. */
int spd_abi(void);

/* The error of the last call in this thread that failed, "" where none has; the text lasts until the next call in the thread that fails. */
const char *spd_error(void);

/* Opens device number device, counted from 0 as CUDA_VISIBLE_DEVICES orders them, and says whether it can be used: driver, cuBLAS, compute capability. */
int spd_open(int device);

/* The arrays of the state for n parameters: their number goes to *count, the first room of them to slots (may be NULL), the bytes of the state to *bytes.
 * The layout depends on shapes and options alone, and needs no device. options may be NULL here and below: the defaults. */
int spd_layout(SPD_CONST spd_shape *shapes, int n, SPD_CONST spd_options *options, spd_slot *slots, int room, int *count, int64_t *bytes);

/* The bytes of workspace that spd_create needs on a device. */
int spd_work_bytes(int device, SPD_CONST spd_shape *shapes, int n, SPD_CONST spd_options *options, int64_t *bytes);

/* Makes an optimizer around state and workspace, which nothing else may write until spd_destroy but for loading a state. Their content is not looked at:
 * spd_begin or spd_resume has to follow. *object names it in the calls below, and is never 0. */
int spd_create(int device, SPD_CONST spd_shape *shapes, int n, SPD_CONST spd_options *options, void *state, void *work, uint64_t *object);

/* spd_begin fills the state for step 0: bases are identities, moments 0. spd_resume goes on after step steps from what the state memory holds, a copy of
 * another state of the same layout: the same bits follow as without the break. Both may be called again at any time. */
int spd_begin(uint64_t object, void *stream);
int spd_resume(uint64_t object, void *stream, int64_t step);

/* Moves parameters by gradients: n addresses each, n and order as in spd_create; they may differ from step to step. Gradients are multiplied by grad_scale
 * (0 stands for 1) and not changed. A parameter becomes (1 - lr decay) times itself less lr times its direction. All three numbers are finite, not
 * negative, and may change from step to step. The first steps record graphs on the host, which takes longer. */
int spd_step(uint64_t object, SPD_CONST uint64_t *params, SPD_CONST uint64_t *grads, int n, void *stream, double lr, double decay, double grad_scale);

/* Steps enqueued since spd_begin, and those that spd_resume was told; -1 for an object that is none. */
int64_t spd_steps(uint64_t object);

/* Ends the object and frees what the library holds, after waiting for its work. State, workspace and parameters stay the caller's. */
int spd_destroy(uint64_t object);

#ifdef __cplusplus
}
#endif

#endif
