/* The forward pass of a decoder, in reading order. Touvron et al. 2023; the block is that of
 * Vaswani et al. 2017 with pre-normalisation (RMSNorm, Zhang & Sennrich 2019), rotary positions (Su
 * et al. 2021), grouped-query attention (Ainslie et al. 2023) and SwiGLU (Shazeer 2020).
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

static pith_rows embed(const pith_forward *f);
static pith_rows enter(const pith_forward *f, pith_rows x, pith_norm norm, const pith_weights *w);
static void heads(const pith_forward *f, size_t layer, pith_rows qkv);
static pith_rows apply(const pith_forward *f, const pith_weights *w, pith_rows in, pith_into out);
static pith_into store(pith_rows rows);
static pith_into add(pith_rows rows);
static pith_into activate(pith_rows rows);
static void mlp(const pith_forward *f, size_t layer, pith_rows x);
static void observe(const pith_forward *f, const char *name, pith_rows rows, size_t n_cols);
static void observe_layer(const pith_forward *f, size_t layer, const char *name, pith_rows rows,
                          size_t n_cols);
static void head(const pith_forward *f);

void pith_llama_forward(const pith_forward *f) {
    const pith_network *network = &f->model->network;
    const pith_scratch *s = f->scratch;

    pith_rows x = embed(f); /* x = E[token]                                      x [n, hidden] */
    for (size_t i = 0; i < network->config.num_hidden_layers; i++) {
        const pith_layer *layer = &network->layers[i];

        pith_rows a = enter(f, x, layer->before_attention, &layer->qkv); /* a = norm(x) */
        observe_layer(f, i, "self_attn.qkv_proj.input", a, layer->qkv.matrix.cols);
        pith_rows qkv = apply(f, &layer->qkv, a, store(s->qkv)); /* qkv [n, q + kv + kv] */
        heads(f, i, qkv);     /* q, k = RoPE(q, k); k, v into the cache */
        pith_attention(f, i); /* a = softmax(q k^T / sqrt(head_dim)) v          a [n, q] */
        a = pith_rows_ready(&f->compute, a, &layer->o.matrix);
        observe_layer(f, i, "self_attn.o_proj.input", a, layer->o.matrix.cols);
        apply(f, &layer->o, a, add(x)); /* x += O a                             x [n, hidden] */

        mlp(f, i, x);
        observe_layer(f, i, NULL, x, network->config.hidden_size);
    }
    head(f); /* logits = H norm(x), where asked for                           logits [.., vocab] */
}

/* x += D (silu(G a) * U a), a = norm(x). */
static void mlp(const pith_forward *f, size_t i, pith_rows x) {
    const pith_layer *layer = &f->model->network.layers[i];
    pith_rows a = enter(f, x, layer->before_mlp, &layer->gate_up); /*            a [n, hidden] */
    observe_layer(f, i, "mlp.gate_up_proj.input", a, layer->gate_up.matrix.cols);
    pith_rows h = apply(f, &layer->gate_up, a, activate(f->scratch->h)); /* h [n, intermediate] */
    h = pith_rows_ready(&f->compute, h, &layer->down.matrix);
    observe_layer(f, i, "mlp.down_proj.input", h, layer->down.matrix.cols);
    apply(f, &layer->down, h, add(x)); /*                                        x [n, hidden] */
}

pith_forward pith_forward_begin(const pith_model *model, const pith_scratch *scratch,
                                size_t n_rows) {
    return (pith_forward){
        .model = model,
        .scratch = scratch,
        .compute = {.kernels = model->kernels,
                    .config = &model->network.config,
                    .pool = model->pool,
                    .sgemm = model->sgemm,
                    .tiles = scratch->tiles,
                    .tile_floats = scratch->tile_floats},
        .tokens = scratch->tokens,
        .n_rows = n_rows,
    };
}

/* ---- The steps ------------------------------------------------------------------------------- */

static void embed_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const pith_forward *f = argument;
    const pith_network *network = &f->model->network;
    const pith_rows *x = &f->scratch->x;
    size_t half = network->config.head_dim / 2;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        pith_matrix_row(&network->embed, (size_t)f->tokens[r].id, x->data + r * x->stride);
        pith_rope_table(f->model->inv_freq, half, f->model->rope_scale, f->tokens[r].position,
                        f->scratch->cosines + r * half, f->scratch->sines + r * half);
    }
}

static pith_rows embed(const pith_forward *f) {
    pith_rows x = f->scratch->x;
    pith_forward copy = *f; /* a loop's argument is not const */
    x.n = f->n_rows;
    pith_pool_run(f->compute.pool, f->n_rows, 8, embed_rows, &copy);
    observe(f, "model.embed_tokens", x, f->compute.config->hidden_size);
    return x;
}

static pith_rows enter(const pith_forward *f, pith_rows x, pith_norm norm, const pith_weights *w) {
    return pith_rows_norm(&f->compute, x, norm, f->scratch->a, &w->matrix);
}

static pith_rows apply(const pith_forward *f, const pith_weights *w, pith_rows in, pith_into out) {
    return pith_linear(&f->compute, w, in, out);
}

static pith_into store(pith_rows rows) {
    return (pith_into){.epilogue = PITH_STORE, .rows = rows};
}

