/* The forward pass of a BERT encoder, in reading order. Devlin et al. 2019; the block is that of
 * Vaswani et al. 2017: attention, then a feed-forward layer with GELU (Hendrycks & Gimpel 2016),
 * each followed by LayerNorm (Ba et al. 2016) of the residual sum. The pooling into one vector per
 * text is that of Reimers & Gurevych 2019.
 *
 * n rows go through together; a row is one token of one text. Shapes are noted as [rows, columns].
 * Rows meet only in attention, and there only those of the same text. The inputs of int8 and int4
 * layers are quantised per row in the step that produces them. */
#include "engine/bert.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "simd/blocks.h"

static void place_texts(const pith_bert_pass *pass);
static size_t n_rows(const pith_bert_pass *pass);
static void embed(const pith_bert_pass *pass, const pith_matrix *next);
static void apply(const pith_bert_pass *pass, const pith_matrix *w, const pith_bert_codes *codes,
                  const float *in, size_t in_stride, float *out, size_t out_stride);
static void attention(const pith_bert_pass *pass, const pith_layer *layer);
static void ready(const pith_bert_pass *pass, const pith_matrix *next);
static void add_and_norm(const pith_bert_pass *pass, const float *bias, const float *weight,
                         const float *norm_bias, const pith_matrix *next);
static void up_and_gelu(const pith_bert_pass *pass, const pith_layer *layer);

void pith_bert_forward(const pith_bert_pass *pass) {
    const pith_network *bert = &pass->model->network;
    const pith_bert_scratch *s = pass->scratches[0];
    const size_t n_layers = bert->config.num_hidden_layers;

    place_texts(pass);
    embed(pass,
          &bert->layers[0].qkv.matrix); /* x = LayerNorm(word + (position + type))  x [n, hidden] */
    for (size_t i = 0; i < n_layers; i++) {
        const pith_layer *layer = &bert->layers[i];
        const pith_matrix *next = i + 1 < n_layers ? &bert->layers[i + 1].qkv.matrix : NULL;

        attention(pass, layer); /* qkv = W x, a = softmax(q k^T / ..) v     [n, hidden] */
        ready(pass, &layer->o.matrix);
        apply(pass, &layer->o.matrix, &s->narrow, s->a, s->x_stride, /* y = O a  [n, hidden] */
              s->y, s->y_stride);
        add_and_norm(pass, layer->o.bias, layer->after_attention.weight,
                     layer->after_attention.bias,
                     &layer->gate_up.matrix); /* x = LayerNorm(x + y) */

        up_and_gelu(pass, layer); /* h = gelu(U x)                           [n, intermediate] */
        apply(pass, &layer->down.matrix, &s->wide, s->h,
              s->h_stride, /* y = D h         [n, hidden] */
              s->y, s->y_stride);
        add_and_norm(pass, layer->down.bias, layer->after_mlp.weight, layer->after_mlp.bias,
                     next); /* x = LayerNorm(x + y) */
    }
}

/* ---- Rows ------------------------------------------------------------------------------------ */

size_t pith_bert_max_tokens(const pith_network *bert) {
    return pith_min_size(bert->config.max_seq_length, bert->config.max_position_embeddings);
}

void pith_bert_each(const pith_bert_pass *pass, size_t n, size_t grain, pith_loop_fn fn,
                    void *arg) {
    if (pass->pool == NULL || n <= grain) {
        fn(arg, 0, n, 0);
    } else {
        pith_pool_run(pass->pool, n, grain, fn, arg);
    }
}

static void place_texts(const pith_bert_pass *pass) {
    size_t *begin = pass->scratches[0]->begin;
    begin[0] = 0;
    for (size_t i = 0; i < pass->n_texts; i++) {
        begin[i + 1] = begin[i] + pass->texts[i].n_tokens;
    }
}

static size_t n_rows(const pith_bert_pass *pass) {
    return pass->scratches[0]->begin[pass->n_texts];
}

