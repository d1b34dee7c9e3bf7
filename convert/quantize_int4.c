/* int4 by search (simd/blocks.h has the layout): weight = d * m * c with one scale d for a group of
 * 256, one multiplier m for a block of 16 and one code c for each weight.
 *
 * For every row of a group several scales are tried; for each scale and block the likely
 * multipliers of both signs, every weight going to its nearest code. The scale with the least
 * (weighted) squared error is then refined by least squares over the codes it led to.
 *
 * Sixteen rows are searched side by side, one per lane: the inner statements are loops over lanes
 * that compilers turn into vector code, and as no lane looks at another one and nothing is
 * contracted, every compiler and instruction set gives the same bytes. */
#include "convert/quantize_tile.h"

#include "base/half.h"

#include <math.h>

enum {
    LANES = PITH_TILE_ROWS,
    BLOCK = PITH_INT4_BLOCK,
    GROUP = PITH_INT4_GROUP,
    MAX_BLOCKS = GROUP / BLOCK,
    MIN_MULTIPLIER = 3,
    MAX_MULTIPLIER = 10,
    N_SCALES = 10, /* tried per group */
    N_NEAR = 4,    /* multipliers tried per block, each with both signs */
    N_REFINE = 2,  /* steps of least squares */
};

/* A group of 16 rows. */
typedef struct group {
    size_t n_blocks;
    float size[GROUP][LANES];      /* |w| */
    float sign[GROUP][LANES];      /* 1 or -1 */
    float peak[MAX_BLOCKS][LANES]; /* largest |w| of a block */
    float importance[GROUP];
} group;

/* What the search decides for a group, and its squared error. */
typedef struct choice {
    float scale[LANES];
    float multiplier[MAX_BLOCKS][LANES]; /* with its sign */
    float error[LANES];
} choice;

/* The codes nearest to magnitude y. Up to 5 both signs have the same codes; beyond, a weight whose
 * sign is that of m ("like") finds 7 and 9, any other ("unlike") 7, 8 and 10. */
static inline float common_code(float y) {
    return pith_float_round(pith_float_least(y, 5.0f)) + pith_float_above(y, 6.0f, 2.0f);
}

static inline float like_code(float y) {
    return common_code(y) + pith_float_above(y, 8.0f, 2.0f);
}

static inline float unlike_code(float y) {
    return common_code(y) + pith_float_above(y, 7.5f, 1.0f) + pith_float_above(y, 9.0f, 2.0f);
}

/* A block of a group as the search sees it. */
typedef struct block_view {
    const float (*size)[LANES]; /* [BLOCK] */
    const float (*sign)[LANES]; /* [BLOCK] */
    const float *peak;          /* [LANES] */
    const float *importance;    /* [BLOCK] */
} block_view;

/* Squared errors, in units of (d m)^2, with +m and with -m: their sum and their difference. */
static inline __attribute__((always_inline)) void measure_block(const block_view *block,
                                                                const float inverse[restrict LANES],
                                                                float sum[restrict LANES],
                                                                float difference[restrict LANES]) {
    for (size_t r = 0; r < LANES; r++) {
        sum[r] = 0.0f;
        difference[r] = 0.0f;
    }
    for (size_t k = 0; k < BLOCK; k++) {
        const float *restrict size = block->size[k];
        const float *restrict sign = block->sign[k];
        float importance = block->importance[k];
        for (size_t r = 0; r < LANES; r++) {
            float y = size[r] * inverse[r];
            float like = y - like_code(y);
            float unlike = y - unlike_code(y);
            like = like * like * importance;
            unlike = unlike * unlike * importance;
            sum[r] += like + unlike;
            difference[r] += sign[r] * (like - unlike);
        }
    }
}

/* Best multiplier of a block for the given scales, and the squared error it leaves. Tried are the
 * four magnitudes from the one that brings the largest weight to 10 on, and both signs. */
