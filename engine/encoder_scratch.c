/* The buffers of an encoder's forward pass; see encoder.h. */
#include "base/checked.h"
#include "engine/encoder.h"
#include "engine/linear.h"

static pith_rows take_rows(pith_arena *arena, size_t n, size_t stride) {
    pith_rows rows = {.stride = stride};
    rows.data = pith_arena_take(arena, n * stride, sizeof *rows.data);
    return rows;
}

/* True when some layer's activation gives floats for the next product, in whole rows. */
static bool needs_wide_rows(const pith_network *network) {
    if (network->config.gated) {
        return true;
    }
    for (size_t i = 0; i < network->config.num_hidden_layers; i++) {
        if (pith_activation_group(network->layers[i].down.matrix.type) == 0) {
            return true;
        }
    }
    return false;
}

/* Elements of a text's vector on its way through the dense layers. */
static size_t widest_vector(const pith_config *config) {
    size_t widest = config->hidden_size;
    for (size_t i = 0; i < PITH_MAX_DENSE; i++) {
        widest = pith_max_size(widest, config->dense[i].width);
    }
    return pith_round_up(widest, 16);
}

static pith_encoder_scratch *lay_out(pith_arena *arena, const pith_model *model, size_t n) {
    const pith_network *network = &model->network;
    const pith_config *config = &network->config;
    size_t head_dim = config->head_dim;
    size_t longest = pith_round_up(pith_min_size(n, pith_encoder_max_tokens(network)), 16);
    pith_qkv_layout qkv = pith_config_qkv_layout(config);
    size_t hidden = pith_round_up(config->hidden_size, 16);
    size_t wide = needs_wide_rows(network) ? pith_round_up(config->intermediate_size, 16) : 0;
    pith_encoder_scratch layout = {.max_tokens = n};
    pith_encoder_scratch *out = pith_arena_take(arena, 1, sizeof *out);
    pith_encoder_scratch *s = &layout;
    s->begin = pith_arena_take(arena, n + 1, sizeof *s->begin);
    s->x = take_rows(arena, n, hidden);
    s->y = take_rows(arena, n, hidden);
    s->a = take_rows(arena, n, pith_max_size(hidden, pith_round_up(qkv.q_rows, 16)));
    s->qkv = take_rows(arena, n, qkv.total_rows);
    s->h = take_rows(arena, n, wide);
    s->x.codes = pith_codes_take(arena, n, pith_max_size(config->hidden_size, qkv.q_rows));
    s->a.codes = s->x.codes;
    s->h.codes = pith_codes_take(arena, n, config->intermediate_size);
    s->cosines = pith_arena_take(arena, n * config->n_kinds * model->rope_half, sizeof(float));
    s->sines = pith_arena_take(arena, n * config->n_kinds * model->rope_half, sizeof(float));
    for (size_t i = 0; i < 2; i++) {
        s->pooled[i] = pith_arena_take(arena, widest_vector(config), sizeof **s->pooled);
    }
    s->tiles = pith_arena_take(arena, pith_pool_threads(model->pool), sizeof *s->tiles);
    s->tile_floats = pith_linear_tile_floats(n, true);
    s->tile = pith_arena_take(arena, s->tile_floats, sizeof *s->tile);
    s->keys = pith_arena_take(arena, longest * head_dim, sizeof *s->keys);
    s->values = pith_arena_take(arena, longest * head_dim, sizeof *s->values);
    s->query = pith_arena_take(arena, PITH_ENCODER_QUERIES * head_dim, sizeof *s->query);
    s->output = pith_arena_take(arena, PITH_ENCODER_QUERIES * head_dim, sizeof *s->output);
    s->scores = pith_arena_take(arena, PITH_ENCODER_QUERIES * longest, sizeof *s->scores);
    s->shift = pith_arena_take(arena, head_dim, sizeof *s->shift);
    if (out != NULL) {
        *out = layout;
    }
    return out;
}

pith_status pith_encoder_scratch_new(pith_encoder_scratch **out, const pith_model *model,
                                     size_t max_tokens, pith_error *error) {
    pith_arena measure = {0};
    pith_region region;
    lay_out(&measure, model, max_tokens);
    if (measure.overflow) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu tokens", max_tokens);
    }
    pith_status status = pith_region_allocate(&region, measure.used, &model->allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_arena arena = {.base = region.data};
    pith_encoder_scratch *s = lay_out(&arena, model, max_tokens);
    s->region = region;
    *out = s;
    return PITH_OK;
}

void pith_encoder_scratch_free(pith_encoder_scratch *scratch) {
    if (scratch != NULL) {
        pith_region region = scratch->region;
        pith_region_release(&region);
    }
}
