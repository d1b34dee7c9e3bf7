/* The "lanes" sum of simd/kernels.h in plain C: 16 partial sums and the tree that joins them. */
#ifndef PITH_SIMD_LANES_H
#define PITH_SIMD_LANES_H

#include <stddef.h>

enum { PITH_LANES = 16 };

/* Destroys lanes[16]. */
static inline float pith_lanes_sum(float *lanes) {
    for (size_t half = PITH_LANES / 2; half != 0; half /= 2) {
        for (size_t j = 0; j < half; j++) {
            lanes[j] += lanes[j + half];
        }
    }
    return lanes[0];
}

#endif
