/* Attention within each text of a pack: Vaswani et al. 2017, equation 1, every token to every token
 * of its text, or to those that a window or the order of the tokens leaves it. A task is one text
 * and head. A thread alone, with quantised weights, makes q, k and v only for a few heads at a
 * time, so that they are still in the cache when attention reads them.
 *
 * The biases of q, k and v enter where they cost least. Adding b to all keys adds q b to all scores
 * of a query, which the softmax does not see: the keys' bias is not needed. The weights of a
 * query add up to 1: the values' bias is added to the result. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/encoder.h"
#include "engine/linear.h"

typedef struct attention {
    const pith_encoder_pass *pass;
    const pith_layer *layer;
    const float *bias; /* [qkv rows], those that q, k and v do not have yet */
    pith_qkv_layout layout;
    size_t head_dim;
    size_t kind;   /* of the layer */
    size_t window; /* 0: none */
    bool causal;
    bool changed;          /* heads of q and k are normalised or turned */
    size_t longest;        /* pith_encoder_max_tokens */
    const float *relative; /* pith_encoder_relative_table, or NULL */
    float scale;
    pith_rows qkv, out;
} attention;

/* One head of one text: rows of head_dim columns, `stride` apart, without their biases. */
typedef struct head_rows {
    const float *q, *k, *v; /* [n, stride] */
    size_t stride;
    size_t n;
    size_t column, kv_column; /* of the head among those of all heads of q, and of k and v */
    float *a;                 /* [n, stride of the output] where its output goes */
} head_rows;

/* Keys [begin, end) that a query sees. */
typedef struct key_range {
    size_t begin, end;
} key_range;

static key_range keys_of(const attention *at, size_t n, size_t query) {
    key_range keys = {0, at->causal ? query + 1 : n};
    if (at->window != 0) {
        keys.begin = query >= at->window ? query - at->window + 1 : 0;
        keys.end = pith_min_size(keys.end, query + at->window);
    }
    return keys;
}

/* s[j] += bias[j]. */
static void add_scores(float *restrict s, const float *restrict bias, size_t n) {
    for (size_t j = 0; j < n; j++) {
        s[j] += bias[j];
    }
}

/* The weights of one query: row [padded] has the scores of the keys from `begin` on. Returns what
 * the sum of the weighted values is multiplied by. */
static float weigh(const attention *at, const head_rows *head, size_t query, size_t begin,
                   float *row, size_t padded) {
    const key_range keys = keys_of(at, head->n, query);
    float max;
    float sum;
    if (at->relative != NULL) {
        size_t head_index = head->column / at->head_dim;
        const float *bias = at->relative + head_index * (2 * at->longest - 1);
        add_scores(row + keys.begin - begin, bias + at->longest - 1 + keys.begin - query,
                   keys.end - keys.begin);
    }
    at->pass->compute.kernels->softmax(row, keys.begin - begin, keys.end - begin, padded, &max,
                                       &sum);
    return 1.0F / sum;
}

/* Queries [first, first + n) of a head whose keys and values are ready. */
static void attend(const attention *at, const pith_encoder_scratch *own, const head_rows *head,
                   size_t first, size_t n) {
    const pith_kernels *kernels = at->pass->compute.kernels;
    const size_t head_dim = at->head_dim;
    const size_t begin = keys_of(at, head->n, first).begin / 16 * 16;
    const size_t end = pith_min_size(keys_of(at, head->n, first + n - 1).end, head->n);
    const size_t padded = pith_round_up(end, 16) - begin;

    for (size_t i = 0; i < n; i++) {
        kernels->affine(head->q + (first + i) * head->stride, at->scale, own->shift, head_dim,
                        own->query + i * head_dim);
    }
    kernels->scores_f32(own->query, n, head_dim, own->keys + begin * head_dim, padded / 16,
                        own->scores, padded);
    float inverse[PITH_ENCODER_QUERIES];
    for (size_t i = 0; i < n; i++) {
        inverse[i] = weigh(at, head, first + i, begin, own->scores + i * padded, padded);
    }
    kernels->values_f32(own->scores, padded, n, end - begin, head_dim,
                        own->values + begin * head_dim, own->output);
    for (size_t i = 0; i < n; i++) {
        kernels->affine(own->output + i * head_dim, inverse[i],
                        at->bias + at->layout.v_begin + head->kv_column, head_dim,
                        head->a + (first + i) * at->out.stride);
    }
}

