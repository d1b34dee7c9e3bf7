/* The forward pass of a Llama-family decoder, in reading order. Touvron et al. 2023; the block is
 * that of Vaswani et al. 2017 with pre-normalisation (RMSNorm, Zhang & Sennrich 2019), rotary
 * positions (Su et al. 2021), grouped-query attention (Ainslie et al. 2023) and SwiGLU (Shazeer
 * 2020).
 *
 * n rows go through together; a row is one token at one position of one session. Shapes are noted
 * as [rows, columns]; q and kv stand for heads x head_dim and KV heads x head_dim. The inputs of
 * int8 and int4 layers are quantised per row in the step that produces them. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/attention.h"
#include "engine/forward.h"
#include "engine/linear.h"
#include "engine/rope.h"

static void embed(const pith_forward *f);
static void norm(const pith_forward *f, const float *weight, const pith_matrix *next);
static void rotate_and_store(const pith_forward *f, size_t layer);
static void ready(const pith_forward *f, float *input, size_t stride, const pith_matrix *next);
static void apply(const pith_forward *f, const pith_matrix *w, const float *bias, const float *in,
                  size_t in_stride, pith_epilogue epilogue, float *out, size_t out_stride);
static void observe(const pith_forward *f, const char *name, const float *rows, size_t stride,
                    size_t n_cols);
static void observe_layer(const pith_forward *f, size_t layer, const char *name, const float *rows,
                          size_t stride, size_t n_cols);
static void head(const pith_forward *f);

void pith_llama_forward(const pith_forward *f) {
    const pith_network *network = &f->model->network;
    const pith_scratch *s = f->scratch;
    const size_t hidden = network->config.hidden_size;

    embed(f); /* x = E[token]                                                    x [n, hidden] */
    for (size_t i = 0; i < network->config.num_hidden_layers; i++) {
        const pith_layer *layer = &network->layers[i];

        norm(f, layer->before_attention.weight,
             &layer->qkv.matrix); /* a = RMSNorm(x)               a [n, hidden] */
        observe_layer(f, i, "self_attn.qkv_proj.input", s->a, s->a_stride, hidden);
        apply(f, &layer->qkv.matrix, layer->qkv.bias, s->a, s->a_stride, /* qkv [n, q + kv + kv] */
              PITH_STORE, s->qkv, s->qkv_stride);
        rotate_and_store(f, i); /* q, k = RoPE(q, k); k, v into the cache                      */
        pith_attention(f, i);   /* a = softmax(q k^T / sqrt(head_dim)) v              a [n, q] */
        ready(f, s->a, s->a_stride, &layer->o.matrix);
        observe_layer(f, i, "self_attn.o_proj.input", s->a, s->a_stride, layer->o.matrix.cols);
        apply(f, &layer->o.matrix, layer->o.bias, s->a,
              s->a_stride, /* x += O a         x [n, hidden] */
              PITH_ADD, s->x, s->x_stride);

        norm(f, layer->before_mlp.weight,
             &layer->gate_up.matrix); /* a = RMSNorm(x)        a [n, hidden] */
        observe_layer(f, i, "mlp.gate_up_proj.input", s->a, s->a_stride, hidden);
        apply(f, &layer->gate_up.matrix, layer->gate_up.bias, s->a, s->a_stride, PITH_SWIGLU, s->h,
              s->h_stride); /* h = silu(G a) * U a       h [n, intermediate] */
        ready(f, s->h, s->h_stride, &layer->down.matrix);
        observe_layer(f, i, "mlp.down_proj.input", s->h, s->h_stride, layer->down.matrix.cols);
        apply(f, &layer->down.matrix, layer->down.bias, s->h,
              s->h_stride, /* x += D h   x [n, hidden] */
              PITH_ADD, s->x, s->x_stride);
        observe_layer(f, i, NULL, s->x, s->x_stride, hidden);
    }
    head(f); /* logits = H RMSNorm(x), where asked for                        logits [.., vocab] */
}

/* ---- The steps ------------------------------------------------------------------------------- */

