/* OpenBLAS, loaded on demand: it starts threads and reads the environment when it is loaded, so the
 * library does not link it. */
#ifndef PITH_ENGINE_BLAS_H
#define PITH_ENGINE_BLAS_H

#include "pith.h"

/* cblas_sgemm of a BLAS with 32-bit integers. */
typedef void (*pith_sgemm_fn)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                              float alpha, const float *a, int lda, const float *b, int ldb,
                              float beta, float *c, int ldc);

enum { PITH_CBLAS_ROW_MAJOR = 101, PITH_CBLAS_NO_TRANS = 111, PITH_CBLAS_TRANS = 112 };

/* Loads libopenblas.so.0 (it stays loaded) and sets it to one thread, for the whole process: then
 * any number of pith's threads may call it at once, each computing a product of its own. Errors:
 * UNSUPPORTED (not installed), MEMORY. */
pith_status pith_blas_load(pith_sgemm_fn *out, pith_error *error);

#endif
