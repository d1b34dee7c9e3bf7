/* Limits of the hyper-parameters and the row layouts of the joined matrices. */
#include "families/config.h"

#include "base/checked.h"
#include "simd/blocks.h"

#include <math.h>
#include <string.h>

/* ---- Pooling --------------------------------------------------------------------------------- */

static const char *const pooling_names[PITH_N_POOLINGS] = {
    [PITH_POOLING_MEAN] = "mean",
    [PITH_POOLING_CLS] = "cls",
    [PITH_POOLING_MAX] = "max",
    [PITH_POOLING_LAST] = "lasttoken",
};

const char *pith_pooling_name(pith_pooling pooling) {
    return (unsigned)pooling < PITH_N_POOLINGS ? pooling_names[pooling] : "unknown";
}

bool pith_pooling_find(const char *name, pith_pooling *out) {
    for (unsigned i = 0; i < PITH_N_POOLINGS; i++) {
        if (strcmp(name, pooling_names[i]) == 0) {
            *out = (pith_pooling)i;
            return true;
        }
    }
    return false;
}

/* ---- Counts ---------------------------------------------------------------------------------- */

typedef struct count {
    const char *name;
    size_t value, least, most;
} count;

static pith_status check_counts(const count *counts, size_t n, const char *where,
                                pith_error *error) {
    for (size_t i = 0; i < n; i++) {
        if (counts[i].value < counts[i].least || counts[i].value > counts[i].most) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %zu, not in %zu..%zu", where,
                             counts[i].name, counts[i].value, counts[i].least, counts[i].most);
        }
    }
    return PITH_OK;
}

static pith_status check_decoder_counts(const pith_config *c, const char *where,
                                        pith_error *error) {
    const count counts[] = {
        {"vocab_size", c->vocab_size, 1, PITH_MAX_VOCAB},
        {"hidden_size", c->hidden_size, 1, PITH_MAX_WIDTH},
        {"intermediate_size", c->intermediate_size, 1, PITH_MAX_WIDTH},
        {"num_hidden_layers", c->num_hidden_layers, 1, PITH_MAX_LAYERS},
        {"num_attention_heads", c->num_attention_heads, 1, PITH_MAX_HEADS},
        {"num_key_value_heads", c->num_key_value_heads, 1, PITH_MAX_HEADS},
        {"head_dim", c->head_dim, 1, PITH_MAX_HEAD_DIM},
        {"max_position_embeddings", c->max_position_embeddings, 1, PITH_MAX_POSITIONS},
    };
    return check_counts(counts, sizeof counts / sizeof *counts, where, error);
}

static pith_status check_encoder_counts(const pith_config *c, const char *where,
                                        pith_error *error) {
    const count counts[] = {
        {"vocab_size", c->vocab_size, 1, PITH_MAX_VOCAB},
        {"hidden_size", c->hidden_size, 1, PITH_MAX_WIDTH},
        {"intermediate_size", c->intermediate_size, 1, PITH_MAX_WIDTH},
        {"num_hidden_layers", c->num_hidden_layers, 1, PITH_MAX_LAYERS},
        {"num_attention_heads", c->num_attention_heads, 1, PITH_MAX_HEADS},
        {"max_position_embeddings", c->max_position_embeddings, PITH_MIN_SEQ_LENGTH,
         PITH_MAX_POSITIONS},
        {"type_vocab_size", c->type_vocab_size, 0, PITH_MAX_TOKEN_TYPES},
        {"num_key_value_heads", c->num_key_value_heads, 1, PITH_MAX_HEADS},
    };
    return check_counts(counts, sizeof counts / sizeof *counts, where, error);
}

/* ---- Relations ------------------------------------------------------------------------------- */

static pith_status check_positive(double value, const char *name, const char *where,
                                  pith_error *error) {
    if (!isfinite(value) || value <= 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %g, not positive and finite", where,
                         name, value);
    }
    return PITH_OK;
}