/* Rows of a step that works on single rows, few enough per piece to share, and enough. */
enum { ROW_GRAIN = 4 };

typedef struct step_loop {
    const pith_bert_pass *pass;
    const pith_matrix *next; /* what reads the rows: they are quantised for it; NULL: nothing */
    const float *bias, *weight, *norm_bias;
} step_loop;

static size_t activation_group(pith_type type) {
    return type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : type == PITH_TYPE_INT8 ? PITH_INT8_GROUP : 0;
}

/* Columns [first, first + n) of row r, first a multiple of 256. */
static void quantize_part(const pith_bert_pass *pass, pith_type type, const float *from, size_t n,
                          const pith_bert_codes *to, size_t r, size_t first) {
    size_t group = activation_group(type);
    size_t scale = r * to->scale_stride + first / group;
    int32_t *block = to->block_offset + r * to->block_stride + first / PITH_INT4_BLOCK;
    pass->model->kernels->quantize(from, n, group, to->codes + r * to->code_stride + first,
                                   to->scales + scale, to->group_offset + scale,
                                   type == PITH_TYPE_INT4 ? block : NULL);
}

static void ready_row(const step_loop *loop, const float *row, size_t r) {
    if (loop->next != NULL && activation_group(loop->next->type) != 0) {
        quantize_part(loop->pass, loop->next->type, row, loop->next->cols,
                      &loop->pass->scratches[0]->narrow, r, 0);
    }
}

static void ready_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    const pith_bert_scratch *s = loop->pass->scratches[0];
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        ready_row(loop, s->a + r * s->x_stride, r);
    }
}

static void ready(const pith_bert_pass *pass, const pith_matrix *next) {
    step_loop loop = {.pass = pass, .next = next};
    if (activation_group(next->type) != 0) {
        pith_bert_each(pass, n_rows(pass), ROW_GRAIN, ready_rows, &loop);
    }
}

/* Row `row` of a float matrix. */
static const float *float_row(const pith_matrix *m, size_t row) {
    return (const float *)m->data + row * m->cols;
}

/* Starts fetching a packed row, whose bytes are spread over all lines of its tile. */
static void fetch_row(const pith_matrix *m, size_t row) {
    if (activation_group(m->type) != 0) {
        size_t tile_bytes = pith_matrix_tile_bytes(m->type, m->cols);
        const unsigned char *tile =
            (const unsigned char *)m->data + row / PITH_TILE_ROWS * tile_bytes;
        for (size_t i = 0; i < tile_bytes; i += PITH_LINE_BYTES) {
            __builtin_prefetch(tile + i);
        }
    }
}

static void embed_texts(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    const pith_bert_pass *pass = loop->pass;
    const pith_network *bert = &pass->model->network;
    const pith_bert_scratch *s = pass->scratches[0];
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const pith_bert_text *text = &pass->texts[i];
        for (size_t p = 0; p < text->n_tokens; p++) {
            float *x = s->x + (s->begin[i] + p) * s->x_stride;
            size_t type = p < text->n_first || bert->config.type_vocab_size < 2 ? 0 : 1;
            if (p + 1 < text->n_tokens) {
                fetch_row(&bert->embed, (size_t)text->ids[p + 1]);
            }
            pith_matrix_row(&bert->embed, (size_t)text->ids[p], x);
            pass->model->kernels->add_layernorm(x, float_row(&bert->position_embed, p),
                                                float_row(&bert->type_embed, type),
                                                bert->embed_norm.weight, bert->embed_norm.bias,
                                                bert->config.norm_eps, bert->config.hidden_size);
            ready_row(loop, x, s->begin[i] + p);
        }
    }
}

static void embed(const pith_bert_pass *pass, const pith_matrix *next) {
    step_loop loop = {.pass = pass, .next = next};
    pith_bert_each(pass, pass->n_texts, 1, embed_texts, &loop);
}

