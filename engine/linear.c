/* Linear layers; see linear.h. The rows of W are cut into pieces, and a piece of gate_up always has
 * matching gate and up tiles. How it is cut never changes a result: each output is computed by one
 * kernel call in a fixed order. */
#include "engine/linear.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "engine/activation.h"
#include "engine/team.h"

enum {
    PAIR_ROWS = 2 * PITH_TILE_ROWS,
    MIN_TILE_ROWS = 16, /* rows' worth of buffer even for tiny passes */
    CODED_ROWS = 256, /* rows of W whose outputs become codes at once: whole groups of both sizes */
};

typedef struct linear_loop {
    const pith_compute *c;
    const pith_weights *w;
    pith_rows in;
    pith_into out;
    size_t unit;    /* rows of W that stay together: an item of the loop is this many */
    pith_held held; /* the rows of W that are computed here */
    float *logits;  /* PITH_LOGITS on a rank: [n, rows held] in place of out.logits, or NULL */
} linear_loop;

size_t pith_linear_tile_floats(size_t n_rows, bool wide) {
    size_t own = PITH_PIECE_PAIRS * PAIR_ROWS * pith_max_size(n_rows, MIN_TILE_ROWS);
    return wide ? pith_max_size(own, n_rows * PITH_BLAS_PANEL) : own;
}

/* ---- Products -------------------------------------------------------------------------------- */

static bool uses_blas(const pith_compute *c, const pith_matrix *w, size_t n_rows) {
    return c->sgemm != NULL && w->type == PITH_TYPE_F32 && n_rows >= PITH_BLAS_MIN_ROWS;
}

static pith_activations activations_of(const pith_rows *in) {
    const pith_codes *codes = &in->codes;
    if (in->group == 0) {
        return (pith_activations){.x = in->data, .x_stride = in->stride};
    }
    return (pith_activations){
        .codes = codes->codes,
        .code_stride = codes->code_stride,
        .scales = codes->scales,
        .group_offset = codes->group_offset,
        .scale_stride = codes->scale_stride,
        .block_offset = codes->block_offset,
        .block_stride = codes->block_stride,
    };
}

void pith_linear_part(const pith_compute *c, const pith_matrix *w, const pith_rows *in, size_t row,
                      size_t n, float *y, size_t stride) {
    const unsigned char *data = w->data;
    const void *weights = data + row / PITH_TILE_ROWS * pith_matrix_tile_bytes(w->type, w->cols);
    assert(in->group == pith_activation_group(w->type));
    if (uses_blas(c, w, in->n)) {
        c->sgemm(PITH_CBLAS_ROW_MAJOR, PITH_CBLAS_NO_TRANS, PITH_CBLAS_TRANS, (int)in->n, (int)n,
                 (int)w->cols, 1.0F, in->data, (int)in->stride, weights, (int)w->cols, 0.0F, y,
                 (int)stride);
        return;
    }
    pith_activations x = activations_of(in);
    pith_product product = {.weights = weights,
                            .k = w->cols,
                            .n_rows = n,
                            .x = &x,
                            .n_tokens = in->n,
                            .y = y,
                            .y_stride = stride,
                            .path = c->path};
    c->kernels->product[w->type](&product);
}

/* ---- Epilogues ------------------------------------------------------------------------------- */

static void add_bias(float *y, const float *bias, size_t n) {
    for (size_t i = 0; bias != NULL && i < n; i++) {
        y[i] += bias[i];
    }
}

/* y += x; n is a multiple of 16, which lets the compiler use vectors. */
static void add_row(float *restrict y, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        for (size_t j = 0; j < 16; j++) {
            y[i + j] += x[i + j];
        }
    }
}

static void scale_logits(const pith_compute *c, float *y, size_t n) {
    for (size_t i = 0; c->config->logit_scale != 1.0F && i < n; i++) {
        y[i] *= c->config->logit_scale;
    }
    if (c->config->logit_cap != 0) {
        pith_soft_cap(c->kernels, c->config->logit_cap, y, n);
    }
}

