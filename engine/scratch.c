/* The buffers of a forward pass, and the list of those that no pass uses; see forward.h. */
#include <pthread.h>

#include "base/checked.h"
#include "engine/attention.h"
#include "engine/forward.h"
#include "engine/linear.h"

/* ---- Layout ---------------------------------------------------------------------------------- */

/* Floats of a row: whole lines, an odd number of them, so that the rows that a prefill goes through
 * side by side do not fall on the same cache sets. */
static size_t row_stride(size_t n) {
    return (pith_round_up(n, 16) / 16 | 1) * 16;
}

static pith_rows take_rows(pith_arena *arena, size_t n, size_t width) {
    pith_rows rows = {.stride = row_stride(width)};
    rows.data = pith_arena_take(arena, n * rows.stride, sizeof *rows.data);
    return rows;
}

static bool has_after_norms(const pith_network *network) {
    for (size_t i = 0; i < network->config.num_hidden_layers; i++) {
        if (network->layers[i].after_attention.weight != NULL ||
            network->layers[i].after_mlp.weight != NULL) {
            return true;
        }
    }
    return false;
}

/* What only a mixture of experts needs. */
static void take_experts(pith_arena *arena, pith_scratch *s, const pith_config *config) {
    size_t n = config->n_experts != 0 ? s->size.rows : 0;
    size_t n_choices = n * config->n_experts_used;
    s->router = take_rows(arena, n, config->n_experts);
    s->gathered = take_rows(arena, n, config->hidden_size);
    s->gathered.codes = pith_codes_take(arena, n, config->hidden_size);
    s->expert = take_rows(arena, n, config->hidden_size);
    s->choice.experts = pith_arena_take(arena, n_choices, sizeof *s->choice.experts);
    s->choice.shares = pith_arena_take(arena, n_choices, sizeof *s->choice.shares);
    s->choice.first = pith_arena_take(arena, config->n_experts + 2, sizeof *s->choice.first);
    s->choice.sorted = pith_arena_take(arena, n_choices, sizeof *s->choice.sorted);
}

/* Lays the buffers out in an arena, this object first; run on a zeroed arena to measure. Smaller
 * sizes need no more bytes. The object that is there keeps its region, room and next. */
static pith_scratch *lay_out(pith_arena *arena, const pith_model *model, pith_scratch_size size) {
    const pith_config *config = &model->network.config;
    size_t max_rows = size.rows;
    size_t n_threads = pith_pool_threads(model->pool);
    size_t n_angles = config->n_kinds * model->rope_half;
    size_t q_dim = config->num_attention_heads * config->head_dim;
    size_t widest =
        pith_max_size(pith_max_size(config->hidden_size, q_dim), config->intermediate_size);
    pith_scratch *out = pith_arena_take(arena, 1, sizeof *out);
    pith_scratch layout;
    pith_scratch *s = out != NULL ? out : &layout;
    s->size = size;
    s->tokens = pith_arena_take(arena, max_rows, sizeof *s->tokens);
    s->blocks = pith_arena_take(arena, max_rows, sizeof *s->blocks);
    s->logits = pith_arena_take(arena, max_rows, sizeof *s->logits);

    s->x = take_rows(arena, max_rows, config->hidden_size);
    bool has_y = has_after_norms(&model->network) || config->n_experts != 0;
    s->y = take_rows(arena, has_y ? max_rows : 0, config->hidden_size);
    s->a = take_rows(arena, max_rows, pith_max_size(config->hidden_size, q_dim));
    s->h = take_rows(arena, max_rows, config->intermediate_size);
    s->qkv = take_rows(arena, max_rows, pith_config_qkv_layout(config).total_rows);
    s->a.codes = pith_codes_take(arena, max_rows, pith_max_size(config->hidden_size, q_dim));
    s->x.codes = s->a.codes;
    s->h.codes = pith_codes_take(arena, max_rows, config->intermediate_size);

    take_experts(arena, s, config);

    s->cosines = pith_arena_take(arena, max_rows * n_angles, sizeof *s->cosines);
    s->sines = pith_arena_take(arena, max_rows * n_angles, sizeof *s->sines);

    s->tile_floats = pith_linear_tile_floats(max_rows, model->sgemm != NULL);
    s->tiles = pith_arena_take(arena, n_threads, sizeof *s->tiles);
    for (size_t i = 0; i < n_threads; i++) {
        float *tiles = pith_arena_take(arena, s->tile_floats, sizeof *tiles);
        if (s->tiles != NULL) {
            s->tiles[i] = tiles;
        }
    }
    s->observed = pith_arena_take(arena, max_rows * widest, sizeof *s->observed);

    s->attend_floats = pith_attention_thread_floats(config);
    s->attend = pith_arena_take(arena, n_threads * s->attend_floats, sizeof *s->attend);
    s->partial = pith_arena_take(arena, pith_attention_partial_floats(config, size.chunks),
                                 sizeof *s->partial);
    return out;
}

