/* The shape of a Llama-family decoder: the one table of tensor names and shapes that everything
 * else derives from. */
#include "weights/llama.h"

#include "base/checked.h"
#include "simd/blocks.h"

#include <stdio.h>

static size_t padded(size_t rows) {
    return pith_round_up(rows, PITH_TILE_ROWS);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

size_t pith_llama_n_params(const pith_config *c) {
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
static bool part_shape(const pith_config *c, pith_llama_part part, pith_slot *out) {
    size_t hidden = c->hidden_size;
    pith_qkv_layout qkv = pith_config_qkv_layout(c);
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
        out->rows = pith_config_gate_up_rows(c);
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

bool pith_llama_slot_of(const pith_config *config, pith_llama_part part, size_t layer,
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

pith_matrix *pith_llama_matrix(pith_network *llama, pith_llama_part part, size_t layer) {
    switch (part) {
    case PITH_LLAMA_EMBED:
        return &llama->embed;
    case PITH_LLAMA_HEAD:
        return &llama->head;
    case PITH_LLAMA_QKV:
        return &llama->layers[layer].qkv.matrix;
    case PITH_LLAMA_O:
        return &llama->layers[layer].o.matrix;
    case PITH_LLAMA_GATE_UP:
        return &llama->layers[layer].gate_up.matrix;
    case PITH_LLAMA_DOWN:
        return &llama->layers[layer].down.matrix;
    default:
        return NULL;
    }
}

const float **pith_llama_vector(pith_network *llama, pith_llama_part part, size_t layer) {
    switch (part) {
    case PITH_LLAMA_NORM:
        return &llama->norm.weight;
    case PITH_LLAMA_INPUT_NORM:
        return &llama->layers[layer].before_attention.weight;
    case PITH_LLAMA_QKV_BIAS:
        return &llama->layers[layer].qkv.bias;
    case PITH_LLAMA_O_BIAS:
        return &llama->layers[layer].o.bias;
    case PITH_LLAMA_POST_ATTN_NORM:
        return &llama->layers[layer].before_mlp.weight;
    case PITH_LLAMA_GATE_UP_BIAS:
        return &llama->layers[layer].gate_up.bias;
    case PITH_LLAMA_DOWN_BIAS:
        return &llama->layers[layer].down.bias;
    default:
        return NULL;
    }
}
