/* The forward pass of an encoder, in reading order. Devlin et al. 2019; the block is that of
 * Vaswani et al. 2017: attention, then a feed-forward layer, and norms (Ba et al. 2016; Zhang &
 * Sennrich 2019), either of the residual sum after each of the two or, as in decoders, of what goes
 * into them. What a model does not have is left out of its pass: a norm without weights, learned
 * positions, RoPE of no dimensions, a gate.
 *
 * n rows go through together; a row is one token of one text. Shapes are noted as [rows, columns];
 * q stands for heads x head_dim. Rows meet only in attention, and there only those of the same
 * text. The inputs of int8 and int4 layers are quantised per row in the step that produces them. */
#include "engine/encoder.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/linear.h"
#include "engine/rope.h"

static pith_rows embed(const pith_encoder_pass *pass, const pith_layer *first);
static pith_rows enter(const pith_encoder_pass *pass, pith_rows x, pith_norm norm,
                       const pith_weights *w);
static pith_rows leave(const pith_encoder_pass *pass, pith_rows x, const pith_weights *w,
                       pith_rows in, pith_norm norm, const pith_weights *next);
static pith_rows feed(const pith_encoder_pass *pass, const pith_layer *layer, pith_rows x);

void pith_encoder_forward(const pith_encoder_pass *pass) {
    const pith_network *network = &pass->model->network;
    const size_t n_layers = network->config.num_hidden_layers;

    /* x = norm(s word + (position + type)) [n, hidden], here and below ready for what reads it */
    pith_rows x = embed(pass, &network->layers[0]);
    for (size_t i = 0; i < n_layers; i++) {
        const pith_layer *layer = &network->layers[i];
        const pith_weights *next = i + 1 < n_layers ? &network->layers[i + 1].qkv : NULL;

        pith_rows a = enter(pass, x, layer->before_attention, &layer->qkv); /* a = norm(x) */
        a = pith_encoder_attention(pass, i, a); /* a = softmax(s q k^T ..) v            a [n, q] */
        a = pith_rows_ready(&pass->compute, a, &layer->o.matrix);
        x = leave(pass, x, &layer->o, a, layer->after_attention, &layer->gate_up);

        a = enter(pass, x, layer->before_mlp, &layer->gate_up); /* a = norm(x)     a [n, hidden] */
        pith_rows h = feed(pass, layer, a); /* h = act(U a), act(G a) * U a  h [n, intermediate] */
        x = leave(pass, x, &layer->down, h, layer->after_mlp, next);
    }
    if (network->norm.weight != NULL) {
        pith_rows_norm_last(&pass->compute, x, network->norm);
    }
}

/* a = norm(x), or x itself, which is ready, where there is no norm. */
static pith_rows enter(const pith_encoder_pass *pass, pith_rows x, pith_norm norm,
                       const pith_weights *w) {
    return norm.weight == NULL
               ? x
               : pith_rows_norm(&pass->compute, x, norm, pass->scratches[0]->a, &w->matrix);
}

/* x = norm(x + W in), or x += norm(W in), or without a norm x += W in. In the first case, the only
 * one in which `next` may read x as it is, the bias of W is added with the residual. */
static pith_rows leave(const pith_encoder_pass *pass, pith_rows x, const pith_weights *w,
                       pith_rows in, pith_norm norm, const pith_weights *next) {
    const pith_compute *c = &pass->compute;
    const pith_into store = {.epilogue = PITH_STORE, .rows = pass->scratches[0]->y};
    const pith_into add = {.epilogue = PITH_ADD, .rows = x};
    if (norm.weight == NULL) {
        pith_linear(c, w, in, add);
    } else if (!c->config->norm_sums) {
        pith_rows_add_norm(c, x, pith_linear(c, w, in, store), norm);
    } else {
        const pith_weights bare = {.matrix = w->matrix};
        pith_rows y = pith_linear(c, &bare, in, store);
        return pith_rows_norm_sum(c, x, y, w->bias != NULL ? w->bias : c->zeros, norm,
                                  next != NULL ? &next->matrix : NULL);
    }
    return x;
}

static pith_rows feed(const pith_encoder_pass *pass, const pith_layer *layer, pith_rows x) {
    const pith_compute *c = &pass->compute;
    pith_rows h = pass->scratches[0]->h;
    if (!c->config->gated) { /* codes alone where they are enough */
        h = pith_rows_for(h, x.n, &layer->down.matrix);
    }
    const pith_into activate = {.epilogue = PITH_ACTIVATE, .rows = h};
    h = pith_linear(c, &layer->gate_up, x, activate);
    return c->config->gated ? pith_rows_ready(c, h, &layer->down.matrix) : h;
}

/* ---- The pack -------------------------------------------------------------------------------- */

size_t pith_encoder_max_tokens(const pith_network *network) {
    return pith_min_size(network->config.max_seq_length, pith_config_positions(&network->config));
}