static void attend_head(const attention *at, const pith_encoder_scratch *own,
                        const head_rows *head) {
    const size_t head_dim = at->head_dim;
    at->pass->compute.kernels->key_blocks(head->k, head->stride, head->n, head_dim, own->keys);
    for (size_t j = 0; j < head->n; j++) {
        memcpy(own->values + j * head_dim, head->v + j * head->stride,
               head_dim * sizeof *own->values);
    }
    for (size_t d = 0; d < head_dim; d++) {
        own->shift[d] = at->bias[head->column + d] * at->scale;
    }
    for (size_t i = 0; i < head->n; i += PITH_ENCODER_QUERIES) {
        attend(at, own, head, i, pith_min_size(PITH_ENCODER_QUERIES, head->n - i));
    }
}

static void attend_tasks(void *argument, size_t begin, size_t end, size_t thread) {
    const attention *at = argument;
    const pith_encoder_pass *pass = at->pass;
    const size_t *first = pass->scratches[0]->begin;
    const size_t n_heads = pass->compute.config->num_attention_heads;
    const size_t group = n_heads / pass->compute.config->num_key_value_heads;

    for (size_t task = begin; task < end; task++) {
        size_t text = task / n_heads;
        size_t column = task % n_heads * at->head_dim;
        size_t kv_column = task % n_heads / group * at->head_dim;
        const float *qkv = at->qkv.data + first[text] * at->qkv.stride;
        head_rows head = {.q = qkv + column,
                          .k = qkv + at->layout.k_begin + kv_column,
                          .v = qkv + at->layout.v_begin + kv_column,
                          .stride = at->qkv.stride,
                          .n = first[text + 1] - first[text],
                          .column = column,
                          .kv_column = kv_column,
                          .a = at->out.data + first[text] * at->out.stride + column};
        attend_head(at, pass->scratches[thread], &head);
    }
}

/* ---- RMSNorm and RoPE of heads --------------------------------------------------------------- */

static void change_heads(const attention *at, const float *weight, size_t row, float *x, size_t n) {
    const pith_compute *c = &at->pass->compute;
    const pith_encoder_scratch *s = at->pass->scratches[0];
    size_t dims = c->config->kinds[at->kind].rope.dims;
    size_t angles = (row * c->config->n_kinds + at->kind) * at->pass->model->rope_half;
    for (size_t i = 0; i < n; i++) {
        float *head = x + i * at->head_dim;
        if (weight != NULL) {
            c->kernels->rmsnorm(head, weight, c->config->norm_eps, at->head_dim, head);
        }
        if (dims != 0) {
            c->kernels->rope(head, 1, dims, s->cosines + angles, s->sines + angles);
        }
    }
}

static void change_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const attention *at = argument;
    const pith_config *config = at->pass->compute.config;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *qkv = at->qkv.data + r * at->qkv.stride;
        change_heads(at, at->layer->q.weight, r, qkv, config->num_attention_heads);
        change_heads(at, at->layer->k.weight, r, qkv + at->layout.k_begin,
                     config->num_key_value_heads);
    }
}

/* ---- A few heads at a time ------------------------------------------------------------------- */

enum { HEADS_COLUMNS = 64 }; /* that q, k and v of the heads have, one head at least */

/* True when attend_by_heads supports this layer and is the faster way. */
static bool pays_by_heads(const attention *at, const pith_rows *x) {
    return at->pass->compute.pool == NULL && x->group != 0 && at->head_dim % PITH_TILE_ROWS == 0 &&
           !at->changed && at->layout.k_rows == at->layout.q_rows;
}

