/* Rows of a checkpoint's tensor as floats, read piece by piece. */
#ifndef PITH_CONVERT_ROWS_H
#define PITH_CONVERT_ROWS_H

#include "convert/checkpoint.h"
#include "simd/kernels.h"

/* Bytes of scratch that reading rows of `cols` columns takes. */
size_t pith_rows_scratch(size_t cols);

/* Reads n rows of a [rows, cols] tensor from row `first` of the file on, source->row_step apart, to
 * out [n, cols]; zeros where there is no tensor. Thread-safe. Errors: IO, FORMAT (truncated). */
pith_status pith_rows_read(const pith_checkpoint_tensor *source, size_t cols, size_t first,
                           size_t n, void *scratch, float *out, pith_error *error);

/* Refuses values that are not finite or that `type` cannot hold, naming tensor and element; `rows`
 * [n, cols] were read from row `first` on. Errors: FORMAT. */
pith_status pith_rows_check(const pith_checkpoint_tensor *source, pith_type type, const float *rows,
                            size_t n, size_t cols, size_t first, pith_error *error);

#endif