static pith_status new_scratch(pith_scratch **out, const pith_model *model, pith_scratch_size size,
                               pith_error *error) {
    pith_arena measure = {0};
    pith_region region;
    lay_out(&measure, model, size);
    if (measure.overflow) {
        return pith_fail(error, PITH_ERROR_MEMORY,
                         "the work buffers of a pass of %zu tokens do not fit in memory",
                         size.rows);
    }
    pith_status status = pith_region_allocate(&region, measure.used, &model->allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_arena arena = {.base = region.data};
    pith_scratch *scratch = lay_out(&arena, model, size);
    scratch->region = region;
    scratch->room = size;
    *out = scratch;
    return PITH_OK;
}

static void free_scratch(pith_scratch *scratch) {
    pith_region region = scratch->region; /* holds the scratch itself */
    pith_region_release(&region);
}

/* ---- Those not in use ------------------------------------------------------------------------ */

struct pith_scratch_cache {
    pith_allocator allocator;
    pthread_mutex_t lock;
    pith_scratch_size size; /* of every one in the list */
    pith_scratch *free;     /* the one given back last comes first: its memory is warmest */
    size_t n;               /* of this size, in the list or in use */
};

pith_status pith_scratch_cache_new(pith_scratch_cache **out, const pith_allocator *allocator,
                                   pith_error *error) {
    pith_scratch_cache *cache = pith_allocate_zeroed(allocator, 1, sizeof *cache);
    if (cache == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    cache->allocator = *allocator;
    pthread_mutex_init(&cache->lock, NULL); /* cannot fail with default attributes on Linux */
    *out = cache;
    return PITH_OK;
}

static void free_list(pith_scratch_cache *cache) {
    while (cache->free != NULL) {
        pith_scratch *next = cache->free->next;
        free_scratch(cache->free);
        cache->free = next;
    }
}

void pith_scratch_cache_free(pith_scratch_cache *cache) {
    if (cache != NULL) {
        free_list(cache);
        pthread_mutex_destroy(&cache->lock);
        pith_allocator allocator = cache->allocator;
        pith_release(&allocator, cache);
    }
}

pith_scratch_size pith_scratch_size_for(const pith_model *model, size_t n_rows, size_t n_context) {
    return (pith_scratch_size){
        .rows = n_rows,
        .chunks = pith_attention_max_chunks(&model->network.config, n_context),
    };
}

static bool fits(pith_scratch_size inner, pith_scratch_size outer) {
    return inner.rows <= outer.rows && inner.chunks <= outer.chunks;
}

/* Adds one of at least this size to the list. Smaller ones are then of no use: those in the list
 * are freed at once, those in use when they are given back. The lock is held, so that nobody
 * allocates what another thread is about to. */
static pith_status add(const pith_model *model, pith_scratch_size size, pith_error *error) {
    pith_scratch_cache *cache = model->scratch_cache;
    size.rows = pith_max_size(size.rows, cache->size.rows);
    size.chunks = pith_max_size(size.chunks, cache->size.chunks);
    pith_scratch *scratch = NULL;
    pith_status status = new_scratch(&scratch, model, size, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!fits(size, cache->size)) {
        free_list(cache);
        cache->size = size;
        cache->n = 0;
    }
    scratch->next = cache->free;
    cache->free = scratch;
    cache->n++;
    return PITH_OK;
}

pith_status pith_scratch_reserve(const pith_model *model, pith_scratch_size size,
                                 pith_error *error) {
    pith_scratch_cache *cache = model->scratch_cache;
    pith_status status = PITH_OK;
    pthread_mutex_lock(&cache->lock);
    if (cache->n == 0 || !fits(size, cache->size)) {
        status = add(model, size, error);
    }
    pthread_mutex_unlock(&cache->lock);
    return status;
}

/* Rows to make room for when a pass has more than any before, twice as many next time: a batch may
 * grow by a session at a time. */
static size_t grown_rows(size_t n) {
    size_t rows = 1;
    while (rows < n) {
        rows *= 2;
    }
    return rows;
}

pith_status pith_scratch_take(pith_scratch **out, const pith_model *model, pith_scratch_size size,
                              pith_error *error) {
    pith_scratch_cache *cache = model->scratch_cache;
    pith_scratch_size room = size;
    pith_scratch *scratch = NULL;
    pith_status status = PITH_OK;
    pthread_mutex_lock(&cache->lock);
    if (size.rows > cache->size.rows) {
        room.rows = grown_rows(size.rows);
    }
    if (cache->free == NULL || !fits(room, cache->size)) {
        status = add(model, room, error);
    }
    if (status == PITH_OK) {
        scratch = cache->free;
        cache->free = scratch->next;
    }
    pthread_mutex_unlock(&cache->lock);
    if (status == PITH_OK) {
        /* Close together for what this pass needs: a few tokens touch a few pages of the room that
         * is there for a whole prefill. */
        pith_arena arena = {.base = (unsigned char *)scratch};
        *out = lay_out(&arena, model, size);
    }
    return status;
}

void pith_scratch_give(const pith_model *model, pith_scratch *scratch) {
    pith_scratch_cache *cache = model->scratch_cache;
    pthread_mutex_lock(&cache->lock);
    if (fits(cache->size, scratch->room)) {
        scratch->next = cache->free;
        cache->free = scratch;
        scratch = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    if (scratch != NULL) {
        free_scratch(scratch);
    }
}