static pith_status check_even(const pith_config *c, const char *where, pith_error *error) {
    if (c->hidden_size % 2 != 0 || c->intermediate_size % 2 != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: odd hidden_size %zu or intermediate_size %zu is not supported", where,
                         c->hidden_size, c->intermediate_size);
    }
    return PITH_OK;
}

static pith_status check_groups(const pith_config *c, const char *where, pith_error *error) {
    if (c->num_attention_heads % c->num_key_value_heads != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: num_attention_heads %zu is no multiple of num_key_value_heads %zu",
                         where, c->num_attention_heads, c->num_key_value_heads);
    }
    if (c->num_attention_heads * c->head_dim > PITH_MAX_WIDTH) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: num_attention_heads %zu x head_dim %zu exceeds %d", where,
                         c->num_attention_heads, c->head_dim, PITH_MAX_WIDTH);
    }
    return PITH_OK;
}

static pith_status check_heads(const pith_config *c, const char *where, pith_error *error) {
    if (c->head_dim % 2 != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: head_dim %zu is odd", where, c->head_dim);
    }
    pith_status status = check_groups(c, where, error);
    return status == PITH_OK ? check_even(c, where, error) : status;
}

static pith_status check_scalars(const pith_config *c, const char *where, pith_error *error) {
    const struct {
        const char *name;
        float value;
        bool may_be_zero;
    } scalars[] = {
        {"embedding_scale", c->embedding_scale, false},
        {"residual_scale", c->residual_scale, false},
        {"logit_scale", c->logit_scale, false},
        {"attention_scale", c->attention_scale, true},
        {"attention_cap", c->attention_cap, true},
        {"logit_cap", c->logit_cap, true},
    };
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        bool absent = scalars[i].may_be_zero && scalars[i].value == 0;
        pith_status status =
            absent ? PITH_OK
                   : check_positive((double)scalars[i].value, scalars[i].name, where, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* ---- Kinds of layers ------------------------------------------------------------------------- */

static pith_status check_original_context(const pith_rope_config *r, const char *where,
                                          pith_error *error) {
    if (r->original_context == 0 || r->original_context > PITH_MAX_POSITIONS) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: rope_original_context is %zu, not in 1..%d",
                         where, r->original_context, PITH_MAX_POSITIONS);
    }
    return PITH_OK;
}

static pith_status check_llama3(const pith_rope_config *r, const char *where, pith_error *error) {
    pith_status status = check_positive(r->low_freq_factor, "rope_low_freq_factor", where, error);
    if (status != PITH_OK) {
        return status;
    }
    /* The ramp between the two divides by their difference. */
    if (!isfinite(r->high_freq_factor) || r->high_freq_factor <= r->low_freq_factor) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: rope_high_freq_factor %g is not above rope_low_freq_factor %g", where,
                         r->high_freq_factor, r->low_freq_factor);
    }
    return check_original_context(r, where, error);
}

static pith_status check_yarn(const pith_rope_config *r, const char *where, pith_error *error) {
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"rope_attention_factor", r->attention_factor},
        {"rope_beta_fast", r->beta_fast},
        {"rope_beta_slow", r->beta_slow},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        pith_status status = check_positive(numbers[i].value, numbers[i].name, where, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    /* The dimensions are found by logarithms to this base. */
    if (r->theta <= 1) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: rope_theta is %g, yarn asks for more than 1", where, r->theta);
    }
    return check_original_context(r, where, error);
}

/* The published factors are 1 to 65. */
static pith_status check_factors(const float *factors, size_t n, const char *name,
                                 const char *where, pith_error *error) {
    const double least = 1e-3;
    const double most = 1e6;
    for (size_t i = 0; i < n; i++) {
        if (!((double)factors[i] >= least && (double)factors[i] <= most)) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s[%zu] is %g, not in %g..%g", where,
                             name, i, (double)factors[i], least, most);
        }
    }
    return PITH_OK;
}

