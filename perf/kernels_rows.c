/* The kernels of single rows. Shapes are elements of a row; heads x head_dim of rope; keys x
 * head_dim of key_blocks; vectors x elements of the dot products, all with one query, as a search
 * does it; elements of a group x of the row of quantisation: 256 goes with int4, 128 with int8. */
#include "perf/kernels_inside.h"

#include <string.h>

#include "base/checked.h"
#include "simd/blocks.h"

static const pith_kernel_shape hidden[] = {{.n = 2048}, {.n = 4096}};
static const pith_kernel_shape groups[] = {{.rows = 256, .n = 4096}, {.rows = 128, .n = 4096}};
static const pith_kernel_shape heads[] = {{.rows = 32, .n = 64}, {.rows = 32, .n = 128}};
static const pith_kernel_shape gated[] = {{.n = 48}, {.n = 11008}}; /* of a piece; a whole row */
static const pith_kernel_shape chunk[] = {{.n = 256}};
static const pith_kernel_shape head[] = {{.n = 128}, {.n = 4096}};
static const pith_kernel_shape encoder[] = {{.n = 384}, {.n = 768}};
static const pith_kernel_shape encoder_mlp[] = {{.n = 256}, {.n = 1536}};
static const pith_kernel_shape keys[] = {{.rows = 128, .n = 32}, {.rows = 256, .n = 64}};
static const pith_kernel_shape int8_vectors[] = {
    {.rows = 256, .n = 384, .bound = PITH_BOUND_INT8},
    {.rows = 256, .n = 384, .memory = true, .bound = PITH_BOUND_STREAM}};
static const pith_kernel_shape f32_vectors[] = {
    {.rows = 256, .n = 384}, {.rows = 256, .n = 384, .memory = true, .bound = PITH_BOUND_STREAM}};

static const float epsilon = 1e-5F;

/* Operands of all row kernels; each uses some. */
typedef struct row_operands {
    float *x, *y;         /* [2 max(rows, 1) n] */
    float *w, *b;         /* [n] */
    float *zeros, *ones;  /* [n] */
    float *signs, *small; /* [n] 1 and -1; 0.1 */
    uint16_t *halves;     /* [n] */
    int8_t *codes;        /* [n rounded up to 256] */
    float *scales;        /* [n / 128 rounded up] */
    int32_t *group_offset;
    int32_t *block_offset; /* [n / 256 rounded up, 16] */
} row_operands;

static pith_kernel_cost row_cost(const pith_kernel_bench *bench, const pith_kernel_shape *shape) {
    double n = (double)(pith_max_size(shape->rows, 1) * shape->n);
    return (pith_kernel_cost){.bytes = bench->bytes_per_element * n,
                              .ops = bench->ops_per_element * n};
}

static float *take_floats(pith_arena *arena, size_t n) {
    return pith_arena_take(arena, n, sizeof(float));
}

static void take_codes(row_operands *o, pith_arena *arena, size_t n) {
    size_t n_groups = pith_groups(n, PITH_INT8_GROUP);
    size_t n_blocks = pith_groups(n, PITH_INT4_GROUP) * 16;
    o->codes = pith_arena_take(arena, n_blocks, PITH_INT4_BLOCK);
    o->scales = take_floats(arena, n_groups);
    o->group_offset = pith_arena_take(arena, n_groups, sizeof *o->group_offset);
    o->block_offset = pith_arena_take(arena, n_blocks, sizeof *o->block_offset);
}

static void prepare_row(pith_kernel_call *call, pith_arena *arena) {
    size_t n = call->shape->n;
    size_t all = 2 * n * pith_max_size(call->shape->rows, 1);
    row_operands *kept = pith_arena_take(arena, 1, sizeof *kept);
    row_operands o = {
        .x = take_floats(arena, all),
        .y = take_floats(arena, all),
        .w = take_floats(arena, n),
        .b = take_floats(arena, n),
        .zeros = take_floats(arena, n),
        .ones = take_floats(arena, n),
        .signs = take_floats(arena, n),
        .small = take_floats(arena, n),
        .halves = pith_arena_take(arena, n, sizeof(uint16_t)),
    };
    take_codes(&o, arena, n);
    call->operands = kept;
    if (kept == NULL) {
        return;
    }
    pith_kernel_fill(o.x, all, 1);
    pith_kernel_fill(o.y, all, 2);
    pith_kernel_fill(o.w, n, 3);
    pith_kernel_fill(o.b, n, 4);
    for (size_t i = 0; i < n; i++) {
        o.zeros[i] = 0.0F;
        o.ones[i] = 1.0F;
        o.signs[i] = i % 3 == 0 ? -1.0F : 1.0F;
        o.small[i] = 0.1F;
    }
    *kept = o;
}