static void activate_row(const linear_loop *l, size_t t, size_t row, size_t n, float *y) {
    const pith_compute *c = l->c;
    const pith_rows *out = &l->out.rows;
    const float *bias = l->w->bias == NULL ? NULL : l->w->bias + row;
    if (c->config->gated) {
        add_bias(y, bias, n);
        pith_activate_gated(c->kernels, c->config->activation, y, n / PAIR_ROWS,
                            out->data + t * out->stride + row / 2);
        return;
    }
    pith_activate(c->kernels, c->config->activation, y, bias, n); /* in place without codes */
    if (out->group != 0) {
        size_t n_real = pith_min_size(n, c->config->intermediate_size - row);
        pith_rows_quantize(c, out, t, y, n_real, row);
    }
}

static void add_to_stream(const linear_loop *l, size_t t, size_t row, const float *y, size_t n) {
    float *to = l->out.rows.data + t * l->out.rows.stride + row;
    float scale = l->c->config->residual_scale;
    if (scale == 1.0F) {
        add_row(to, y, n);
    } else {
        l->c->kernels->blend(to, 1.0F, y, scale, n);
    }
}

/* Where the logits from row `row` of W on go, of input row t. */
static float *logits_of(const linear_loop *l, size_t t, size_t row) {
    return l->logits != NULL ? l->logits + t * l->held.n_rows + row - l->held.runs[0].first
                             : l->out.logits[t] + row;
}

/* Writes rows [row, row + n) of the product of input row t, y [n], to their destination. */
static void finish_row(const linear_loop *l, size_t t, size_t row, size_t n, float *y) {
    const float *bias = l->w->bias == NULL ? NULL : l->w->bias + row;
    switch (l->out.epilogue) {
    case PITH_STORE: /* the product wrote it in place */
    case PITH_HEADS:
        add_bias(y, bias, n);
        break;
    case PITH_ADD:
        add_bias(y, bias, n);
        add_to_stream(l, t, row, y, n);
        break;
    case PITH_ACTIVATE:
        activate_row(l, t, row, n, y);
        break;
    case PITH_LOGITS:
        scale_logits(l->c, y, n);
        memcpy(logits_of(l, t, row), y, n * sizeof *y);
        break;
    }
}

/* True when the product may be written where its epilogue leaves it. */
static bool writes_in_place(const linear_loop *l) {
    return l->out.epilogue == PITH_STORE || l->out.epilogue == PITH_HEADS ||
           (l->out.epilogue == PITH_ACTIVATE && !l->c->config->gated && l->out.rows.group == 0);
}

/* Rows [row, row + n) of W, which are rows `at` and on of what is held of it. */
static void run_rows(const linear_loop *l, size_t at, size_t row, size_t n, size_t thread) {
    bool in_place = writes_in_place(l);
    float *y = in_place ? l->out.rows.data + row : l->c->tiles[thread];
    size_t stride = in_place ? l->out.rows.stride : n;
    pith_linear_part(l->c, &l->w->matrix, &l->in, at, n, y, stride);
    if (in_place && l->out.epilogue != PITH_ACTIVATE && l->w->bias == NULL) {
        return;
    }
    for (size_t t = 0; t < l->in.n; t++) {
        finish_row(l, t, row, n, y + t * stride);
    }
}

static void run_units(void *argument, size_t begin, size_t end, size_t thread) {
    const linear_loop *l = argument;
    size_t last = pith_min_size(end * l->unit, l->held.n_rows);
    for (size_t at = begin * l->unit, n; at < last; at += n) {
        const pith_run *run = pith_held_run(&l->held, at);
        n = pith_min_size(last, run->at + run->n) - at;
        run_rows(l, at, run->first + at - run->at, n, thread);
    }
}

/* Rows of W in one call of sgemm: few calls, since each packs all inputs anew, and two for each
 * thread, since the last one to end is waited for. */
