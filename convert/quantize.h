/* Quantisers: float rows to the packed tiles of simd/blocks.h, by search for the least (weighted)
 * squared error. Pure functions of their inputs. */
#ifndef PITH_CONVERT_QUANTIZE_H
#define PITH_CONVERT_QUANTIZE_H

#include "families/matrix.h"

/* Packs 16 rows, rows[r * stride .. + cols], as one tile of `type` (INT8, INT4; cols a multiple of
 * 32 for int4) at out [pith_matrix_tile_bytes]; float types store the rows one after the other,
 * rounded to nearest even. `importance` [cols] or NULL weighs the squared errors. Adds the sums of
 * (w - w')^2 and w^2 to *error_sum and *weight_sum (unweighted). n_rows < 16: the rest is zero
 * rows. Non-finite weights must have been refused by the caller. */
void pith_quantize_tile(pith_type type, const float *rows, size_t stride, size_t n_rows,
                        size_t cols, const float *importance, void *out, double *error_sum,
                        double *weight_sum);

#endif
