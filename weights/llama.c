/* The shape of a Llama-family decoder: limits of its hyper-parameters, the joined matrices' row
 * layout, and the one table of tensor names and shapes that everything else derives from. */
#include "weights/llama.h"

#include "base/checked.h"
#include "base/status.h"
#include "simd/blocks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t padded(size_t rows) {
    return pith_round_up(rows, PITH_TILE_ROWS);
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static pith_status check_counts(const pith_llama_config *c, const char *where, pith_error *error) {
    const struct {
        const char *name;
        size_t value, least, most;
    } counts[] = {
        {"vocab_size", c->vocab_size, 1, PITH_LLAMA_MAX_VOCAB},
        {"hidden_size", c->hidden_size, 1, PITH_LLAMA_MAX_WIDTH},
        {"intermediate_size", c->intermediate_size, 1, PITH_LLAMA_MAX_WIDTH},
        {"num_hidden_layers", c->num_hidden_layers, 1, PITH_LLAMA_MAX_LAYERS},
        {"num_attention_heads", c->num_attention_heads, 1, PITH_LLAMA_MAX_HEADS},
        {"num_key_value_heads", c->num_key_value_heads, 1, PITH_LLAMA_MAX_HEADS},
        {"head_dim", c->head_dim, 1, PITH_LLAMA_MAX_HEAD_DIM},
        {"max_position_embeddings", c->max_position_embeddings, 1, PITH_LLAMA_MAX_POSITIONS},
        {"sliding_window", c->sliding_window, 0, PITH_LLAMA_MAX_POSITIONS},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (counts[i].value < counts[i].least || counts[i].value > counts[i].most) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %zu, not in %zu..%zu", where,
                             counts[i].name, counts[i].value, counts[i].least, counts[i].most);
        }
    }
    return PITH_OK;
}

static pith_status check_relations(const pith_llama_config *c, const char *where,
                                   pith_error *error) {
    if (c->num_attention_heads % c->num_key_value_heads != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: num_attention_heads %zu is no multiple of num_key_value_heads %zu",
                         where, c->num_attention_heads, c->num_key_value_heads);
    }
    if (c->head_dim % 2 != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: head_dim %zu is odd", where, c->head_dim);
    }
    if (c->num_attention_heads * c->head_dim > PITH_LLAMA_MAX_WIDTH) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: num_attention_heads %zu x head_dim %zu exceeds %d", where,
                         c->num_attention_heads, c->head_dim, PITH_LLAMA_MAX_WIDTH);
    }
    if (c->hidden_size % 2 != 0 || c->intermediate_size % 2 != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: odd hidden_size %zu or intermediate_size %zu is not supported", where,
                         c->hidden_size, c->intermediate_size);
    }
    return PITH_OK;
}

static pith_status check_positive(double value, const char *name, const char *where,
                                  pith_error *error) {
    if (!isfinite(value) || value <= 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %g, not positive and finite", where,
                         name, value);
    }
    return PITH_OK;
}

static pith_status check_original_context(const pith_llama_config *c, const char *where,
                                          pith_error *error) {
    if (c->rope_original_context == 0 || c->rope_original_context > PITH_LLAMA_MAX_POSITIONS) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: rope_original_context is %zu, not in 1..%d",
                         where, c->rope_original_context, PITH_LLAMA_MAX_POSITIONS);
    }
    return PITH_OK;
}

static pith_status check_llama3(const pith_llama_config *c, const char *where, pith_error *error) {
    pith_status status =
        check_positive(c->rope_low_freq_factor, "rope_low_freq_factor", where, error);
    if (status != PITH_OK) {
        return status;
    }
    /* The ramp between the two divides by their difference. */
    if (!isfinite(c->rope_high_freq_factor) ||
        c->rope_high_freq_factor <= c->rope_low_freq_factor) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: rope_high_freq_factor %g is not above rope_low_freq_factor %g", where,
                         c->rope_high_freq_factor, c->rope_low_freq_factor);
    }
    return check_original_context(c, where, error);
}

static pith_status check_yarn(const pith_llama_config *c, const char *where, pith_error *error) {
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"rope_attention_factor", c->rope_attention_factor},
        {"rope_beta_fast", c->rope_beta_fast},
        {"rope_beta_slow", c->rope_beta_slow},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        pith_status status = check_positive(numbers[i].value, numbers[i].name, where, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    /* The dimensions are found by logarithms to this base. */
    if (c->rope_theta <= 1) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: rope_theta is %g, yarn asks for more than 1", where, c->rope_theta);
    }
    return check_original_context(c, where, error);
}