/* ---- Decoders -------------------------------------------------------------------------------- */

static void run_rmsnorm(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->rmsnorm(o->x, o->w, epsilon, call->shape->n, o->y);
}

/* Codes, scales and sums of groups; of blocks with int4, whose group is the larger. */
static pith_kernel_cost quantize_cost(const pith_kernel_bench *bench,
                                      const pith_kernel_shape *shape) {
    size_t results = shape->n + 8 * pith_groups(shape->n, shape->rows);
    results += shape->rows == PITH_INT4_GROUP ? shape->n / PITH_INT4_BLOCK * 4 : 0;
    return (pith_kernel_cost){.bytes =
                                  bench->bytes_per_element * (double)shape->n + (double)results};
}

static int32_t *block_sums(const pith_kernel_call *call) {
    const row_operands *o = call->operands;
    return call->shape->rows == PITH_INT4_GROUP ? o->block_offset : NULL;
}

static void run_quantize(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->quantize(o->x, call->shape->n, call->shape->rows, o->codes, o->scales, o->group_offset,
                      block_sums(call));
}

static void run_rmsnorm_quantize(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->rmsnorm_quantize(o->x, o->w, epsilon, call->shape->n, call->shape->rows, o->codes,
                              o->scales, o->group_offset, block_sums(call));
}

/* In place, by a quarter of a turn, which is exact. */
static void run_rope(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->rope(o->x, call->shape->rows, call->shape->n, o->zeros, o->ones);
}

static void run_swiglu(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->swiglu(o->x, o->y, call->shape->n / PITH_TILE_ROWS);
}

static void run_f32_to_f16(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->f32_to_f16(o->x, o->halves, call->shape->n);
}

/* In place, by factors that change no magnitude. */
static void run_multiply(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->multiply(o->x, o->signs, call->shape->n);
}

static void run_blend(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->blend(o->x, 0.5F, o->y, 0.5F, call->shape->n);
}

static void run_exp(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->exp(o->x, o->y, call->shape->n);
}

/* ---- Encoders -------------------------------------------------------------------------------- */

static void run_add_layernorm(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->add_layernorm(o->x, o->y, o->small, o->w, o->b, epsilon, call->shape->n);
}

/* In place: with a bias of 0.1 the elements settle at about 0.15. */
static void run_bias_gelu(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->bias_gelu(o->x, o->small, call->shape->n);
}

static void run_key_blocks(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    size_t head_dim = call->shape->n;
    kernels->key_blocks(o->x, 2 * head_dim, call->shape->rows, head_dim, o->y);
}

static void run_affine(const pith_kernel_call *call, const pith_kernels *kernels) {
    const row_operands *o = call->operands;
    kernels->affine(o->x, 0.125F, o->b, call->shape->n, o->y);
}

/* ---- Similarity ------------------------------------------------------------------------------ */

typedef struct dot_operands {
    void *query; /* [n] */
    double sum;
} dot_operands;

static size_t element_bytes(pith_type type) {
    return type == PITH_TYPE_INT8 ? sizeof(int8_t) : sizeof(float);
}

static pith_kernel_cost dot_cost(const pith_kernel_bench *bench, const pith_kernel_shape *shape) {
    size_t query = shape->n * element_bytes(bench->type);
    size_t piece = shape->rows * query;
    return (pith_kernel_cost){
        .bytes = (double)(shape->memory ? piece : piece + query),
        .ops = bench->ops_per_element * (double)(shape->rows * shape->n),
        .piece = piece,
    };
}

static void fill_vectors(pith_type type, size_t n, uint64_t seed, void *out) {
    for (size_t i = 0; i < n; i++) {
        float x;
        pith_kernel_fill(&x, 1, seed + i);
        if (type == PITH_TYPE_INT8) {
            ((int8_t *)out)[i] = (int8_t)(127 * x);
        } else {
            ((float *)out)[i] = x;
        }
    }
}

static void prepare_dot(pith_kernel_call *call, pith_arena *arena) {
    pith_type type = call->bench->type;
    size_t n = call->shape->n;
    size_t rows = call->shape->rows;
    dot_operands *o = pith_arena_take(arena, 1, sizeof *o);
    void *query = pith_arena_take(arena, n, element_bytes(type));
    void *vectors = pith_arena_take(arena, rows * n, element_bytes(type));
    call->operands = o;
    call->piece = vectors;
    if (o != NULL) {
        fill_vectors(type, n, 0, query);
        fill_vectors(type, rows * n, n, vectors);
        *o = (dot_operands){.query = query};
    }
}

