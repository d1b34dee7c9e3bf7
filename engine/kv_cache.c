/* Storage of keys and values; see kv_cache.h for the layout. */
#include "engine/kv_cache.h"

#include <string.h>

#include "base/checked.h"

void pith_kv_cache_take(pith_kv_cache *kv, pith_arena *arena, const pith_llama_config *config,
                        pith_kv_type type, size_t n_context) {
    kv->type = type;
    kv->element = type == PITH_KV_F32   ? sizeof(float)
                  : type == PITH_KV_F16 ? sizeof(uint16_t)
                                        : sizeof(int8_t);
    kv->capacity = ((n_context + PITH_KEY_BLOCK - 1) / PITH_KEY_BLOCK | 1) * PITH_KEY_BLOCK;
    kv->n_kv_heads = config->num_key_value_heads;
    kv->head_dim = config->head_dim;
    /* Bounded by pith_llama_config_check: below 2^10 layers x 2^24 positions x 2^20 elements. */
    size_t rows = config->num_hidden_layers * kv->n_kv_heads * kv->capacity;
    kv->k = pith_arena_take(arena, rows, kv->head_dim * kv->element);
    kv->v = pith_arena_take(arena, rows, kv->head_dim * kv->element);
    kv->k_scales = NULL;
    kv->v_scales = NULL;
    if (type == PITH_KV_INT8) {
        kv->k_scales = pith_arena_take(arena, rows, sizeof *kv->k_scales);
        kv->v_scales = pith_arena_take(arena, rows, sizeof *kv->v_scales);
    }
}

/* Index of the first element of a head's keys or values. */
static size_t head_start(const pith_kv_cache *kv, size_t layer, size_t head) {
    return (layer * kv->n_kv_heads + head) * kv->capacity * kv->head_dim;
}

const void *pith_kv_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t block) {
    size_t index = head_start(kv, layer, head) + block * PITH_KEY_BLOCK * kv->head_dim;
    return kv->k + index * kv->element;
}

const void *pith_kv_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    size_t index = head_start(kv, layer, head) + position * kv->head_dim;
    return kv->v + index * kv->element;
}

static size_t scale_start(const pith_kv_cache *kv, size_t layer, size_t head) {
    return (layer * kv->n_kv_heads + head) * kv->capacity;
}

float *pith_kv_key_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    return kv->k_scales + scale_start(kv, layer, head) + position;
}

float *pith_kv_value_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    return kv->v_scales + scale_start(kv, layer, head) + position;
}

/* One head's key [head_dim] into lane position % 16 of its block. */
static void store_key_f32(float *block, size_t lane, const float *k, size_t head_dim) {
    for (size_t d = 0; d < head_dim; d++) {
        block[d * PITH_KEY_BLOCK + lane] = k[d];
    }
}

static void store_key_f16(uint16_t *block, size_t lane, const float *k, size_t head_dim,
                          const pith_kernels *kernels) {
    enum { STEP = 64 };
    uint16_t half[STEP];
    for (size_t d = 0; d < head_dim; d += STEP) {
        size_t n = pith_min_size(STEP, head_dim - d);
        kernels->f32_to_f16(k + d, half, n);
        for (size_t i = 0; i < n; i++) {
            block[(d + i) * PITH_KEY_BLOCK + lane] = half[i];
        }
    }
}

/* Codes and scale of one head's key or value. */
static float quantize_head(const float *x, size_t head_dim, int8_t *codes,
                           const pith_kernels *kernels) {
    float scale;
    int32_t offset;
    kernels->quantize(x, head_dim, PITH_KV_MAX_INT8_DIM, codes, &scale, &offset, NULL);
    return scale;
}

