/* Causal grouped-query attention: Vaswani et al. 2017, equation 1; Shazeer 2019 (MQA) and Ainslie
 * et al. 2023 (GQA); the softmax over parts follows Milakov & Gimelshein 2018.
 *
 * Keys are cut into chunks of 256 at fixed positions. Each chunk gives, for a query, the largest
 * score m, the sum l of exp(score - m) and the sum o of exp(score - m) v; chunks merge in ascending
 * order. Neither threads nor the grouping of rows change these steps, so results are the same bit
 * for bit however the work is cut: a task is either a block of rows x KV head with all its chunks,
 * or, when there are too few rows for that, a run of chunks of one row. A run reads all its keys
 * and then all its values, since memory is fastest where few streams are long.
 *
 * A head's sink is merged first, as a chunk with one key whose value is zero: m is the sink, l 1.
 */
#include "engine/attention.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/activation.h"
#include "engine/team.h"

enum {
    CHUNK = PITH_KV_CHUNK, /* keys */
    BLOCK_ROWS =
        48,         /* query rows (row x head of the group) of one task, unless one group is more */
    FINE_ROWS = 12, /* positions that skip later keys together, a full tile of the kernels */
    SPLIT_ROWS = 4, /* passes of at most this many rows are cut into runs of chunks */
    RUN_CHUNKS = 16,     /* chunks of a run, at most */
    RUNS_PER_THREAD = 8, /* at least, where threads share the work and chunks suffice */
};

/* One thread's buffers for n query rows. */
typedef struct attend {
    float *q;                           /* [n, head_dim] scaled queries */
    float *scores;                      /* [n, CHUNK] */
    float *o;                           /* [n, head_dim] merged so far */
    float *m, *l;                       /* [n] */
    float *chunk_o, *chunk_m, *chunk_l; /* o, m and l of one chunk */
    float *weights;                     /* [2 n] merge factors */
} attend;

/* The attention of one layer, and how its work is cut. */
typedef struct attention {
    const pith_forward *f;
    size_t layer;
    size_t window;      /* keys a query sees; 0: all */
    pith_rows qkv, out; /* queries [n, q ...]; [n, q] */
    size_t n_blocks;    /* tasks are (KV head, block); heads are those of this process */
    size_t n_chunks;    /* of the row that has most */
    size_t run;         /* tasks are (row, KV head, run of this many chunks) */
} attention;

static size_t group_size(const pith_config *config) {
    return config->num_attention_heads / config->num_key_value_heads;
}

static size_t query_rows(const pith_config *config) {
    return pith_max_size(BLOCK_ROWS, group_size(config));
}

size_t pith_attention_thread_floats(const pith_config *config) {
    size_t n = query_rows(config);
    return pith_round_up(n * (3 * config->head_dim + CHUNK + 6), 16);
}

/* One chunk's o, m and l for the heads of a group. */
static size_t partial_floats(const pith_config *config) {
    return group_size(config) * (config->head_dim + 2);
}

size_t pith_attention_max_chunks(const pith_config *config, size_t n_context) {
    size_t n = (n_context + CHUNK - 1) / CHUNK;
    size_t most = 0;
    for (size_t i = 0; i < config->n_kinds; i++) {
        size_t window = config->kinds[i].sliding_window;
        /* A window touches the most chunks when it begins with the last key of one. */
        size_t seen = window != 0 ? pith_min_size(n, 1 + (window + CHUNK - 2) / CHUNK) : n;
        most = pith_max_size(most, seen);
    }
    return most;
}

size_t pith_attention_partial_floats(const pith_config *config, size_t n_chunks) {
    return SPLIT_ROWS * config->num_key_value_heads * n_chunks * partial_floats(config);
}

static attend attend_buffers(const pith_forward *f, size_t thread) {
    size_t n = query_rows(f->compute.config);
    size_t head_dim = f->model->network.config.head_dim;
    attend b;
    b.scores = f->scratch->attend + thread * f->scratch->attend_floats;
    b.q = b.scores + n * CHUNK;
    b.o = b.q + n * head_dim;
    b.chunk_o = b.o + n * head_dim;
    b.m = b.chunk_o + n * head_dim;
    b.l = b.m + n;
    b.chunk_m = b.l + n;
    b.chunk_l = b.chunk_m + n;
    b.weights = b.chunk_l + n;
    return b;
}

