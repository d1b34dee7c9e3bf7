/* A weight matrix in memory: type, shape and where it lies. */
#ifndef PITH_FAMILIES_MATRIX_H
#define PITH_FAMILIES_MATRIX_H

#include "base/memory.h"
#include "simd/kernels.h"

typedef struct pith_matrix {
    pith_type type;
    size_t rows;      /* padded: a multiple of 16; padding rows are zero */
    size_t cols;      /* k */
    size_t size;      /* bytes at data */
    const void *data; /* packed tiles, or row-major floats [rows, cols]; 64-byte aligned */
} pith_matrix;

const char *pith_type_name(pith_type type); /* "int4" */
bool pith_type_find(const char *name, pith_type *out);

/* Bytes of a matrix with `rows` rows (rounded up to 16 here); false on overflow or when the type
 * cannot hold cols columns (int4: cols % 32 != 0). */
bool pith_matrix_size(pith_type type, size_t rows, size_t cols, size_t *out);

/* Bytes of 16 consecutive rows, so that tile i starts at i x this. */
size_t pith_matrix_tile_bytes(pith_type type, size_t cols);

/* Row `row` as floats: out [cols]. */
void pith_matrix_row(const pith_matrix *matrix, size_t row, float *out);

#endif
