/* Attention within each text of a pack: Vaswani et al. 2017, equation 1, every token to every token
 * of its text. A task is one text and head. A thread alone, with quantised weights, makes q, k and
 * v only for a few heads at a time, so that they are still in the cache when attention reads them.
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
    const float *bias; /* [qkv rows] */
    pith_qkv_layout layout;
    size_t head_dim;
    float scale;
    pith_rows qkv, out;
} attention;

/* One head of one text: rows of head_dim columns, `stride` apart, without their biases. */
typedef struct head_rows {
    const float *q, *k, *v; /* [n, stride] */
    size_t stride;
    size_t n;
    size_t column; /* of the head among those of all heads */
    float *a;      /* [n, stride of the output] where its output goes */
} head_rows;

/* Queries [first, first + n) of a head whose keys and values are ready. */
static void attend(const attention *at, const pith_encoder_scratch *own, const head_rows *head,
                   size_t first, size_t n) {
    const pith_kernels *kernels = at->pass->compute.kernels;
    const size_t head_dim = at->head_dim;
    const size_t padded = pith_round_up(head->n, 16);

    for (size_t i = 0; i < n; i++) {
        kernels->affine(head->q + (first + i) * head->stride, at->scale, own->shift, head_dim,
                        own->query + i * head_dim);
    }
    kernels->scores_f32(own->query, n, head_dim, own->keys, padded / 16, own->scores, padded);
    float inverse[PITH_ENCODER_QUERIES];
    for (size_t i = 0; i < n; i++) {
        float max;
        float sum;
        kernels->softmax(own->scores + i * padded, 0, head->n, padded, &max, &sum);
        inverse[i] = 1.0F / sum;
    }
    kernels->values_f32(own->scores, padded, n, head->n, head_dim, own->values, own->output);
    for (size_t i = 0; i < n; i++) {
        kernels->affine(own->output + i * head_dim, inverse[i],
                        at->bias + at->layout.v_begin + head->column, head_dim,
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

    for (size_t task = begin; task < end; task++) {
        size_t text = task / n_heads;
        size_t column = task % n_heads * at->head_dim;
        const float *qkv = at->qkv.data + first[text] * at->qkv.stride + column;
        head_rows head = {.q = qkv,
                          .k = qkv + at->layout.k_begin,
                          .v = qkv + at->layout.v_begin,
                          .stride = at->qkv.stride,
                          .n = first[text + 1] - first[text],
                          .column = column,
                          .a = at->out.data + first[text] * at->out.stride + column};
        attend_head(at, pass->scratches[thread], &head);
    }
}

/* ---- A few heads at a time ------------------------------------------------------------------- */

enum { HEADS_COLUMNS = 64 }; /* that q, k and v of the heads have, one head at least */

/* True when attend_by_heads supports this layer and is the faster way. */
static bool pays_by_heads(const attention *at, const pith_rows *x) {
    return at->pass->compute.pool == NULL && x->group != 0 && at->head_dim % PITH_TILE_ROWS == 0;
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
                                  .a = at->out.data + s->begin[text] * at->out.stride + column};
                attend_head(at, s, &head);
            }
        }
    }
}

pith_rows pith_encoder_attention(const pith_encoder_pass *pass, const pith_weights *qkv,
                                 pith_rows x) {
    const pith_config *config = pass->compute.config;
    attention at = {.pass = pass,
                    .bias = qkv->bias,
                    .layout = pith_config_qkv_layout(config),
                    .head_dim = config->head_dim,
                    .scale = 1.0F / sqrtf((float)config->head_dim),
                    .qkv = pass->scratches[0]->qkv,
                    .out = pass->scratches[0]->a};
    at.out.n = x.n;
    if (pays_by_heads(&at, &x)) {
        attend_by_heads(&at, &qkv->matrix, &x);
        return at.out;
    }
    const pith_weights bare = {.matrix = qkv->matrix};
    const pith_into store = {.epilogue = PITH_STORE, .rows = at.qkv};
    at.qkv = pith_linear(&pass->compute, &bare, x, store); /* qkv = W x         [n, 3 x hidden] */
    pith_pool_run(pass->compute.pool, pass->n_texts * config->num_attention_heads, 1, attend_tasks,
                  &at);
    return at.out;
}
