/* The generator of random weights; see random_weights.h. */
#include "weights/random_weights.h"

#include <string.h>

#include "base/half.h"
#include "simd/blocks.h"
#include "weights/bert.h"

/* splitmix64 (Steele et al. 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t pith_random_seed(unsigned part, size_t layer) {
    return (uint64_t)part << 32 | layer;
}

float pith_random_vector(pith_architecture architecture, unsigned part) {
    bool weight = architecture == PITH_ARCHITECTURE_LLAMA || part == PITH_BERT_NORM_WEIGHT ||
                  part == PITH_BERT_ATTENTION_NORM_WEIGHT || part == PITH_BERT_OUTPUT_NORM_WEIGHT;
    return weight ? 1.0F : 0.0F;
}

/* Floats in (-0.035, 0.035), standard deviation 0.02, in a 16- or 32-bit type. */
static void fill_floats(pith_type type, size_t cols, uint64_t *state, unsigned char *out) {
    for (size_t i = 0; i < cols * PITH_TILE_ROWS; i++) {
        float value = ((float)(next_random(state) >> 40) * 0x1p-23F - 1.0F) * 0.0346F;
        if (type == PITH_TYPE_F32) {
            memcpy(out + i * 4, &value, 4);
        } else {
            uint16_t half =
                type == PITH_TYPE_F16 ? pith_f32_to_f16(value) : pith_f32_to_bf16(value);
            memcpy(out + i * 2, &half, 2);
        }
    }
}

static size_t n_groups_of(pith_type type, size_t cols) {
    return pith_groups(cols, type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : PITH_INT8_GROUP);
}

/* Bytes of a packed tile before its scales. */
static size_t codes_bytes(pith_type type, size_t cols) {
    return pith_matrix_tile_bytes(type, cols) - pith_scales_bytes(n_groups_of(type, cols));
}

/* Any bytes are codes and multipliers; the scales make the weights' deviation about 0.02. */
static void fill_packed(pith_type type, size_t cols, uint64_t *state, unsigned char *out) {
    size_t n_groups = n_groups_of(type, cols);
    size_t codes = codes_bytes(type, cols);
    for (size_t i = 0; i < codes; i += 8) {
        uint64_t bits = next_random(state);
        memcpy(out + i, &bits, 8);
    }
    uint16_t scale = pith_f32_to_f16(type == PITH_TYPE_INT4 ? 0.02F / 38.0F : 0.02F / 74.0F);
    memset(out + codes, 0, pith_scales_bytes(n_groups));
    for (size_t i = 0; i < n_groups * PITH_TILE_ROWS; i++) {
        memcpy(out + codes + 2 * i, &scale, 2);
    }
}

void pith_random_tile(pith_type type, size_t cols, uint64_t seed, size_t tile, unsigned char *out) {
    uint64_t state = seed + (uint64_t)tile * UINT64_C(0x5851f42d4c957f2d);
    if (type == PITH_TYPE_INT4 || type == PITH_TYPE_INT8) {
        fill_packed(type, cols, &state, out);
    } else {
        fill_floats(type, cols, &state, out);
    }
}
