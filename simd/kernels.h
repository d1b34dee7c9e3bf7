/* The kernel table: every inner loop of pith, once per instruction set. A function type has the
 * contract of its kernel, and declares it in the headers of the instruction sets.
 *
 * The scalar table is complete and is the reference; the others override what they do better.
 * Results are equal bit for bit in every table, because every float operation has a fixed order:
 *  - "lanes": a float sum over i = 0..n-1 keeps 16 partial sums, +0 at first; lane j adds the
 *    elements with i % 16 == j in ascending order, with fused multiply-adds where a product is
 *    summed. Lanes without an element in the last 16 are left alone: adding +0 to them would change
 *    a sum that underflowed to -0. The lanes then add up as a tree: l[j] += l[j+8] for j < 8, then
 *    +4, +2, +1.
 *  - integer sums are exact.
 *  - pith_exp below is one polynomial, evaluated with fused multiply-adds in the same order.
 * NaN and infinity: a NaN input gives NaN in every output that depends on it (its bits may differ
 * between tables); no kernel traps.
 *
 * Pointers are 64-byte aligned where a contract says so, else only aligned for their type. Kernels
 * read nothing outside the extents written here and write nothing but their outputs. They are pure:
 * no state, any number of threads at once. Sizes are in elements. */
#ifndef PITH_SIMD_KERNELS_H
#define PITH_SIMD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/memory_path.h"

typedef enum pith_type {
    PITH_TYPE_F32,
    PITH_TYPE_F16,
    PITH_TYPE_BF16,
    PITH_TYPE_INT8,
    PITH_TYPE_INT4,
    PITH_N_TYPES,
} pith_type;

/* Below this, 127 / a would overflow or a / 127 be subnormal. */
#define PITH_QUANTIZE_MIN 0x1p-119f

/* Inputs of a product. Float weight types use `x` only, int8 and int4 the quantised rows.
 * Row t of every array starts at t x its stride; strides are multiples of 16 elements, arrays are
 * 64-byte aligned. */
typedef struct pith_activations {
    const float *x; /* [n_tokens, x_stride]; zero from k up to the next multiple of 16 */
    size_t x_stride;

    const int8_t *codes; /* [n_tokens, code_stride], in [-127, 127]; zero from k up to the next
                            multiple of 256 */
    size_t code_stride;
    const float *scales;         /* [n_tokens, scale_stride]: per group of 256 (int4), 128 (int8) */
    const int32_t *group_offset; /* [n_tokens, scale_stride]: -128 x the sum of the group's codes */
    size_t scale_stride;
    const int32_t *block_offset; /* int4 only: [n_tokens, block_stride], -10 x the sum of each 16 */
    size_t block_stride;
} pith_activations;

/* y = W x for rows of W and tokens of x. */
typedef struct pith_product {
    const void *weights; /* first row or tile, 64-byte aligned: packed tiles (blocks.h), or
                            row-major floats [n_rows, k] */
    size_t k;
    size_t n_rows; /* multiple of 16 */
    const pith_activations *x;
    size_t first_token; /* tokens first_token .. first_token + n_tokens - 1 of x */
    size_t n_tokens;
    float *y; /* [n_tokens, y_stride]: y[t * y_stride + r], r < n_rows; 64-byte aligned */
    size_t y_stride;
    pith_memory_path path; /* how weights are read; it never changes y. Zero: not prefetched for
                              one and two tokens; for more see pith_memory_path */
} pith_product;

/* ---- Kernels --------------------------------------------------------------------------------- */

/* Matrix products by weight type.
 * Floats: y = sum over k of w x by lanes (weights widened to float exactly).
 * int8, int4: for each group in ascending order, y = fma((float)sum, d * s, y) from y = +0,
 * where sum is the exact integer sum of weight code (int4: multiplier x code) x activation
 * code, d the weight's f16 scale widened, s the token's scale, d * s rounded to float. */
typedef void pith_product_fn(const pith_product *product);

/* y[i] = (x[i] * r) * w[i], r = 1 / sqrt(mean(x^2) + eps); the sum of squares by lanes, the
 * mean is sum / (float)n. Zhang & Sennrich 2019, equation 4. x == y allowed. */
typedef void pith_rmsnorm_fn(const float *x, const float *w, float eps, size_t n, float *y);