static inline __attribute__((always_inline)) void search_block(const block_view *block,
                                                               const float scale[restrict LANES],
                                                               float multiplier[restrict LANES],
                                                               float error[restrict LANES]) {
    float low[LANES];
    for (size_t r = 0; r < LANES; r++) {
        float m = pith_float_least(block->peak[r] / (10.0f * scale[r]),
                                   (float)(MAX_MULTIPLIER + 1 - N_NEAR));
        m = (float)(int32_t)m;
        low[r] = m + pith_float_above((float)MIN_MULTIPLIER, m, (float)MIN_MULTIPLIER - m);
        error[r] = INFINITY;
        multiplier[r] = low[r];
    }
    for (size_t near = 0; near < N_NEAR; near++) {
        float unit[LANES], inverse[LANES], sum[LANES], difference[LANES];
        for (size_t r = 0; r < LANES; r++) {
            unit[r] = scale[r] * (low[r] + (float)near);
            inverse[r] = 1.0f / unit[r];
        }
        measure_block(block, inverse, sum, difference);
        for (size_t r = 0; r < LANES; r++) {
            float least = fabsf(sum[r] - fabsf(difference[r])) * 0.5f * (unit[r] * unit[r]);
            float m = copysignf(low[r] + (float)near, -difference[r]);
            int32_t better = -(int32_t)(pith_float_bits(least) < pith_float_bits(error[r]));
            error[r] = pith_float_least(least, error[r]);
            multiplier[r] = pith_float_of_bits((pith_float_bits(m) & better) |
                                               (pith_float_bits(multiplier[r]) & ~better));
        }
    }
}

/* The same code for several instruction sets; equal results, so the choice is one of speed. */
typedef void (*search_fn)(const block_view *block, const float *scale, float *multiplier,
                          float *error);

static void search_baseline(const block_view *block, const float *scale, float *multiplier,
                            float *error) {
    search_block(block, scale, multiplier, error);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) static void search_avx2(const block_view *block, const float *scale,
                                                        float *multiplier, float *error) {
    search_block(block, scale, multiplier, error);
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) static void
search_avx512(const block_view *block, const float *scale, float *multiplier, float *error) {
    search_block(block, scale, multiplier, error);
}

static search_fn find_search(void) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return search_avx512;
    }
    return __builtin_cpu_supports("avx2") ? search_avx2 : search_baseline;
}

#else

static search_fn find_search(void) {
    return search_baseline;
}

#endif

static block_view view_block(const group *g, size_t b) {
    return (block_view){
        .size = &g->size[b * BLOCK],
        .sign = &g->sign[b * BLOCK],
        .peak = g->peak[b],
        .importance = &g->importance[b * BLOCK],
    };
}

/* Reads columns [begin, begin + n_blocks * 16) of the tile; missing rows are zero. */
static void load_group(group *g, const pith_tile_source *source, size_t begin, size_t n_blocks) {
    g->n_blocks = n_blocks;
    pith_quantize_importance(source->importance, begin, n_blocks * BLOCK, g->importance);
    for (size_t b = 0; b < n_blocks; b++) {
        for (size_t r = 0; r < LANES; r++) {
            const float *row = source->rows + r * source->stride + begin + b * BLOCK;
            float peak = 0.0f;
            for (size_t k = 0; k < BLOCK; k++) {
                float w = r < source->n_rows ? row[k] : 0.0f;
                float size = fabsf(w);
                g->size[b * BLOCK + k][r] = size;
                g->sign[b * BLOCK + k][r] = copysignf(1.0f, w);
                peak = peak > size ? peak : size;
            }
            g->peak[b][r] = peak;
        }
    }
}

/* The best multipliers for one set of scales. */
static void search_group(const group *g, search_fn search, const float *scale, choice *out) {
    memcpy(out->scale, scale, sizeof out->scale);
    memset(out->error, 0, sizeof out->error);
    for (size_t b = 0; b < g->n_blocks; b++) {
        block_view block = view_block(g, b);
        float error[LANES];
        search(&block, scale, out->multiplier[b], error);
        for (size_t r = 0; r < LANES; r++) {
            out->error[r] += error[r];
        }
    }
}