pith_encoder_pass pith_encoder_begin(const pith_model *model, pith_pool *pool,
                                     pith_encoder_scratch *const *scratches,
                                     const pith_encoder_text *texts, size_t n_texts) {
    pith_encoder_scratch *s = scratches[0];
    s->begin[0] = 0;
    for (size_t i = 0; i < n_texts; i++) {
        s->begin[i + 1] = s->begin[i] + texts[i].n_tokens;
    }
    for (size_t i = 0; i < pith_pool_threads(pool); i++) {
        s->tiles[i] = scratches[i]->tile;
    }
    return (pith_encoder_pass){
        .model = model,
        .scratches = scratches,
        .texts = texts,
        .n_texts = n_texts,
        .n_rows = s->begin[n_texts],
        .compute = {.kernels = model->kernels,
                    .config = &model->network.config,
                    .pool = pool,
                    .sgemm = model->sgemm,
                    .tiles = s->tiles,
                    .tile_floats = s->tile_floats,
                    .zeros = model->zeros},
    };
}

/* ---- Embedding ------------------------------------------------------------------------------- */

typedef struct embed_loop {
    const pith_encoder_pass *pass;
    pith_rows x;
} embed_loop;

/* Row `row` of a float matrix. */
static const float *float_row(const pith_matrix *m, size_t row) {
    return (const float *)m->data + row * m->cols;
}

/* Starts fetching a packed row, whose bytes are spread over all lines of its tile. */
static void fetch_row(const pith_matrix *m, size_t row) {
    if (pith_activation_group(m->type) != 0) {
        size_t tile_bytes = pith_matrix_tile_bytes(m->type, m->cols);
        const unsigned char *tile =
            (const unsigned char *)m->data + row / PITH_TILE_ROWS * tile_bytes;
        for (size_t i = 0; i < tile_bytes; i += PITH_LINE_BYTES) {
            __builtin_prefetch(tile + i);
        }
    }
}

/* The angles of a row, of each kind of layer. */
static void turn_angles(const pith_encoder_pass *pass, size_t row, size_t position) {
    const pith_model *model = pass->model;
    const pith_config *config = pass->compute.config;
    const pith_encoder_scratch *s = pass->scratches[0];
    for (size_t i = 0; i < config->n_kinds; i++) {
        const pith_rope_config *rope = &config->kinds[i].rope;
        size_t at = (row * config->n_kinds + i) * model->rope_half;
        pith_rope_table(model->inv_freq + i * model->rope_half, rope->dims / 2,
                        pith_rope_scale(rope), position, s->cosines + at, s->sines + at);
    }
}

/* Returns the row of the position table for a token; *n_before counts the tokens of its text before
 * it. */
static size_t position_row(const pith_config *config, int32_t id, size_t *n_before) {
    bool padding = (size_t)id + 1 == config->position_offset;
    return padding ? (size_t)id : config->position_offset + (*n_before)++;
}

/* x = norm(x + (position + type)). */
static void add_position(const pith_encoder_pass *pass, const float *position, const float *type,
                         float *x) {
    const pith_network *network = &pass->model->network;
    const pith_compute *c = &pass->compute;
    const pith_norm *norm = &network->embed_norm;
    size_t hidden = c->config->hidden_size;
    if (norm->weight != NULL) {
        c->kernels->add_layernorm(x, position, type, norm->weight,
                                  norm->bias != NULL ? norm->bias : c->zeros, c->config->norm_eps,
                                  hidden);
    } else if (position != c->zeros || type != c->zeros) {
        for (size_t i = 0; i < hidden; i++) {
            x[i] += position[i] + type[i];
        }
    }
}

static void embed_text(const embed_loop *loop, size_t i) {
    const pith_encoder_pass *pass = loop->pass;
    const pith_network *network = &pass->model->network;
    const pith_config *config = &network->config;
    const pith_encoder_text *text = &pass->texts[i];
    const float *zeros = pass->compute.zeros;
    size_t n_before = 0;
    for (size_t p = 0; p < text->n_tokens; p++) {
        size_t row = pass->scratches[0]->begin[i] + p;
        float *x = loop->x.data + row * loop->x.stride;
        size_t type = p < text->n_first || config->type_vocab_size < 2 ? 0 : 1;
        size_t position = position_row(config, text->ids[p], &n_before);
        if (p + 1 < text->n_tokens) {
            fetch_row(&network->embed, (size_t)text->ids[p + 1]);
        }
        pith_matrix_row(&network->embed, (size_t)text->ids[p], x);
        for (size_t k = 0; config->embedding_scale != 1.0F && k < config->hidden_size; k++) {
            x[k] *= config->embedding_scale;
        }
        add_position(pass,
                     config->no_positions ? zeros : float_row(&network->position_embed, position),
                     config->type_vocab_size == 0 ? zeros : float_row(&network->type_embed, type),
                     x);
        turn_angles(pass, row, p);
        pith_rows_ready_one(&pass->compute, &loop->x, row, config->hidden_size);
    }
}

static void embed_texts(void *argument, size_t begin, size_t end, size_t thread) {
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        embed_text(argument, i);
    }
}

/* Returns the embeddings, ready for the first layer unless that begins with a norm. */
static pith_rows embed(const pith_encoder_pass *pass, const pith_layer *first) {
    embed_loop loop = {.pass = pass, .x = pass->scratches[0]->x};
    loop.x.n = pass->n_rows;
    if (first->before_attention.weight == NULL) {
        loop.x = pith_rows_for(loop.x, loop.x.n, &first->qkv.matrix);
    }
    pith_pool_run(pass->compute.pool, pass->n_texts, 1, embed_texts, &loop);
    return loop.x;
}
