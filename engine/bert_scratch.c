/* The buffers of an encoder's forward pass; see bert.h. */
#include <string.h>

#include "base/checked.h"
#include "engine/bert.h"
#include "simd/blocks.h"

static void take_codes(pith_bert_codes *c, pith_arena *arena, size_t n, size_t k) {
    /* + 64: no power of two between rows. */
    c->code_stride = pith_round_up(k, PITH_INT4_GROUP) + 64;
    c->scale_stride = pith_round_up(pith_groups(k, PITH_INT8_GROUP), 16);
    c->block_stride = pith_round_up(k, PITH_INT4_GROUP) / PITH_INT4_BLOCK;
    c->codes = pith_arena_take(arena, n * c->code_stride, sizeof *c->codes);
    c->scales = pith_arena_take(arena, n * c->scale_stride, sizeof *c->scales);
    c->group_offset = pith_arena_take(arena, n * c->scale_stride, sizeof *c->group_offset);
    c->block_offset = pith_arena_take(arena, n * c->block_stride, sizeof *c->block_offset);
}

/* Whether some layer's GELU gives floats for the next product, in whole rows. */
static bool needs_wide_rows(const pith_network *bert) {
    for (size_t i = 0; i < bert->config.num_hidden_layers; i++) {
        pith_type type = bert->layers[i].down.matrix.type;
        if (type != PITH_TYPE_INT8 && type != PITH_TYPE_INT4) {
            return true;
        }
    }
    return false;
}

static pith_bert_scratch *lay_out(pith_arena *arena, const pith_network *bert, size_t n) {
    const pith_config *config = &bert->config;
    size_t head_dim = config->hidden_size / config->num_attention_heads;
    size_t longest = pith_round_up(pith_bert_max_tokens(bert), 16);
    pith_bert_scratch layout = {.max_tokens = n};
    pith_bert_scratch *out = pith_arena_take(arena, 1, sizeof *out);
    pith_bert_scratch *s = &layout;
    s->begin = pith_arena_take(arena, n + 1, sizeof *s->begin);
    s->x_stride = pith_round_up(config->hidden_size, 16);
    s->y_stride = s->x_stride;
    s->qkv_stride = pith_config_qkv_layout(config).total_rows;
    s->h_stride = pith_round_up(config->intermediate_size, 16);
    if (!needs_wide_rows(bert)) {
        s->h_stride = PITH_BERT_PANEL;
    }
    s->x = pith_arena_take(arena, n * s->x_stride, sizeof *s->x);
    s->y = pith_arena_take(arena, n * s->y_stride, sizeof *s->y);
    s->a = pith_arena_take(arena, n * s->x_stride, sizeof *s->a);
    s->qkv = pith_arena_take(arena, n * s->qkv_stride, sizeof *s->qkv);
    s->h = pith_arena_take(arena, n * pith_max_size(s->h_stride, PITH_BERT_PANEL), sizeof *s->h);
    take_codes(&s->narrow, arena, n, config->hidden_size);
    take_codes(&s->wide, arena, n, config->intermediate_size);
    s->keys = pith_arena_take(arena, longest * head_dim, sizeof *s->keys);
    s->values = pith_arena_take(arena, longest * head_dim, sizeof *s->values);
    s->query = pith_arena_take(arena, PITH_BERT_QUERIES * head_dim, sizeof *s->query);
    s->output = pith_arena_take(arena, PITH_BERT_QUERIES * head_dim, sizeof *s->output);
    s->scores = pith_arena_take(arena, PITH_BERT_QUERIES * longest, sizeof *s->scores);
    s->shift = pith_arena_take(arena, head_dim, sizeof *s->shift);
    if (out != NULL) {
        *out = layout;
    }
    return out;
}

pith_status pith_bert_scratch_new(pith_bert_scratch **out, const pith_model *model,
                                  size_t max_tokens, pith_error *error) {
    pith_arena measure = {0};
    pith_region region;
    lay_out(&measure, &model->network, max_tokens);
    if (measure.overflow) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu tokens", max_tokens);
    }
    pith_status status = pith_region_allocate(&region, measure.used, &model->allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_arena arena = {.base = region.data};
    pith_bert_scratch *s = lay_out(&arena, &model->network, max_tokens);
    s->region = region;
    /* Nothing writes the padding of rows whose width is no multiple of 16; products read it. */
    memset(s->x, 0, max_tokens * s->x_stride * sizeof *s->x);
    memset(s->a, 0, max_tokens * s->x_stride * sizeof *s->a);
    *out = s;
    return PITH_OK;
}

void pith_bert_scratch_free(pith_bert_scratch *scratch) {
    if (scratch != NULL) {
        pith_region region = scratch->region;
        pith_region_release(&region);
    }
}
