/* Random decoders and their reference pass; see decoder.h. */
#include "tests/decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "simd/blocks.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/random_weights.h"

enum { HIDDEN = 64, FFN = 96, HEADS = 4, KV_HEADS = 2, HEAD_DIM = 24, ROOM = 4 << 20 };

/* ---- Models ---------------------------------------------------------------------------------- */

typedef struct maker {
    pith_arena arena;
    pith_type type;
    uint64_t seed;
} maker;

static float random_near(maker *m, float center, float width) {
    return center + width * (float)((double)(test_random(&m->seed) % 2001) / 1000 - 1);
}

static const float *make_vector(maker *m, size_t n, float center, float width) {
    float *v = pith_arena_take(&m->arena, n, sizeof *v);
    for (size_t i = 0; i < n; i++) {
        v[i] = random_near(m, center, width);
    }
    return v;
}

/* Floats have a deviation of 1 / sqrt(64) instead of the 0.02 of packed types. */
static pith_matrix make_matrix(maker *m, size_t rows, size_t cols) {
    pith_matrix w = {.type = m->type, .rows = pith_round_up(rows, PITH_TILE_ROWS), .cols = cols};
    size_t tile = pith_matrix_tile_bytes(w.type, cols);
    CHECK(pith_matrix_size(w.type, w.rows, cols, &w.size), "%zu columns", cols);
    unsigned char *data = pith_arena_take(&m->arena, w.size, 1);
    for (size_t i = 0; i < w.rows / PITH_TILE_ROWS; i++) {
        size_t real = pith_min_size(rows - i * PITH_TILE_ROWS, PITH_TILE_ROWS);
        pith_random_tile(w.type, cols, test_random(&m->seed), i, data + i * tile);
        pith_random_tile_trim(w.type, cols, real, data + i * tile);
    }
    for (size_t i = 0; w.type == PITH_TYPE_F32 && i < w.rows * cols; i++) {
        ((float *)(void *)data)[i] *= 6.0F;
    }
    w.data = data;
    return w;
}

static pith_weights make_weights(maker *m, size_t rows, size_t cols, bool bias) {
    pith_weights w = {.matrix = make_matrix(m, rows, cols)};
    if (bias) {
        w.bias = make_vector(m, w.matrix.rows, 0, 0.2F);
    }
    return w;
}

static pith_norm make_norm(maker *m, bool there, bool bias, size_t n) {
    pith_norm norm = {NULL, NULL};
    if (there) {
        norm.weight = make_vector(m, n, 1, 0.5F);
        norm.bias = bias ? make_vector(m, n, 0, 0.3F) : NULL;
    }
    return norm;
}

static void make_layer(maker *m, const test_recipe *r, const pith_config *c, pith_layer *layer) {
    bool heads = c->qk_norm == PITH_QK_NORM_HEAD || c->qk_norm == PITH_QK_NORM_AFTER;
    bool whole = c->qk_norm == PITH_QK_NORM_WHOLE;
    size_t q = heads ? HEAD_DIM : HEADS * HEAD_DIM;
    size_t k = heads ? HEAD_DIM : KV_HEADS * HEAD_DIM;
    layer->before_attention = make_norm(m, !r->no_norm_before, r->norm_bias, HIDDEN);
    layer->qkv = make_weights(m, pith_config_qkv_layout(c).total_rows, HIDDEN, c->qkv_bias);
    layer->q = make_norm(m, heads || whole, false, q);
    layer->k = make_norm(m, heads || whole, false, k);
    layer->sinks = c->attention_sinks ? make_vector(m, HEADS, 1, 3) : NULL;
    layer->o = make_weights(m, HIDDEN, HEADS * HEAD_DIM, c->o_bias);
    layer->after_attention = make_norm(m, r->norm_after, r->norm_bias, HIDDEN);
    layer->before_mlp = make_norm(m, !r->no_norm_before, r->norm_bias, HIDDEN);
    layer->gate_up = make_weights(m, pith_config_gate_up_rows(c), HIDDEN, c->mlp_bias);
    layer->down = make_weights(m, HIDDEN, FFN, c->mlp_bias);
    layer->after_mlp = make_norm(m, r->norm_after, r->norm_bias, HIDDEN);
}