/* First key that the query at `position` sees. */
static size_t first_key(size_t window, size_t position) {
    return window != 0 && position >= window ? position - window + 1 : 0;
}

/* y = x * factor, with +0 in place of -0; sixteen at a time, which lets the compiler use
 * vectors. */
static void scale_row(const float *restrict x, float factor, size_t n, float *restrict y) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            y[i + j] = x[i + j] * factor + 0.0F;
        }
    }
    for (; i < n; i++) {
        y[i] = x[i] * factor + 0.0F;
    }
}

/* Queries of rows x group heads, scaled: q[(row, head of group)][head_dim]. */
static void gather_queries(const attention *at, pith_row_block rows, size_t kv_head, float *q) {
    const pith_config *config = at->f->compute.config;
    const size_t first = at->f->kv_heads.first;
    size_t n = group_size(config) * config->head_dim;
    float scale = config->attention_scale != 0 ? config->attention_scale
                                               : 1.0F / sqrtf((float)config->head_dim);
    for (size_t r = 0; r < rows.n; r++) {
        const float *from =
            at->qkv.data + (rows.first + r) * at->qkv.stride + (first + kv_head) * n;
        scale_row(from, scale, n, q + r * n);
    }
}

/* Some queries and the keys of one chunk. */
typedef struct chunk_part {
    const pith_kv_cache *kv;
    size_t layer, kv_head;
    size_t key, n_keys; /* first key, a multiple of CHUNK */
    size_t n_q;
} chunk_part;

static void chunk_scores(const pith_kernels *kernels, const chunk_part *c, const float *q,
                         float *scores) {
    const pith_kv_cache *kv = c->kv;
    const void *k = pith_kv_keys(kv, c->layer, c->kv_head, c->key / PITH_KEY_BLOCK);
    size_t n_blocks = (c->n_keys + PITH_KEY_BLOCK - 1) / PITH_KEY_BLOCK;
    if (kv->shape.type == PITH_KV_F32) {
        kernels->scores_f32(q, c->n_q, kv->shape.head_dim, k, n_blocks, scores, CHUNK);
    } else if (kv->shape.type == PITH_KV_F16) {
        kernels->scores_f16(q, c->n_q, kv->shape.head_dim, k, n_blocks, scores, CHUNK);
    } else {
        kernels->scores_int8(q, c->n_q, kv->shape.head_dim, k, n_blocks, scores, CHUNK);
        const float *scales = pith_kv_key_scales(kv, c->layer, c->kv_head, c->key);
        for (size_t i = 0; i < c->n_q; i++) {
            kernels->multiply(scores + i * CHUNK, scales, c->n_keys);
        }
    }
}

/* o = p V; p is changed. */
static void chunk_values(const pith_kernels *kernels, const chunk_part *c, float *p, float *o) {
    const pith_kv_cache *kv = c->kv;
    const void *v = pith_kv_values(kv, c->layer, c->kv_head, c->key);
    if (kv->shape.type == PITH_KV_F32) {
        kernels->values_f32(p, CHUNK, c->n_q, c->n_keys, kv->shape.head_dim, v, o);
    } else if (kv->shape.type == PITH_KV_F16) {
        kernels->values_f16(p, CHUNK, c->n_q, c->n_keys, kv->shape.head_dim, v, o);
    } else {
        const float *scales = pith_kv_value_scales(kv, c->layer, c->kv_head, c->key);
        for (size_t i = 0; i < c->n_q; i++) {
            kernels->multiply(p + i * CHUNK, scales, c->n_keys);
        }
        kernels->values_int8(p, CHUNK, c->n_q, c->n_keys, kv->shape.head_dim, v, o);
    }
}

/* Scores, their cap and softmax of some consecutive rows, the first at `position`, over one chunk:
 * scores become weights; m and l of each row and head of the group. */