/* Copies the rows in which `other` is better. */
static void keep_better(const group *g, const choice *other, choice *best) {
    for (size_t r = 0; r < LANES; r++) {
        if (other->error[r] < best->error[r]) {
            best->error[r] = other->error[r];
            best->scale[r] = other->scale[r];
            for (size_t b = 0; b < g->n_blocks; b++) {
                best->multiplier[b][r] = other->multiplier[b][r];
            }
        }
    }
}

/* The codes of one column: [LANES] each. `direction` is the sign of the multiplier. */
static void encode_column(const float *restrict size, const float *restrict sign,
                          const float *restrict inverse, const float *restrict direction,
                          float *restrict codes) {
    for (size_t r = 0; r < LANES; r++) {
        float y = size[r] * inverse[r];
        float like = like_code(y);
        float unlike = unlike_code(y);
        float side = sign[r] * direction[r]; /* 1: like, -1: minus unlike */
        codes[r] = 0.5f * ((like - unlike) + side * (like + unlike));
    }
}

/* The codes of a block under a choice. */
static void encode_block(const group *g, const choice *c, size_t b, float codes[BLOCK][LANES]) {
    float inverse[LANES], direction[LANES];
    for (size_t r = 0; r < LANES; r++) {
        float m = c->multiplier[b][r];
        inverse[r] = c->scale[r] > 0.0f ? 1.0f / (c->scale[r] * fabsf(m)) : 0.0f;
        direction[r] = copysignf(1.0f, m);
    }
    for (size_t k = 0; k < BLOCK; k++) {
        encode_column(g->size[b * BLOCK + k], g->sign[b * BLOCK + k], inverse, direction, codes[k]);
    }
}

/* Least squares: sum (w m c) / sum (m c)^2 minimises sum (w - d m c)^2. */
static void refine_scales(const group *g, const choice *c, float *scale) {
    float product[LANES] = {0};
    float square[LANES] = {0};
    for (size_t b = 0; b < g->n_blocks; b++) {
        const float *restrict multiplier = c->multiplier[b];
        float codes[BLOCK][LANES];
        encode_block(g, c, b, codes);
        for (size_t k = 0; k < BLOCK; k++) {
            const float *restrict size = g->size[b * BLOCK + k];
            const float *restrict sign = g->sign[b * BLOCK + k];
            float importance = g->importance[b * BLOCK + k];
            for (size_t r = 0; r < LANES; r++) {
                float mc = multiplier[r] * codes[k][r];
                product[r] += sign[r] * size[r] * mc * importance;
                square[r] += mc * mc * importance;
            }
        }
    }
    for (size_t r = 0; r < LANES; r++) {
        float d = product[r] / square[r];
        scale[r] = d > 0.0f ? pith_quantize_scale(d) : c->scale[r];
    }
}

/* The scales tried bring the largest weight of the group to 10 m for m from 7 to 11: how well the
 * other blocks then fit the integers 3 to 10 varies, hence several. */
static float tried_scale(float peak, size_t i) {
    float m = 7.0f + 4.0f * ((float)i + 0.5f) / (float)N_SCALES;
    return pith_quantize_scale(peak / (10.0f * m));
}

static void choose_group(const group *g, search_fn search, choice *best) {
    float peak[LANES] = {0};
    for (size_t b = 0; b < g->n_blocks; b++) {
        for (size_t r = 0; r < LANES; r++) {
            peak[r] = peak[r] > g->peak[b][r] ? peak[r] : g->peak[b][r];
        }
    }
    for (size_t i = 0; i < N_SCALES + N_REFINE; i++) {
        choice other;
        float scale[LANES];
        if (i < N_SCALES) {
            for (size_t r = 0; r < LANES; r++) {
                scale[r] = tried_scale(peak[r], i);
            }
        } else {
            refine_scales(g, best, scale);
        }
        search_group(g, search, scale, i == 0 ? best : &other);
        if (i > 0) {
            keep_better(g, &other, best);
        }
    }
    for (size_t r = 0; r < LANES; r++) {
        if (peak[r] == 0.0f) { /* any scale would do: one spelling for rows of zeros */
            best->scale[r] = 0.0f;
            for (size_t b = 0; b < g->n_blocks; b++) {
                best->multiplier[b][r] = (float)MIN_MULTIPLIER;
            }
        }
    }
}

