/* Storage of keys and values; see kv_cache.h for the layout. */
#include "engine/kv_cache.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"

enum {
    PAD = 64, /* bytes after each head's part: parts are powers of two long, and without a pad what
                 the heads have at one position would fall on the same cache sets */
};

struct pith_kv_chunk {
    pith_region region;      /* holds this object */
    atomic_size_t n_holders; /* caches; it is written to only while there is one */
    size_t capacity;         /* positions, a multiple of 16 */
    size_t part;             /* bytes from one head's keys or values to the next one's */
    size_t scale_part;       /* floats from one head's scales to the next one's */
    unsigned char *k;        /* [n_layers, n_kv_heads] parts */
    unsigned char *v;        /* the same */
    float *k_scales;         /* INT8: [n_layers, n_kv_heads] parts, else NULL */
    float *v_scales;         /* the same */
};

pith_kv_shape pith_kv_shape_of(const pith_config *config, pith_kv_type type, size_t n_kv_heads) {
    return (pith_kv_shape){.type = type,
                           .element = type == PITH_KV_F32   ? sizeof(float)
                                      : type == PITH_KV_F16 ? sizeof(uint16_t)
                                                            : sizeof(int8_t),
                           .n_layers = config->num_hidden_layers,
                           .n_kv_heads = n_kv_heads,
                           .head_dim = config->head_dim};
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Lays a chunk out in an arena, this object first; run twice, first to measure. The n_holders and
 * region of *layout are not set. */
static pith_kv_chunk *lay_out(pith_arena *arena, const pith_kv_shape *shape, size_t capacity,
                              pith_kv_chunk *layout) {
    pith_kv_chunk *chunk = pith_arena_take(arena, 1, sizeof *chunk);
    /* Bounded by pith_config_check: below 2^10 layers x 2^20 elements x 2^8 positions. */
    size_t heads = shape->n_layers * shape->n_kv_heads;
    layout->capacity = capacity;
    layout->part = pith_round_up(capacity * shape->head_dim * shape->element, PAD) + PAD;
    layout->scale_part = capacity + PAD / sizeof(float);
    layout->k = pith_arena_take(arena, heads, layout->part);
    layout->v = pith_arena_take(arena, heads, layout->part);
    layout->k_scales = NULL;
    layout->v_scales = NULL;
    if (shape->type == PITH_KV_INT8) {
        layout->k_scales =
            pith_arena_take(arena, heads, layout->scale_part * sizeof *layout->k_scales);
        layout->v_scales =
            pith_arena_take(arena, heads, layout->scale_part * sizeof *layout->v_scales);
    }
    return chunk;
}

/* Bytes of a chunk; SIZE_MAX when the count does not fit in size_t. */
static size_t chunk_bytes(const pith_kv_shape *shape, size_t capacity) {
    pith_arena measure = {0};
    pith_kv_chunk layout;
    lay_out(&measure, shape, capacity, &layout);
    return measure.overflow ? SIZE_MAX : measure.used;
}

/* A chunk that one cache holds; NULL when out of memory. */
static pith_kv_chunk *new_chunk(const pith_kv_cache *kv, size_t capacity) {
    pith_region region;
    size_t size = chunk_bytes(&kv->shape, capacity);
    if (size == SIZE_MAX || pith_region_allocate(&region, size, kv->allocator, NULL) != PITH_OK) {
        return NULL;
    }
    pith_arena arena = {.base = region.data};
    pith_kv_chunk layout;
    pith_kv_chunk *chunk = lay_out(&arena, &kv->shape, capacity, &layout);
    *chunk = layout;
    chunk->region = region;
    atomic_init(&chunk->n_holders, 1);
    return chunk;
}

/* The last holder frees the chunk, after all that the others read of it and wrote to it. */
static void drop(pith_kv_chunk *chunk) {
    if (atomic_fetch_sub_explicit(&chunk->n_holders, 1, memory_order_acq_rel) == 1) {
        pith_region region = chunk->region; /* holds the chunk itself */
        pith_region_release(&region);
    }
}

/* True when no other cache holds the chunk; all that others read of it is then done. */
static bool is_own(pith_kv_chunk *chunk) {
    return atomic_load_explicit(&chunk->n_holders, memory_order_acquire) == 1;
}

/* The first n positions of all heads. */
static void copy_positions(const pith_kv_shape *shape, const pith_kv_chunk *to,
                           const pith_kv_chunk *from, size_t n) {
    size_t row = shape->head_dim * shape->element;
    for (size_t i = 0; i < shape->n_layers * shape->n_kv_heads; i++) {
        memcpy(to->k + i * to->part, from->k + i * from->part,
               pith_round_up(n, PITH_KEY_BLOCK) * row);
        memcpy(to->v + i * to->part, from->v + i * from->part, n * row);
        if (shape->type == PITH_KV_INT8) {
            memcpy(to->k_scales + i * to->scale_part, from->k_scales + i * from->scale_part,
                   n * sizeof(float));
            memcpy(to->v_scales + i * to->scale_part, from->v_scales + i * from->scale_part,
                   n * sizeof(float));
        }
    }
}

/* ---- Growth ---------------------------------------------------------------------------------- */

static size_t n_chunks_of(size_t n_positions) {
    return n_positions / PITH_KV_CHUNK + (n_positions % PITH_KV_CHUNK != 0);
}

/* Positions of a chunk that holds n: 16, 32, ..., 256. */
static size_t doubled(size_t n) {
    size_t capacity = PITH_KEY_BLOCK;
    while (capacity < n) {
        capacity *= 2;
    }
    return capacity;
}

bool pith_kv_begin(pith_kv_cache *kv, const pith_kv_shape *shape, size_t n_context,
                   const pith_allocator *allocator) {
    *kv = (pith_kv_cache){.shape = *shape, .n_context = n_context, .allocator = allocator};
    kv->chunks = pith_allocate(allocator, n_chunks_of(n_context), sizeof(pith_kv_chunk *));
    return kv->chunks != NULL;
}

void pith_kv_end(pith_kv_cache *kv) {
    for (size_t c = 0; c < kv->n_chunks; c++) {
        drop(kv->chunks[c]);
    }
    if (kv->chunks != NULL) {
        pith_release(kv->allocator, kv->chunks);
    }
    *kv = (pith_kv_cache){0};
}

/* Gives the cache a chunk `c` of its own with at least n positions, of which the n_used first are
 * kept. */
static bool extend_chunk(pith_kv_cache *kv, size_t c, size_t n_used, size_t n) {
    pith_kv_chunk *old = c < kv->n_chunks ? kv->chunks[c] : NULL;
    if (old != NULL && old->capacity >= n && is_own(old)) {
        return true;
    }
    size_t left = pith_round_up(kv->n_context - c * PITH_KV_CHUNK, PITH_KEY_BLOCK);
    pith_kv_chunk *chunk = new_chunk(kv, pith_min_size(doubled(n), left));
    if (chunk == NULL) {
        return false;
    }
    if (old != NULL) {
        copy_positions(&kv->shape, chunk, old, n_used);
        drop(old);
    } else {
        kv->n_chunks = c + 1;
    }
    kv->chunks[c] = chunk;
    return true;
}

bool pith_kv_extend(pith_kv_cache *kv, size_t n_used, size_t n) {
    size_t end = n_used + n;
    assert(n != 0 && end <= kv->n_context && n_chunks_of(n_used) <= kv->n_chunks);
    for (size_t c = n_used / PITH_KV_CHUNK; c < n_chunks_of(end); c++) {
        size_t first = c * PITH_KV_CHUNK;
        size_t used = n_used > first ? n_used - first : 0;
        if (!extend_chunk(kv, c, used, pith_min_size(end - first, PITH_KV_CHUNK))) {
            return false;
        }
    }
    return true;
}

void pith_kv_share(pith_kv_cache *to, const pith_kv_cache *from, size_t n) {
    for (; to->n_chunks < n_chunks_of(n); to->n_chunks++) {
        pith_kv_chunk *chunk = from->chunks[to->n_chunks];
        atomic_fetch_add_explicit(&chunk->n_holders, 1, memory_order_relaxed);
        to->chunks[to->n_chunks] = chunk;
    }
}

const pith_region *pith_kv_region(const pith_kv_cache *kv, size_t chunk) {
    return &kv->chunks[chunk]->region;
}

size_t pith_kv_held(const pith_kv_cache *kv) {
    size_t bytes = 0;
    for (size_t c = 0; c < kv->n_chunks; c++) {
        bytes += kv->chunks[c]->region.size;
    }
    return bytes;
}

size_t pith_kv_bytes(const pith_kv_shape *shape, size_t n) {
    size_t rest = n % PITH_KV_CHUNK;
    size_t bytes;
    if (!pith_mul_size(n / PITH_KV_CHUNK, chunk_bytes(shape, PITH_KV_CHUNK), &bytes) ||
        (rest != 0 && !pith_add_size(bytes, chunk_bytes(shape, doubled(rest)), &bytes))) {
        return SIZE_MAX;
    }
    return bytes;
}

/* ---- Positions ------------------------------------------------------------------------------- */

static const pith_kv_chunk *chunk_at(const pith_kv_cache *kv, size_t position) {
    assert(position / PITH_KV_CHUNK < kv->n_chunks);
    return kv->chunks[position / PITH_KV_CHUNK];
}

/* Index of a head's part in a chunk. */
static size_t part_of(const pith_kv_cache *kv, size_t layer, size_t head) {
    return layer * kv->shape.n_kv_heads + head;
}

/* The block of keys that a position is in. */
static unsigned char *keys_at(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    const pith_kv_chunk *chunk = chunk_at(kv, position);
    size_t block = position % PITH_KV_CHUNK / PITH_KEY_BLOCK;
    return chunk->k + part_of(kv, layer, head) * chunk->part +
           block * PITH_KEY_BLOCK * kv->shape.head_dim * kv->shape.element;
}

static unsigned char *values_at(const pith_kv_cache *kv, size_t layer, size_t head,
                                size_t position) {
    const pith_kv_chunk *chunk = chunk_at(kv, position);
    return chunk->v + part_of(kv, layer, head) * chunk->part +
           position % PITH_KV_CHUNK * kv->shape.head_dim * kv->shape.element;
}

const void *pith_kv_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t block) {
    return keys_at(kv, layer, head, block * PITH_KEY_BLOCK);
}

