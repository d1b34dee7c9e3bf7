/* Sentence embeddings from token ids; see embed.h. A window of texts is sorted by length and cut
 * into packs, which threads take one at a time and run alone. A window that is a single pack of
 * some size is run by all threads together. */
#include "engine/embed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum {
    PACK_TOKENS = 256, /* a pack ends with the text that reaches this many */
    PACK_LEAST = 32,   /* smallest pack when there are few texts for many threads */
    SHARE_TOKENS = 12, /* a single pack of at least this many is shared by all threads */
};

/* ---- Buffers --------------------------------------------------------------------------------- */

struct pith_embed_cache {
    pith_allocator allocator;
    pthread_mutex_t lock;
    pith_encoder_scratch *free;
    size_t n_free;
};

pith_status pith_embed_cache_new(pith_embed_cache **out, const pith_allocator *allocator,
                                 pith_error *error) {
    pith_embed_cache *cache = pith_allocate_zeroed(allocator, 1, sizeof *cache);
    if (cache == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    cache->allocator = *allocator;
    pthread_mutex_init(&cache->lock, NULL); /* cannot fail with default attributes on Linux */
    *out = cache;
    return PITH_OK;
}

void pith_embed_cache_free(pith_embed_cache *cache) {
    if (cache == NULL) {
        return;
    }
    while (cache->free != NULL) {
        pith_encoder_scratch *next = cache->free->next;
        pith_encoder_scratch_free(cache->free);
        cache->free = next;
    }
    pthread_mutex_destroy(&cache->lock);
    pith_allocator allocator = cache->allocator;
    pith_release(&allocator, cache);
}

/* Returns for how many tokens buffers are made when packs have up to `n`: one of a few sizes, so
 * that most calls find buffers that fit; a single size for models of short texts. */
static size_t scratch_tokens(const pith_model *model, size_t n) {
    enum { LEAST = 1024 };
    size_t most = PACK_TOKENS - 1 + pith_encoder_max_tokens(&model->network);
    size_t size = LEAST;
    while (size < n) {
        size *= 2;
    }
    return pith_min_size(size, most);
}

/* Buffers for packs of up to `n` tokens. */
static pith_status take_scratch(const pith_model *model, size_t n, pith_encoder_scratch **out,
                                pith_error *error) {
    pith_embed_cache *cache = model->embed_cache;
    pthread_mutex_lock(&cache->lock);
    pith_encoder_scratch *found = cache->free;
    if (found != NULL) {
        cache->free = found->next;
        cache->n_free--;
    }
    pthread_mutex_unlock(&cache->lock);
    if (found != NULL && found->max_tokens >= n) {
        *out = found;
        return PITH_OK;
    }
    pith_encoder_scratch_free(found);
    return pith_encoder_scratch_new(out, model, scratch_tokens(model, n), error);
}

/* Gives buffers back. At most as many are kept as the model has threads. */
static void give_scratch(const pith_model *model, pith_encoder_scratch *scratch) {
    pith_embed_cache *cache = model->embed_cache;
    pthread_mutex_lock(&cache->lock);
    if (cache->n_free < pith_pool_threads(model->pool)) {
        scratch->next = cache->free;
        cache->free = scratch;
        cache->n_free++;
        scratch = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    pith_encoder_scratch_free(scratch);
}

/* ---- Packs ----------------------------------------------------------------------------------- */

/* A window of texts on its way through the network. */
typedef struct packing {
    const pith_model *model;
    const pith_embed_window *window;
    size_t n;                  /* texts */
    size_t *order;             /* [n] by length, longest first */
    pith_encoder_text *sorted; /* [n] */
    size_t *begin;             /* [n_packs + 1] first text of each pack, in that order */
    size_t n_packs;
    size_t largest;                   /* tokens of a pack */
    pith_encoder_scratch **scratches; /* [n_threads] */
    size_t n_scratches;
    atomic_size_t n_done;
    atomic_bool stopped;
    atomic_size_t first_bad; /* text whose embedding is not finite; n: none */
} packing;

typedef struct sort_item {
    size_t n_tokens, index;
} sort_item;

static int compare_items(const void *a, const void *b) {
    const sort_item *x = a;
    const sort_item *y = b;
    if (x->n_tokens != y->n_tokens) {
        return x->n_tokens < y->n_tokens ? 1 : -1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

/* Cuts the sorted texts into packs. */
static void cut_packs(packing *p, size_t n_tokens) {
    size_t n_threads = pith_pool_threads(p->model->pool);
    size_t target = pith_max_size(pith_min_size(n_tokens / n_threads, PACK_TOKENS), PACK_LEAST);
    size_t filled = 0;
    p->begin[0] = 0;
    for (size_t i = 0; i < p->n; i++) {
        filled += p->sorted[i].n_tokens;
        if (filled >= target || i + 1 == p->n) {
            p->begin[++p->n_packs] = i + 1;
            p->largest = pith_max_size(p->largest, filled);
            filled = 0;
        }
    }
}

static pith_status check_texts(const packing *p, size_t *n_tokens, pith_error *error) {
    const pith_config *config = &p->model->network.config;
    size_t longest = pith_encoder_max_tokens(&p->model->network);
    *n_tokens = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t n = p->window->texts[i].n_tokens;
        if (n == 0 || n > longest) {
            return pith_fail(error, PITH_ERROR_CONTEXT, "text %zu has %zu tokens, not 1 to %zu",
                             p->window->first + i, n, longest);
        }
        for (size_t t = 0; t < n; t++) {
            int32_t id = p->window->texts[i].ids[t];
            if (id < 0 || (size_t)id >= config->vocab_size) {
                return pith_fail(error, PITH_ERROR_TOKEN,
                                 "text %zu: token %d is not in the vocabulary of %zu",
                                 p->window->first + i, id, config->vocab_size);
            }
        }
        *n_tokens += n;
    }
    return PITH_OK;
}

static pith_status sort_texts(packing *p, pith_error *error) {
    sort_item *items = pith_allocate(&p->model->allocator, p->n, sizeof *items);
    if (items == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu texts", p->n);
    }
    for (size_t i = 0; i < p->n; i++) {
        items[i] = (sort_item){p->window->texts[i].n_tokens, i};
    }
    qsort(items, p->n, sizeof *items, compare_items);
    for (size_t i = 0; i < p->n; i++) {
        p->order[i] = items[i].index;
        p->sorted[i] = p->window->texts[items[i].index];
    }
    pith_release(&p->model->allocator, items);
    return PITH_OK;
}

static pith_status prepare(packing *p, pith_error *error) {
    const pith_allocator *allocator = &p->model->allocator;
    size_t n_tokens = 0;
    size_t n_threads = pith_pool_threads(p->model->pool);
    pith_status status = check_texts(p, &n_tokens, error);
    if (status != PITH_OK) {
        return status;
    }
    p->order = pith_allocate(allocator, p->n, sizeof *p->order);
    p->sorted = pith_allocate(allocator, p->n, sizeof *p->sorted);
    p->begin = pith_allocate(allocator, p->n + 1, sizeof *p->begin);
    p->scratches = pith_allocate_zeroed(allocator, n_threads, sizeof(void *));
    if (p->order == NULL || p->sorted == NULL || p->begin == NULL || p->scratches == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu texts", p->n);
    }
    status = sort_texts(p, error);
    if (status == PITH_OK) {
        cut_packs(p, n_tokens);
    }
    bool shared = p->n_packs == 1 && n_tokens >= SHARE_TOKENS;
    size_t n_scratches = shared ? n_threads : pith_min_size(p->n_packs, n_threads);
    while (status == PITH_OK && p->n_scratches < n_scratches) {
        status = take_scratch(p->model, p->largest, &p->scratches[p->n_scratches], error);
        p->n_scratches += status == PITH_OK;
    }
    return status;
}

static void release(packing *p) {
    const pith_allocator *allocator = &p->model->allocator;
    for (size_t i = 0; i < p->n_scratches; i++) {
        give_scratch(p->model, p->scratches[i]);
    }
    pith_release(allocator, p->scratches);
    pith_release(allocator, p->begin);
    pith_release(allocator, p->sorted);
    pith_release(allocator, p->order);
}

static void note_bad(packing *p, size_t index) {
    size_t before = atomic_load(&p->first_bad);
    while (index < before && !atomic_compare_exchange_weak(&p->first_bad, &before, index)) {
    }
}

static void run_pack(packing *p, size_t i, pith_pool *pool,
                     pith_encoder_scratch *const *scratches) {
    size_t size = p->window->size;
    pith_encoder_pass pass = pith_encoder_begin(p->model, pool, scratches, p->sorted + p->begin[i],
                                                p->begin[i + 1] - p->begin[i]);
    pith_encoder_forward(&pass);
    for (size_t t = 0; t < pass.n_texts; t++) {
        size_t index = p->order[p->begin[i] + t];
        if (!pith_encoder_embedding(&pass, t, size, p->window->out + index * size)) {
            note_bad(p, index);
        }
    }
    atomic_fetch_add(&p->n_done, pass.n_texts);
}

/* Calls the progress function, which only the caller's thread, thread 0, may do. */
static void report(packing *p) {
    if (p->window->progress != NULL &&
        !p->window->progress(p->window->user, p->window->first + atomic_load(&p->n_done),
                             p->window->n_total)) {
        atomic_store(&p->stopped, true);
    }
}

static void run_packs(void *argument, size_t begin, size_t end, size_t thread) {
    packing *p = argument;
    for (size_t i = begin; i < end && !atomic_load(&p->stopped); i++) {
        run_pack(p, i, NULL, &p->scratches[thread]);
        if (thread == 0) {
            report(p);
        }
    }
}

pith_status pith_embed_run(const pith_model *model, const pith_embed_window *window,
                           pith_error *error) {
    packing p = {.model = model, .window = window, .n = window->n_texts};
    atomic_init(&p.first_bad, p.n);
    pith_status status = prepare(&p, error);
    if (status == PITH_OK && p.n_packs == 1) {
        run_pack(&p, 0, p.n_scratches > 1 ? model->pool : NULL, p.scratches);
    } else if (status == PITH_OK) {
        pith_pool_run(model->pool, p.n_packs, 1, run_packs, &p);
    }
    if (status == PITH_OK && !atomic_load(&p.stopped)) {
        report(&p);
    }
    if (status == PITH_OK && atomic_load(&p.stopped)) {
        status = pith_fail(error, PITH_ERROR_STOPPED, "stopped by the progress function");
    }
    size_t bad = atomic_load(&p.first_bad);
    if (status == PITH_OK && bad < p.n) {
        status = pith_fail(error, PITH_ERROR_NUMERIC, "the embedding of text %zu is not finite",
                           window->first + bad);
    }
    release(&p);
    return status;
}

size_t pith_embed_window_size(const pith_model *model) {
    enum { IDS = 4 << 20, LEAST = 64 };
    size_t room = IDS / pith_encoder_max_tokens(&model->network);
    return pith_min_size(PITH_EMBED_WINDOW, pith_max_size(room, LEAST));
}

pith_status pith_embed_tokens(const pith_model *model, const pith_encoder_text *texts,
                              size_t n_texts, pith_embed_progress_fn progress, void *user,
                              float *out, pith_error *error) {
    const size_t most = pith_embed_window_size(model);
    const size_t size = pith_config_embedding_size(&model->network.config);
    pith_status status = PITH_OK;
    for (size_t first = 0; status == PITH_OK && first < n_texts; first += most) {
        pith_embed_window window = {.texts = texts + first,
                                    .n_texts = pith_min_size(most, n_texts - first),
                                    .out = out + first * size,
                                    .size = size,
                                    .progress = progress,
                                    .user = user,
                                    .first = first,
                                    .n_total = n_texts};
        status = pith_embed_run(model, &window, error);
    }
    return status;
}
