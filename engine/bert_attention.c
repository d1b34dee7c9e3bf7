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
#include "engine/bert.h"
#include "simd/blocks.h"

typedef struct attention_loop {
    const pith_bert_pass *pass;
    const float *bias; /* [qkv rows] */
    pith_qkv_layout layout;
} attention_loop;

/* One head of one text: rows of head_dim columns, `stride` apart, without their biases. */
typedef struct head_rows {
    const float *q, *k, *v; /* [n, stride] */
    size_t stride;
    size_t n;
    size_t column; /* of the head among those of all heads */
    float *a;      /* [n, x_stride] where its output goes */
} head_rows;

/* Queries [first, first + n) of a head whose keys and values are ready. */
static void attend(const attention_loop *loop, const pith_bert_scratch *own, const head_rows *head,
                   size_t first, size_t n) {
    const pith_bert_scratch *rows = loop->pass->scratches[0];
    const pith_config *config = &loop->pass->model->network.config;
    const pith_kernels *kernels = loop->pass->model->kernels;
    const size_t head_dim = config->hidden_size / config->num_attention_heads;
    const size_t padded = pith_round_up(head->n, 16);
    const float scale = 1.0F / sqrtf((float)head_dim);

    for (size_t i = 0; i < n; i++) {
        kernels->affine(head->q + (first + i) * head->stride, scale, own->shift, head_dim,
                        own->query + i * head_dim);
    }
    kernels->scores_f32(own->query, n, head_dim, own->keys, padded / 16, own->scores, padded);
    float inverse[PITH_BERT_QUERIES];
    for (size_t i = 0; i < n; i++) {
        float max;
        float sum;
        kernels->softmax(own->scores + i * padded, 0, head->n, padded, &max, &sum);
        inverse[i] = 1.0F / sum;
    }
    kernels->values_f32(own->scores, padded, n, head->n, head_dim, own->values, own->output);
    for (size_t i = 0; i < n; i++) {
        kernels->affine(own->output + i * head_dim, inverse[i],
                        loop->bias + loop->layout.v_begin + head->column, head_dim,
                        head->a + (first + i) * rows->x_stride);
    }
}

static void attend_head(const attention_loop *loop, const pith_bert_scratch *own,
                        const head_rows *head) {
    const pith_config *config = &loop->pass->model->network.config;
    const size_t head_dim = config->hidden_size / config->num_attention_heads;
    const float scale = 1.0F / sqrtf((float)head_dim);

    loop->pass->model->kernels->key_blocks(head->k, head->stride, head->n, head_dim, own->keys);
    for (size_t j = 0; j < head->n; j++) {
        memcpy(own->values + j * head_dim, head->v + j * head->stride,
               head_dim * sizeof *own->values);
    }
    for (size_t d = 0; d < head_dim; d++) {
        own->shift[d] = loop->bias[head->column + d] * scale;
    }
    for (size_t i = 0; i < head->n; i += PITH_BERT_QUERIES) {
        attend(loop, own, head, i, pith_min_size(PITH_BERT_QUERIES, head->n - i));
    }
}

static void attend_tasks(void *argument, size_t begin, size_t end, size_t thread) {
    const attention_loop *loop = argument;
    const pith_bert_pass *pass = loop->pass;
    const pith_bert_scratch *rows = pass->scratches[0];
    const pith_config *config = &pass->model->network.config;

    for (size_t task = begin; task < end; task++) {
        size_t text = task / config->num_attention_heads;
        size_t column = task % config->num_attention_heads *
                        (config->hidden_size / config->num_attention_heads);
        const float *qkv = rows->qkv + rows->begin[text] * rows->qkv_stride + column;
        head_rows head = {.q = qkv,
                          .k = qkv + loop->layout.k_begin,
                          .v = qkv + loop->layout.v_begin,
                          .stride = rows->qkv_stride,
                          .n = rows->begin[text + 1] - rows->begin[text],
                          .column = column,
                          .a = rows->a + rows->begin[text] * rows->x_stride + column};
        attend_head(loop, pass->scratches[thread], &head);
    }
}

void pith_bert_attention(const pith_bert_pass *pass, const float *qkv_bias) {
    const pith_config *config = &pass->model->network.config;
    attention_loop loop = {.pass = pass,
                           .bias = qkv_bias,
                           .layout = pith_config_qkv_layout(config)};
    pith_bert_each(pass, pass->n_texts * config->num_attention_heads, 1, attend_tasks, &loop);
}

/* ---- A few heads at a time ------------------------------------------------------------------- */

enum { HEADS_COLUMNS = 64 }; /* that q, k and v of the heads have, one head at least */

bool pith_bert_attends_by_heads(const pith_bert_pass *pass, const pith_matrix *qkv) {
    const pith_config *config = &pass->model->network.config;
    size_t head_dim = config->hidden_size / config->num_attention_heads;
    return pass->pool == NULL && (qkv->type == PITH_TYPE_INT8 || qkv->type == PITH_TYPE_INT4) &&
           head_dim % PITH_TILE_ROWS == 0;
}

void pith_bert_attention_by_heads(const pith_bert_pass *pass, const pith_matrix *qkv,
                                  const float *qkv_bias) {
    const pith_config *config = &pass->model->network.config;
    const pith_bert_scratch *s = pass->scratches[0];
    const size_t hidden = config->hidden_size;
    const size_t head_dim = hidden / config->num_attention_heads;
    const size_t step = pith_max_size(1, HEADS_COLUMNS / head_dim) * head_dim;
    attention_loop loop = {.pass = pass,
                           .bias = qkv_bias,
                           .layout = pith_config_qkv_layout(config)};

    for (size_t first = 0; first < hidden; first += step) {
        size_t n = pith_min_size(step, hidden - first);
        size_t stride = 3 * n; /* q, k and v of these heads beside each other */
        pith_bert_product(pass, qkv, first, n, s->qkv, stride);
        pith_bert_product(pass, qkv, loop.layout.k_begin + first, n, s->qkv + n, stride);
        pith_bert_product(pass, qkv, loop.layout.v_begin + first, n, s->qkv + 2 * n, stride);
        for (size_t text = 0; text < pass->n_texts; text++) {
            for (size_t column = first; column < first + n; column += head_dim) {
                const float *q = s->qkv + s->begin[text] * stride + column - first;
                head_rows head = {.q = q,
                                  .k = q + n,
                                  .v = q + 2 * n,
                                  .stride = stride,
                                  .n = s->begin[text + 1] - s->begin[text],
                                  .column = column,
                                  .a = s->a + s->begin[text] * s->x_stride + column};
                attend_head(&loop, s, &head);
            }
        }
    }
}
