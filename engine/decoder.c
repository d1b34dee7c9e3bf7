/* The forward pass of a decoder, in reading order. Touvron et al. 2023; the block is that of
 * Vaswani et al. 2017 with rotary positions (Su et al. 2021), grouped-query attention (Ainslie et
 * al. 2023) and a gated MLP (Shazeer 2020). Norms are RMSNorm (Zhang & Sennrich 2019) or LayerNorm
 * (Ba et al. 2016). What a model does not have is left out of its pass: a norm without weights, a
 * scale of 1, a cap of 0, RoPE of no dimensions.
 *
 * n rows go through together; a row is one token at one position of one session. Shapes are noted
 * as [rows, columns]; q and kv stand for heads x head_dim and KV heads x head_dim. The inputs of
 * int8 and int4 layers are quantised per row in the step that produces them. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/attention.h"
#include "engine/experts.h"
#include "engine/forward.h"
#include "engine/linear.h"
#include "engine/rope.h"
#include "engine/team.h"

static pith_rows embed(const pith_forward *f);
static void attend(const pith_forward *f, size_t layer, pith_rows x);
static void mlp(const pith_forward *f, size_t layer, pith_rows x);
static void head(const pith_forward *f);
static pith_rows enter(const pith_forward *f, pith_rows x, pith_norm norm, const pith_weights *w);
static void leave(const pith_forward *f, pith_rows x, const pith_weights *w, pith_rows in,
                  pith_norm norm);
static pith_rows apply(const pith_forward *f, const pith_weights *w, pith_rows in, pith_into out);
static pith_into store(pith_rows rows);
static pith_into split(pith_rows rows);
static pith_into add(pith_rows rows);
static pith_into activate(pith_rows rows);
static void heads(const pith_forward *f, size_t layer, pith_rows qkv);
static void observe(const pith_forward *f, const char *name, pith_rows rows, size_t n_cols);
static void observe_layer(const pith_forward *f, size_t layer, const char *name, pith_rows rows,
                          size_t n_cols);

void pith_decoder_forward(const pith_forward *f) {
    pith_rows x = embed(f); /* x = s E[token], s the embedding scale             x [n, hidden] */
    for (size_t i = 0; i < f->compute.config->num_hidden_layers; i++) {
        attend(f, i, x); /* x += O softmax(q k^T ..) v                           x [n, hidden] */
        mlp(f, i, x);    /* x += D (act(G a) * U a)                              x [n, hidden] */
        observe_layer(f, i, NULL, x, f->compute.config->hidden_size);
    }
    head(f); /* logits = H norm(x), where asked for                           logits [.., vocab] */
}

static void attend(const pith_forward *f, size_t i, pith_rows x) {
    const pith_layer *layer = &f->model->network.layers[i];
    const pith_scratch *s = f->scratch;

    pith_rows a = enter(f, x, layer->before_attention, &layer->qkv); /* a = norm(x) [n, hidden] */
    observe_layer(f, i, "self_attn.qkv_proj.input", a, layer->qkv.matrix.cols);
    pith_rows qkv = apply(f, &layer->qkv, a, split(s->qkv)); /* qkv = W a    [n, q + kv + kv] */
    heads(f, i, qkv); /* q, k = RoPE(norm(q), norm(k)), or norm(RoPE(..)); k, v into the cache */
    pith_rows o = pith_attention(f, i, qkv, s->a); /* o = softmax(s q k^T) v           [n, q] */
    o = pith_rows_ready(&f->compute, o, &layer->o.matrix);
    observe_layer(f, i, "self_attn.o_proj.input", o, layer->o.matrix.cols);
    leave(f, x, &layer->o, o, layer->after_attention); /* x += norm(O o)            [n, hidden] */
}

static void mlp(const pith_forward *f, size_t i, pith_rows x) {
    const pith_layer *layer = &f->model->network.layers[i];
    const pith_scratch *s = f->scratch;

    if (layer->router.matrix.rows != 0) {
        pith_rows rows = enter(f, x, layer->before_mlp, &layer->router);
        pith_experts(f, i, x, rows); /* x += sum of share x expert(norm(x))         [n, hidden] */
        return;
    }
    pith_rows a = enter(f, x, layer->before_mlp, &layer->gate_up); /* a = norm(x)   [n, hidden] */
    observe_layer(f, i, "mlp.gate_up_proj.input", a, layer->gate_up.matrix.cols);
    pith_rows h = apply(f, &layer->gate_up, a, activate(s->h)); /* h = act(G a) * U a  [n, ffn] */
    h = pith_rows_ready(&f->compute, h, &layer->down.matrix);
    observe_layer(f, i, "mlp.down_proj.input", h, layer->down.matrix.cols);
    leave(f, x, &layer->down, h, layer->after_mlp); /* x += norm(D h)               [n, hidden] */
}

