/* The KV cache of one session, laid out for the attention kernels. It takes memory as positions are
 * used.
 *
 * Positions are cut into chunks of 256, those of attention. The storage of a chunk begins with 16
 * positions and doubles as the timeline goes on in it, until it is whole and the next chunk begins:
 * every position is copied about once, and the keys of a head and chunk lie in one piece.
 *
 *     chunk 0: positions 0..255          chunk 1: 256..511      chunk 2: 512..543 of 32
 *
 * A chunk holds, per layer and KV head: K in blocks of 16 keys, [capacity / 16, head_dim, 16], so
 * that a vector's lanes are keys; V as [capacity, head_dim], so that lanes are the head's elements.
 * Elements are f32, f16 or int8 codes; codes have one f32 scale per position and head, quantised as
 * activations are (simd/kernels.h) over the whole head. Nothing is cleared: positions are written
 * before they are read.
 *
 * Caches of one model may share chunks (pith_kv_share). A shared chunk is only read: a cache that
 * is about to write to it makes a copy first. Caches that share may belong to different threads. */
#ifndef PITH_ENGINE_KV_CACHE_H
#define PITH_ENGINE_KV_CACHE_H

#include "base/memory.h"
#include "families/config.h"
#include "simd/kernels.h"

enum {
    PITH_KEY_BLOCK = 16,
    PITH_KV_CHUNK = 256,        /* positions */
    PITH_KV_MAX_INT8_DIM = 256, /* longest head that one scale covers */
};

/* What decides the size of a position. */
typedef struct pith_kv_shape {
    pith_kv_type type; /* F32, F16 or INT8 */
    size_t element;    /* bytes of one */
    size_t n_layers;
    size_t n_kv_heads;
    size_t head_dim;
} pith_kv_shape;

typedef struct pith_kv_chunk pith_kv_chunk;

typedef struct pith_kv_cache {
    pith_kv_shape shape;
    size_t n_context; /* most positions */
    const pith_allocator *allocator;
    pith_kv_chunk **chunks; /* [ceil(n_context / 256)], of which n_chunks exist */
    size_t n_chunks;
    uint32_t number; /* among the caches of a model of several ranks, from 1 on (lead.h); or 0 */
} pith_kv_cache;

/* With n_kv_heads of the configuration's heads. `type` is not AUTO. */
pith_kv_shape pith_kv_shape_of(const pith_config *config, pith_kv_type type, size_t n_kv_heads);

/* An empty cache. `allocator` is borrowed. Returns false when out of memory. */
bool pith_kv_begin(pith_kv_cache *kv, const pith_kv_shape *shape, size_t n_context,
                   const pith_allocator *allocator);
void pith_kv_end(pith_kv_cache *kv); /* of a zeroed cache, too */

/* Makes positions [n_used, n_used + n) writable, n_used + n <= n_context: takes memory for them and
 * copies shared chunks. The n_used first positions keep their content, later ones do not. Returns
 * false when out of memory; the n_used first positions are then as before. */
bool pith_kv_extend(pith_kv_cache *kv, size_t n_used, size_t n);

/* Makes the first n positions of `from` those of `to`, an empty cache of the same shape, context
 * and allocator. Copies nothing. */
void pith_kv_share(pith_kv_cache *to, const pith_kv_cache *from, size_t n);

/* The memory of one of the n_chunks, for a benchmark to touch. */
const pith_region *pith_kv_region(const pith_kv_cache *kv, size_t chunk);

/* Bytes of the chunks, shared ones too. */
size_t pith_kv_held(const pith_kv_cache *kv);

/* Bytes of the chunks of n positions, when the context does not end in the last of them; SIZE_MAX
 * when the count does not fit in size_t. */
size_t pith_kv_bytes(const pith_kv_shape *shape, size_t n);

/* First element of K block `block`, and of V row `position`, of a layer's KV head: all blocks and
 * rows up to the end of the chunk follow. */
const void *pith_kv_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t block);
const void *pith_kv_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t position);

/* INT8: scales of the keys and values of a layer's KV head from `position` to the end of its
 * chunk. */
float *pith_kv_key_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position);
float *pith_kv_value_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position);

/* Stores the key and value k, v [head_dim] of a layer's KV head at one position. */
void pith_kv_store(const pith_kv_cache *kv, const pith_kernels *kernels, size_t layer, size_t head,
                   size_t position, const float *k, const float *v);

/* The first n keys of a chunk of a layer's KV head as rows [n, head_dim] of elements, out of the
 * chunk's blocks and into them; and values, which pith_kv_values returns as such rows already. */
void pith_kv_get_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t chunk, size_t n,
                      void *rows);
void pith_kv_put_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t chunk, size_t n,
                      const void *rows);
void pith_kv_put_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t chunk, size_t n,
                        const void *rows);

#endif
