/* The spectral preconditioner of spdopt for parameters in the memory of an NVIDIA GPU, as a shared library.
 *
 *   go build -tags cuda -buildmode=c-shared -o libspdopt.so ./cuda/cshared
 *
 * The library uses the primary context of a device, as PyTorch does, and loads the driver and cuBLAS when it is first called (SPDOPT_LIBCUDA and
 * SPDOPT_LIBCUBLAS name other files). All memory belongs to the caller; addresses are those of the device, such as tensor.data_ptr(). Arrays are
 * contiguous float32, row after row. Work is enqueued on the caller's stream (a CUstream or cudaStream_t, NULL is the default stream of the device) and
 * never waited for; the caller keeps memory alive until it has run. After an error nothing has been changed.
 *
 * Functions return 0, or -1 with the text of the error in spd_error(), which lasts until the next call in the same thread. An object may be used by one
 * thread at a time. A process must not fork after the first call and use the library in the child.
 *
 * Never yet run on a GPU: it was tested on an emulated driver.
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

/* A parameter of rows x cols elements. Vectors (rows or cols 1) and parameters with a dimension above max_dim take AdamW steps. */
typedef struct {
	int64_t rows, cols;
} spd_shape;

/* Zeros are the defaults that stand behind each field. */
typedef struct {
	int32_t precision;     /* of products: 0 bfloat16, 1 tf32, 2 float32; masters are float32 in all of them */
	int32_t every;         /* steps between two updates of a matrix's factors; 10 */
	int32_t max_dim;       /* 8192 */
	int32_t no_graphs;     /* 1 enqueues kernels one by one instead of a recorded graph */
	int32_t terms;         /* factors of the truncated Cayley map; 4 */
	int32_t exact;         /* 1 takes the exact Cayley map */
	int32_t keep;          /* 1 keeps what a turn leaves off the diagonal: a product more for each factor, twice the memory for factors */
	int32_t unused;        /* 0 */
	double root;           /* S^(-1/root); 2 */
	double momentum;       /* 0.9 */
	double beta2;          /* 0.05 */
	double damping;        /* 1e-16 */
	double max_norm;       /* of a rotation's generator; 0.5, and 0.7 with exact */
	double adam_beta1, adam_beta2, adam_eps; /* 0.9, 0.999, 1e-8 */
} spd_options;

/* An array of the state of a parameter: rows x cols float32 numbers from number offset of the state on. */
typedef struct {
	int64_t parameter, rows, cols, offset;
	char name[16];
} spd_slot;

/* The version of this interface, SPD_ABI. */
int spd_abi(void);

/* The error of the last call in this thread that failed. */
const char *spd_error(void);

/* Says whether device number device can be used: driver, cuBLAS and compute capability. */
int spd_open(int device);

/* The arrays of the state: their number goes to *count, the first room of them to slots (may be NULL), the bytes of the state to *bytes. */
int spd_layout(SPD_CONST spd_shape *shapes, int n, SPD_CONST spd_options *options, spd_slot *slots, int room, int *count, int64_t *bytes);

/* The bytes of workspace that spd_create needs on a device. */
int spd_work_bytes(int device, SPD_CONST spd_shape *shapes, int n, SPD_CONST spd_options *options, int64_t *bytes);

/* Makes an optimizer around state and workspace, device memory that is aligned to 256 bytes. spd_begin or spd_resume has to follow. */
int spd_create(int device, SPD_CONST spd_shape *shapes, int n, SPD_CONST spd_options *options, void *state, void *work, uint64_t *object);

/* Starts from the identity, or goes on after step steps from what the state memory holds. */
int spd_begin(uint64_t object, void *stream);
int spd_resume(uint64_t object, void *stream, int64_t step);

/* Moves parameters by gradients: n addresses each, in the order of the shapes. Parameters shrink by 1 - decay * lr. */
int spd_step(uint64_t object, SPD_CONST uint64_t *params, SPD_CONST uint64_t *grads, int n, void *stream, double lr, double decay, double grad_scale);

/* Steps taken. */
int64_t spd_steps(uint64_t object);

/* Gives the object back; its work must have ended. */
int spd_destroy(uint64_t object);

#ifdef __cplusplus
}
#endif

#endif