static void store_int8(const pith_kv_cache *kv, const pith_kernels *kernels, size_t layer,
                       size_t head, size_t position, const float *k, const float *v) {
    size_t lane = position % PITH_KEY_BLOCK;
    size_t start = head_start(kv, layer, head);
    int8_t *keys = (int8_t *)kv->k + start + (position - lane) * kv->head_dim + lane;
    int8_t codes[PITH_KV_MAX_INT8_DIM];
    *pith_kv_key_scales(kv, layer, head, position) = quantize_head(k, kv->head_dim, codes, kernels);
    for (size_t d = 0; d < kv->head_dim; d++) {
        keys[d * PITH_KEY_BLOCK] = codes[d];
    }
    *pith_kv_value_scales(kv, layer, head, position) =
        quantize_head(v, kv->head_dim, codes, kernels);
    memcpy(kv->v + start + position * kv->head_dim, codes, kv->head_dim);
}

void pith_kv_store(const pith_kv_cache *kv, const pith_kernels *kernels, size_t layer, size_t head,
                   size_t position, const float *k, const float *v) {
    size_t lane = position % PITH_KEY_BLOCK;
    size_t start = head_start(kv, layer, head);
    unsigned char *keys = kv->k + (start + (position - lane) * kv->head_dim) * kv->element;
    unsigned char *values = kv->v + (start + position * kv->head_dim) * kv->element;
    if (kv->type == PITH_KV_INT8) {
        store_int8(kv, kernels, layer, head, position, k, v);
    } else if (kv->type == PITH_KV_F32) {
        store_key_f32((float *)(void *)keys, lane, k, kv->head_dim);
        memcpy(values, v, kv->head_dim * sizeof(float));
    } else {
        store_key_f16((uint16_t *)(void *)keys, lane, k, kv->head_dim, kernels);
        kernels->f32_to_f16(v, (uint16_t *)(void *)values, kv->head_dim);
    }
}

void pith_kv_copy(const pith_kv_cache *to, const pith_kv_cache *from, size_t n_layers, size_t n) {
    size_t keys = pith_round_up(n, PITH_KEY_BLOCK) * from->head_dim * from->element;
    size_t values = n * from->head_dim * from->element;
    for (size_t layer = 0; layer < n_layers; layer++) {
        for (size_t head = 0; head < from->n_kv_heads; head++) {
            memcpy(to->k + head_start(to, layer, head) * to->element,
                   from->k + head_start(from, layer, head) * from->element, keys);
            memcpy(to->v + head_start(to, layer, head) * to->element,
                   from->v + head_start(from, layer, head) * from->element, values);
            if (from->type == PITH_KV_INT8) {
                memcpy(pith_kv_key_scales(to, layer, head, 0),
                       pith_kv_key_scales(from, layer, head, 0), n * sizeof(float));
                memcpy(pith_kv_value_scales(to, layer, head, 0),
                       pith_kv_value_scales(from, layer, head, 0), n * sizeof(float));
            }
        }
    }
}

/* Offset in bytes of element d of the key at `position`, from the head's first key. */
static size_t key_offset(const pith_kv_cache *kv, size_t position, size_t d) {
    size_t lane = position % PITH_KEY_BLOCK;
    return ((position - lane) * kv->head_dim + d * PITH_KEY_BLOCK + lane) * kv->element;
}

void pith_kv_get_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t n, void *rows) {
    const unsigned char *keys = kv->k + head_start(kv, layer, head) * kv->element;
    unsigned char *row = rows;
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < kv->head_dim; d++, row += kv->element) {
            memcpy(row, keys + key_offset(kv, i, d), kv->element);
        }
    }
}

void pith_kv_put_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t n,
                      const void *rows) {
    unsigned char *keys = kv->k + head_start(kv, layer, head) * kv->element;
    const unsigned char *row = rows;
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < kv->head_dim; d++, row += kv->element) {
            memcpy(keys + key_offset(kv, i, d), row, kv->element);
        }
    }
}

void pith_kv_put_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t n,
                        const void *rows) {
    memcpy(kv->v + head_start(kv, layer, head) * kv->element, rows, n * kv->head_dim * kv->element);
}
