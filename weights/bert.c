/* The shape of a BERT encoder: limits of its hyper-parameters, the joined qkv matrix's row layout,
 * and the one table of tensor names and shapes that everything else derives from. */
#include "weights/bert.h"

#include "base/checked.h"
#include "base/status.h"
#include "simd/blocks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t padded(size_t rows) {
    return pith_round_up(rows, PITH_TILE_ROWS);
}

/* ---- Pooling --------------------------------------------------------------------------------- */

static const char *const pooling_names[PITH_N_POOLINGS] = {
    [PITH_POOLING_MEAN] = "mean",
    [PITH_POOLING_CLS] = "cls",
    [PITH_POOLING_MAX] = "max",
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

/* ---- Checks ---------------------------------------------------------------------------------- */

static pith_status check_counts(const pith_bert_config *c, const char *where, pith_error *error) {
    const struct {
        const char *name;
        size_t value, least, most;
    } counts[] = {
        {"vocab_size", c->vocab_size, 1, PITH_BERT_MAX_VOCAB},
        {"hidden_size", c->hidden_size, 1, PITH_BERT_MAX_WIDTH},
        {"intermediate_size", c->intermediate_size, 1, PITH_BERT_MAX_WIDTH},
        {"num_hidden_layers", c->num_hidden_layers, 1, PITH_BERT_MAX_LAYERS},
        {"num_attention_heads", c->num_attention_heads, 1, PITH_BERT_MAX_HEADS},
        {"max_position_embeddings", c->max_position_embeddings, PITH_BERT_LEAST_TOKENS,
         PITH_BERT_MAX_POSITIONS},
        {"type_vocab_size", c->type_vocab_size, 1, PITH_BERT_MAX_TYPES},
        {"max_seq_length", c->max_seq_length, PITH_BERT_LEAST_TOKENS, c->max_position_embeddings},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (counts[i].value < counts[i].least || counts[i].value > counts[i].most) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %zu, not in %zu..%zu", where,
                             counts[i].name, counts[i].value, counts[i].least, counts[i].most);
        }
    }
    return PITH_OK;
}

pith_status pith_bert_config_check(const pith_bert_config *config, const char *where,
                                   pith_error *error) {
    pith_status status = check_counts(config, where, error);
    if (status != PITH_OK) {
        return status;
    }
    if (config->hidden_size % config->num_attention_heads != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: hidden_size %zu is no multiple of num_attention_heads %zu", where,
                         config->hidden_size, config->num_attention_heads);
    }
    size_t head_dim = config->hidden_size / config->num_attention_heads;
    if (head_dim > PITH_BERT_MAX_HEAD_DIM) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: heads of %zu elements, the limit is %d",
                         where, head_dim, PITH_BERT_MAX_HEAD_DIM);
    }
    if (config->hidden_size % 2 != 0 || config->intermediate_size % 2 != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: odd hidden_size %zu or intermediate_size %zu is not supported", where,
                         config->hidden_size, config->intermediate_size);
    }
    if (!isfinite(config->layer_norm_eps) || config->layer_norm_eps <= 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: layer_norm_eps is %g, not positive and finite", where,
                         (double)config->layer_norm_eps);
    }
    if ((unsigned)config->pooling >= PITH_N_POOLINGS) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: unknown pooling", where);
    }
    return PITH_OK;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

pith_bert_qkv_layout pith_bert_qkv_layout_of(const pith_bert_config *config) {
    size_t block = padded(config->hidden_size);
    return (pith_bert_qkv_layout){
        .k_begin = block,
        .v_begin = 2 * block,
        .total_rows = 3 * block,
    };
}

size_t pith_bert_n_params(const pith_bert_config *c) {
    size_t hidden = c->hidden_size;
    size_t inter = c->intermediate_size;
    size_t attention = 4 * (hidden * hidden + hidden) + 2 * hidden;
    size_t mlp = 2 * hidden * inter + inter + hidden + 2 * hidden;
    size_t embeddings = c->vocab_size + c->max_position_embeddings + c->type_vocab_size;
    return embeddings * hidden + 2 * hidden + c->num_hidden_layers * (attention + mlp);
}

/* Names as in Hugging Face checkpoints, with q, k, v joined. */
static const struct {
    const char *name;
    pith_slot_kind kind;
} parts[PITH_BERT_N_PARTS] = {
    [PITH_BERT_WORD_EMBED] = {"embeddings.word_embeddings.weight", PITH_SLOT_HEAD},
    [PITH_BERT_POSITION_EMBED] = {"embeddings.position_embeddings.weight", PITH_SLOT_TABLE},
    [PITH_BERT_TYPE_EMBED] = {"embeddings.token_type_embeddings.weight", PITH_SLOT_TABLE},
    [PITH_BERT_NORM_WEIGHT] = {"embeddings.LayerNorm.weight", PITH_SLOT_VECTOR},
    [PITH_BERT_NORM_BIAS] = {"embeddings.LayerNorm.bias", PITH_SLOT_VECTOR},
    [PITH_BERT_QKV] = {"attention.self.qkv.weight", PITH_SLOT_LINEAR},
    [PITH_BERT_QKV_BIAS] = {"attention.self.qkv.bias", PITH_SLOT_VECTOR},
    [PITH_BERT_ATTENTION] = {"attention.output.dense.weight", PITH_SLOT_LINEAR},
    [PITH_BERT_ATTENTION_BIAS] = {"attention.output.dense.bias", PITH_SLOT_VECTOR},
    [PITH_BERT_ATTENTION_NORM_WEIGHT] = {"attention.output.LayerNorm.weight", PITH_SLOT_VECTOR},
    [PITH_BERT_ATTENTION_NORM_BIAS] = {"attention.output.LayerNorm.bias", PITH_SLOT_VECTOR},
    [PITH_BERT_UP] = {"intermediate.dense.weight", PITH_SLOT_LINEAR},
    [PITH_BERT_UP_BIAS] = {"intermediate.dense.bias", PITH_SLOT_VECTOR},
    [PITH_BERT_DOWN] = {"output.dense.weight", PITH_SLOT_LINEAR},
    [PITH_BERT_DOWN_BIAS] = {"output.dense.bias", PITH_SLOT_VECTOR},
    [PITH_BERT_OUTPUT_NORM_WEIGHT] = {"output.LayerNorm.weight", PITH_SLOT_VECTOR},
    [PITH_BERT_OUTPUT_NORM_BIAS] = {"output.LayerNorm.bias", PITH_SLOT_VECTOR},
};