static void set_sizes(pith_config *c) {
    c->vocab_size = TEST_DECODER_VOCAB;
    c->hidden_size = HIDDEN;
    c->intermediate_size = FFN;
    c->num_hidden_layers = TEST_DECODER_LAYERS;
    c->num_attention_heads = HEADS;
    c->num_key_value_heads = KV_HEADS;
    c->head_dim = HEAD_DIM;
    c->max_position_embeddings = 512;
    c->norm_eps = 1e-5F;
}

pith_model *test_decoder_new(const test_recipe *recipe, pith_type type, const char *isa,
                             size_t n_threads) {
    const pith_model_options options = {.isa = isa, .n_threads = n_threads};
    pith_error error;
    pith_model *model = NULL;
    CHECK(pith_model_prepare(&model, &options, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_region_allocate(&model->random, ROOM, &model->allocator, &error) == PITH_OK, "%s",
          error.message);
    maker m = {.arena = {.base = model->random.data}, .type = type, .seed = 7};
    pith_network *n = &model->network;
    n->config = recipe->config;
    set_sizes(&n->config);
    CHECK(pith_config_check(&n->config, recipe->name, &error) == PITH_OK, "%s", error.message);
    model->random_layers =
        pith_allocate_zeroed(&model->allocator, TEST_DECODER_LAYERS, sizeof *model->random_layers);
    n->layers = model->random_layers;
    n->embed = make_matrix(&m, TEST_DECODER_VOCAB, HIDDEN);
    n->head = make_matrix(&m, TEST_DECODER_VOCAB, HIDDEN);
    n->norm = make_norm(&m, true, recipe->norm_bias, HIDDEN);
    for (size_t i = 0; i < TEST_DECODER_LAYERS; i++) {
        make_layer(&m, recipe, &n->config, &n->layers[i]);
    }
    CHECK(m.arena.used <= ROOM, "%zu bytes", m.arena.used);
    model->type = type;
    model->architecture = "test";
    CHECK(pith_model_complete(model, PITH_BLAS_OFF, &error) == PITH_OK, "%s", error.message);
    return model;
}

/* ---- The reference --------------------------------------------------------------------------- */

static void multiply(const pith_weights *w, const double *x, size_t rows, double *y) {
    const float *data = w->matrix.data;
    for (size_t r = 0; r < rows; r++) {
        y[r] = w->bias != NULL ? (double)w->bias[r] : 0;
        for (size_t i = 0; i < w->matrix.cols; i++) {
            y[r] += (double)data[r * w->matrix.cols + i] * x[i];
        }
    }
}

static void normalise(const pith_config *c, pith_norm norm, pith_norm_type type, double *x,
                      size_t n) {
    double mean = 0;
    double squares = 0;
    if (norm.weight == NULL) {
        return;
    }
    for (size_t i = 0; type == PITH_LAYER_NORM && i < n; i++) {
        mean += x[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        squares += (x[i] - mean) * (x[i] - mean) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double shift = norm.bias != NULL ? (double)norm.bias[i] : 0;
        x[i] = (x[i] - mean) / sqrt(squares + (double)c->norm_eps) * (double)norm.weight[i] + shift;
    }
}

static void turn(const pith_rope_config *rope, size_t position, double *head) {
    size_t half = rope->dims / 2;
    for (size_t i = 0; i < half; i++) {
        double frequency = pow(rope->theta, -2.0 * (double)i / (double)rope->dims);
        frequency /= rope->scaling == PITH_ROPE_LINEAR ? rope->factor : 1;
        double angle = (double)position * frequency;
        double a = head[i];
        double b = head[i + half];
        head[i] = a * cos(angle) - b * sin(angle);
        head[i + half] = b * cos(angle) + a * sin(angle);
    }
}

static double activation(pith_activation kind, double x) {
    const double root = 0.7978845608028654; /* sqrt(2 / pi) */
    switch (kind) {
    case PITH_SILU:
        return x / (1 + exp(-x));
    case PITH_GELU:
        return x * (1 + erf(x / sqrt(2))) / 2;
    case PITH_GELU_TANH:
        return x * (1 + tanh(root * (x + 0.044715 * x * x * x))) / 2;
    case PITH_RELU2:
        return x > 0 ? x * x : 0;
    case PITH_CLAMPED_SWIGLU:
        break;
    }
    return NAN;
}

static double gated(pith_activation kind, double gate, double up) {
    if (kind != PITH_CLAMPED_SWIGLU) {
        return activation(kind, gate) * up;
    }
    gate = fmin(gate, 7);
    return gate / (1 + exp(-1.702 * gate)) * (fmax(fmin(up, 7), -7) + 1);
}

/* q, k and v of all positions so far, and the residual stream of the one at hand. */
typedef struct walk {
    const pith_network *network;
    double (*k)[512][KV_HEADS * HEAD_DIM]; /* [layer][position] */
    double (*v)[512][KV_HEADS * HEAD_DIM];
    double x[HIDDEN];
} walk;

static void attend(const walk *w, size_t layer, size_t position, const double *q, double *o) {
    const pith_config *c = &w->network->config;
    size_t window = c->kinds[c->kind_of[layer]].sliding_window;
    size_t first = window != 0 && position >= window ? position - window + 1 : 0;
    double scale = c->attention_scale != 0 ? (double)c->attention_scale : 1 / sqrt(HEAD_DIM);
    for (size_t h = 0; h < HEADS; h++) {
        size_t at = h / (HEADS / KV_HEADS) * HEAD_DIM;
        double weights[512];
        const float *sinks = w->network->layers[layer].sinks;
        double sum = sinks != NULL ? exp((double)sinks[h]) : 0;
        for (size_t j = first; j <= position; j++) {
            double score = 0;
            for (size_t d = 0; d < HEAD_DIM; d++) {
                score += q[h * HEAD_DIM + d] * w->k[layer][j][at + d] * scale;
            }
            double cap = (double)c->attention_cap;
            weights[j] = exp(cap != 0 ? cap * tanh(score / cap) : score);
            sum += weights[j];
        }
        for (size_t d = 0; d < HEAD_DIM; d++) {
            o[h * HEAD_DIM + d] = 0;
            for (size_t j = first; j <= position; j++) {
                o[h * HEAD_DIM + d] += weights[j] / sum * w->v[layer][j][at + d];
            }
        }
    }
}

static void add(walk *w, pith_norm norm, double *y) {
    const pith_config *c = &w->network->config;
    normalise(c, norm, c->norm_type, y, HIDDEN);
    for (size_t i = 0; i < HIDDEN; i++) {
        w->x[i] += (double)c->residual_scale * y[i];
    }
}

static void walk_attention(walk *w, size_t layer, size_t position) {
    const pith_config *c = &w->network->config;
    const pith_layer *l = &w->network->layers[layer];
    const pith_rope_config *rope = &c->kinds[c->kind_of[layer]].rope;
    const bool whole = c->qk_norm == PITH_QK_NORM_WHOLE;
    double a[HIDDEN], qkv[(HEADS + 2 * KV_HEADS) * HEAD_DIM], o[HEADS * HEAD_DIM], y[HIDDEN];
    double *q = qkv;
    double *k = qkv + HEADS * HEAD_DIM;
    memcpy(a, w->x, sizeof a);
    normalise(c, l->before_attention, c->norm_type, a, HIDDEN);
    multiply(&l->qkv, a, (HEADS + 2 * KV_HEADS) * HEAD_DIM, qkv);
    if (whole) {
        normalise(c, l->q, PITH_RMS_NORM, q, HEADS * HEAD_DIM);
        normalise(c, l->k, PITH_RMS_NORM, k, KV_HEADS * HEAD_DIM);
    }
    for (size_t h = 0; h < HEADS + KV_HEADS; h++) {
        const pith_norm norm = whole ? (pith_norm){NULL, NULL} : h < HEADS ? l->q : l->k;
        double *head = q + h * HEAD_DIM;
        if (c->qk_norm == PITH_QK_NORM_AFTER) {
            turn(rope, position, head);
        }
        normalise(c, norm, PITH_RMS_NORM, head, HEAD_DIM);
        if (c->qk_norm != PITH_QK_NORM_AFTER) {
            turn(rope, position, head);
        }
    }
    for (size_t i = 0; rope->query_beta != 0 && i < HEADS * HEAD_DIM; i++) {
        q[i] *= 1 + rope->query_beta *
                        log(1 + floor((double)position / (double)rope->original_context));
    }
    memcpy(w->k[layer][position], k, sizeof w->k[layer][position]);
    memcpy(w->v[layer][position], k + KV_HEADS * HEAD_DIM, sizeof w->v[layer][position]);
    attend(w, layer, position, q, o);
    multiply(&l->o, o, HIDDEN, y);
    add(w, l->after_attention, y);
}

static void walk_mlp(walk *w, size_t layer) {
    const pith_config *c = &w->network->config;
    const pith_layer *l = &w->network->layers[layer];
    double a[HIDDEN], gate_up[2 * FFN], h[FFN], y[HIDDEN];
    memcpy(a, w->x, sizeof a);
    normalise(c, l->before_mlp, c->norm_type, a, HIDDEN);
    multiply(&l->gate_up, a, c->gated ? 2 * FFN : FFN, gate_up);
    for (size_t i = 0; i < FFN; i++) {
        size_t gate = i / 16 * 32 + i % 16;
        h[i] = c->gated ? gated(c->activation, gate_up[gate], gate_up[gate + 16])
                        : activation(c->activation, gate_up[i]);
    }
    multiply(&l->down, h, HIDDEN, y);
    add(w, l->after_mlp, y);
}

void test_decoder_reference(const pith_model *model, const int32_t *tokens, size_t n,
                            double *logits) {
    const pith_config *c = &model->network.config;
    const pith_weights head = {.matrix = model->network.head};
    walk w = {.network = &model->network,
              .k = calloc(TEST_DECODER_LAYERS, sizeof *w.k),
              .v = calloc(TEST_DECODER_LAYERS, sizeof *w.v)};
    CHECK(w.k != NULL && w.v != NULL && n <= 512, "memory");
    for (size_t t = 0; t < n; t++) {
        float row[HIDDEN];
        pith_matrix_row(&model->network.embed, (size_t)tokens[t], row);
        for (size_t i = 0; i < HIDDEN; i++) {
            w.x[i] = (double)row[i] * (double)c->embedding_scale;
        }
        for (size_t layer = 0; layer < TEST_DECODER_LAYERS; layer++) {
            walk_attention(&w, layer, t);
            walk_mlp(&w, layer);
        }
        normalise(c, model->network.norm, c->norm_type, w.x, HIDDEN);
        double *out = logits + t * TEST_DECODER_VOCAB;
        multiply(&head, w.x, TEST_DECODER_VOCAB, out);
        for (size_t i = 0; i < TEST_DECODER_VOCAB; i++) {
            out[i] *= (double)c->logit_scale;
            double cap = (double)c->logit_cap;
            out[i] = cap != 0 ? cap * tanh(out[i] / cap) : out[i];
        }
    }
    free(w.k);
    free(w.v);
}