/* Quantises one row: for each group (128 or 256 elements, the last may be short) a = max |x|,
 * scale = a / 127, code = round-to-nearest-even(x * (127 / a)) clamped to [-127, 127]. A group
 * with a below PITH_QUANTIZE_MIN (zeros included) has scale 0 and codes 0; a group with NaN or
 * infinity has scale NaN and codes 0. Writes codes [n up to the next multiple of 256, zeros
 * after n], scales and group_offset [ceil(n / group)], block_offset [ceil(n / 256) * 16] or
 * nothing when it is NULL. */
typedef void pith_quantize_fn(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                              int32_t *group_offset, int32_t *block_offset);

/* rmsnorm into a quantised row: the same bits as rmsnorm, then quantize. */
typedef void pith_rmsnorm_quantize_fn(const float *x, const float *w, float eps, size_t n,
                                      size_t group, int8_t *codes, float *scales,
                                      int32_t *group_offset, int32_t *block_offset);

/* Rotates n_heads heads of one token in place, pairing element i with i + head_dim / 2 (the
 * convention of Hugging Face checkpoints): a' = fma(-b, sin[i], a * cos[i]),
 * b' = fma(a, sin[i], b * cos[i]). cos, sin: [head_dim / 2]. Su et al. 2021, equation 34. */
typedef void pith_rope_fn(float *x, size_t n_heads, size_t head_dim, const float *cos,
                          const float *sin);

/* out[t * 16 + r] = silu(gate) * up for n_tiles pairs of 16-row tiles: gate at
 * gate_up[t * 32 + r], up at gate_up[t * 32 + 16 + r]; (g / (1 + exp(-g))) * u.
 * Shazeer 2020, equation 6. */
typedef void pith_swiglu_fn(const float *gate_up, float *out, size_t n_tiles);

/* Float to f16, nearest even, saturating at +-65504; NaN stays NaN. */
typedef void pith_f32_to_f16_fn(const float *x, uint16_t *y, size_t n);

/* Dot products of vectors [n]: of int8, the exact sum (n <= 65536, any codes); of floats, exact
 * products summed in double by lanes. */
typedef int32_t pith_dot_int8_fn(const int8_t *a, const int8_t *b, size_t n);
typedef double pith_dot_f32_fn(const float *a, const float *b, size_t n);

/* Scores of n_q query rows against n_blocks blocks of 16 keys: q [n_q, head_dim], k [n_blocks,
 * head_dim, 16] f32 or f16, s[i * s_stride + 16 b + j] = sum over d of q[i][d] * k[b][d][j],
 * one fused multiply-add after the other in ascending d, from +0. k is 64-byte aligned. */
typedef void pith_scores_f32_fn(const float *q, size_t n_q, size_t head_dim, const float *k,
                                size_t n_blocks, float *s, size_t s_stride);
typedef void pith_scores_f16_fn(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                                size_t n_blocks, float *s, size_t s_stride);

/* pith_scores_f32_fn for int8 codes, converted exactly; a key's scale multiplies its score later. k
 * is aligned for its type only. */
typedef void pith_scores_int8_fn(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                                 size_t n_blocks, float *s, size_t s_stride);

/* One row of scores s [n, multiple of 16] of which [begin, end) are valid (begin < end): sets
 * *max to the largest valid score, s[j] to pith_exp(s[j] - *max) where valid and to +0
 * elsewhere, *sum to the sum over s by lanes. */
typedef void pith_softmax_fn(float *s, size_t begin, size_t end, size_t n, float *max, float *sum);

/* o[i][d] = sum over j < n_keys of p[i * p_stride + j] * v[j][d] in ascending j by fused
 * multiply-adds from +0: v [n_keys, head_dim] f32 or f16, o [n_q, head_dim]. */
typedef void pith_values_f32_fn(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                                size_t head_dim, const float *v, float *o);
typedef void pith_values_f16_fn(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                                size_t head_dim, const uint16_t *v, float *o);

/* pith_values_f32_fn for int8 codes, converted exactly; p was multiplied by the values' scales. */
typedef void pith_values_int8_fn(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                                 size_t head_dim, const int8_t *v, float *o);

/* x[i] = x[i] * factors[i]. */
typedef void pith_multiply_fn(float *x, const float *factors, size_t n);

/* x[i] = (x[i] * a) + (y[i] * b), three roundings. */
typedef void pith_blend_fn(float *x, float a, const float *y, float b, size_t n);

