/* Scores, softmax and values of one chunk of 256 keys. Shapes are queries x keys x head_dim: one
 * query, the heads of a group, a full tile of the kernels, a task of a prompt. In generation keys
 * and values come from memory, in prompts they are in the caches. */
#include "perf/kernels_inside.h"

#include <string.h>

#include "base/half.h"

enum { KEYS = 256, BLOCK = 16 };

static const pith_kernel_shape chunk[] = {
    {1, KEYS, 128, false, PITH_BOUND_F32},   {4, KEYS, 128, false, PITH_BOUND_F32},
    {8, KEYS, 128, false, PITH_BOUND_F32},   {12, KEYS, 128, false, PITH_BOUND_F32},
    {48, KEYS, 128, false, PITH_BOUND_F32},  {12, KEYS, 64, false, PITH_BOUND_F32},
    {1, KEYS, 128, true, PITH_BOUND_STREAM}, {4, KEYS, 128, true, PITH_BOUND_STREAM},
    {8, KEYS, 128, true, PITH_BOUND_STREAM},
};

static const pith_kernel_shape row_of_scores[] = {{.n = KEYS}};

enum { N_CHUNK = sizeof chunk / sizeof chunk[0] };

typedef struct attention_operands {
    float *q; /* [tokens, head_dim]: of scores the queries, of values the outputs */
    float *s; /* [tokens, KEYS] scores or weights */
    float max, sum;
} attention_operands;

static size_t element_bytes(pith_type type) {
    return type == PITH_TYPE_F32 ? 4 : type == PITH_TYPE_F16 ? 2 : 1;
}

static pith_kernel_cost chunk_cost(const pith_kernel_bench *bench, const pith_kernel_shape *shape) {
    size_t piece = shape->rows * shape->n * element_bytes(bench->type);
    size_t query = (shape->rows + shape->n) * sizeof(float);
    return (pith_kernel_cost){
        .bytes = (double)(shape->memory ? piece : piece + shape->tokens * query),
        .ops = 2.0 * (double)shape->tokens * (double)shape->rows * (double)shape->n,
        .piece = piece,
    };
}

/* Fills keys or values; as they are random, the order of their elements does not matter. */
static void fill_keys(pith_type type, size_t n, unsigned char *out) {
    for (size_t i = 0; i < n; i++) {
        float x;
        pith_kernel_fill(&x, 1, i);
        if (type == PITH_TYPE_F32) {
            memcpy(out + 4 * i, &x, sizeof x);
        } else if (type == PITH_TYPE_F16) {
            uint16_t half = pith_f32_to_f16(x);
            memcpy(out + 2 * i, &half, sizeof half);
        } else {
            int8_t code = (int8_t)(127 * x);
            memcpy(out + i, &code, sizeof code);
        }
    }
}

static void prepare_chunk(pith_kernel_call *call, pith_arena *arena) {
    const pith_kernel_shape *shape = call->shape;
    pith_type type = call->bench->type;
    size_t n = shape->rows * shape->n;
    attention_operands *o = pith_arena_take(arena, 1, sizeof *o);
    unsigned char *keys = pith_arena_take(arena, n, element_bytes(type));
    float *q = pith_arena_take(arena, shape->tokens * shape->n, sizeof *q);
    float *s = pith_arena_take(arena, shape->tokens * KEYS, sizeof *s);
    call->operands = o;
    call->piece = keys;
    if (o != NULL) {
        fill_keys(type, n, keys);
        pith_kernel_fill(q, shape->tokens * shape->n, 1);
        pith_kernel_fill(s, shape->tokens * KEYS, 2);
        *o = (attention_operands){.q = q, .s = s};
    }
}

static void run_scores(const pith_kernel_call *call, const pith_kernels *kernels) {
    const attention_operands *o = call->operands;
    const void *k = call->piece; /* [keys / BLOCK, head_dim, BLOCK] */
    size_t n_q = call->shape->tokens;
    size_t head_dim = call->shape->n;
    size_t n_blocks = call->shape->rows / BLOCK;
    if (call->bench->type == PITH_TYPE_F32) {
        kernels->scores_f32(o->q, n_q, head_dim, k, n_blocks, o->s, KEYS);
    } else if (call->bench->type == PITH_TYPE_F16) {
        kernels->scores_f16(o->q, n_q, head_dim, k, n_blocks, o->s, KEYS);
    } else {
        kernels->scores_int8(o->q, n_q, head_dim, k, n_blocks, o->s, KEYS);
    }
}

