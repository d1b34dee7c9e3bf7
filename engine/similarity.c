/* Cosine similarity of embeddings, and their int8 form. */
#include "pith.h"
#include "simd/kernels.h"

#include <math.h>
#include <string.h>

double pith_dot_f32(const float *a, const float *b, size_t n) {
    return pith_kernels_best()->dot_f32(a, b, n);
}

double pith_dot_int8(const int8_t *a, const int8_t *b, size_t n) {
    return pith_kernels_best()->dot_int8(a, b, n);
}

double pith_cosine_f32(const float *a, const float *b, size_t n) {
    const pith_kernels *kernels = pith_kernels_best();
    double norms = kernels->dot_f32(a, a, n) * kernels->dot_f32(b, b, n);
    return norms == 0 ? 0 : kernels->dot_f32(a, b, n) / sqrt(norms);
}

double pith_cosine_int8(const int8_t *a, const int8_t *b, size_t n) {
    const pith_kernels *kernels = pith_kernels_best();
    double norms = (double)kernels->dot_int8(a, a, n) * (double)kernels->dot_int8(b, b, n);
    return norms == 0 ? 0 : (double)kernels->dot_int8(a, b, n) / sqrt(norms);
}

void pith_quantize_vector(const float *x, size_t n, int8_t *codes) {
    float max = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        finite = finite && isfinite(x[i]);
        max = fmaxf(max, fabsf(x[i]));
    }
    if (!finite || max == 0) {
        memset(codes, 0, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        codes[i] = (int8_t)lrint((double)x[i] * 127 / (double)max);
    }
}
