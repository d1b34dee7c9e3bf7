/* From the last hidden states of a text's tokens to its embedding: pooling (Reimers & Gurevych
 * 2019), dense layers, and a length of 1. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/encoder.h"
#include "engine/linear.h"

/* Pools rows x [n >= 1, stride] into out [hidden]. */
static void pool_rows(const pith_kernels *kernels, const float *x, size_t stride, size_t n,
                      size_t hidden, pith_pooling pooling, float *out) {
    size_t first = pooling == PITH_POOLING_LAST ? n - 1 : 0;
    memcpy(out, x + first * stride, hidden * sizeof *out);
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

/* The functions of the C library, in double precision: the same bits with every instruction set. */
static float activate(pith_dense_activation activation, float x) {
    double v = (double)x;
    switch (activation) {
    case PITH_DENSE_IDENTITY:
        break;
    case PITH_DENSE_TANH:
        return (float)tanh(v);
    case PITH_DENSE_SIGMOID:
        return (float)(1.0 / (1.0 + exp(-v)));
    case PITH_DENSE_RELU:
        return x < 0.0F ? 0.0F : x;
    case PITH_DENSE_GELU:
        return (float)(0.5 * v * (1.0 + erf(v * 0.70710678118654752440)));
    }
    return x;
}

/* y = act(W x + b); both buffers have zeros up to a multiple of 16 elements. */
static void apply_dense(const pith_compute *c, const pith_weights *w, const pith_dense *dense,
                        float *x, float *y) {
    const pith_rows in = {.data = x, .stride = pith_round_up(w->matrix.cols, 16), .n = 1};
    pith_linear_part(c, &w->matrix, &in, 0, w->matrix.rows, y, w->matrix.rows);
    for (size_t i = 0; i < dense->width; i++) {
        y[i] = activate(dense->activation, y[i] + (w->bias != NULL ? w->bias[i] : 0.0F));
    }
    memset(y + dense->width, 0, (w->matrix.rows - dense->width) * sizeof *y);
}

/* The vector of a text from those of its tokens that are pooled, x [n, stride]; in a buffer of the
 * scratch. */
static const float *pool(const pith_encoder_pass *pass, const float *x, size_t stride, size_t n) {
    const pith_config *config = pass->compute.config;
    const pith_encoder_scratch *s = pass->scratches[0];
    size_t hidden = config->hidden_size;
    size_t at = 0;
    memset(s->pooled[0], 0, pith_round_up(hidden, 16) * sizeof **s->pooled);
    if (n > 0) { /* else a sum over nothing, as sentence-transformers has it */
        pool_rows(pass->compute.kernels, x, stride, n, hidden, config->pooling, s->pooled[0]);
    }
    for (size_t i = 0; i < PITH_MAX_DENSE && config->dense[i].width != 0; i++) {
        apply_dense(&pass->compute, &pass->model->network.dense[i], &config->dense[i],
                    s->pooled[at], s->pooled[1 - at]);
        at = 1 - at;
    }
    return s->pooled[at];
}

bool pith_encoder_embedding(const pith_encoder_pass *pass, size_t i, size_t size, float *out) {
    const pith_config *config = pass->compute.config;
    const pith_encoder_scratch *s = pass->scratches[0];
    size_t first = s->begin[i] + pass->texts[i].n_skipped;
    size_t n = first < s->begin[i + 1] ? s->begin[i + 1] - first : 0;
    const float *pooled = pool(pass, s->x.data + first * s->x.stride, s->x.stride, n);
    double squares = 0;
    for (size_t d = 0; d < size; d++) {
        out[d] = pooled[d];
        squares += (double)out[d] * (double)out[d];
    }
    double norm = sqrt(squares);
    bool normalize = config->normalize || size < pith_config_embedding_size(config);
    for (size_t d = 0; normalize && d < size; d++) {
        out[d] = (float)((double)out[d] / (norm > 1e-12 ? norm : 1e-12));
    }
    return isfinite(norm);
}
