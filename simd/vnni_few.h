/* What the few-token products of int4 and int8 share. They read the packed tiles once, from memory,
 * and live by two things. Every byte is touched in the order in which it lies there: integer sums
 * are kept until the multipliers or scales that belong to them are reached, because reading those
 * where they are first needed costs 5 to 10%, prefetched or not. And few instructions a line, so
 * that loads of many lines to come are under way at the same time. */
#ifndef PITH_SIMD_VNNI_FEW_H
#define PITH_SIMD_VNNI_FEW_H

#include "simd/avx512_vector.h"
#include "simd/blocks.h"
#include "simd/kernels.h"

enum {
    PITH_FEW_STEP = 8,        /* most tokens of a call */
    PITH_FEW_AHEAD = 6 << 10, /* prefetch distance in bytes */
    PITH_FEW_FETCHED = 2,     /* most tokens whose activations are fetched ahead */
    PITH_FEW_KEPT = 256,      /* sums that wait for their scales: 16 KB, a third of the L1 cache */
};

/* Starts fetching the line of weights PITH_FEW_AHEAD bytes after p, past the L2 cache: it is used
 * once, what is used again may stay there. */
PITH_INLINE void fetch_weights(const void *p) {
    _mm_prefetch((const char *)((uintptr_t)p + PITH_FEW_AHEAD), _MM_HINT_NTA);
}

/* Starts fetching the `size` bytes that follow the `size` bytes of activations at p, for the next
 * group: between two tiles the weights push some of them out of the L1 cache. */
PITH_INLINE void fetch_next(const void *p, size_t size) {
    PITH_UNROLL
    for (size_t i = size; i < 2 * size; i += PITH_LINE_BYTES) {
        prefetch_ahead(p, i);
    }
}

/* sum + w x four codes, which the instruction itself broadcasts: GCC 12 has no pattern for it. */
PITH_INLINE __m512i add_broadcast(__m512i sum, __m512i w, const int8_t *codes) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int8_t(*)[4])codes));
    return sum;
}

/* The outputs of a tile for a few tokens of a product. */
typedef struct few_outputs {
    const uint16_t *scales; /* of the tile, [n_groups, 16] */
    const float *x_scales;  /* [n, scale_stride] */
    size_t scale_stride;
    float *y; /* [n, y_stride] */
    size_t y_stride;
} few_outputs;

/* From row `row` and token `first` of the product on. */
PITH_INLINE few_outputs outputs_from(const pith_product *p, const uint16_t *scales, size_t row,
                                     size_t first) {
    const pith_activations *x = p->x;
    return (few_outputs){scales, x->scales + (p->first_token + first) * x->scale_stride,
                         x->scale_stride, p->y + first * p->y_stride + row, p->y_stride};
}

/* Groups [begin, end) for `n` tokens (a constant), whose sums are [end - begin, n]. */
PITH_INLINE void add_kept(const few_outputs *o, const __m512i *sums, size_t begin, size_t end,
                          size_t n) {
    __m512 y[PITH_FEW_STEP];
    PITH_UNROLL
    for (size_t t = 0; t < n; t++) {
        y[t] = begin == 0 ? _mm512_setzero_ps() : _mm512_load_ps(o->y + t * o->y_stride);
    }
    for (size_t g = begin; g < end; g++) {
        const uint16_t *scales = o->scales + g * PITH_TILE_ROWS;
        fetch_weights(scales);
        __m512 d = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)scales));
        PITH_UNROLL
        for (size_t t = 0; t < n; t++) {
            __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(o->x_scales[t * o->scale_stride + g]));
            y[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[(g - begin) * n + t]), scale, y[t]);
        }
    }
    PITH_UNROLL
    for (size_t t = 0; t < n; t++) {
        _mm512_store_ps(o->y + t * o->y_stride, y[t]);
    }
}

#endif