/* a = norm(x), or x itself where there is no norm; ready for w. */
static pith_rows enter(const pith_forward *f, pith_rows x, pith_norm norm, const pith_weights *w) {
    if (norm.weight == NULL) {
        return pith_rows_ready(&f->compute, x, &w->matrix);
    }
    return pith_rows_norm(&f->compute, x, norm, f->scratch->a, &w->matrix);
}

/* x += s norm(W in), or x += s W in, in one step, where there is no norm; s the residual scale. */
static void leave(const pith_forward *f, pith_rows x, const pith_weights *w, pith_rows in,
                  pith_norm norm) {
    if (norm.weight == NULL) {
        apply(f, w, in, add(x));
        return;
    }
    pith_rows y = apply(f, w, in, store(f->scratch->y));
    pith_rows_add_norm(&f->compute, x, y, norm);
}

pith_forward pith_forward_begin(const pith_model *model, const pith_scratch *scratch,
                                size_t n_rows) {
    return (pith_forward){
        .model = model,
        .scratch = scratch,
        .compute = {.kernels = model->kernels,
                    .path = model->path,
                    .config = &model->network.config,
                    .pool = model->pool,
                    .sgemm = model->sgemm,
                    .zeros = model->zeros,
                    .team = model->team,
                    .tiles = scratch->tiles,
                    .tile_floats = scratch->tile_floats},
        .tokens = scratch->tokens,
        .n_rows = n_rows,
        .kv_heads = pith_model_kv_heads(model),
    };
}

/* ---- The steps ------------------------------------------------------------------------------- */

/* The angles of a row, of each kind of layer. */
static void turn_angles(const pith_forward *f, size_t row) {
    const pith_model *model = f->model;
    for (size_t i = 0; i < f->compute.config->n_kinds; i++) {
        const pith_rope_config *rope = &f->compute.config->kinds[i].rope;
        size_t at = (row * f->compute.config->n_kinds + i) * model->rope_half;
        const float *inv_freq = pith_model_frequencies(model, i, f->tokens[row].kv->n_context);
        pith_rope_table(inv_freq, rope->dims / 2, pith_rope_scale(rope), f->tokens[row].position,
                        f->scratch->cosines + at, f->scratch->sines + at);
    }
}

static void embed_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const pith_forward *f = argument;
    const pith_config *config = f->compute.config;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *x = f->scratch->x.data + r * f->scratch->x.stride;
        size_t at;
        turn_angles(f, r);
        if (!pith_team_holds(&f->compute, (size_t)f->tokens[r].id, &at)) {
            continue;
        }
        pith_matrix_row(&f->model->network.embed, at, x);
        for (size_t i = 0; config->embedding_scale != 1.0F && i < config->hidden_size; i++) {
            x[i] *= config->embedding_scale;
        }
    }
}

static pith_rows embed(const pith_forward *f) {
    pith_rows x = f->scratch->x;
    pith_forward copy = *f; /* a loop's argument is not const */
    x.n = f->n_rows;
    pith_pool_run(f->compute.pool, f->n_rows, 8, embed_rows, &copy);
    if (f->compute.team != NULL) {
        pith_team_embedding(f, x);
    }
    observe(f, "model.embed_tokens", x, f->compute.config->hidden_size);
    return x;
}

static pith_rows apply(const pith_forward *f, const pith_weights *w, pith_rows in, pith_into out) {
    return pith_linear(&f->compute, w, in, out);
}

static pith_into store(pith_rows rows) {
    return (pith_into){.epilogue = PITH_STORE, .rows = rows};
}

static pith_into split(pith_rows rows) {
    return (pith_into){.epilogue = PITH_HEADS, .rows = rows};
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
    pith_qkv_layout layout;
} heads_loop;

/* RMSNorm of all heads of q together, and of k. */
static void norm_whole_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const heads_loop *loop = argument;
    const pith_compute *c = &loop->f->compute;
    const pith_layer *layer = &loop->f->model->network.layers[loop->layer];
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *q = loop->qkv.data + r * loop->qkv.stride;
        float *k = q + loop->layout.k_begin;
        c->kernels->rmsnorm(q, layer->q.weight, c->config->norm_eps, loop->layout.q_rows, q);
        c->kernels->rmsnorm(k, layer->k.weight, c->config->norm_eps, loop->layout.k_rows, k);
    }
}

