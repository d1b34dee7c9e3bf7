/* Dot products of whole vectors in plain C, for cosine similarity. */
#include "simd/lanes.h"
#include "simd/scalar/scalar.h"

int32_t pith_dot_int8_scalar(const int8_t *a, const int8_t *b, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* A product of two floats has at most 48 significant bits: exact in double, so that multiplying and
 * adding is the same as a fused multiply-add. */
double pith_dot_f32_scalar(const float *a, const float *b, size_t n) {
    double lanes[PITH_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        lanes[i % PITH_LANES] += (double)a[i] * (double)b[i];
    }
    for (size_t half = PITH_LANES / 2; half != 0; half /= 2) {
        for (size_t j = 0; j < half; j++) {
            lanes[j] += lanes[j + half];
        }
    }
    return lanes[0];
}