static void weigh_rows(const attention *at, const chunk_part *part, size_t position, const float *q,
                       float *scores, float *m, float *l) {
    const pith_config *config = at->f->compute.config;
    const pith_kernels *kernels = at->f->compute.kernels;
    size_t n_scores = pith_round_up(part->n_keys, PITH_KEY_BLOCK);
    size_t group = group_size(config);
    size_t key = part->key;
    chunk_scores(kernels, part, q, scores);
    for (size_t i = 0; i < part->n_q; i++) {
        size_t p = position + i / group;
        size_t seen = pith_max_size(first_key(at->window, p), key) - key;
        if (config->attention_cap != 0) {
            pith_soft_cap(kernels, config->attention_cap, scores + i * CHUNK, n_scores);
        }
        kernels->softmax(scores + i * CHUNK, seen, pith_min_size(p + 1 - key, CHUNK), n_scores,
                         &m[i], &l[i]);
    }
}

/* Attention of the block's rows to one chunk: fills chunk_o, chunk_m and chunk_l for the rows that
 * see some of its keys. Returns those rows, relative to the block. */
static pith_row_block attend_chunk(const attention *at, size_t kv_head, pith_row_block rows,
                                   size_t chunk, const attend *b) {
    const pith_forward *f = at->f;
    const pith_config *config = f->compute.config;
    size_t group = group_size(config);
    size_t start = f->tokens[rows.first].position;
    size_t key = chunk * CHUNK;

    size_t first = key > start ? key - start : 0;
    size_t end = rows.n;
    while (end > first && first_key(at->window, start + end - 1) >= key + CHUNK) {
        end--;
    }
    /* Where the diagonal crosses the chunk, a few rows at a time. */
    size_t step = start + first + 1 < key + CHUNK ? FINE_ROWS : end - first;
    for (size_t row = first; row < end; row += step) {
        size_t n = pith_min_size(step, end - row);
        chunk_part part = {.kv = f->tokens[rows.first].kv,
                           .layer = at->layer,
                           .kv_head = kv_head,
                           .key = key,
                           .n_keys = pith_min_size(start + row + n - key, CHUNK),
                           .n_q = n * group};
        size_t i = (row - first) * group;
        weigh_rows(at, &part, start + row, b->q + row * group * config->head_dim, b->scores,
                   b->chunk_m + i, b->chunk_l + i);
        chunk_values(f->compute.kernels, &part, b->scores, b->chunk_o + i * config->head_dim);
    }
    return (pith_row_block){.first = first, .n = end - first};
}

/* Merges the results of n_chunks chunks, `stride` floats apart, into n query rows, one chunk after
 * the other: m' = max(m, m_c); l = l exp(m - m') + l_c exp(m_c - m'); o likewise.
 * weights: [2 n n_chunks]. */
static void merge(const pith_kernels *kernels, size_t n, size_t head_dim, float *m, float *l,
                  float *o, size_t n_chunks, size_t stride, const float *m_c, const float *l_c,
                  const float *o_c, float *weights) {
    for (size_t j = 0; j < n_chunks * n; j++) {
        size_t i = j % n;
        float of_chunk = m_c[j / n * stride + i];
        float top = m[i] > of_chunk ? m[i] : of_chunk;
        weights[2 * j] = m[i] - top;
        weights[2 * j + 1] = of_chunk - top;
        m[i] = top;
    }
    kernels->exp(weights, weights, 2 * n * n_chunks);
    for (size_t j = 0; j < n_chunks * n; j++) {
        size_t i = j % n;
        size_t from = j / n * stride;
        float old = weights[2 * j];
        float new = weights[2 * j + 1];
        l[i] = l[i] * old + l_c[from + i] * new;
        kernels->blend(o + i * head_dim, old, o_c + from + i * head_dim, new, head_dim);
    }
}

/* Empties the results of n query rows, those of each group of heads from its first one on. */
static void merge_begin(const attention *at, size_t kv_head, size_t n, float *m, float *l,
                        float *o) {
    const pith_config *config = at->f->compute.config;
    const float *sinks = at->f->model->network.layers[at->layer].sinks;
    size_t group = group_size(config);
    size_t first = (at->f->kv_heads.first + kv_head) * group;
    for (size_t i = 0; i < n; i++) {
        m[i] = sinks == NULL ? -INFINITY : sinks[first + i % group];
        l[i] = sinks == NULL ? 0.0F : 1.0F;
    }
    memset(o, 0, n * config->head_dim * sizeof *o);
}

/* Writes o / l to the rows of the output. Negative zeros become +0: their sign would depend on how
 * rows were grouped. */