static void norm_heads(const pith_compute *c, const float *weight, float *x, size_t n) {
    size_t head_dim = c->config->head_dim;
    for (size_t i = 0; i < n; i++) {
        float *head = x + i * head_dim;
        c->kernels->rmsnorm(head, weight, c->config->norm_eps, head_dim, head);
    }
}

/* Turns the first `dims` elements of n heads. */
static void turn_heads(const pith_compute *c, size_t dims, const float *cosines, const float *sines,
                       float *x, size_t n) {
    size_t head_dim = c->config->head_dim;
    if (dims == head_dim) {
        c->kernels->rope(x, n, head_dim, cosines, sines);
        return;
    }
    for (size_t i = 0; dims != 0 && i < n; i++) {
        c->kernels->rope(x + i * head_dim, 1, dims, cosines, sines);
    }
}

/* Queries [n] beyond the original context grow with their position where the model says so. */
static void scale_queries(const pith_rope_config *rope, size_t position, float *q, size_t n) {
    float scale = pith_rope_query_scale(rope, position);
    for (size_t i = 0; scale != 1.0F && i < n; i++) {
        q[i] *= scale;
    }
}

/* Items are (row, KV head of this process): its key and value, and the queries that share them. */
static void prepare_heads(void *argument, size_t begin, size_t end, size_t thread) {
    const heads_loop *loop = argument;
    const pith_forward *f = loop->f;
    const pith_compute *c = &f->compute;
    const pith_config *config = c->config;
    const pith_layer *layer = &f->model->network.layers[loop->layer];
    const size_t kind = config->kind_of[loop->layer];
    const pith_rope_config *rope = &config->kinds[kind].rope;
    const size_t dims = rope->dims;
    const size_t group = config->num_attention_heads / config->num_key_value_heads;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t r = i / f->kv_heads.n;
        size_t held = i % f->kv_heads.n; /* in the cache */
        size_t head = f->kv_heads.first + held;
        size_t angles = (r * config->n_kinds + kind) * f->model->rope_half;
        const float *cosines = f->scratch->cosines + angles;
        const float *sines = f->scratch->sines + angles;
        float *qkv = loop->qkv.data + r * loop->qkv.stride;
        float *q = qkv + head * group * config->head_dim;
        float *k = qkv + loop->layout.k_begin + head * config->head_dim;
        float *v = qkv + loop->layout.v_begin + head * config->head_dim;
        if (config->qk_norm == PITH_QK_NORM_HEAD) {
            norm_heads(c, layer->q.weight, q, group);
            norm_heads(c, layer->k.weight, k, 1);
        }
        turn_heads(c, dims, cosines, sines, q, group);
        turn_heads(c, dims, cosines, sines, k, 1);
        if (config->qk_norm == PITH_QK_NORM_AFTER) {
            norm_heads(c, layer->q.weight, q, group);
            norm_heads(c, layer->k.weight, k, 1);
        }
        scale_queries(rope, f->tokens[r].position, q, group * config->head_dim);
        pith_kv_store(f->tokens[r].kv, c->kernels, loop->layer, held, f->tokens[r].position, k, v);
    }
}

/* The queries and keys of all ranks. */
static void gather_heads(const pith_forward *f, const heads_loop *loop) {
    pith_rows k = loop->qkv;
    k.data += loop->layout.k_begin;
    if (f->compute.team != NULL) {
        pith_team_columns(&f->compute, loop->qkv, f->compute.team->shares.q);
        pith_team_columns(&f->compute, k, f->compute.team->shares.kv);
    }
}

/* A key touches all lines of its block, which are mostly not in a cache: the heads of a single row
 * are worth several threads. Each takes those whose attention will most likely be its own. */
static void heads(const pith_forward *f, size_t layer, pith_rows qkv) {
    enum { LEAST = 512 }; /* elements */
    const pith_config *config = f->compute.config;
    const size_t n_heads = f->kv_heads.n;
    heads_loop loop = {.f = f,
                       .layer = layer,
                       .qkv = qkv,
                       .layout = pith_config_qkv_layout(config)};
    size_t n_threads = pith_pool_threads(f->compute.pool);
    size_t n = f->n_rows * n_heads;
    size_t grain = pith_max_size((n + n_threads - 1) / n_threads, LEAST / config->head_dim);
    grain = pith_max_size(pith_min_size(grain, 4 * n_heads), 1);
    if (config->qk_norm == PITH_QK_NORM_WHOLE) {
        gather_heads(f, &loop);
        pith_pool_run(f->compute.pool, f->n_rows, 4, norm_whole_rows, &loop);
    }
    pith_pool_run(f->compute.pool, n, grain, prepare_heads, &loop);
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
        pith_decoder_head(&wanted);
    }
}

void pith_decoder_head(const pith_forward *f) {
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
