/* The quantisers' entry point, and the types that need little search: int8 (symmetric, a group of
 * 128 with one f16 scale) and the plain float types. */
#include "convert/quantize.h"

#include "base/half.h"
#include "convert/quantize_tile.h"

#include <math.h>

enum { LANES = PITH_TILE_ROWS, GROUP = PITH_INT8_GROUP };

float pith_quantize_scale(float scale) {
    const float smallest = 0x1p-24f;
    const float largest = 65504.0f;
    if (!(scale > smallest)) {
        return smallest;
    }
    return scale < largest ? pith_f16_to_f32(pith_f32_to_f16(scale)) : largest;
}

void pith_quantize_importance(const float *importance, size_t begin, size_t n, float *out) {
    float largest = 0.0f;
    if (importance != NULL) {
        for (size_t k = 0; k < n; k++) {
            float value = importance[begin + k];
            largest = value > largest ? value : largest;
        }
    }
    for (size_t k = 0; k < n; k++) {
        out[k] = largest > 0.0f ? importance[begin + k] / largest : 1.0f;
    }
}

/* ---- int8 ------------------------------------------------------------------------------------ */

/* A group of 16 rows; columns from n_cols up to a multiple of 4 are zero. */
typedef struct group {
    size_t n_cols;
    float size[GROUP][LANES]; /* |w| */
    float sign[GROUP][LANES]; /* 1 or -1 */
    float importance[GROUP];
    float peak[LANES]; /* largest |w| */
} group;

static void load_group(group *g, const pith_tile_source *source, size_t begin) {
    size_t n = source->cols - begin < GROUP ? source->cols - begin : GROUP;
    memset(g->size, 0, sizeof g->size);
    g->n_cols = (n + 3) / 4 * 4;
    pith_quantize_importance(source->importance, begin, n, g->importance);
    for (size_t k = n; k < g->n_cols; k++) {
        g->importance[k] = 0.0f;
    }
    for (size_t r = 0; r < LANES; r++) {
        const float *row = source->rows + r * source->stride + begin;
        float peak = 0.0f;
        for (size_t k = 0; k < g->n_cols; k++) {
            float w = r < source->n_rows && k < n ? row[k] : 0.0f;
            float size = fabsf(w);
            g->size[k][r] = size;
            g->sign[k][r] = copysignf(1.0f, w);
            peak = peak > size ? peak : size;
        }
        g->peak[r] = peak;
    }
}

static inline float int8_code(float y) {
    return pith_float_round(pith_float_least(y, 127.0f));
}

/* Computes the squared error of a set of scales, and the least-squares scales for the codes that
 * they lead to. */
static void measure_scales(const group *g, const float *scale, float error[restrict LANES],
                           float better[restrict LANES]) {
    float inverse[LANES];
    float product[LANES] = {0};
    float square[LANES] = {0};
    for (size_t r = 0; r < LANES; r++) {
        inverse[r] = 1.0f / scale[r];
        error[r] = 0.0f;
    }
    for (size_t k = 0; k < g->n_cols; k++) {
        const float *restrict size = g->size[k];
        float importance = g->importance[k];
        for (size_t r = 0; r < LANES; r++) {
            float y = size[r] * inverse[r];
            float code = int8_code(y);
            float difference = y - code;
            error[r] += difference * difference * importance;
            product[r] += y * code * importance;
            square[r] += code * code * importance;
        }
    }
    for (size_t r = 0; r < LANES; r++) {
        float ratio = product[r] / square[r];
        error[r] *= scale[r] * scale[r];
        better[r] = ratio > 0.0f ? scale[r] * ratio : scale[r];
    }
}

/* The largest weight at the end of the codes, a little over or under it, then least squares. */
static void choose_scales(const group *g, float *best) {
    static const float ends[] = {127.0f, 127.45f, 126.5f, 126.0f};
    enum { N_ENDS = sizeof ends / sizeof ends[0] };
    float best_error[LANES], refined[LANES];
    for (size_t i = 0; i < N_ENDS + 1; i++) {
        float scale[LANES], error[LANES], better[LANES];
        for (size_t r = 0; r < LANES; r++) {
            scale[r] = pith_quantize_scale(i < N_ENDS ? g->peak[r] / ends[i] : refined[r]);
        }
        measure_scales(g, scale, error, better);
        for (size_t r = 0; r < LANES; r++) {
            if (i == 0 || error[r] < best_error[r]) {
                best_error[r] = error[r];
                best[r] = scale[r];
                refined[r] = better[r];
            }
        }
    }
    for (size_t r = 0; r < LANES; r++) {
        best[r] = g->peak[r] > 0.0f ? best[r] : 0.0f;
    }
}

/* True for 0 and for numbers whose significand has two bits, as those of MXFP4 are. */
static bool is_short(float w) {
    return (pith_float_bits(w) & 0x3FFFFF) == 0;
}