/* Index of a code in pith_int4_codes, by code + 10. */
static const uint8_t code_index[20] = {0, 0, 1,  2,  2,  3,  4,  5,  6,  7,
                                       8, 9, 10, 11, 12, 13, 13, 14, 14, 15};

static unsigned multiplier_index(float m) {
    return m > 0.0f ? (unsigned)(int)m - MIN_MULTIPLIER : (unsigned)(int)-m - MIN_MULTIPLIER + 8;
}

/* Adds the errors of an encoded block, computed as a reader of the tile will see its weights. */
static void measure_encoded(const group *g, const choice *c, size_t b,
                            const float codes[BLOCK][LANES], double error[restrict LANES],
                            double weight[restrict LANES]) {
    for (size_t k = 0; k < BLOCK; k++) {
        const float *restrict size = g->size[b * BLOCK + k];
        const float *restrict sign = g->sign[b * BLOCK + k];
        for (size_t r = 0; r < LANES; r++) {
            double w = (double)size[r];
            double back = (double)(c->scale[r] * (c->multiplier[b][r] * codes[k][r]));
            double difference = w * (double)sign[r] - back;
            error[r] += difference * difference;
            weight[r] += w * w;
        }
    }
}

/* Writes the nibbles and multipliers of a group, a slice of two blocks after the other. */
static void pack_group(const group *g, const choice *c, unsigned char *out, pith_tile_error *sums) {
    double error[LANES] = {0};
    double weight[LANES] = {0};
    size_t n_slices = g->n_blocks / 2;
    unsigned char *multipliers = out + n_slices * 4 * PITH_LINE_BYTES;
    memset(multipliers, 0, (n_slices * LANES + 63) / 64 * 64);
    for (size_t s = 0; s < n_slices; s++) {
        float codes[2][BLOCK][LANES];
        for (size_t i = 0; i < 2; i++) {
            encode_block(g, c, 2 * s + i, codes[i]);
            measure_encoded(g, c, 2 * s + i, (const float(*)[LANES])codes[i], error, weight);
        }
        for (size_t k = 0; k < BLOCK; k++) {
            unsigned char *line = out + (s * 4 + k / 4) * PITH_LINE_BYTES;
            for (size_t r = 0; r < LANES; r++) {
                unsigned first = code_index[(int)codes[0][k][r] + PITH_INT4_OFFSET];
                unsigned second = code_index[(int)codes[1][k][r] + PITH_INT4_OFFSET];
                line[r * 4 + k % 4] = (unsigned char)(first | second << 4);
            }
        }
        for (size_t r = 0; r < LANES; r++) {
            unsigned first = multiplier_index(c->multiplier[2 * s][r]);
            unsigned second = multiplier_index(c->multiplier[2 * s + 1][r]);
            multipliers[s * LANES + r] = (unsigned char)(first | second << 4);
        }
    }
    for (size_t r = 0; r < LANES; r++) {
        sums->error += error[r];
        sums->weight += weight[r];
    }
}

void pith_quantize_int4_tile(const pith_tile_source *source, unsigned char *out,
                             pith_tile_error *sums) {
    search_fn search = find_search();
    size_t n_groups = pith_groups(source->cols, GROUP);
    unsigned char *scales = out + pith_int4_tile_bytes(source->cols) - pith_scales_bytes(n_groups);
    memset(scales, 0, pith_scales_bytes(n_groups));
    for (size_t i = 0; i < n_groups; i++) {
        size_t rest = source->cols - i * GROUP;
        group g;
        choice best;
        load_group(&g, source, i * GROUP, (rest < GROUP ? rest : GROUP) / BLOCK);
        choose_group(&g, search, &best);
        pack_group(&g, &best, out, sums);
        out += pith_int4_group_bytes(g.n_blocks / 2);
        for (size_t r = 0; r < LANES; r++) {
            uint16_t scale = pith_f32_to_f16(best.scale[r]);
            scales[(i * LANES + r) * 2] = (unsigned char)(scale & 0xff);
            scales[(i * LANES + r) * 2 + 1] = (unsigned char)(scale >> 8);
        }
    }
}