static void norm_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const step_loop *loop = argument;
    const pith_bert_scratch *s = loop->pass->scratches[0];
    const pith_config *config = &loop->pass->model->network.config;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *x = s->x + r * s->x_stride;
        loop->pass->model->kernels->add_layernorm(x, s->y + r * s->y_stride, loop->bias,
                                                  loop->weight, loop->norm_bias, config->norm_eps,
                                                  config->hidden_size);
        ready_row(loop, x, r);
    }
}

static void add_and_norm(const pith_bert_pass *pass, const float *bias, const float *weight,
                         const float *norm_bias, const pith_matrix *next) {
    step_loop loop = {
        .pass = pass, .next = next, .bias = bias, .weight = weight, .norm_bias = norm_bias};
    pith_bert_each(pass, n_rows(pass), ROW_GRAIN, norm_rows, &loop);
}

/* ---- Linear layers --------------------------------------------------------------------------- */

enum {
    PAIR_ROWS = 2 * PITH_TILE_ROWS,
    BLAS_MIN_ROWS = 8, /* fewer are memory-bound: our own kernels, BLAS or not */
};

typedef struct linear_loop {
    const pith_bert_pass *pass;
    const pith_matrix *w;
    pith_activations in;
    float *out;
    size_t out_stride;
    const pith_layer *layer; /* up_panels */
} linear_loop;

static pith_activations activations(const pith_matrix *w, const pith_bert_codes *c, const float *in,
                                    size_t in_stride) {
    if (activation_group(w->type) == 0) {
        return (pith_activations){.x = in, .x_stride = in_stride};
    }
    return (pith_activations){
        .codes = c->codes,
        .code_stride = c->code_stride,
        .scales = c->scales,
        .group_offset = c->group_offset,
        .scale_stride = c->scale_stride,
        .block_offset = c->block_offset,
        .block_stride = c->block_stride,
    };
}

/* Rows [row, row + n) of w x for all rows of the pack: y [rows, stride]. */
static void product(const linear_loop *loop, size_t row, size_t n, float *y, size_t stride) {
    const pith_model *model = loop->pass->model;
    const pith_matrix *w = loop->w;
    const unsigned char *data = w->data;
    const void *weights = data + row / PITH_TILE_ROWS * pith_matrix_tile_bytes(w->type, w->cols);
    size_t n_tokens = n_rows(loop->pass);
    if (model->sgemm != NULL && w->type == PITH_TYPE_F32 && n_tokens >= BLAS_MIN_ROWS) {
        model->sgemm(PITH_CBLAS_ROW_MAJOR, PITH_CBLAS_NO_TRANS, PITH_CBLAS_TRANS, (int)n_tokens,
                     (int)n, (int)w->cols, 1.0F, loop->in.x, (int)loop->in.x_stride, weights,
                     (int)w->cols, 0.0F, y, (int)stride);
        return;
    }
    pith_product p = {.weights = weights,
                      .k = w->cols,
                      .n_rows = n,
                      .x = &loop->in,
                      .n_tokens = n_tokens,
                      .y = y,
                      .y_stride = stride};
    model->kernels->product[w->type](&p);
}

static void apply_pairs(void *argument, size_t begin, size_t end, size_t thread) {
    const linear_loop *loop = argument;
    size_t row = begin * PAIR_ROWS;
    (void)thread;
    product(loop, row, pith_min_size(end * PAIR_ROWS, loop->w->rows) - row, loop->out + row,
            loop->out_stride);
}

/* Pairs of tiles a thread takes at a time when there are several threads. */
static size_t share_of(const pith_bert_pass *pass, size_t n_pairs) {
    size_t n_threads = pass->pool != NULL ? pith_pool_threads(pass->pool) : 1;
    return pith_max_size(1, n_pairs / (4 * n_threads));
}

static void apply(const pith_bert_pass *pass, const pith_matrix *w, const pith_bert_codes *codes,
                  const float *in, size_t in_stride, float *out, size_t out_stride) {
    linear_loop loop = {.pass = pass,
                        .w = w,
                        .in = activations(w, codes, in, in_stride),
                        .out = out,
                        .out_stride = out_stride};
    size_t n_pairs = (w->rows + PAIR_ROWS - 1) / PAIR_ROWS;
    pith_bert_each(pass, n_pairs, share_of(pass, n_pairs), apply_pairs, &loop);
}