const void *pith_kv_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    return values_at(kv, layer, head, position);
}

float *pith_kv_key_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    const pith_kv_chunk *chunk = chunk_at(kv, position);
    return chunk->k_scales + part_of(kv, layer, head) * chunk->scale_part +
           position % PITH_KV_CHUNK;
}

float *pith_kv_value_scales(const pith_kv_cache *kv, size_t layer, size_t head, size_t position) {
    const pith_kv_chunk *chunk = chunk_at(kv, position);
    return chunk->v_scales + part_of(kv, layer, head) * chunk->scale_part +
           position % PITH_KV_CHUNK;
}

/* ---- Storing --------------------------------------------------------------------------------- */

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
    size_t head_dim = kv->shape.head_dim;
    int8_t *keys = (int8_t *)keys_at(kv, layer, head, position) + position % PITH_KEY_BLOCK;
    int8_t codes[PITH_KV_MAX_INT8_DIM];
    *pith_kv_key_scales(kv, layer, head, position) = quantize_head(k, head_dim, codes, kernels);
    for (size_t d = 0; d < head_dim; d++) {
        keys[d * PITH_KEY_BLOCK] = codes[d];
    }
    *pith_kv_value_scales(kv, layer, head, position) = quantize_head(v, head_dim, codes, kernels);
    memcpy(values_at(kv, layer, head, position), codes, head_dim);
}