static size_t blas_unit(const pith_compute *c, size_t n_rows) {
    size_t share = n_rows / (2 * pith_pool_threads(c->pool));
    return pith_min_size(pith_round_up(pith_max_size(share, 1), PAIR_ROWS), PITH_BLAS_PANEL);
}

/* Pairs of tiles in a piece. Shared: long enough to stream, short enough to share the tail. Alone:
 * as long as can be, since every piece goes through the inputs anew. Neither is larger than the
 * buffer for its results. */
static size_t piece_pairs(const linear_loop *l, size_t n_pairs) {
    const pith_compute *c = l->c;
    size_t room = writes_in_place(l) ? n_pairs : c->tile_floats / (l->in.n * PAIR_ROWS);
    size_t share = n_pairs / (8 * pith_pool_threads(c->pool));
    size_t most =
        c->pool == NULL ? room : pith_min_size(pith_min_size(PITH_PIECE_PAIRS, room), share);
    return pith_max_size(1, most);
}

/* The extent that the rows of a layer's matrix have in its family's rules. */
static pith_extent extent_of(pith_epilogue epilogue) {
    return epilogue == PITH_HEADS      ? PITH_EXTENT_QKV
           : epilogue == PITH_ACTIVATE ? PITH_EXTENT_GATE_UP
           : epilogue == PITH_LOGITS   ? PITH_EXTENT_VOCAB
                                       : PITH_EXTENT_HIDDEN;
}

/* Applies the rows of W that are here; none when a rank is lost, and the pass of no use. */
static void run_held(linear_loop *loop) {
    const pith_compute *c = loop->c;
    const pith_into *out = &loop->out;
    size_t n_rows = pith_team_is_lost(c) ? 0 : loop->held.n_rows;
    size_t grain = 1;
    loop->unit = PAIR_ROWS;
    if (out->epilogue == PITH_ACTIVATE && out->rows.group != 0) {
        loop->unit = CODED_ROWS;
    } else if (uses_blas(c, &loop->w->matrix, loop->in.n)) {
        loop->unit = blas_unit(c, n_rows);
    } else {
        grain = piece_pairs(loop, (n_rows + PAIR_ROWS - 1) / PAIR_ROWS);
    }
    pith_pool_run(c->pool, (n_rows + loop->unit - 1) / loop->unit, grain, run_units, loop);
}

/* Logits of several ranks: of as many rows at a time as can be gathered. */
static void run_logits(linear_loop *loop) {
    const linear_loop all = *loop;
    const size_t most = pith_team_batch(loop->w->matrix.rows * sizeof *loop->logits);
    for (size_t first = 0; first < all.in.n; first += loop->in.n) {
        loop->in = pith_rows_from(all.in, first, pith_min_size(most, all.in.n - first));
        loop->out.logits = all.out.logits + first;
        loop->logits = pith_team_logits_room(loop->c, loop->in.n);
        run_held(loop);
        pith_team_logits(loop->c, loop->in.n, loop->out.logits);
    }
}

/* Results of several ranks that are whole rows again, or will be when they are ready for a reader.
 */
static void share_results(linear_loop *loop) {
    const pith_compute *c = loop->c;
    if (loop->out.epilogue == PITH_ACTIVATE) {
        loop->out.rows.borders = c->team->shares.mlp;
    } else if (loop->out.epilogue != PITH_HEADS) {
        pith_team_columns(c, loop->out.rows, c->team->shares.hidden);
    }
}

pith_rows pith_linear(const pith_compute *c, const pith_weights *w, pith_rows in, pith_into out) {
    linear_loop loop = {.c = c,
                        .w = w,
                        .in = in,
                        .out = out,
                        .held = pith_team_held(c, &w->matrix, extent_of(out.epilogue))};
    loop.out.rows.n = in.n;
    assert(out.rows.group == 0 || out.epilogue != PITH_ACTIVATE || !c->config->gated);
    if (c->team != NULL && out.epilogue == PITH_LOGITS) {
        run_logits(&loop);
        return loop.out.rows;
    }
    run_held(&loop);
    if (c->team != NULL) {
        share_results(&loop);
    }
    return loop.out.rows;
}
