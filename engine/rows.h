/* Rows on their way through a forward pass, and the steps that work on each row alone. A step
 * returns the rows that it made, as floats, as the codes that the next linear layer reads, or both;
 * the next step takes them as a value, so that no step reads what another left behind. */
#ifndef PITH_ENGINE_ROWS_H
#define PITH_ENGINE_ROWS_H

#include "base/memory.h"
#include "base/pool.h"
#include "engine/blas.h"
#include "families/network.h"
#include "simd/blocks.h"

/* What computes a pass. */
typedef struct pith_compute {
    const pith_kernels *kernels;
    pith_memory_path path;
    const pith_config *config;
    pith_pool *pool;     /* NULL: the calling thread alone */
    pith_sgemm_fn sgemm; /* or NULL */
    float *const *tiles; /* [threads] buffers of tile_floats for results of linear layers */
    size_t tile_floats;
    const float *zeros; /* [hidden] with LayerNorm; of an encoder [rows of qkv] if those are more */
    bool keeps_floats;  /* norms write floats too where codes are enough: an observer reads them */
    struct pith_team *team; /* the ranks that share the pass (team.h); NULL: this process alone */
} pith_compute;

/* Rows quantised for an int8 or int4 layer; the arrays are those of pith_activations. */
typedef struct pith_codes {
    size_t code_stride, scale_stride, block_stride;
    int8_t *codes;
    float *scales;
    int32_t *group_offset;
    int32_t *block_offset;
} pith_codes;

typedef struct pith_rows {
    float *data; /* [n, stride] */
    size_t stride;
    size_t n;
    size_t group;          /* elements of a row that share a scale; 0: `codes` holds nothing */
    pith_codes codes;      /* room for the codes of the rows */
    const size_t *borders; /* columns [borders[r], borders[r + 1]) are here on rank r alone; NULL:
                              all are here */
} pith_rows;

/* Takes room for the codes of n rows of at most `width` elements. */
pith_codes pith_codes_take(pith_arena *arena, size_t n, size_t width);

/* The group of the codes that a matrix reads; 0 when it reads floats. */
size_t pith_activation_group(pith_type type);

/* The rows of a buffer that are written for `reader`: n of them, with its group. */
pith_rows pith_rows_for(pith_rows buffer, size_t n, const pith_matrix *reader);

/* Rows [first, first + n) of x. */
pith_rows pith_rows_from(pith_rows x, size_t first, size_t n);

/* Columns [first, first + n) of row r, at x, as codes; first is a multiple of 256. */
void pith_rows_quantize(const pith_compute *c, const pith_rows *rows, size_t r, const float *x,
                        size_t n, size_t first);

/* Makes row r, whose floats are there, readable for a matrix of `width` columns: codes, or zeros
 * behind the last column. */
void pith_rows_ready_one(const pith_compute *c, const pith_rows *rows, size_t r, size_t width);

/* Does that for all rows of x, and gathers the columns that other ranks have; returns them. */
pith_rows pith_rows_ready(const pith_compute *c, pith_rows x, const pith_matrix *reader);

/* to = norm(x), ready for `reader`; returns the rows of `to`. */
pith_rows pith_rows_norm(const pith_compute *c, pith_rows x, pith_norm norm, pith_rows to,
                         const pith_matrix *reader);

/* x += residual scale x norm(y); changes y. */
void pith_rows_add_norm(const pith_compute *c, pith_rows x, pith_rows y, pith_norm norm);

/* x = LayerNorm(x + (y + bias)), ready for `reader`, which may be NULL; returns x. */
pith_rows pith_rows_norm_sum(const pith_compute *c, pith_rows x, pith_rows y, const float *bias,
                             pith_norm norm, const pith_matrix *reader);

/* x = norm(x), as floats that no layer reads any more. */
void pith_rows_norm_last(const pith_compute *c, pith_rows x, pith_norm norm);

#endif