typedef struct step_loop {
    const pith_forward *f;
    const float *weight; /* norm */
    float *input;        /* ready */
    size_t stride;
    size_t k; /* columns of the next matrix, and its activation group (0: float) */
    size_t group;
    size_t layer; /* rotate_and_store */
} step_loop;

static void embed_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    const pith_forward *f = loop->f;
    const pith_network *network = &f->model->network;
    size_t half = network->config.head_dim / 2;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *x = f->scratch->x + r * f->scratch->x_stride;
        pith_matrix_row(&network->embed, (size_t)f->rows[r].token, x);
        pith_rope_table(f->model->inv_freq, half, f->model->rope_scale, f->rows[r].position,
                        f->scratch->cosines + r * half, f->scratch->sines + r * half);
    }
}

static void embed(const pith_forward *f) {
    step_loop loop = {.f = f};
    pith_pool_run(f->model->pool, f->n_rows, 8, embed_rows, &loop);
    observe(f, "model.embed_tokens", f->scratch->x, f->scratch->x_stride,
            f->model->network.config.hidden_size);
}

/* Quantises row r of a layer's input, or clears the padding that float kernels read. */
static void ready_row(const step_loop *loop, float *row, size_t r) {
    const pith_scratch *s = loop->f->scratch;
    if (loop->group == 0) {
        memset(row + loop->k, 0, (pith_round_up(loop->k, 16) - loop->k) * sizeof *row);
        return;
    }
    loop->f->model->kernels->quantize(row, loop->k, loop->group, s->codes + r * s->code_stride,
                                      s->scales + r * s->scale_stride,
                                      s->group_offset + r * s->scale_stride,
                                      loop->group == PITH_INT4_GROUP
                                          ? s->block_offset + r * s->block_stride
                                          : NULL);
}

static void ready_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        ready_row(loop, loop->input + r * loop->stride, r);
    }
}

static void ready(const pith_forward *f, float *input, size_t stride, const pith_matrix *next) {
    step_loop loop = {.f = f,
                      .input = input,
                      .stride = stride,
                      .k = next->cols,
                      .group = pith_activation_group(next->type)};
    pith_pool_run(f->model->pool, f->n_rows, 4, ready_rows, &loop);
}

static void norm_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    const pith_forward *f = loop->f;
    const pith_scratch *s = f->scratch;
    const pith_kernels *kernels = f->model->kernels;
    float eps = f->model->network.config.norm_eps;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = s->x + r * s->x_stride;
        float *a = s->a + r * s->a_stride;
        if (loop->group == 0 || f->observed) { /* observers want the float values */
            kernels->rmsnorm(x, loop->weight, eps, loop->k, a);
            ready_row(loop, a, r);
        } else {
            kernels->rmsnorm_quantize(
                x, loop->weight, eps, loop->k, loop->group, s->codes + r * s->code_stride,
                s->scales + r * s->scale_stride, s->group_offset + r * s->scale_stride,
                loop->group == PITH_INT4_GROUP ? s->block_offset + r * s->block_stride : NULL);
        }
    }
}

static void norm(const pith_forward *f, const float *weight, const pith_matrix *next) {
    step_loop loop = {.f = f,
                      .weight = weight,
                      .k = next->cols,
                      .group = pith_activation_group(next->type)};
    pith_pool_run(f->model->pool, f->n_rows, 4, norm_rows, &loop);
}

/* Items are (row, KV head): its key and value, and the queries that share them. */
static void rotate_heads(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    const pith_forward *f = loop->f;
    const pith_config *config = &f->model->network.config;
    const pith_kernels *kernels = f->model->kernels;
    const pith_qkv_layout layout = pith_config_qkv_layout(config);
    const size_t head_dim = config->head_dim;
    const size_t half = head_dim / 2;
    const size_t group = config->num_attention_heads / config->num_key_value_heads;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t r = i / config->num_key_value_heads;
        size_t head = i % config->num_key_value_heads;
        float *qkv = f->scratch->qkv + r * f->scratch->qkv_stride;
        float *q = qkv + head * group * head_dim;
        float *k = qkv + layout.k_begin + head * head_dim;
        float *v = qkv + layout.v_begin + head * head_dim;
        const float *cosines = f->scratch->cosines + r * half;
        const float *sines = f->scratch->sines + r * half;
        kernels->rope(q, group, head_dim, cosines, sines);
        kernels->rope(k, 1, head_dim, cosines, sines);
        pith_kv_store(f->rows[r].kv, kernels, loop->layer, head, f->rows[r].position, k, v);
    }
}