static bool in_layer(pith_bert_part part) {
    return part >= PITH_BERT_QKV;
}

/* Real rows of a part. Columns are hidden_size for all matrices but one. */
static size_t part_rows(const pith_bert_config *c, pith_bert_part part) {
    switch (part) {
    case PITH_BERT_WORD_EMBED:
        return c->vocab_size;
    case PITH_BERT_POSITION_EMBED:
        return c->max_position_embeddings;
    case PITH_BERT_TYPE_EMBED:
        return c->type_vocab_size;
    case PITH_BERT_QKV:
    case PITH_BERT_QKV_BIAS:
        return 3 * c->hidden_size;
    case PITH_BERT_UP:
    case PITH_BERT_UP_BIAS:
        return c->intermediate_size;
    default:
        return c->hidden_size;
    }
}

/* Vectors of a norm are not padded: they are no rows of a product. */
static bool is_norm(pith_bert_part part) {
    switch (part) {
    case PITH_BERT_NORM_WEIGHT:
    case PITH_BERT_NORM_BIAS:
    case PITH_BERT_ATTENTION_NORM_WEIGHT:
    case PITH_BERT_ATTENTION_NORM_BIAS:
    case PITH_BERT_OUTPUT_NORM_WEIGHT:
    case PITH_BERT_OUTPUT_NORM_BIAS:
        return true;
    default:
        return false;
    }
}

bool pith_bert_slot_of(const pith_bert_config *config, pith_bert_part part, size_t layer,
                       pith_slot *out) {
    if ((unsigned)part >= PITH_BERT_N_PARTS ||
        layer >= (in_layer(part) ? config->num_hidden_layers : 1)) {
        return false;
    }
    pith_slot slot = {
        .kind = parts[part].kind,
        .is_matrix = parts[part].kind != PITH_SLOT_VECTOR,
        .real_rows = part_rows(config, part),
        .cols = 1,
    };
    if (slot.is_matrix) {
        slot.cols = part == PITH_BERT_DOWN ? config->intermediate_size : config->hidden_size;
    }
    slot.rows = is_norm(part) ? slot.real_rows : padded(slot.real_rows);
    if (part == PITH_BERT_QKV || part == PITH_BERT_QKV_BIAS) {
        slot.rows = pith_bert_qkv_layout_of(config).total_rows;
    }
    if (in_layer(part)) {
        snprintf(slot.name, sizeof slot.name, "encoder.layer.%zu.%s", layer, parts[part].name);
    } else {
        snprintf(slot.name, sizeof slot.name, "%s", parts[part].name);
    }
    *out = slot;
    return true;
}

/* ---- Places ---------------------------------------------------------------------------------- */

pith_slot_place pith_bert_place(pith_bert *bert, pith_bert_part part, size_t layer) {
    pith_bert_layer *l = in_layer(part) ? &bert->layers[layer] : NULL;
    switch (part) {
    case PITH_BERT_WORD_EMBED:
        return (pith_slot_place){.matrix = &bert->word_embed};
    case PITH_BERT_POSITION_EMBED:
        return (pith_slot_place){.matrix = &bert->position_embed};
    case PITH_BERT_TYPE_EMBED:
        return (pith_slot_place){.matrix = &bert->type_embed};
    case PITH_BERT_NORM_WEIGHT:
        return (pith_slot_place){.vector = &bert->norm_weight};
    case PITH_BERT_NORM_BIAS:
        return (pith_slot_place){.vector = &bert->norm_bias};
    case PITH_BERT_QKV:
        return (pith_slot_place){.matrix = &l->qkv};
    case PITH_BERT_QKV_BIAS:
        return (pith_slot_place){.vector = &l->qkv_bias};
    case PITH_BERT_ATTENTION:
        return (pith_slot_place){.matrix = &l->attention};
    case PITH_BERT_ATTENTION_BIAS:
        return (pith_slot_place){.vector = &l->attention_bias};
    case PITH_BERT_ATTENTION_NORM_WEIGHT:
        return (pith_slot_place){.vector = &l->attention_norm_weight};
    case PITH_BERT_ATTENTION_NORM_BIAS:
        return (pith_slot_place){.vector = &l->attention_norm_bias};
    case PITH_BERT_UP:
        return (pith_slot_place){.matrix = &l->up};
    case PITH_BERT_UP_BIAS:
        return (pith_slot_place){.vector = &l->up_bias};
    case PITH_BERT_DOWN:
        return (pith_slot_place){.matrix = &l->down};
    case PITH_BERT_DOWN_BIAS:
        return (pith_slot_place){.vector = &l->down_bias};
    case PITH_BERT_OUTPUT_NORM_WEIGHT:
        return (pith_slot_place){.vector = &l->output_norm_weight};
    case PITH_BERT_OUTPUT_NORM_BIAS:
        return (pith_slot_place){.vector = &l->output_norm_bias};
    case PITH_BERT_N_PARTS:
        break;
    }
    return (pith_slot_place){NULL, NULL};
}