static void attend_by_heads(const attention *at, const pith_matrix *w, const pith_rows *x) {
    const pith_compute *c = &at->pass->compute;
    const pith_encoder_scratch *s = at->pass->scratches[0];
    const size_t hidden = at->layout.q_rows;
    const size_t step = pith_max_size(1, HEADS_COLUMNS / at->head_dim) * at->head_dim;

    for (size_t first = 0; first < hidden; first += step) {
        size_t n = pith_min_size(step, hidden - first);
        size_t stride = 3 * n; /* q, k and v of these heads beside each other */
        float *qkv = at->qkv.data;
        pith_linear_part(c, w, x, first, n, qkv, stride);
        pith_linear_part(c, w, x, at->layout.k_begin + first, n, qkv + n, stride);
        pith_linear_part(c, w, x, at->layout.v_begin + first, n, qkv + 2 * n, stride);
        for (size_t text = 0; text < at->pass->n_texts; text++) {
            for (size_t column = first; column < first + n; column += at->head_dim) {
                const float *q = qkv + s->begin[text] * stride + column - first;
                head_rows head = {.q = q,
                                  .k = q + n,
                                  .v = q + 2 * n,
                                  .stride = stride,
                                  .n = s->begin[text + 1] - s->begin[text],
                                  .column = column,
                                  .kv_column = column,
                                  .a = at->out.data + s->begin[text] * at->out.stride + column};
                attend_head(at, s, &head);
            }
        }
    }
}

static attention attention_of(const pith_encoder_pass *pass, size_t layer) {
    const pith_network *network = &pass->model->network;
    const pith_config *config = &network->config;
    const pith_layer_kind *kind = &config->kinds[config->kind_of[layer]];
    float scale = config->attention_scale;
    return (attention){
        .pass = pass,
        .layer = &network->layers[layer],
        .bias = network->layers[layer].qkv.bias,
        .layout = pith_config_qkv_layout(config),
        .head_dim = config->head_dim,
        .kind = config->kind_of[layer],
        .window = kind->sliding_window,
        .causal = config->causal,
        .changed = kind->rope.dims != 0 || config->qk_norm != PITH_QK_NORM_NONE,
        .longest = pith_encoder_max_tokens(network),
        .relative = pass->model->relative,
        .scale = scale != 0 ? scale : 1.0F / sqrtf((float)config->head_dim),
        .qkv = pass->scratches[0]->qkv,
        .out = pass->scratches[0]->a,
    };
}

pith_rows pith_encoder_attention(const pith_encoder_pass *pass, size_t layer, pith_rows x) {
    const pith_compute *c = &pass->compute;
    attention at = attention_of(pass, layer);
    /* RMSNorm and RoPE are of q and k with their biases, which the product adds then. */
    const pith_weights w = {.matrix = at.layer->qkv.matrix, .bias = at.changed ? at.bias : NULL};
    if (at.changed || at.bias == NULL) {
        at.bias = c->zeros;
    }
    at.out.n = x.n;
    if (pays_by_heads(&at, &x)) {
        attend_by_heads(&at, &w.matrix, &x);
        return at.out;
    }
    const pith_into store = {.epilogue = PITH_STORE, .rows = at.qkv};
    at.qkv = pith_linear(c, &w, x, store); /* qkv = W x                       [n, q + kv + kv] */
    if (at.changed) {
        pith_pool_run(c->pool, x.n, 4, change_rows, &at);
    }
    pith_pool_run(c->pool, pass->n_texts * c->config->num_attention_heads, 1, attend_tasks, &at);
    return at.out;
}

/* ---- Relative positions ---------------------------------------------------------------------- */

/* The bucket of a distance. The first half of the buckets is for keys up to the query, the second
 * for keys behind it. In each half the first half holds one distance per bucket; the others grow by
 * a constant factor up to relative_distance. Computed in float, as in the implementation that
 * trained these models. */
static size_t bucket_of(const pith_config *config, size_t distance, bool behind) {
    size_t half = config->relative_buckets / 2;
    size_t exact = half / 2;
    size_t first = behind ? half : 0;
    if (distance < exact) {
        return first + distance;
    }
    float turns = (float)log((double)distance / (double)exact) /
                  (float)log((double)config->relative_distance / (double)exact) *
                  (float)(half - exact);
    return first + pith_min_size(exact + (size_t)turns, half - 1);
}

void pith_encoder_relative_table(const pith_network *network, float *table) {
    const pith_config *config = &network->config;
    const size_t longest = pith_encoder_max_tokens(network);
    const size_t n_heads = config->num_attention_heads;
    const float *bias = network->relative_bias.data; /* [buckets, heads] */
    for (size_t i = 0; i < 2 * longest - 1; i++) {
        bool behind = i >= longest;
        size_t bucket = bucket_of(config, behind ? i - longest + 1 : longest - 1 - i, behind);
        for (size_t h = 0; h < n_heads; h++) {
            table[h * (2 * longest - 1) + i] = bias[bucket * n_heads + h];
        }
    }
}
