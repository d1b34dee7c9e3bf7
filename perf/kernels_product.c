/* Products as a linear layer asks for them: tokens x 96 rows, the largest piece that a thread gets,
 * x k. Few tokens read weights that come from memory, which is what bounds them; of many the
 * multipliers are. */
#include "perf/kernels_inside.h"

#include <string.h>

#include "base/checked.h"
#include "simd/blocks.h"
#include "weights/random_weights.h"

enum { ROWS = 96, SHORT = 2048, LONG = 4096 };

static const pith_kernel_shape quantised[] = {
    {1, ROWS, SHORT, false, PITH_BOUND_INT8},   {2, ROWS, SHORT, false, PITH_BOUND_INT8},
    {3, ROWS, SHORT, false, PITH_BOUND_INT8},   {4, ROWS, SHORT, false, PITH_BOUND_INT8},
    {6, ROWS, SHORT, false, PITH_BOUND_INT8},   {8, ROWS, SHORT, false, PITH_BOUND_INT8},
    {12, ROWS, SHORT, false, PITH_BOUND_INT8},  {16, ROWS, SHORT, false, PITH_BOUND_INT8},
    {32, ROWS, SHORT, false, PITH_BOUND_INT8},  {64, ROWS, SHORT, false, PITH_BOUND_INT8},
    {512, ROWS, SHORT, false, PITH_BOUND_INT8}, {1, ROWS, LONG, false, PITH_BOUND_INT8},
    {2, ROWS, LONG, false, PITH_BOUND_INT8},    {3, ROWS, LONG, false, PITH_BOUND_INT8},
    {4, ROWS, LONG, false, PITH_BOUND_INT8},    {6, ROWS, LONG, false, PITH_BOUND_INT8},
    {8, ROWS, LONG, false, PITH_BOUND_INT8},    {12, ROWS, LONG, false, PITH_BOUND_INT8},
    {16, ROWS, LONG, false, PITH_BOUND_INT8},   {32, ROWS, LONG, false, PITH_BOUND_INT8},
    {64, ROWS, LONG, false, PITH_BOUND_INT8},   {512, ROWS, LONG, false, PITH_BOUND_INT8},
    {1, ROWS, LONG, true, PITH_BOUND_STREAM},   {2, ROWS, LONG, true, PITH_BOUND_STREAM},
    {4, ROWS, LONG, true, PITH_BOUND_STREAM},   {8, ROWS, LONG, true, PITH_BOUND_STREAM},
    {512, ROWS, LONG, true, PITH_BOUND_INT8},
};

static const pith_kernel_shape floats[] = {
    {1, ROWS, SHORT, false, PITH_BOUND_F32},  {4, ROWS, SHORT, false, PITH_BOUND_F32},
    {6, ROWS, SHORT, false, PITH_BOUND_F32},  {16, ROWS, SHORT, false, PITH_BOUND_F32},
    {64, ROWS, SHORT, false, PITH_BOUND_F32}, {1, ROWS, LONG, true, PITH_BOUND_STREAM},
    {4, ROWS, LONG, true, PITH_BOUND_STREAM},
};

enum {
    N_QUANTISED = sizeof quantised / sizeof quantised[0],
    N_FLOATS = sizeof floats / sizeof floats[0],
};

typedef struct product_operands {
    pith_activations x;
    float *y; /* [tokens, rows] */
} product_operands;

static size_t group_of(pith_type type) {
    return type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : type == PITH_TYPE_INT8 ? PITH_INT8_GROUP : 0;
}

static pith_kernel_cost product_cost(const pith_kernel_bench *bench,
                                     const pith_kernel_shape *shape) {
    size_t group = group_of(bench->type);
    size_t token = shape->rows * sizeof(float); /* of y, and of x: */
    if (group == 0) {
        token += shape->n * sizeof(float);
    } else {
        token += shape->n + pith_groups(shape->n, group) * (sizeof(float) + sizeof(int32_t));
        token += bench->type == PITH_TYPE_INT4 ? shape->n / PITH_INT4_BLOCK * sizeof(int32_t) : 0;
    }
    size_t piece = shape->rows / PITH_TILE_ROWS * pith_matrix_tile_bytes(bench->type, shape->n);
    return (pith_kernel_cost){
        .bytes = (double)(shape->memory ? piece : piece + shape->tokens * token),
        .ops = 2.0 * (double)shape->tokens * (double)shape->rows * (double)shape->n,
        .piece = piece,
    };
}

/* Rows of activations, k a multiple of 16, quantised when `group` is not 0. Strides are those of
 * the engine: an odd number of lines, so that rows do not share cache sets. */