static void store_output(const attention *at, pith_row_block rows, size_t kv_head, const float *o,
                         const float *l) {
    const pith_config *config = at->f->compute.config;
    size_t group = group_size(config);
    size_t head_dim = config->head_dim;
    size_t first = (at->f->kv_heads.first + kv_head) * group;
    for (size_t i = 0; i < rows.n * group; i++) {
        float *to = at->out.data + (rows.first + i / group) * at->out.stride +
                    (first + i % group) * head_dim;
        scale_row(o + i * head_dim, 1.0F / l[i], head_dim, to);
    }
}

static void attend_block(const attention *at, size_t task, size_t thread) {
    const pith_forward *f = at->f;
    const pith_config *config = f->compute.config;
    pith_row_block rows = f->scratch->blocks[task % at->n_blocks];
    size_t kv_head = task / at->n_blocks;
    size_t group = group_size(config);
    size_t head_dim = config->head_dim;
    attend b = attend_buffers(f, thread);

    gather_queries(at, rows, kv_head, b.q);
    merge_begin(at, kv_head, rows.n * group, b.m, b.l, b.o);
    size_t start = f->tokens[rows.first].position;
    size_t last = (start + rows.n - 1) / CHUNK;
    for (size_t chunk = first_key(at->window, start) / CHUNK; chunk <= last; chunk++) {
        pith_row_block seen = attend_chunk(at, kv_head, rows, chunk, &b);
        size_t i = seen.first * group;
        merge(f->compute.kernels, seen.n * group, head_dim, b.m + i, b.l + i, b.o + i * head_dim, 1,
              0, b.chunk_m, b.chunk_l, b.chunk_o, b.weights);
    }
    store_output(at, rows, kv_head, b.o, b.l);
}

static void attend_blocks(void *argument, size_t begin, size_t end, size_t thread) {
    for (size_t task = begin; task < end; task++) {
        attend_block(argument, task, thread);
    }
}

static size_t n_chunks_of(size_t window, size_t position) {
    return position / CHUNK - first_key(window, position) / CHUNK + 1;
}

/* Where the result of the c-th chunk of a row and KV head is kept: o [group, head_dim], m, l. */
static float *partial_of(const attention *at, size_t row, size_t kv_head, size_t c) {
    const pith_config *config = at->f->compute.config;
    size_t index = (row * at->f->kv_heads.n + kv_head) * at->n_chunks + c;
    return at->f->scratch->partial + index * partial_floats(config);
}

/* Number of chunks whose results or scores, of one row and KV head, fit in the buffers of a
 * thread. */
static size_t kept_chunks(const pith_config *config) {
    return query_rows(config) / group_size(config);
}

static size_t choose_run(const pith_forward *f, size_t n_chunks) {
    const pith_config *config = f->compute.config;
    size_t n_threads = pith_pool_threads(f->compute.pool);
    size_t all = f->n_rows * f->kv_heads.n * n_chunks;
    size_t run = n_threads == 1 ? n_chunks : all / (RUNS_PER_THREAD * n_threads);
    run = pith_min_size(pith_max_size(run, 1), pith_min_size(RUN_CHUNKS, kept_chunks(config)));
    size_t n_runs = (n_chunks + run - 1) / run;
    return (n_chunks + n_runs - 1) / n_runs; /* of about equal length */
}

/* Attention of one row to its chunks [begin, end): their scores and softmax, then their values. */
static void attend_run(const attention *at, size_t row, size_t kv_head, size_t begin, size_t end,
                       const attend *b) {
    const pith_forward *f = at->f;
    const pith_config *config = f->compute.config;
    size_t group = group_size(config);
    size_t position = f->tokens[row].position;
    size_t first = first_key(at->window, position);
    chunk_part part = {.kv = f->tokens[row].kv,
                       .layer = at->layer,
                       .kv_head = kv_head,
                       .n_q = group};

    gather_queries(at, (pith_row_block){.first = row, .n = 1}, kv_head, b->q);
    for (size_t c = begin; c < end; c++) {
        part.key = (first / CHUNK + c) * CHUNK;
        part.n_keys = pith_min_size(position + 1 - part.key, CHUNK);
        float *m = partial_of(at, row, kv_head, c) + group * config->head_dim;
        weigh_rows(at, &part, position, b->q, b->scores + (c - begin) * group * CHUNK, m,
                   m + group);
    }
    for (size_t c = begin; c < end; c++) {
        part.key = (first / CHUNK + c) * CHUNK;
        part.n_keys = pith_min_size(position + 1 - part.key, CHUNK);
        chunk_values(f->compute.kernels, &part, b->scores + (c - begin) * group * CHUNK,
                     partial_of(at, row, kv_head, c));
    }
}