void pith_kv_store(const pith_kv_cache *kv, const pith_kernels *kernels, size_t layer, size_t head,
                   size_t position, const float *k, const float *v) {
    size_t lane = position % PITH_KEY_BLOCK;
    size_t head_dim = kv->shape.head_dim;
    void *keys = keys_at(kv, layer, head, position);
    void *values = values_at(kv, layer, head, position);
    if (kv->shape.type == PITH_KV_INT8) {
        store_int8(kv, kernels, layer, head, position, k, v);
    } else if (kv->shape.type == PITH_KV_F32) {
        store_key_f32(keys, lane, k, head_dim);
        memcpy(values, v, head_dim * sizeof(float));
    } else {
        store_key_f16(keys, lane, k, head_dim, kernels);
        kernels->f32_to_f16(v, values, head_dim);
    }
}

/* ---- As rows --------------------------------------------------------------------------------- */

/* Offset in bytes of element d of key i of a chunk, from the head's first key in it. */
static size_t key_offset(const pith_kv_shape *shape, size_t i, size_t d) {
    size_t lane = i % PITH_KEY_BLOCK;
    return ((i - lane) * shape->head_dim + d * PITH_KEY_BLOCK + lane) * shape->element;
}

void pith_kv_get_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t chunk, size_t n,
                      void *rows) {
    const pith_kv_shape *shape = &kv->shape;
    const unsigned char *keys = keys_at(kv, layer, head, chunk * PITH_KV_CHUNK);
    unsigned char *row = rows;
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < shape->head_dim; d++, row += shape->element) {
            memcpy(row, keys + key_offset(shape, i, d), shape->element);
        }
    }
}

void pith_kv_put_keys(const pith_kv_cache *kv, size_t layer, size_t head, size_t chunk, size_t n,
                      const void *rows) {
    const pith_kv_shape *shape = &kv->shape;
    unsigned char *keys = keys_at(kv, layer, head, chunk * PITH_KV_CHUNK);
    const unsigned char *row = rows;
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < shape->head_dim; d++, row += shape->element) {
            memcpy(keys + key_offset(shape, i, d), row, shape->element);
        }
    }
}

void pith_kv_put_values(const pith_kv_cache *kv, size_t layer, size_t head, size_t chunk, size_t n,
                        const void *rows) {
    memcpy(values_at(kv, layer, head, chunk * PITH_KV_CHUNK), rows,
           n * kv->shape.head_dim * kv->shape.element);
}