static pith_status check_longrope(const pith_config *c, const pith_rope_config *r,
                                  const char *where, pith_error *error) {
    size_t original = 0;
    pith_status status = check_positive(r->attention_factor, "rope_attention_factor", where, error);
    if (status == PITH_OK) {
        status = check_original_context(r, where, error);
    }
    /* A session has one list of factors, of its context. */
    if (status == PITH_OK && pith_config_has_longrope(c, &original) &&
        r->original_context != original) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: layers whose rope_original_context differs, %zu and %zu, are not "
                         "supported with longrope",
                         where, original, r->original_context);
    }
    if (status == PITH_OK) {
        status = check_factors(c->rope_factors.short_list, r->dims / 2, "rope_short_factors", where,
                               error);
    }
    return status == PITH_OK ? check_factors(c->rope_factors.long_list, r->dims / 2,
                                             "rope_long_factors", where, error)
                             : status;
}

/* Of layers without RoPE, too: the pass divides positions by the original context. */
static pith_status check_queries(const pith_rope_config *r, const char *where, pith_error *error) {
    if (r->query_beta == 0) {
        return PITH_OK;
    }
    pith_status status = check_positive(r->query_beta, "rope_query_beta", where, error);
    return status == PITH_OK ? check_original_context(r, where, error) : status;
}

static pith_status check_rope(const pith_config *c, const pith_rope_config *r, const char *where,
                              pith_error *error) {
    size_t head_dim = c->head_dim;
    if (r->dims % 2 != 0 || r->dims > head_dim) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: rope_dims is %zu, not an even number in 0..%zu", where, r->dims,
                         head_dim);
    }
    if (r->dims == 0) {
        return PITH_OK;
    }
    pith_status status = check_positive(r->theta, "rope_theta", where, error);
    if (status == PITH_OK && r->scaling != PITH_ROPE_NONE) {
        status = check_positive(r->factor, "rope_factor", where, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    switch (r->scaling) {
    case PITH_ROPE_NONE:
    case PITH_ROPE_LINEAR:
    case PITH_ROPE_DYNAMIC:
        return PITH_OK;
    case PITH_ROPE_BLEND:
        return check_llama3(r, where, error);
    case PITH_ROPE_YARN:
        return check_yarn(r, where, error);
    case PITH_ROPE_LONG:
        return check_longrope(c, r, where, error);
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: unknown rope_scaling", where);
}

static pith_status check_kinds(const pith_config *c, const char *where, pith_error *error) {
    const count n_kinds = {"number of layer kinds", c->n_kinds, 1, PITH_MAX_LAYER_KINDS};
    pith_status status = check_counts(&n_kinds, 1, where, error);
    for (size_t i = 0; status == PITH_OK && i < c->n_kinds; i++) {
        const count window = {"sliding_window", c->kinds[i].sliding_window, 0, PITH_MAX_POSITIONS};
        status = check_counts(&window, 1, where, error);
        if (status == PITH_OK) {
            status = check_rope(c, &c->kinds[i].rope, where, error);
        }
        if (status == PITH_OK) {
            status = check_queries(&c->kinds[i].rope, where, error);
        }
    }
    for (size_t i = 0; status == PITH_OK && i < c->num_hidden_layers; i++) {
        if (c->kind_of[i] >= c->n_kinds) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: layer %zu is of kind %u, there are %zu kinds", where, i,
                             c->kind_of[i], c->n_kinds);
        }
    }
    return status;
}

/* ---- Experts --------------------------------------------------------------------------------- */

static pith_status check_experts(const pith_config *c, const char *where, pith_error *error) {
    if (c->n_experts == 0) {
        return PITH_OK;
    }
    const count counts[] = {
        {"n_experts", c->n_experts, 1, PITH_MAX_EXPERTS},
        {"n_experts_used", c->n_experts_used, 1, PITH_MAX_EXPERTS_USED},
    };
    pith_status status = check_counts(counts, 2, where, error);
    if (status == PITH_OK && c->n_experts_used > c->n_experts) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: n_experts_used is %zu, more than n_experts, %zu", where,
                         c->n_experts_used, c->n_experts);
    }
    if (status == PITH_OK && c->n_experts * c->num_hidden_layers > PITH_MAX_ALL_EXPERTS) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: n_experts %zu in %zu layers are more than %d", where, c->n_experts,
                         c->num_hidden_layers, PITH_MAX_ALL_EXPERTS);
    }
    if (status == PITH_OK && !c->gated) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: experts without a gate are not supported", where);
    }
    return status;
}

