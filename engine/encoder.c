/* The forward pass of an encoder, in reading order. Devlin et al. 2019; the block is that of
 * Vaswani et al. 2017: attention, then a feed-forward layer with GELU (Hendrycks & Gimpel 2016),
 * each followed by LayerNorm (Ba et al. 2016) of the residual sum. The pooling into one vector per
 * text is that of Reimers & Gurevych 2019.
 *
 * n rows go through together; a row is one token of one text. Shapes are noted as [rows, columns].
 * Rows meet only in attention, and there only those of the same text. The inputs of int8 and int4
 * layers are quantised per row in the step that produces them. */
#include "engine/encoder.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/linear.h"

static pith_rows embed(const pith_encoder_pass *pass, const pith_weights *next);
static pith_rows leave(const pith_encoder_pass *pass, pith_rows x, const pith_weights *w,
                       pith_rows in, pith_norm norm, const pith_weights *next);
static pith_rows feed(const pith_encoder_pass *pass, const pith_layer *layer, pith_rows x);

void pith_encoder_forward(const pith_encoder_pass *pass) {
    const pith_network *network = &pass->model->network;
    const size_t n_layers = network->config.num_hidden_layers;

    /* x = LayerNorm(word + (position + type)) [n, hidden], here and below ready for what reads it
     */
    pith_rows x = embed(pass, &network->layers[0].qkv);
    for (size_t i = 0; i < n_layers; i++) {
        const pith_layer *layer = &network->layers[i];
        const pith_weights *next = i + 1 < n_layers ? &network->layers[i + 1].qkv : NULL;

        pith_rows a = pith_encoder_attention(pass, &layer->qkv, x); /* a = softmax(s q k^T) v */
        a = pith_rows_ready(&pass->compute, a, &layer->o.matrix);   /*          a [n, hidden] */
        x = leave(pass, x, &layer->o, a, layer->after_attention, &layer->gate_up);

        pith_rows h = feed(pass, layer, x); /* h = gelu(U x)              h [n, intermediate] */
        x = leave(pass, x, &layer->down, h, layer->after_mlp, next);
    }
}

/* x = LayerNorm(x + W in). The bias of W is added with the residual. */
static pith_rows leave(const pith_encoder_pass *pass, pith_rows x, const pith_weights *w,
                       pith_rows in, pith_norm norm, const pith_weights *next) {
    const pith_weights bare = {.matrix = w->matrix};
    const pith_into store = {.epilogue = PITH_STORE, .rows = pass->scratches[0]->y};
    pith_rows y = pith_linear(&pass->compute, &bare, in, store);
    return pith_rows_norm_sum(&pass->compute, x, y, w->bias, norm,
                              next != NULL ? &next->matrix : NULL);
}

static pith_rows feed(const pith_encoder_pass *pass, const pith_layer *layer, pith_rows x) {
    pith_rows h = pith_rows_for(pass->scratches[0]->h, x.n, &layer->down.matrix);
    const pith_into activate = {.epilogue = PITH_ACTIVATE, .rows = h};
    return pith_linear(&pass->compute, &layer->gate_up, x, activate);
}

/* ---- The pack -------------------------------------------------------------------------------- */

size_t pith_encoder_max_tokens(const pith_network *network) {
    return pith_min_size(network->config.max_seq_length, network->config.max_position_embeddings);
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

static void embed_texts(void *argument, size_t begin, size_t end, size_t thread) {
    const embed_loop *loop = argument;
    const pith_encoder_pass *pass = loop->pass;
    const pith_network *network = &pass->model->network;
    const pith_config *config = &network->config;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const pith_encoder_text *text = &pass->texts[i];
        for (size_t p = 0; p < text->n_tokens; p++) {
            size_t row = pass->scratches[0]->begin[i] + p;
            float *x = loop->x.data + row * loop->x.stride;
            size_t type = p < text->n_first || config->type_vocab_size < 2 ? 0 : 1;
            if (p + 1 < text->n_tokens) {
                fetch_row(&network->embed, (size_t)text->ids[p + 1]);
            }
            pith_matrix_row(&network->embed, (size_t)text->ids[p], x);
            pass->compute.kernels->add_layernorm(x, float_row(&network->position_embed, p),
                                                 float_row(&network->type_embed, type),
                                                 network->embed_norm.weight,
                                                 network->embed_norm.bias, config->norm_eps,
                                                 config->hidden_size);
            pith_rows_ready_one(&pass->compute, &loop->x, row, config->hidden_size);
        }
    }
}

static pith_rows embed(const pith_encoder_pass *pass, const pith_weights *next) {
    embed_loop loop = {
        .pass = pass,
        .x = pith_rows_for(pass->scratches[0]->x, pass->n_rows, &next->matrix),
    };
    pith_pool_run(pass->compute.pool, pass->n_texts, 1, embed_texts, &loop);
    return loop.x;
}

/* ---- Pooling --------------------------------------------------------------------------------- */

/* Rows [n >= 1]. */
static void pool_rows(const pith_kernels *kernels, const float *x, size_t stride, size_t n,
                      size_t hidden, pith_pooling pooling, float *out) {
    memcpy(out, x, hidden * sizeof *out);
    for (size_t r = 1; pooling == PITH_POOLING_MEAN && r < n; r++) {
        kernels->blend(out, 1.0F, x + r * stride, 1.0F, hidden); /* a plain sum, exactly */
    }
    for (size_t r = 1; pooling == PITH_POOLING_MAX && r < n; r++) {
        const float *row = x + r * stride;
        for (size_t i = 0; i < hidden; i++) {
            bool larger = row[i] > out[i] || row[i] != row[i]; /* NaN stays */
            out[i] = larger ? row[i] : out[i];
        }
    }
    for (size_t i = 0; pooling == PITH_POOLING_MEAN && i < hidden; i++) {
        out[i] /= (float)n;
    }
}

bool pith_encoder_embedding(const pith_encoder_pass *pass, size_t i, float *out) {
    const pith_config *config = pass->compute.config;
    const pith_encoder_scratch *s = pass->scratches[0];
    size_t first = s->begin[i] + pass->texts[i].n_skipped;
    if (first < s->begin[i + 1]) {
        pool_rows(pass->compute.kernels, s->x.data + first * s->x.stride, s->x.stride,
                  s->begin[i + 1] - first, config->hidden_size, config->pooling, out);
    } else { /* a sum over nothing, as sentence-transformers has it */
        memset(out, 0, config->hidden_size * sizeof *out);
    }
    double squares = 0;
    for (size_t d = 0; d < config->hidden_size; d++) {
        squares += (double)out[d] * (double)out[d];
    }
    double norm = sqrt(squares);
    for (size_t d = 0; config->normalize && d < config->hidden_size; d++) {
        out[d] = (float)((double)out[d] / (norm > 1e-12 ? norm : 1e-12));
    }
    return isfinite(norm);
}