static void run_dot_int8(const pith_kernel_call *call, const pith_kernels *kernels) {
    dot_operands *o = call->operands;
    const int8_t *vectors = call->piece; /* [rows, n] */
    for (size_t i = 0; i < call->shape->rows; i++) {
        o->sum += kernels->dot_int8(vectors + i * call->shape->n, o->query, call->shape->n);
    }
}

static void run_dot_f32(const pith_kernel_call *call, const pith_kernels *kernels) {
    dot_operands *o = call->operands;
    const float *vectors = call->piece; /* [rows, n] */
    for (size_t i = 0; i < call->shape->rows; i++) {
        o->sum += kernels->dot_f32(vectors + i * call->shape->n, o->query, call->shape->n);
    }
}

/* ---- The table ------------------------------------------------------------------------------- */

const pith_kernel_bench pith_kernel_rows[PITH_KERNEL_ROWS] = {
    {.name = "rmsnorm",
     .slot = offsetof(pith_kernels, rmsnorm),
     .bytes_per_element = 12,
     .ops_per_element = 4,
     .shapes = hidden,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_rmsnorm},
    {.name = "quantize",
     .slot = offsetof(pith_kernels, quantize),
     .bytes_per_element = 4,
     .shapes = groups,
     .n_shapes = 2,
     .cost = quantize_cost,
     .prepare = prepare_row,
     .run = run_quantize},
    {.name = "rmsnorm_quantize",
     .slot = offsetof(pith_kernels, rmsnorm_quantize),
     .bytes_per_element = 8,
     .shapes = groups,
     .n_shapes = 2,
     .cost = quantize_cost,
     .prepare = prepare_row,
     .run = run_rmsnorm_quantize},
    {.name = "rope",
     .slot = offsetof(pith_kernels, rope),
     .bytes_per_element = 8,
     .ops_per_element = 3,
     .shapes = heads,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_rope},
    {.name = "swiglu",
     .slot = offsetof(pith_kernels, swiglu),
     .bytes_per_element = 12,
     .shapes = gated,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_swiglu},
    {.name = "f32_to_f16",
     .slot = offsetof(pith_kernels, f32_to_f16),
     .bytes_per_element = 6,
     .shapes = hidden,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_f32_to_f16},
    {.name = "multiply",
     .slot = offsetof(pith_kernels, multiply),
     .bytes_per_element = 12,
     .ops_per_element = 1,
     .shapes = chunk,
     .n_shapes = 1,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_multiply},
    {.name = "blend",
     .slot = offsetof(pith_kernels, blend),
     .bytes_per_element = 12,
     .ops_per_element = 3,
     .shapes = head,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_blend},
    {.name = "exp",
     .slot = offsetof(pith_kernels, exp),
     .bytes_per_element = 8,
     .shapes = head,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_exp},
    {.name = "add_layernorm",
     .slot = offsetof(pith_kernels, add_layernorm),
     .bytes_per_element = 24,
     .shapes = encoder,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_add_layernorm},
    {.name = "bias_gelu",
     .slot = offsetof(pith_kernels, bias_gelu),
     .bytes_per_element = 12,
     .shapes = encoder_mlp,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_bias_gelu},
    {.name = "key_blocks",
     .slot = offsetof(pith_kernels, key_blocks),
     .bytes_per_element = 8,
     .shapes = keys,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_key_blocks},
    {.name = "affine",
     .slot = offsetof(pith_kernels, affine),
     .bytes_per_element = 12,
     .ops_per_element = 2,
     .shapes = encoder,
     .n_shapes = 2,
     .cost = row_cost,
     .prepare = prepare_row,
     .run = run_affine},
    {.name = "dot_int8",
     .slot = offsetof(pith_kernels, dot_int8),
     .type = PITH_TYPE_INT8,
     .ops_per_element = 2,
     .shapes = int8_vectors,
     .n_shapes = 2,
     .cost = dot_cost,
     .prepare = prepare_dot,
     .run = run_dot_int8},
    {.name = "dot_f32",
     .slot = offsetof(pith_kernels, dot_f32),
     .type = PITH_TYPE_F32,
     .ops_per_element = 2,
     .shapes = f32_vectors,
     .n_shapes = 2,
     .cost = dot_cost,
     .prepare = prepare_dot,
     .run = run_dot_f32},
};
