/* The buffers of a forward pass and its loops; see forward.h. */
#include "base/checked.h"
#include "engine/attention.h"
#include "engine/forward.h"

/* Floats of a row: whole lines, an odd number of them, so that the rows that a prefill goes through
 * side by side do not fall on the same cache sets. */
static size_t row_stride(size_t n) {
    return (pith_round_up(n, 16) / 16 | 1) * 16;
}

enum {
    MIN_TILE_ROWS = 16, /* rows' worth of epilogue buffer even for tiny batches */
};

void pith_scratch_take(pith_scratch *s, pith_arena *arena, const pith_model *model, size_t max_rows,
                       size_t n_context) {
    const pith_llama_config *config = &model->llama.config;
    size_t n_threads = pith_pool_threads(model->pool);
    size_t half = config->head_dim / 2;
    size_t q_dim = config->num_attention_heads * config->head_dim;
    size_t widest =
        pith_max_size(pith_max_size(config->hidden_size, q_dim), config->intermediate_size);
    s->max_rows = max_rows;
    s->rows = pith_arena_take(arena, max_rows, sizeof *s->rows);
    s->blocks = pith_arena_take(arena, max_rows, sizeof *s->blocks);
    s->logits = pith_arena_take(arena, max_rows, sizeof *s->logits);

    s->x_stride = row_stride(config->hidden_size);
    s->a_stride = row_stride(pith_max_size(config->hidden_size, q_dim));
    s->h_stride = row_stride(config->intermediate_size);
    s->qkv_stride = row_stride(pith_llama_qkv_layout(config).total_rows);
    s->x = pith_arena_take(arena, max_rows * s->x_stride, sizeof *s->x);
    s->a = pith_arena_take(arena, max_rows * s->a_stride, sizeof *s->a);
    s->h = pith_arena_take(arena, max_rows * s->h_stride, sizeof *s->h);
    s->qkv = pith_arena_take(arena, max_rows * s->qkv_stride, sizeof *s->qkv);

    /* + 64: no power of two between the rows of a prefill. */
    s->code_stride = pith_round_up(widest, PITH_INT4_GROUP) + 64;
    s->scale_stride = pith_round_up(pith_groups(widest, PITH_INT8_GROUP), 16);
    s->block_stride = pith_round_up(widest, PITH_INT4_GROUP) / PITH_INT4_BLOCK;
    s->codes = pith_arena_take(arena, max_rows * s->code_stride, sizeof *s->codes);
    s->scales = pith_arena_take(arena, max_rows * s->scale_stride, sizeof *s->scales);
    s->group_offset = pith_arena_take(arena, max_rows * s->scale_stride, sizeof *s->group_offset);
    s->block_offset = pith_arena_take(arena, max_rows * s->block_stride, sizeof *s->block_offset);

    s->cosines = pith_arena_take(arena, max_rows * half, sizeof *s->cosines);
    s->sines = pith_arena_take(arena, max_rows * half, sizeof *s->sines);

    s->tile_floats = PITH_PIECE_PAIRS * 2 * PITH_TILE_ROWS * pith_max_size(max_rows, MIN_TILE_ROWS);
    s->tiles = pith_arena_take(arena, n_threads * s->tile_floats, sizeof *s->tiles);
    s->panel = model->sgemm == NULL
                   ? NULL
                   : pith_arena_take(arena, max_rows * PITH_BLAS_PANEL, sizeof *s->panel);
    s->observed = pith_arena_take(arena, max_rows * widest, sizeof *s->observed);

    s->attend_floats = pith_attention_thread_floats(config);
    s->attend = pith_arena_take(arena, n_threads * s->attend_floats, sizeof *s->attend);
    s->partial = pith_arena_take(arena, pith_attention_partial_floats(config, n_context),
                                 sizeof *s->partial);
}

void pith_forward_each(const pith_forward *f, size_t n, size_t grain, pith_loop_fn fn, void *arg) {
    if (n <= grain) {
        fn(arg, 0, n, 0);
    } else {
        pith_pool_run(f->model->pool, n, grain, fn, arg);
    }
}
