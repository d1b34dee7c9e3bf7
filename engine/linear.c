/* Linear layers; see linear.h. Work is cut into pieces of whole pairs of 16-row tiles, so that a
 * piece of gate_up always holds matching gate and up tiles. How it is cut never changes a result:
 * each output is computed by one kernel call in a fixed order. */
#include "engine/linear.h"

#include <string.h>

#include "base/checked.h"

enum { PAIR_ROWS = 2 * PITH_TILE_ROWS };

size_t pith_activation_group(pith_type type) {
    return type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : type == PITH_TYPE_INT8 ? PITH_INT8_GROUP : 0;
}

pith_activations pith_linear_input(const pith_forward *f, pith_type type, const float *x,
                                   size_t stride) {
    const pith_scratch *s = f->scratch;
    if (pith_activation_group(type) == 0) {
        return (pith_activations){.x = x, .x_stride = stride};
    }
    return (pith_activations){
        .codes = s->codes,
        .code_stride = s->code_stride,
        .scales = s->scales,
        .group_offset = s->group_offset,
        .scale_stride = s->scale_stride,
        .block_offset = s->block_offset,
        .block_stride = s->block_stride,
    };
}

static void add_bias(float *y, size_t stride, size_t n_tokens, const float *bias, size_t n) {
    for (size_t t = 0; bias != NULL && t < n_tokens; t++) {
        for (size_t r = 0; r < n; r++) {
            y[t * stride + r] += bias[r];
        }
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

/* Rows [row, row + n) of the products of tokens [token, token + n_tokens), y [n_tokens, stride],
 * on to where they belong. */
static void finish(const pith_forward *f, const pith_linear *l, size_t row, size_t n, size_t token,
                   size_t n_tokens, float *y, size_t stride) {
    add_bias(y, stride, n_tokens, l->bias == NULL ? NULL : l->bias + row, n);
    for (size_t t = 0; t < n_tokens; t++) {
        const float *from = y + t * stride;
        float *to = l->epilogue == PITH_LOGITS ? f->scratch->logits[token + t]
                                               : l->out + (token + t) * l->out_stride;
        if (l->epilogue == PITH_ADD) {
            add_row(to + row, from, n);
        } else if (l->epilogue == PITH_SWIGLU) {
            f->model->kernels->swiglu(from, to + row / 2, n / PAIR_ROWS);
        } else if (from != to + row) {
            memcpy(to + row, from, n * sizeof *from);
        }
    }
}

typedef struct linear_loop {
    const pith_forward *f;
    const pith_linear *l;
    size_t row; /* BLAS: first row of the panel and its width */
    size_t n;
} linear_loop;

/* Pairs [begin, end) of tiles through our own kernels. */
static void run_pairs(void *argument, size_t begin, size_t end, size_t thread) {
    const linear_loop *loop = argument;
    const pith_linear *l = loop->l;
    const pith_scratch *s = loop->f->scratch;
    size_t row = begin * PAIR_ROWS;
    size_t n = pith_min_size(end * PAIR_ROWS, l->w->rows) - row;
    bool direct = l->epilogue == PITH_STORE;
    const unsigned char *data = l->w->data;
    pith_product product = {
        .weights = data + row / PITH_TILE_ROWS * pith_matrix_tile_bytes(l->w->type, l->w->cols),
        .k = l->w->cols,
        .n_rows = n,
        .x = &l->in,
        .first_token = 0,
        .n_tokens = l->n_rows,
        .y = direct ? l->out + row : s->tiles + thread * s->tile_floats,
        .y_stride = direct ? l->out_stride : n,
    };
    loop->f->model->kernels->product[l->w->type](&product);
    finish(loop->f, l, row, n, 0, l->n_rows, product.y, product.y_stride);
}

static void finish_panel(void *argument, size_t begin, size_t end, size_t thread) {
    const linear_loop *loop = argument;
    (void)thread;
    finish(loop->f, loop->l, loop->row, loop->n, begin, end - begin,
           loop->f->scratch->panel + begin * PITH_BLAS_PANEL, PITH_BLAS_PANEL);
}

/* f32 weights, many rows: panels of W through sgemm. */
static void run_blas(const pith_forward *f, const pith_linear *l) {
    const float *weights = l->w->data;
    int k = (int)l->w->cols;
    for (size_t row = 0; row < l->w->rows; row += PITH_BLAS_PANEL) {
        size_t n = pith_min_size(PITH_BLAS_PANEL, l->w->rows - row);
        f->model->sgemm(PITH_CBLAS_ROW_MAJOR, PITH_CBLAS_NO_TRANS, PITH_CBLAS_TRANS, (int)l->n_rows,
                        (int)n, k, 1.0F, l->in.x, (int)l->in.x_stride, weights + row * l->w->cols,
                        k, 0.0F, f->scratch->panel, PITH_BLAS_PANEL);
        linear_loop loop = {.f = f, .l = l, .row = row, .n = n};
        pith_pool_run(f->model->pool, l->n_rows, 16, finish_panel, &loop);
    }
}

void pith_linear_run(const pith_forward *f, const pith_linear *l) {
    if (f->model->sgemm != NULL && l->w->type == PITH_TYPE_F32 && l->n_rows >= PITH_BLAS_MIN_ROWS) {
        run_blas(f, l);
        return;
    }
    /* Pieces: long enough to stream, short enough to share the tail, and no larger than the
     * buffer for their results. */
    size_t n_pairs = (l->w->rows + PAIR_ROWS - 1) / PAIR_ROWS;
    size_t room = f->scratch->tile_floats / (l->n_rows * PAIR_ROWS);
    size_t share = n_pairs / (8 * pith_pool_threads(f->model->pool));
    size_t grain = pith_max_size(1, pith_min_size(pith_min_size(PITH_PIECE_PAIRS, room), share));
    linear_loop loop = {.f = f, .l = l};
    pith_pool_run(f->model->pool, n_pairs, grain, run_pairs, &loop);
}