static pith_status check_rope(const pith_llama_config *c, const char *where, pith_error *error) {
    pith_status status = check_positive(c->rope_theta, "rope_theta", where, error);
    if (status == PITH_OK && c->rope_scaling != PITH_ROPE_NONE) {
        status = check_positive(c->rope_factor, "rope_factor", where, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    switch (c->rope_scaling) {
    case PITH_ROPE_NONE:
    case PITH_ROPE_LINEAR:
    case PITH_ROPE_DYNAMIC:
        return PITH_OK;
    case PITH_ROPE_LLAMA3:
        return check_llama3(c, where, error);
    case PITH_ROPE_YARN:
        return check_yarn(c, where, error);
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: unknown rope_scaling", where);
}

pith_status pith_llama_config_check(const pith_llama_config *config, const char *where,
                                    pith_error *error) {
    pith_status status = check_counts(config, where, error);
    if (status == PITH_OK) {
        status = check_relations(config, where, error);
    }
    if (status == PITH_OK) {
        status = check_positive((double)config->rms_norm_eps, "rms_norm_eps", where, error);
    }
    if (status == PITH_OK) {
        status = check_rope(config, where, error);
    }
    return status;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

pith_qkv_layout pith_llama_qkv_layout(const pith_llama_config *config) {
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

size_t pith_llama_gate_up_rows(const pith_llama_config *config) {
    return 2 * padded(config->intermediate_size);
}

size_t pith_llama_n_params(const pith_llama_config *c) {
    size_t hidden = c->hidden_size;
    size_t inter = c->intermediate_size;
    size_t q = c->num_attention_heads * c->head_dim;
    size_t qkv = q + 2 * c->num_key_value_heads * c->head_dim;
    size_t layer = 2 * hidden + qkv * hidden + hidden * q + 3 * hidden * inter;
    if (c->qkv_bias) {
        layer += qkv;
    }
    if (c->o_bias) {
        layer += hidden;
    }
    if (c->mlp_bias) {
        layer += 2 * inter + hidden;
    }
    size_t ends = c->vocab_size * hidden * (c->tie_word_embeddings ? 1 : 2) + hidden;
    return ends + c->num_hidden_layers * layer;
}

/* Names as in Hugging Face checkpoints, with q, k, v and gate, up joined. */
static const char *const part_names[PITH_LLAMA_N_PARTS] = {
    [PITH_LLAMA_EMBED] = "model.embed_tokens.weight",
    [PITH_LLAMA_HEAD] = "lm_head.weight",
    [PITH_LLAMA_NORM] = "model.norm.weight",
    [PITH_LLAMA_INPUT_NORM] = "input_layernorm.weight",
    [PITH_LLAMA_QKV] = "self_attn.qkv_proj.weight",
    [PITH_LLAMA_QKV_BIAS] = "self_attn.qkv_proj.bias",
    [PITH_LLAMA_O] = "self_attn.o_proj.weight",
    [PITH_LLAMA_O_BIAS] = "self_attn.o_proj.bias",
    [PITH_LLAMA_POST_ATTN_NORM] = "post_attention_layernorm.weight",
    [PITH_LLAMA_GATE_UP] = "mlp.gate_up_proj.weight",
    [PITH_LLAMA_GATE_UP_BIAS] = "mlp.gate_up_proj.bias",
    [PITH_LLAMA_DOWN] = "mlp.down_proj.weight",
    [PITH_LLAMA_DOWN_BIAS] = "mlp.down_proj.bias",
};

static bool in_layer(pith_llama_part part) {
    return part >= PITH_LLAMA_INPUT_NORM;
}

/* Rows, real and padded, and columns of a part; 0 columns: a vector; false: the model has no such
 * tensor. */
static bool part_shape(const pith_llama_config *c, pith_llama_part part, pith_slot *out) {
    size_t hidden = c->hidden_size;
    pith_qkv_layout qkv = pith_llama_qkv_layout(c);
    out->cols = 0;
    switch (part) {
    case PITH_LLAMA_EMBED:
    case PITH_LLAMA_HEAD:
        out->real_rows = c->vocab_size;
        out->rows = padded(c->vocab_size);
        out->cols = hidden;
        return part == PITH_LLAMA_EMBED || !c->tie_word_embeddings;
    case PITH_LLAMA_NORM:
    case PITH_LLAMA_INPUT_NORM:
    case PITH_LLAMA_POST_ATTN_NORM:
        out->rows = out->real_rows = hidden;
        return true;
    case PITH_LLAMA_QKV:
    case PITH_LLAMA_QKV_BIAS:
        out->real_rows = qkv.q_rows + qkv.k_rows + qkv.v_rows;
        out->rows = qkv.total_rows;
        out->cols = part == PITH_LLAMA_QKV ? hidden : 0;
        return part == PITH_LLAMA_QKV || c->qkv_bias;
    case PITH_LLAMA_O:
    case PITH_LLAMA_O_BIAS:
        out->real_rows = hidden;
        out->rows = padded(hidden);
        out->cols = part == PITH_LLAMA_O ? c->num_attention_heads * c->head_dim : 0;
        return part == PITH_LLAMA_O || c->o_bias;
    case PITH_LLAMA_GATE_UP:
    case PITH_LLAMA_GATE_UP_BIAS:
        out->real_rows = 2 * c->intermediate_size;
        out->rows = pith_llama_gate_up_rows(c);
        out->cols = part == PITH_LLAMA_GATE_UP ? hidden : 0;
        return part == PITH_LLAMA_GATE_UP || c->mlp_bias;
    case PITH_LLAMA_DOWN:
    case PITH_LLAMA_DOWN_BIAS:
        out->real_rows = hidden;
        out->rows = padded(hidden);
        out->cols = part == PITH_LLAMA_DOWN ? c->intermediate_size : 0;
        return part == PITH_LLAMA_DOWN || c->mlp_bias;
    case PITH_LLAMA_N_PARTS:
        break;
    }
    return false;
}

bool pith_llama_slot_of(const pith_llama_config *config, pith_llama_part part, size_t layer,
                        pith_slot *out) {
    pith_slot slot;
    if ((unsigned)part >= PITH_LLAMA_N_PARTS ||
        layer >= (in_layer(part) ? config->num_hidden_layers : 1) ||
        !part_shape(config, part, &slot)) {
        return false;
    }
    if (in_layer(part)) {
        snprintf(slot.name, sizeof slot.name, "model.layers.%zu.%s", layer, part_names[part]);
    } else {
        snprintf(slot.name, sizeof slot.name, "%s", part_names[part]);
    }
    slot.is_matrix = slot.cols != 0;
    slot.kind = !slot.is_matrix                                       ? PITH_SLOT_VECTOR
                : part == PITH_LLAMA_EMBED || part == PITH_LLAMA_HEAD ? PITH_SLOT_HEAD
                                                                      : PITH_SLOT_LINEAR;
    slot.cols = slot.is_matrix ? slot.cols : 1;
    *out = slot;
    return true;
}

/* ---- Places ---------------------------------------------------------------------------------- */

pith_matrix *pith_llama_matrix(pith_llama *llama, pith_llama_part part, size_t layer) {
    switch (part) {
    case PITH_LLAMA_EMBED:
        return &llama->embed;
    case PITH_LLAMA_HEAD:
        return &llama->head;
    case PITH_LLAMA_QKV:
        return &llama->layers[layer].qkv;
    case PITH_LLAMA_O:
        return &llama->layers[layer].o;
    case PITH_LLAMA_GATE_UP:
        return &llama->layers[layer].gate_up;
    case PITH_LLAMA_DOWN:
        return &llama->layers[layer].down;
    default:
        return NULL;
    }
}

const float **pith_llama_vector(pith_llama *llama, pith_llama_part part, size_t layer) {
    switch (part) {
    case PITH_LLAMA_NORM:
        return &llama->norm;
    case PITH_LLAMA_INPUT_NORM:
        return &llama->layers[layer].input_norm;
    case PITH_LLAMA_QKV_BIAS:
        return &llama->layers[layer].qkv_bias;
    case PITH_LLAMA_O_BIAS:
        return &llama->layers[layer].o_bias;
    case PITH_LLAMA_POST_ATTN_NORM:
        return &llama->layers[layer].post_attn_norm;
    case PITH_LLAMA_GATE_UP_BIAS:
        return &llama->layers[layer].gate_up_bias;
    case PITH_LLAMA_DOWN_BIAS:
        return &llama->layers[layer].down_bias;
    default:
        return NULL;
    }
}