static pith_into add(pith_rows rows) {
    return (pith_into){.epilogue = PITH_ADD, .rows = rows};
}

static pith_into activate(pith_rows rows) {
    return (pith_into){.epilogue = PITH_ACTIVATE, .rows = rows};
}

/* ---- Heads ----------------------------------------------------------------------------------- */

typedef struct heads_loop {
    const pith_forward *f;
    size_t layer;
    pith_rows qkv;
} heads_loop;

/* Items are (row, KV head): its key and value, and the queries that share them. */
static void rotate_heads(void *argument, size_t begin, size_t end, size_t thread) {
    const heads_loop *loop = argument;
    const pith_forward *f = loop->f;
    const pith_config *config = f->compute.config;
    const pith_kernels *kernels = f->compute.kernels;
    const pith_qkv_layout layout = pith_config_qkv_layout(config);
    const size_t head_dim = config->head_dim;
    const size_t half = head_dim / 2;
    const size_t group = config->num_attention_heads / config->num_key_value_heads;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t r = i / config->num_key_value_heads;
        size_t head = i % config->num_key_value_heads;
        float *qkv = loop->qkv.data + r * loop->qkv.stride;
        float *q = qkv + head * group * head_dim;
        float *k = qkv + layout.k_begin + head * head_dim;
        float *v = qkv + layout.v_begin + head * head_dim;
        const float *cosines = f->scratch->cosines + r * half;
        const float *sines = f->scratch->sines + r * half;
        kernels->rope(q, group, head_dim, cosines, sines);
        kernels->rope(k, 1, head_dim, cosines, sines);
        pith_kv_store(f->tokens[r].kv, kernels, loop->layer, head, f->tokens[r].position, k, v);
    }
}

/* A key touches all lines of its block, which are mostly not in a cache: the heads of a single row
 * are worth several threads. Each takes those whose attention will most likely be its own. */
static void heads(const pith_forward *f, size_t layer, pith_rows qkv) {
    enum { LEAST = 512 }; /* elements */
    heads_loop loop = {.f = f, .layer = layer, .qkv = qkv};
    const pith_config *config = f->compute.config;
    size_t n_threads = pith_pool_threads(f->compute.pool);
    size_t n = f->n_rows * config->num_key_value_heads;
    size_t grain = pith_max_size((n + n_threads - 1) / n_threads, LEAST / config->head_dim);
    grain = pith_min_size(pith_max_size(grain, 1), 4 * config->num_key_value_heads);
    pith_pool_run(f->compute.pool, n, grain, rotate_heads, &loop);
}

/* ---- The head -------------------------------------------------------------------------------- */

/* The rows whose logits are wanted, moved to the front (nothing reads x or the others after this).
 */
static void head(const pith_forward *f) {
    const pith_scratch *s = f->scratch;
    pith_forward wanted = *f;
    wanted.n_rows = 0;
    for (size_t r = 0; r < f->n_rows; r++) {
        if (f->tokens[r].logits != NULL) {
            memmove(s->x.data + wanted.n_rows * s->x.stride, s->x.data + r * s->x.stride,
                    f->compute.config->hidden_size * sizeof *s->x.data);
            s->tokens[wanted.n_rows] = f->tokens[r];
            s->logits[wanted.n_rows++] = f->tokens[r].logits;
        }
    }
    if (wanted.n_rows != 0) {
        pith_llama_head(&wanted);
    }
}

void pith_llama_head(const pith_forward *f) {
    const pith_network *network = &f->model->network;
    const pith_weights weights = {.matrix = network->head};
    pith_rows x = f->scratch->x;
    x.n = f->n_rows;
    pith_rows a = enter(f, x, network->norm, &weights); /* a = norm(x)           a [n, hidden] */
    observe(f, "model.norm", a, network->config.hidden_size);
    observe(f, "lm_head.input", a, network->config.hidden_size);
    apply(f, &weights, a, (pith_into){.epilogue = PITH_LOGITS, .logits = f->scratch->logits});
}

/* ---- Observers ------------------------------------------------------------------------------- */

/* Shows one tensor to the observer of each session: its own rows alone. */
static void observe(const pith_forward *f, const char *name, pith_rows rows, size_t n_cols) {
    if (!f->compute.keeps_floats) {
        return;
    }
    float *packed = f->scratch->observed;
    for (size_t first = 0, end; first < f->n_rows; first = end) {
        const pith_observer *observer = f->tokens[first].observer;
        for (end = first; end < f->n_rows && f->tokens[end].kv == f->tokens[first].kv; end++) {
            memcpy(packed + (end - first) * n_cols, rows.data + end * rows.stride,
                   n_cols * sizeof *packed);
        }
        if (observer != NULL) {
            observer->fn(observer->user, name, packed, end - first, n_cols);
        }
    }
}

/* "model.layers.L.name", or "model.layers.L" when name is NULL. */
static void observe_layer(const pith_forward *f, size_t layer, const char *name, pith_rows rows,
                          size_t n_cols) {
    if (f->compute.keeps_floats) {
        char full[96];
        snprintf(full, sizeof full, "model.layers.%zu%s%s", layer, name != NULL ? "." : "",
                 name != NULL ? name : "");
        observe(f, full, rows, n_cols);
    }
}