/* Weights that were MXFP4 are left as they are where a power of two is a scale that holds all of a
 * row's: blocks of 32 whose powers are at most 8 times apart. Other weights end the search at the
 * first of them. */
static void choose_powers(const group *g, float *scale) {
    const float least = 0x1p-24f; /* of an f16, as the next one */
    const float most = 0x1p15f;
    for (size_t r = 0; r < LANES; r++) {
        int exponent;
        frexpf(g->peak[r] / 127.0f, &exponent);
        float power = ldexpf(1.0f, exponent); /* at least peak / 127, at most twice as much */
        power = power * 63.5f >= g->peak[r] ? power / 2 : power;
        bool exact = g->peak[r] > 0.0f && power >= least && power <= most;
        for (size_t k = 0; exact && k < g->n_cols; k++) {
            float code = g->size[k][r] / power;
            exact = is_short(g->size[k][r]) && pith_float_round(code) == code;
        }
        scale[r] = exact ? power : scale[r];
    }
}

static void pack_group(const group *g, const float *scale, unsigned char *out,
                       pith_tile_error *sums) {
    double error[LANES] = {0};
    double weight[LANES] = {0};
    float inverse[LANES];
    for (size_t r = 0; r < LANES; r++) {
        inverse[r] = scale[r] > 0.0f ? 1.0f / scale[r] : 0.0f;
    }
    for (size_t k = 0; k < g->n_cols; k++) {
        unsigned char *line = out + k / 4 * PITH_LINE_BYTES;
        for (size_t r = 0; r < LANES; r++) {
            float code = g->sign[k][r] * int8_code(g->size[k][r] * inverse[r]);
            double w = (double)g->size[k][r];
            double difference = w * (double)g->sign[k][r] - (double)(scale[r] * code);
            error[r] += difference * difference;
            weight[r] += w * w;
            line[r * 4 + k % 4] = (unsigned char)(int8_t)code;
        }
    }
    for (size_t r = 0; r < LANES; r++) {
        sums->error += error[r];
        sums->weight += weight[r];
    }
}

void pith_quantize_int8_tile(const pith_tile_source *source, unsigned char *out,
                             pith_tile_error *sums) {
    size_t n_groups = pith_groups(source->cols, GROUP);
    unsigned char *scales = out + pith_int8_tile_bytes(source->cols) - pith_scales_bytes(n_groups);
    memset(scales, 0, pith_scales_bytes(n_groups));
    for (size_t i = 0; i < n_groups; i++) {
        group g;
        float scale[LANES];
        load_group(&g, source, i * GROUP);
        choose_scales(&g, scale);
        choose_powers(&g, scale);
        pack_group(&g, scale, out + i * (GROUP / 4) * PITH_LINE_BYTES, sums);
        for (size_t r = 0; r < LANES; r++) {
            uint16_t half = pith_f32_to_f16(scale[r]);
            scales[(i * LANES + r) * 2] = (unsigned char)(half & 0xff);
            scales[(i * LANES + r) * 2 + 1] = (unsigned char)(half >> 8);
        }
    }
}

/* ---- Floats ---------------------------------------------------------------------------------- */

static void store_float(pith_type type, float w, unsigned char *out, size_t i,
                        pith_tile_error *sums) {
    float back = w;
    if (type == PITH_TYPE_F32) {
        memcpy(out + i * 4, &w, 4);
    } else {
        uint16_t half = type == PITH_TYPE_F16 ? pith_f32_to_f16(w) : pith_f32_to_bf16(w);
        back = type == PITH_TYPE_F16 ? pith_f16_to_f32(half) : pith_bf16_to_f32(half);
        memcpy(out + i * 2, &half, 2);
    }
    double difference = (double)w - (double)back;
    sums->error += difference * difference;
    sums->weight += (double)w * (double)w;
}

static void store_rows(pith_type type, const pith_tile_source *source, unsigned char *out,
                       pith_tile_error *sums) {
    for (size_t r = 0; r < LANES; r++) {
        for (size_t k = 0; k < source->cols; k++) {
            float w = r < source->n_rows ? source->rows[r * source->stride + k] : 0.0f;
            store_float(type, w, out, r * source->cols + k, sums);
        }
    }
}

void pith_quantize_tile(pith_type type, const float *rows, size_t stride, size_t n_rows,
                        size_t cols, const float *importance, void *out, double *error_sum,
                        double *weight_sum) {
    pith_tile_source source = {rows, stride, n_rows, cols, importance};
    pith_tile_error sums = {0};
    if (type == PITH_TYPE_INT4) {
        pith_quantize_int4_tile(&source, out, &sums);
    } else if (type == PITH_TYPE_INT8) {
        pith_quantize_int8_tile(&source, out, &sums);
    } else {
        store_rows(type, &source, out, &sums);
    }
    *error_sum += sums.error;
    *weight_sum += sums.weight;
}