/* ---- Roles ----------------------------------------------------------------------------------- */

static pith_status check_decoder(const pith_config *c, const char *where, pith_error *error) {
    pith_status status = check_decoder_counts(c, where, error);
    if (status == PITH_OK) {
        status = check_heads(c, where, error);
    }
    if (status == PITH_OK) {
        status = check_positive((double)c->norm_eps, "rms_norm_eps", where, error);
    }
    if (status == PITH_OK && c->norm_sums) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: norm_sums is not supported for a decoder", where);
    }
    if (status == PITH_OK && c->activation == PITH_CLAMPED_SWIGLU && !c->gated) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: activation clamped_swiglu without a gate",
                           where);
    }
    if (status == PITH_OK) {
        status = check_kinds(c, where, error);
    }
    if (status == PITH_OK) {
        status = check_experts(c, where, error);
    }
    return status == PITH_OK ? check_scalars(c, where, error) : status;
}

static bool has_growing_queries(const pith_config *c) {
    bool found = false;
    for (size_t i = 0; i < c->n_kinds; i++) {
        found = found || c->kinds[i].rope.query_beta != 0;
    }
    return found;
}

/* Steps that the encoder's pass, or its .pith file, does not have. Counts on checked kinds. */
static pith_status check_encoder_recipe(const pith_config *c, const char *where,
                                        pith_error *error) {
    size_t original;
    const struct {
        const char *name;
        bool other;
    } parts[] = {
        {"norm_type", c->norm_sums && c->norm_type != PITH_LAYER_NORM},
        {"qk_norm", c->qk_norm != PITH_QK_NORM_NONE && c->qk_norm != PITH_QK_NORM_HEAD},
        {"residual_scale", c->residual_scale != 1},
        {"attention_cap", c->attention_cap != 0},
        {"attention_sinks", c->attention_sinks},
        {"activation (clamped_swiglu)", c->activation == PITH_CLAMPED_SWIGLU},
        {"n_experts", c->n_experts != 0},
        {"rope_scaling (longrope)", pith_config_has_longrope(c, &original)},
        {"rope_query_beta", has_growing_queries(c)},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].other) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: this %s is not supported for an encoder", where, parts[i].name);
        }
    }
    return PITH_OK;
}

static pith_status check_encoder_heads(const pith_config *c, const char *where, pith_error *error) {
    if (c->head_dim == c->hidden_size / c->num_attention_heads &&
        c->hidden_size % c->num_attention_heads != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: hidden_size %zu is no multiple of num_attention_heads %zu", where,
                         c->hidden_size, c->num_attention_heads);
    }
    if (c->head_dim == 0 || c->head_dim > PITH_MAX_HEAD_DIM) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: heads of %zu elements, the limit is %d",
                         where, c->head_dim, PITH_MAX_HEAD_DIM);
    }
    return check_groups(c, where, error);
}

/* Positions and distances. The last bucket begins at relative_distance, those of single distances
 * end at a quarter of all. */
static pith_status check_positions(const pith_config *c, const char *where, pith_error *error) {
    const count counts[] = {
        {"position_offset", c->position_offset, 0,
         c->max_position_embeddings - PITH_MIN_SEQ_LENGTH},
        {"max_seq_length", c->max_seq_length, PITH_MIN_SEQ_LENGTH, pith_config_positions(c)},
        {"relative_buckets", c->relative_buckets, 0, PITH_MAX_BUCKETS},
        {"relative_distance", c->relative_distance,
         c->relative_buckets != 0 ? c->relative_buckets / 4 + 1 : 0, PITH_MAX_POSITIONS},
    };
    if (c->relative_buckets % 4 != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: relative_buckets is %zu, no multiple of 4", where,
                         c->relative_buckets);
    }
    return check_counts(counts, sizeof counts / sizeof *counts, where, error);
}

