/* The KV cache of one session, laid out for the attention kernels.
 *
 * Per layer and KV head: K in blocks of 16 keys, [n_blocks, head_dim, 16], so that a vector's lanes
 * are keys; V as [capacity, head_dim], so that lanes are the head's elements. Elements are f32, f16
 * or int8 codes; codes have one f32 scale per position and head, quantised as activations are
 * (simd/kernels.h) over the whole head. Nothing is cleared: positions are written before they are
 * read. */
#ifndef PITH_ENGINE_KV_CACHE_H
#define PITH_ENGINE_KV_CACHE_H

#include "base/memory.h"
#include "simd/kernels.h"
#include "weights/llama.h"

enum {
    PITH_KEY_BLOCK = 16,
    PITH_KV_MAX_INT8_DIM = 256, /* longest head that one scale covers */
};

typedef struct pith_kv_cache {
    pith_kv_type type; /* F32, F16 or INT8 */
    size_t element;    /* bytes of one */
    size_t capacity;   /* positions: an odd number of blocks of 16, so that what the heads have
                          at one position does not fall on the same cache sets */
    size_t n_kv_heads;
    size_t head_dim;
    unsigned char *k;
    unsigned char *v;
    float *k_scales; /* INT8: [layers, n_kv_heads, capacity], else NULL */
    float *v_scales; /* the same */
} pith_kv_cache;

void pith_kv_cache_take(pith_kv_cache *kv, pith_arena *arena, const pith_llama_config *config,
                        pith_kv_type type, size_t n_context);

/* First element of K block `block`, and of V row `position`, of a layer's KV head. */
const void *pith_kv_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t block);
const void *pith_kv_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t position);

/* INT8: scales of the keys and values of a layer's KV head from `position` on. */
float *pith_kv_key_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position);
float *pith_kv_value_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position);

/* Stores the key and value k, v [head_dim] of a layer's KV head at one position. */
void pith_kv_store(const pith_kv_cache *kv, const pith_kernels *kernels, size_t layer, size_t head,
                   size_t position, const float *k, const float *v);

/* Copies the first n positions of every layer between caches of one type and shape. */
void pith_kv_copy(const pith_kv_cache *to, const pith_kv_cache *from, size_t n_layers, size_t n);

/* The first n keys of a layer's KV head as rows [n, head_dim] of elements, out of the cache's
 * blocks and into them; and values, which pith_kv_values gives as such rows already. */
void pith_kv_get_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t n, void *rows);
void pith_kv_put_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t n,
                      const void *rows);
void pith_kv_put_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t n,
                        const void *rows);

#endif
