/* Linear layers: y = W x + b for the rows of a pass, with what follows the product fused into it.
 */
#ifndef PITH_ENGINE_LINEAR_H
#define PITH_ENGINE_LINEAR_H

#include "engine/forward.h"

enum { PITH_BLAS_MIN_ROWS = 8 }; /* fewer rows are memory-bound: our own kernels, BLAS or not */

typedef enum pith_epilogue {
    PITH_STORE,  /* out = y + b */
    PITH_ADD,    /* out += y + b: the residual connection */
    PITH_SWIGLU, /* out = silu(gate) * up, from alternating 16-row tiles of gate and up */
    PITH_LOGITS, /* row t goes to scratch->logits[t] */
} pith_epilogue;

typedef struct pith_linear {
    const pith_matrix *w; /* [w->rows, w->cols] */
    const float *bias;    /* [w->rows] or NULL */
    pith_activations in;  /* [n_rows, w->cols] as pith_linear_input made it */
    size_t n_rows;
    pith_epilogue epilogue;
    float *out; /* [n_rows, out_stride]; unused by PITH_LOGITS */
    size_t out_stride;
} pith_linear;

void pith_linear_run(const pith_forward *f, const pith_linear *linear);

/* The input view for a matrix of type `type`: float rows x [n, stride], or for int8 and int4 the
 * scratch's quantised rows. */
pith_activations pith_linear_input(const pith_forward *f, pith_type type, const float *x,
                                   size_t stride);

/* Group of the activation quantiser that goes with a weight type; 0 for float types. */
size_t pith_activation_group(pith_type type);

#endif
