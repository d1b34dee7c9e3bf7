/* Attention within each text of a pack: Vaswani et al. 2017, equation 1, every token to every token
 * of its text. A task is one text and head.
 *
 * The biases of q, k and v enter where they cost least. Adding b to all keys adds q b to all scores
 * of a query, which the softmax does not see: the keys' bias is not needed. The weights of a
 * query add up to 1: the values' bias is added to the result. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/bert.h"

typedef struct attention_loop {
    const pith_bert_pass *pass;
    const float *bias; /* [qkv rows] */
    pith_bert_qkv_layout layout;
} attention_loop;

/* Queries [first, first + n) of a text whose keys and values are ready; qkv is the text's first
 * row, `head` the first column of the head. */
static void attend(const attention_loop *loop, const pith_bert_scratch *own, const float *qkv,
                   float *a, size_t n_keys, size_t head, size_t first, size_t n) {
    const pith_bert_scratch *rows = loop->pass->scratches[0];
    const pith_bert_config *config = &loop->pass->model->bert->config;
    const pith_kernels *kernels = loop->pass->model->kernels;
    const size_t head_dim = config->hidden_size / config->num_attention_heads;
    const size_t padded = pith_round_up(n_keys, 16);
    const float scale = 1.0F / sqrtf((float)head_dim);

    for (size_t i = 0; i < n; i++) {
        kernels->affine(qkv + (first + i) * rows->qkv_stride + head, scale, own->shift, head_dim,
                        own->query + i * head_dim);
    }
    kernels->scores_f32(own->query, n, head_dim, own->keys, padded / 16, own->scores, padded);
    float inverse[PITH_BERT_QUERIES];
    for (size_t i = 0; i < n; i++) {
        float max;
        float sum;
        kernels->softmax(own->scores + i * padded, 0, n_keys, padded, &max, &sum);
        inverse[i] = 1.0F / sum;
    }
    kernels->values_f32(own->scores, padded, n, n_keys, head_dim, own->values, own->output);
    for (size_t i = 0; i < n; i++) {
        kernels->affine(own->output + i * head_dim, inverse[i],
                        loop->bias + loop->layout.v_begin + head, head_dim,
                        a + (first + i) * rows->x_stride + head);
    }
}

static void attend_tasks(void *argument, size_t begin, size_t end, size_t thread) {
    const attention_loop *loop = argument;
    const pith_bert_pass *pass = loop->pass;
    const pith_bert_scratch *rows = pass->scratches[0];
    const pith_bert_scratch *own = pass->scratches[thread];
    const pith_bert_config *config = &pass->model->bert->config;
    const size_t head_dim = config->hidden_size / config->num_attention_heads;
    const float scale = 1.0F / sqrtf((float)head_dim);

    for (size_t task = begin; task < end; task++) {
        size_t text = task / config->num_attention_heads;
        size_t head = task % config->num_attention_heads * head_dim;
        size_t n = rows->begin[text + 1] - rows->begin[text];
        const float *qkv = rows->qkv + rows->begin[text] * rows->qkv_stride;
        float *a = rows->a + rows->begin[text] * rows->x_stride;

        pass->model->kernels->key_blocks(qkv + loop->layout.k_begin + head, rows->qkv_stride, n,
                                         head_dim, own->keys);
        for (size_t j = 0; j < n; j++) {
            memcpy(own->values + j * head_dim,
                   qkv + j * rows->qkv_stride + loop->layout.v_begin + head,
                   head_dim * sizeof *own->values);
        }
        for (size_t d = 0; d < head_dim; d++) {
            own->shift[d] = loop->bias[head + d] * scale;
        }
        for (size_t i = 0; i < n; i += PITH_BERT_QUERIES) {
            attend(loop, own, qkv, a, n, head, i, pith_min_size(PITH_BERT_QUERIES, n - i));
        }
    }
}

void pith_bert_attention(const pith_bert_pass *pass, const float *qkv_bias) {
    const pith_bert_config *config = &pass->model->bert->config;
    attention_loop loop = {.pass = pass,
                           .bias = qkv_bias,
                           .layout = pith_bert_qkv_layout_of(config)};
    pith_bert_each(pass, pass->n_texts * config->num_attention_heads, 1, attend_tasks, &loop);
}
