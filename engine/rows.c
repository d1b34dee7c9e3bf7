/* Steps that work on each row alone; see rows.h. */
#include "engine/rows.h"

#include <string.h>

#include "base/checked.h"
#include "engine/team.h"

enum { ROW_GRAIN = 4 }; /* rows that a thread claims at a time: enough to pay for the claim */

pith_codes pith_codes_take(pith_arena *arena, size_t n, size_t width) {
    pith_codes c;
    /* + 64: no power of two between the rows of a prefill. */
    c.code_stride = pith_round_up(width, PITH_INT4_GROUP) + 64;
    c.scale_stride = pith_round_up(pith_groups(width, PITH_INT8_GROUP), 16);
    c.block_stride = pith_round_up(width, PITH_INT4_GROUP) / PITH_INT4_BLOCK;
    c.codes = pith_arena_take(arena, n * c.code_stride, sizeof *c.codes);
    c.scales = pith_arena_take(arena, n * c.scale_stride, sizeof *c.scales);
    c.group_offset = pith_arena_take(arena, n * c.scale_stride, sizeof *c.group_offset);
    c.block_offset = pith_arena_take(arena, n * c.block_stride, sizeof *c.block_offset);
    return c;
}

size_t pith_activation_group(pith_type type) {
    return type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : type == PITH_TYPE_INT8 ? PITH_INT8_GROUP : 0;
}

pith_rows pith_rows_for(pith_rows buffer, size_t n, const pith_matrix *reader) {
    buffer.n = n;
    buffer.group = pith_activation_group(reader->type);
    return buffer;
}

pith_rows pith_rows_from(pith_rows x, size_t first, size_t n) {
    x.data += first * x.stride;
    x.n = n;
    if (x.group != 0) {
        x.codes.codes += first * x.codes.code_stride;
        x.codes.scales += first * x.codes.scale_stride;
        x.codes.group_offset += first * x.codes.scale_stride;
        x.codes.block_offset += first * x.codes.block_stride;
    }
    return x;
}

/* ---- Quantising ------------------------------------------------------------------------------ */

static int32_t *block_offset_of(const pith_rows *rows, size_t r) {
    return rows->group == PITH_INT4_GROUP ? rows->codes.block_offset + r * rows->codes.block_stride
                                          : NULL;
}

void pith_rows_quantize(const pith_compute *c, const pith_rows *rows, size_t r, const float *x,
                        size_t n, size_t first) {
    const pith_codes *to = &rows->codes;
    size_t scale = r * to->scale_stride + first / rows->group;
    int32_t *blocks = block_offset_of(rows, r);
    c->kernels->quantize(x, n, rows->group, to->codes + r * to->code_stride + first,
                         to->scales + scale, to->group_offset + scale,
                         blocks != NULL ? blocks + first / PITH_INT4_BLOCK : NULL);
}

void pith_rows_ready_one(const pith_compute *c, const pith_rows *rows, size_t r, size_t width) {
    float *x = rows->data + r * rows->stride;
    if (rows->group != 0) {
        pith_rows_quantize(c, rows, r, x, width, 0);
    } else {
        memset(x + width, 0, (pith_round_up(width, 16) - width) * sizeof *x);
    }
}

typedef struct row_loop {
    const pith_compute *c;
    pith_rows from, to;
    pith_rows y; /* norm_sum_rows */
    const float *bias;
    pith_norm norm;
    size_t width;
    bool read; /* something reads the rows next */
} row_loop;

/* The codes of this rank's columns. */
static void quantize_own(void *argument, size_t begin, size_t end, size_t thread) {
    const row_loop *loop = argument;
    const pith_rows *x = &loop->to;
    const size_t first = x->borders[loop->c->team->ranks.rank];
    const size_t last = pith_min_size(x->borders[loop->c->team->ranks.rank + 1], loop->width);
    (void)thread;
    for (size_t r = begin; r < end && first < last; r++) {
        pith_rows_quantize(loop->c, x, r, x->data + r * x->stride + first, last - first, first);
    }
}

/* Each rank has some columns of x: gathers codes, made by the rank that has all of a group, or
 * floats, of which every rank makes the same codes. */
static pith_rows ready_columns(const pith_compute *c, pith_rows x, const pith_matrix *reader) {
    const size_t *borders = x.borders;
    row_loop loop = {.c = c, .to = pith_rows_for(x, x.n, reader), .width = reader->cols};
    if (loop.to.group != 0 && pith_team_by_groups(c->team, borders)) {
        pith_pool_run(c->pool, x.n, ROW_GRAIN, quantize_own, &loop);
        pith_team_codes(c, loop.to, borders);
        loop.to.borders = NULL;
        return loop.to;
    }
    pith_team_columns(c, x, borders);
    x.borders = NULL;
    return pith_rows_ready(c, x, reader);
}