void pith_bert_product(const pith_bert_pass *pass, const pith_matrix *w, size_t row, size_t n,
                       float *y, size_t stride) {
    linear_loop loop = {.pass = pass,
                        .w = w,
                        .in = activations(w, &pass->scratches[0]->narrow, NULL, 0)};
    product(&loop, row, n, y, stride);
}

static void attention(const pith_bert_pass *pass, const pith_layer *layer) {
    const pith_bert_scratch *s = pass->scratches[0];
    if (pith_bert_attends_by_heads(pass, &layer->qkv.matrix)) {
        pith_bert_attention_by_heads(pass, &layer->qkv.matrix, layer->qkv.bias);
        return;
    }
    apply(pass, &layer->qkv.matrix, &s->narrow, s->x, s->x_stride, /* qkv = W x  [n, 3 x hidden] */
          s->qkv, s->qkv_stride);
    pith_bert_attention(pass, layer->qkv.bias);
}

/* Panels of h for a quantised layer: from the product through the GELU to codes while they are in
 * the cache. */
static void up_panels(void *argument, size_t begin, size_t end, size_t thread) {
    const linear_loop *loop = argument;
    const pith_bert_pass *pass = loop->pass;
    const pith_bert_scratch *s = pass->scratches[thread];
    size_t n_tokens = n_rows(pass);
    for (size_t i = begin; i < end; i++) {
        size_t row = i * PITH_BERT_PANEL;
        size_t n = pith_min_size(PITH_BERT_PANEL, loop->w->rows - row);
        size_t n_real = pith_min_size(n, loop->layer->down.matrix.cols - row);
        product(loop, row, n, s->h, PITH_BERT_PANEL);
        for (size_t t = 0; t < n_tokens; t++) {
            float *h = s->h + t * PITH_BERT_PANEL;
            pass->model->kernels->bias_gelu(h, loop->layer->gate_up.bias + row, n_real);
            quantize_part(pass, loop->layer->down.matrix.type, h, n_real, &pass->scratches[0]->wide,
                          t, row);
        }
    }
}

/* The same for float types: whole rows. */
static void gelu_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const linear_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        loop->pass->model->kernels->bias_gelu(loop->out + r * loop->out_stride,
                                              loop->layer->gate_up.bias,
                                              loop->layer->gate_up.matrix.rows);
    }
}

static void up_and_gelu(const pith_bert_pass *pass, const pith_layer *layer) {
    const pith_bert_scratch *s = pass->scratches[0];
    const pith_matrix *w = &layer->gate_up.matrix;
    linear_loop loop = {.pass = pass,
                        .w = w,
                        .in = activations(w, &s->narrow, s->x, s->x_stride),
                        .out = s->h,
                        .out_stride = s->h_stride,
                        .layer = layer};
    if (activation_group(layer->down.matrix.type) != 0) {
        size_t n_panels = (w->rows + PITH_BERT_PANEL - 1) / PITH_BERT_PANEL;
        pith_bert_each(pass, n_panels, 1, up_panels, &loop);
        return;
    }
    size_t n_pairs = (w->rows + PAIR_ROWS - 1) / PAIR_ROWS;
    pith_bert_each(pass, n_pairs, share_of(pass, n_pairs), apply_pairs, &loop);
    pith_bert_each(pass, n_rows(pass), ROW_GRAIN, gelu_rows, &loop);
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

bool pith_bert_embedding(const pith_bert_pass *pass, size_t i, float *out) {
    const pith_config *config = &pass->model->network.config;
    const pith_bert_scratch *s = pass->scratches[0];
    size_t first = s->begin[i] + pass->texts[i].n_skipped;
    if (first < s->begin[i + 1]) {
        pool_rows(pass->model->kernels, s->x + first * s->x_stride, s->x_stride,
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