static pith_status check_dense(const pith_config *c, const char *where, pith_error *error) {
    for (size_t i = 0; i < PITH_MAX_DENSE; i++) {
        bool beyond = i > 0 && c->dense[i - 1].width == 0;
        const count width = {"width of a dense layer", c->dense[i].width, 0,
                             beyond ? 0 : PITH_MAX_WIDTH};
        pith_status status = check_counts(&width, 1, where, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    if (c->scores && (c->dense[0].width == 0 || pith_config_embedding_size(c) != 1)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: scores asks for a last layer of width 1",
                         where);
    }
    return PITH_OK;
}

static pith_status check_encoder(const pith_config *c, const char *where, pith_error *error) {
    static pith_status (*const checks[])(const pith_config *c, const char *where,
                                         pith_error *error) = {
        check_encoder_counts, check_encoder_heads,  check_even,    check_positions,
        check_kinds,          check_encoder_recipe, check_scalars, check_dense,
    };
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof checks / sizeof checks[0]; i++) {
        status = checks[i](c, where, error);
    }
    if (status == PITH_OK) {
        status = check_positive((double)c->norm_eps, "layer_norm_eps", where, error);
    }
    if (status == PITH_OK && (unsigned)c->pooling >= PITH_N_POOLINGS) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: unknown pooling", where);
    }
    return status;
}

pith_status pith_config_check(const pith_config *config, const char *where, pith_error *error) {
    return config->role == PITH_ENCODER ? check_encoder(config, where, error)
                                        : check_decoder(config, where, error);
}

bool pith_config_has_longrope(const pith_config *config, size_t *original) {
    for (size_t i = 0; i < config->n_kinds; i++) {
        const pith_rope_config *rope = &config->kinds[i].rope;
        if (rope->scaling == PITH_ROPE_LONG && rope->dims != 0) {
            *original = rope->original_context;
            return true;
        }
    }
    return false;
}

void pith_config_set_encoder_heads(pith_config *config) {
    size_t heads = config->num_attention_heads;
    config->num_key_value_heads = heads;
    config->head_dim = heads > 0 ? config->hidden_size / heads : 0;
}

void pith_config_set_decoder_block(pith_config *config) {
    config->norm_type = PITH_RMS_NORM;
    config->norm_sums = false;
    config->activation = PITH_SILU;
    config->gated = true;
    config->mlp_bias = false;
    config->no_positions = true;
}

size_t pith_config_positions(const pith_config *config) {
    size_t offset = config->position_offset;
    return config->max_position_embeddings > offset ? config->max_position_embeddings - offset : 0;
}

size_t pith_config_embedding_size(const pith_config *config) {
    size_t size = config->hidden_size;
    for (size_t i = 0; i < PITH_MAX_DENSE && config->dense[i].width != 0; i++) {
        size = config->dense[i].width;
    }
    return size;
}

/* ---- Layouts --------------------------------------------------------------------------------- */

static size_t padded(size_t rows) {
    return pith_round_up(rows, PITH_TILE_ROWS);
}

pith_qkv_layout pith_config_qkv_layout(const pith_config *config) {
    pith_qkv_layout layout = {
        .q_rows = config->num_attention_heads * config->head_dim,
        .k_rows = config->num_key_value_heads * config->head_dim,
        .v_rows = config->num_key_value_heads * config->head_dim,
    };
    layout.k_begin = padded(layout.q_rows);
    layout.v_begin = layout.k_begin + padded(layout.k_rows);
    layout.total_rows = layout.v_begin + padded(layout.v_rows);
    return layout;
}

size_t pith_config_gate_up_rows(const pith_config *config) {
    return (config->gated ? 2 : 1) * padded(config->intermediate_size);
}