/* y[i] = exp(x[i]) as pith_exp; x == y allowed. */
typedef void pith_exp_fn(const float *x, float *y, size_t n);

/* The end of an encoder's block, in place: x[i] = x[i] + (y[i] + bias[i]), then LayerNorm:
 * x[i] = fma((x[i] - mean) * r, w[i], b[i]), mean = sum / (float)n,
 * r = 1 / sqrt(squares / (float)n + eps); sum of x and sum of (x - mean)^2 by lanes. y does not
 * overlap x. Ba et al. 2016, equation 4. */
typedef void pith_add_layernorm_fn(float *x, const float *y, const float *bias, const float *w,
                                   const float *b, float eps, size_t n);

/* In place: v = x[i] + bias[i], x[i] = v * (0.5 + h), h = erf(v / sqrt 2) / 2 clamped to [-0.5,
 * 0.5] from the rational function of simd/gelu.h: (v P(v^2)) / Q(v^2) for v clamped to
 * +-PITH_GELU_BOUND, both by Horner with fused multiply-adds. The error is at most 8e-7 x max(1,
 * |gelu|). */
typedef void pith_bias_gelu_fn(float *x, const float *bias, size_t n);

/* Keys of one head in the layout that scores_f32 reads: x [n_keys, stride] of which head_dim
 * columns are read, k [ceil(n_keys / 16), head_dim, 16]: k[j / 16][d][j % 16] = x[j][d], +0 from
 * key n_keys on. */
typedef void pith_key_blocks_fn(const float *x, size_t stride, size_t n_keys, size_t head_dim,
                                float *k);

/* y[i] = fma(x[i], scale, shift[i]); x == y allowed. */
typedef void pith_affine_fn(const float *x, float scale, const float *shift, size_t n, float *y);

/* ---- The table ------------------------------------------------------------------------------- */

typedef struct pith_kernels {
    const char *name; /* "scalar"; "avx2", "avx-vnni", "avx512", "avx512-vnni", "amx-int8";
                         "neon", "neon-dot", "neon-i8mm" */
    bool takes_path;  /* int8 and int4 products of few tokens use pith_product.path */
    pith_product_fn *product[PITH_N_TYPES];
    pith_rmsnorm_fn *rmsnorm;
    pith_quantize_fn *quantize;
    pith_rmsnorm_quantize_fn *rmsnorm_quantize;
    pith_rope_fn *rope;
    pith_swiglu_fn *swiglu;
    pith_f32_to_f16_fn *f32_to_f16;
    pith_dot_int8_fn *dot_int8;
    pith_dot_f32_fn *dot_f32;
    pith_scores_f32_fn *scores_f32;
    pith_scores_f16_fn *scores_f16;
    pith_scores_int8_fn *scores_int8;
    pith_softmax_fn *softmax;
    pith_values_f32_fn *values_f32;
    pith_values_f16_fn *values_f16;
    pith_values_int8_fn *values_int8;
    pith_multiply_fn *multiply;
    pith_blend_fn *blend;
    pith_exp_fn *exp;
    pith_add_layernorm_fn *add_layernorm;
    pith_bias_gelu_fn *bias_gelu;
    pith_key_blocks_fn *key_blocks;
    pith_affine_fn *affine;
} pith_kernels;

/* The kernels of a named instruction set, or the best this CPU and operating system can run
 * (simd/detect.c) when name is NULL; NULL when the name is unknown or cannot run here. */
const pith_kernels *pith_kernels_find(const char *name);

/* Returns in a few nanoseconds a table whose dot products of whole vectors are those of
 * pith_kernels_find(NULL), for callers that have nowhere to keep one: it does not execute CPUID,
 * which takes microseconds in a virtual machine. (On a CPU with AVX-VNNI but no AVX-512 it is the
 * AVX2 table: not all compilers know that feature by name.) */
const pith_kernels *pith_kernels_best(void);

/* Names known to this build, best first, NULL-terminated: for tests and messages. */
extern const char *const pith_kernel_names[];

/* exp(x), the polynomial all tables share: x clamped to [-87.3, 88.7] (NaN stays NaN), n = rint(x *
 * log2 e), r = fma(n, -ln2_high, x), r = fma(n, -ln2_low, r), a degree-6 polynomial in r by Horner,
 * result scaled by 2^n through the exponent bits. The error is at most 2 ulp. */
float pith_exp(float x);

#endif