static void run_values(const pith_kernel_call *call, const pith_kernels *kernels) {
    const attention_operands *o = call->operands;
    const void *v = call->piece; /* [keys, head_dim] */
    size_t n_q = call->shape->tokens;
    size_t head_dim = call->shape->n;
    size_t n_keys = call->shape->rows;
    if (call->bench->type == PITH_TYPE_F32) {
        kernels->values_f32(o->s, KEYS, n_q, n_keys, head_dim, v, o->q);
    } else if (call->bench->type == PITH_TYPE_F16) {
        kernels->values_f16(o->s, KEYS, n_q, n_keys, head_dim, v, o->q);
    } else {
        kernels->values_int8(o->s, KEYS, n_q, n_keys, head_dim, v, o->q);
    }
}

static pith_kernel_cost softmax_cost(const pith_kernel_bench *bench,
                                     const pith_kernel_shape *shape) {
    return (pith_kernel_cost){.bytes = bench->bytes_per_element * (double)shape->n};
}

static void prepare_softmax(pith_kernel_call *call, pith_arena *arena) {
    attention_operands *o = pith_arena_take(arena, 1, sizeof *o);
    float *s = pith_arena_take(arena, call->shape->n, sizeof *s);
    call->operands = o;
    if (o != NULL) {
        pith_kernel_fill(s, call->shape->n, 1);
        *o = (attention_operands){.s = s};
    }
}

/* In place: exp(s - max) of weights in (0, 1] are such weights again. */
static void run_softmax(const pith_kernel_call *call, const pith_kernels *kernels) {
    attention_operands *o = call->operands;
    kernels->softmax(o->s, 0, call->shape->n, call->shape->n, &o->max, &o->sum);
}

const pith_kernel_bench pith_kernel_attention[PITH_KERNEL_ATTENTION] = {
    {.name = "scores_f32",
     .slot = offsetof(pith_kernels, scores_f32),
     .type = PITH_TYPE_F32,
     .shapes = chunk,
     .n_shapes = N_CHUNK,
     .cost = chunk_cost,
     .prepare = prepare_chunk,
     .run = run_scores},
    {.name = "scores_f16",
     .slot = offsetof(pith_kernels, scores_f16),
     .type = PITH_TYPE_F16,
     .shapes = chunk,
     .n_shapes = N_CHUNK,
     .cost = chunk_cost,
     .prepare = prepare_chunk,
     .run = run_scores},
    {.name = "scores_int8",
     .slot = offsetof(pith_kernels, scores_int8),
     .type = PITH_TYPE_INT8,
     .shapes = chunk,
     .n_shapes = N_CHUNK,
     .cost = chunk_cost,
     .prepare = prepare_chunk,
     .run = run_scores},
    {.name = "softmax",
     .slot = offsetof(pith_kernels, softmax),
     .bytes_per_element = 8,
     .shapes = row_of_scores,
     .n_shapes = 1,
     .cost = softmax_cost,
     .prepare = prepare_softmax,
     .run = run_softmax},
    {.name = "values_f32",
     .slot = offsetof(pith_kernels, values_f32),
     .type = PITH_TYPE_F32,
     .shapes = chunk,
     .n_shapes = N_CHUNK,
     .cost = chunk_cost,
     .prepare = prepare_chunk,
     .run = run_values},
    {.name = "values_f16",
     .slot = offsetof(pith_kernels, values_f16),
     .type = PITH_TYPE_F16,
     .shapes = chunk,
     .n_shapes = N_CHUNK,
     .cost = chunk_cost,
     .prepare = prepare_chunk,
     .run = run_values},
    {.name = "values_int8",
     .slot = offsetof(pith_kernels, values_int8),
     .type = PITH_TYPE_INT8,
     .shapes = chunk,
     .n_shapes = N_CHUNK,
     .cost = chunk_cost,
     .prepare = prepare_chunk,
     .run = run_values},
};