static void ready_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const row_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        pith_rows_ready_one(loop->c, &loop->to, r, loop->width);
    }
}

pith_rows pith_rows_ready(const pith_compute *c, pith_rows x, const pith_matrix *reader) {
    if (x.borders != NULL) {
        return ready_columns(c, x, reader);
    }
    row_loop loop = {.c = c, .to = pith_rows_for(x, x.n, reader), .width = reader->cols};
    if (loop.to.group != 0 || reader->cols % 16 != 0) {
        pith_pool_run(c->pool, x.n, ROW_GRAIN, ready_rows, &loop);
    }
    return loop.to;
}

/* ---- Norms ----------------------------------------------------------------------------------- */

/* y = norm(x); x == y allowed. */
static void norm_one(const row_loop *loop, const float *x, float *y) {
    const pith_compute *c = loop->c;
    const pith_norm *norm = &loop->norm;
    float eps = c->config->norm_eps;
    if (c->config->norm_type == PITH_RMS_NORM) {
        c->kernels->rmsnorm(x, norm->weight, eps, loop->width, y);
        return;
    }
    memmove(y, x, loop->width * sizeof *y);
    c->kernels->add_layernorm(y, c->zeros, c->zeros, norm->weight,
                              norm->bias != NULL ? norm->bias : c->zeros, eps, loop->width);
}

static void norm_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const row_loop *loop = argument;
    const pith_config *config = loop->c->config;
    const pith_codes *codes = &loop->to.codes;
    bool fused =
        loop->to.group != 0 && !loop->c->keeps_floats && config->norm_type == PITH_RMS_NORM;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = loop->from.data + r * loop->from.stride;
        if (fused) {
            loop->c->kernels->rmsnorm_quantize(x, loop->norm.weight, config->norm_eps, loop->width,
                                               loop->to.group,
                                               codes->codes + r * codes->code_stride,
                                               codes->scales + r * codes->scale_stride,
                                               codes->group_offset + r * codes->scale_stride,
                                               block_offset_of(&loop->to, r));
        } else {
            norm_one(loop, x, loop->to.data + r * loop->to.stride);
            pith_rows_ready_one(loop->c, &loop->to, r, loop->width);
        }
    }
}

pith_rows pith_rows_norm(const pith_compute *c, pith_rows x, pith_norm norm, pith_rows to,
                         const pith_matrix *reader) {
    row_loop loop = {.c = c,
                     .from = x,
                     .to = pith_rows_for(to, x.n, reader),
                     .norm = norm,
                     .width = reader->cols};
    pith_pool_run(c->pool, x.n, ROW_GRAIN, norm_rows, &loop);
    return loop.to;
}

static void add_norm_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const row_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *y = loop->y.data + r * loop->y.stride;
        norm_one(loop, y, y);
        loop->c->kernels->blend(loop->to.data + r * loop->to.stride, 1.0F, y,
                                loop->c->config->residual_scale, loop->width);
    }
}

void pith_rows_add_norm(const pith_compute *c, pith_rows x, pith_rows y, pith_norm norm) {
    row_loop loop = {.c = c, .to = x, .y = y, .norm = norm, .width = c->config->hidden_size};
    pith_pool_run(c->pool, x.n, ROW_GRAIN, add_norm_rows, &loop);
}

static void norm_sum_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const row_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        loop->c->kernels->add_layernorm(loop->to.data + r * loop->to.stride,
                                        loop->y.data + r * loop->y.stride, loop->bias,
                                        loop->norm.weight,
                                        loop->norm.bias != NULL ? loop->norm.bias : loop->c->zeros,
                                        loop->c->config->norm_eps, loop->width);
        if (loop->read) {
            pith_rows_ready_one(loop->c, &loop->to, r, loop->width);
        }
    }
}

pith_rows pith_rows_norm_sum(const pith_compute *c, pith_rows x, pith_rows y, const float *bias,
                             pith_norm norm, const pith_matrix *reader) {
    row_loop loop = {.c = c,
                     .to = reader != NULL ? pith_rows_for(x, x.n, reader) : x,
                     .y = y,
                     .bias = bias,
                     .norm = norm,
                     .width = c->config->hidden_size,
                     .read = reader != NULL};
    pith_pool_run(c->pool, x.n, ROW_GRAIN, norm_sum_rows, &loop);
    return loop.to;
}

static void norm_last_rows(void *argument, size_t begin, size_t end, size_t thread) {
    const row_loop *loop = argument;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *x = loop->to.data + r * loop->to.stride;
        norm_one(loop, x, x);
    }
}

void pith_rows_norm_last(const pith_compute *c, pith_rows x, pith_norm norm) {
    row_loop loop = {.c = c, .to = x, .norm = norm, .width = c->config->hidden_size};
    pith_pool_run(c->pool, x.n, ROW_GRAIN, norm_last_rows, &loop);
}