/* A key touches all lines of its block, which are mostly not in a cache: the heads of a single row
 * are worth several threads. Each takes those whose attention will most likely be its own. */
static void rotate_and_store(const pith_forward *f, size_t layer) {
    enum { LEAST = 512 }; /* elements */
    step_loop loop = {.f = f, .layer = layer};
    const pith_config *config = &f->model->network.config;
    size_t n_threads = pith_pool_threads(f->model->pool);
    size_t n = f->n_rows * config->num_key_value_heads;
    size_t grain = pith_max_size((n + n_threads - 1) / n_threads, LEAST / config->head_dim);
    grain = pith_min_size(pith_max_size(grain, 1), 4 * config->num_key_value_heads);
    pith_pool_run(f->model->pool, n, grain, rotate_heads, &loop);
}

static void apply(const pith_forward *f, const pith_matrix *w, const float *bias, const float *in,
                  size_t in_stride, pith_epilogue epilogue, float *out, size_t out_stride) {
    pith_linear linear = {.w = w,
                          .bias = bias,
                          .n_rows = f->n_rows,
                          .epilogue = epilogue,
                          .in = pith_linear_input(f, w->type, in, in_stride),
                          .out = out,
                          .out_stride = out_stride};
    pith_linear_run(f, &linear);
}

/* The rows whose logits are wanted, moved to the front (nothing reads x or the others after this).
 */
static void head(const pith_forward *f) {
    const pith_scratch *s = f->scratch;
    size_t hidden = f->model->network.config.hidden_size;
    pith_forward wanted = *f;
    wanted.n_rows = 0;
    for (size_t r = 0; r < f->n_rows; r++) {
        if (f->rows[r].logits != NULL) {
            memmove(s->x + wanted.n_rows * s->x_stride, s->x + r * s->x_stride,
                    hidden * sizeof *s->x);
            s->rows[wanted.n_rows] = f->rows[r];
            s->logits[wanted.n_rows++] = f->rows[r].logits;
        }
    }
    if (wanted.n_rows != 0) {
        pith_llama_head(&wanted);
    }
}

void pith_llama_head(const pith_forward *f) {
    const pith_network *network = &f->model->network;
    const pith_scratch *s = f->scratch;
    size_t hidden = network->config.hidden_size;
    norm(f, network->norm.weight,
         &network->head); /* a = RMSNorm(x)                    a [n, hidden] */
    observe(f, "model.norm", s->a, s->a_stride, hidden);
    observe(f, "lm_head.input", s->a, s->a_stride, hidden);
    apply(f, &network->head, NULL, s->a, s->a_stride, PITH_LOGITS, NULL, 0);
}

/* ---- Observers ------------------------------------------------------------------------------- */

/* Shows one tensor, rows [n_rows, stride], to the observer of each session: its own rows alone. */
static void observe(const pith_forward *f, const char *name, const float *rows, size_t stride,
                    size_t n_cols) {
    if (!f->observed) {
        return;
    }
    float *packed = f->scratch->observed;
    for (size_t first = 0, end; first < f->n_rows; first = end) {
        const pith_observer *observer = f->rows[first].observer;
        for (end = first; end < f->n_rows && f->rows[end].kv == f->rows[first].kv; end++) {
            memcpy(packed + (end - first) * n_cols, rows + end * stride, n_cols * sizeof *packed);
        }
        if (observer != NULL) {
            observer->fn(observer->user, name, packed, end - first, n_cols);
        }
    }
}

/* "model.layers.L.name", or "model.layers.L" when name is NULL. */
static void observe_layer(const pith_forward *f, size_t layer, const char *name, const float *rows,
                          size_t stride, size_t n_cols) {
    if (f->observed) {
        char full[96];
        snprintf(full, sizeof full, "model.layers.%zu%s%s", layer, name != NULL ? "." : "",
                 name != NULL ? name : "");
        observe(f, full, rows, stride, n_cols);
    }
}