static pith_activations make_rows(pith_arena *arena, size_t n_tokens, size_t k, size_t group,
                                  bool blocks) {
    const pith_kernels *scalar = pith_kernels_find("scalar");
    size_t x_stride = k + 16;
    float *x = pith_arena_take(arena, n_tokens * x_stride, sizeof *x);
    for (size_t t = 0; x != NULL && t < n_tokens; t++) {
        pith_kernel_fill(x + t * x_stride, k, t);
    }
    if (group == 0) {
        return (pith_activations){.x = x, .x_stride = x_stride};
    }
    size_t code_stride = pith_round_up(k, PITH_INT4_GROUP) + 64;
    size_t scale_stride = pith_round_up(pith_groups(k, group), 16);
    size_t block_stride = pith_round_up(k, PITH_INT4_GROUP) / PITH_INT4_BLOCK;
    int8_t *codes = pith_arena_take(arena, n_tokens * code_stride, sizeof *codes);
    float *scales = pith_arena_take(arena, n_tokens * scale_stride, sizeof *scales);
    int32_t *groups = pith_arena_take(arena, n_tokens * scale_stride, sizeof *groups);
    int32_t *sums = blocks ? pith_arena_take(arena, n_tokens * block_stride, sizeof *sums) : NULL;
    for (size_t t = 0; x != NULL && t < n_tokens; t++) {
        scalar->quantize(x + t * x_stride, k, group, codes + t * code_stride,
                         scales + t * scale_stride, groups + t * scale_stride,
                         sums == NULL ? NULL : sums + t * block_stride);
    }
    return (pith_activations){
        .codes = codes,
        .code_stride = code_stride,
        .scales = scales,
        .group_offset = groups,
        .scale_stride = scale_stride,
        .block_offset = sums,
        .block_stride = block_stride,
    };
}

static void prepare_product(pith_kernel_call *call, pith_arena *arena) {
    const pith_kernel_shape *shape = call->shape;
    pith_type type = call->bench->type;
    size_t n_tiles = shape->rows / PITH_TILE_ROWS;
    size_t tile = pith_matrix_tile_bytes(type, shape->n);
    product_operands *o = pith_arena_take(arena, 1, sizeof *o);
    unsigned char *weights = pith_arena_take(arena, n_tiles, tile);
    float *y = pith_arena_take(arena, shape->tokens * shape->rows, sizeof *y);
    pith_activations x =
        make_rows(arena, shape->tokens, shape->n, group_of(type), type == PITH_TYPE_INT4);
    call->operands = o;
    call->piece = weights;
    if (o == NULL) {
        return;
    }
    for (size_t i = 0; i < n_tiles; i++) {
        pith_random_tile(type, shape->n, 1, i, weights + i * tile);
    }
    memset(y, 0, shape->tokens * shape->rows * sizeof *y);
    *o = (product_operands){.x = x, .y = y};
}

static void run_product(const pith_kernel_call *call, const pith_kernels *kernels) {
    const pith_kernel_shape *shape = call->shape;
    const product_operands *o = call->operands;
    const pith_product product = {
        .weights = call->piece,
        .k = shape->n,
        .n_rows = shape->rows,
        .x = &o->x,
        .n_tokens = shape->tokens,
        .y = o->y,
        .y_stride = shape->rows,
        .path = call->path,
    };
    kernels->product[call->bench->type](&product);
}

const pith_kernel_bench pith_kernel_products[PITH_N_TYPES] = {
    {.name = "product_int4",
     .slot = offsetof(pith_kernels, product[PITH_TYPE_INT4]),
     .type = PITH_TYPE_INT4,
     .shapes = quantised,
     .n_shapes = N_QUANTISED,
     .cost = product_cost,
     .prepare = prepare_product,
     .run = run_product},
    {.name = "product_int8",
     .slot = offsetof(pith_kernels, product[PITH_TYPE_INT8]),
     .type = PITH_TYPE_INT8,
     .shapes = quantised,
     .n_shapes = N_QUANTISED,
     .cost = product_cost,
     .prepare = prepare_product,
     .run = run_product},
    {.name = "product_f32",
     .slot = offsetof(pith_kernels, product[PITH_TYPE_F32]),
     .type = PITH_TYPE_F32,
     .shapes = floats,
     .n_shapes = N_FLOATS,
     .cost = product_cost,
     .prepare = prepare_product,
     .run = run_product},
    {.name = "product_f16",
     .slot = offsetof(pith_kernels, product[PITH_TYPE_F16]),
     .type = PITH_TYPE_F16,
     .shapes = floats,
     .n_shapes = N_FLOATS,
     .cost = product_cost,
     .prepare = prepare_product,
     .run = run_product},
    {.name = "product_bf16",
     .slot = offsetof(pith_kernels, product[PITH_TYPE_BF16]),
     .type = PITH_TYPE_BF16,
     .shapes = floats,
     .n_shapes = N_FLOATS,
     .cost = product_cost,
     .prepare = prepare_product,
     .run = run_product},
};