static void attend_runs(void *argument, size_t begin, size_t end, size_t thread) {
    const attention *at = argument;
    const size_t n_heads = at->f->kv_heads.n;
    attend b = attend_buffers(at->f, thread);
    size_t n_runs = (at->n_chunks + at->run - 1) / at->run;
    for (size_t task = begin; task < end; task++) {
        size_t row = task / n_runs / n_heads;
        size_t kv_head = task / n_runs % n_heads;
        size_t c = task % n_runs * at->run;
        size_t n_chunks = n_chunks_of(at->window, at->f->tokens[row].position);
        attend_run(at, row, kv_head, c, pith_min_size(c + at->run, n_chunks), &b);
    }
}

static void merge_runs(void *argument, size_t begin, size_t end, size_t thread) {
    const attention *at = argument;
    const pith_forward *f = at->f;
    const pith_config *config = f->compute.config;
    size_t group = group_size(config);
    size_t head_dim = config->head_dim;
    size_t kept = kept_chunks(config);
    attend b = attend_buffers(f, thread);
    for (size_t task = begin; task < end; task++) {
        size_t row = task / f->kv_heads.n;
        size_t kv_head = task % f->kv_heads.n;
        merge_begin(at, kv_head, group, b.m, b.l, b.o);
        size_t n_chunks = n_chunks_of(at->window, f->tokens[row].position);
        for (size_t c = 0; c < n_chunks; c += kept) {
            const float *o_c = partial_of(at, row, kv_head, c);
            const float *m_c = o_c + group * head_dim;
            merge(f->compute.kernels, group, head_dim, b.m, b.l, b.o,
                  pith_min_size(kept, n_chunks - c), partial_floats(config), m_c, m_c + group, o_c,
                  b.weights);
        }
        store_output(at, (pith_row_block){.first = row, .n = 1}, kv_head, b.o, b.l);
    }
}

/* Cuts the rows into blocks of one session and consecutive positions; returns how many. */
static size_t make_blocks(const pith_forward *f, size_t max_rows) {
    size_t n = 0;
    for (size_t first = 0; first < f->n_rows;) {
        size_t end = first + 1;
        while (end < f->n_rows && end - first < max_rows &&
               f->tokens[end].kv == f->tokens[first].kv) {
            end++;
        }
        f->scratch->blocks[n++] = (pith_row_block){.first = first, .n = end - first};
        first = end;
    }
    return n;
}

pith_rows pith_attention(const pith_forward *f, size_t layer, pith_rows qkv, pith_rows out) {
    const pith_config *config = f->compute.config;
    const pith_layer_kind *kind = &config->kinds[config->kind_of[layer]];
    attention at = {.f = f,
                    .layer = layer,
                    .window = kind->sliding_window,
                    .qkv = qkv,
                    .out = out,
                    .n_chunks = 1};
    at.out.n = f->n_rows;
    for (size_t i = 0; i < f->n_rows; i++) {
        at.n_chunks = pith_max_size(at.n_chunks, n_chunks_of(at.window, f->tokens[i].position));
    }
    assert(f->n_rows <= f->scratch->size.rows && at.n_chunks <= f->scratch->size.chunks);
    if (f->n_rows <= SPLIT_ROWS && at.n_chunks > 1) {
        size_t n = f->n_rows * f->kv_heads.n;
        at.run = choose_run(f, at.n_chunks);
        size_t n_runs = (at.n_chunks + at.run - 1) / at.run;
        pith_pool_run(f->compute.pool, n * n_runs, 1, attend_runs, &at);
        pith_pool_run(f->compute.pool, n, 1, merge_runs, &at);
    } else {
        at.n_blocks = make_blocks(f, query_rows(config) / group_size(config));
        pith_pool_run(f->compute.pool, at.n_blocks * f->kv_heads.n, 1, attend_blocks, &at);
    }
    at.out.borders = f->compute.team != NULL ? f->compute.team->shares.q : NULL;
    return at.out;
}
