/* The shape of a BERT encoder: the one table of tensor names and shapes that everything else
 * derives from. */
#include "weights/bert.h"

#include "base/checked.h"
#include "simd/blocks.h"

#include <stdio.h>

static size_t padded(size_t rows) {
    return pith_round_up(rows, PITH_TILE_ROWS);
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

size_t pith_bert_n_params(const pith_config *c) {
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
static size_t part_rows(const pith_config *c, pith_bert_part part) {
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

bool pith_bert_slot_of(const pith_config *config, pith_bert_part part, size_t layer,
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
        slot.rows = pith_config_qkv_layout(config).total_rows;
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

pith_slot_place pith_bert_place(pith_network *bert, pith_bert_part part, size_t layer) {
    pith_layer *l = in_layer(part) ? &bert->layers[layer] : NULL;
    switch (part) {
    case PITH_BERT_WORD_EMBED:
        return (pith_slot_place){.matrix = &bert->embed};
    case PITH_BERT_POSITION_EMBED:
        return (pith_slot_place){.matrix = &bert->position_embed};
    case PITH_BERT_TYPE_EMBED:
        return (pith_slot_place){.matrix = &bert->type_embed};
    case PITH_BERT_NORM_WEIGHT:
        return (pith_slot_place){.vector = &bert->embed_norm.weight};
    case PITH_BERT_NORM_BIAS:
        return (pith_slot_place){.vector = &bert->embed_norm.bias};
    case PITH_BERT_QKV:
        return (pith_slot_place){.matrix = &l->qkv.matrix};
    case PITH_BERT_QKV_BIAS:
        return (pith_slot_place){.vector = &l->qkv.bias};
    case PITH_BERT_ATTENTION:
        return (pith_slot_place){.matrix = &l->o.matrix};
    case PITH_BERT_ATTENTION_BIAS:
        return (pith_slot_place){.vector = &l->o.bias};
    case PITH_BERT_ATTENTION_NORM_WEIGHT:
        return (pith_slot_place){.vector = &l->after_attention.weight};
    case PITH_BERT_ATTENTION_NORM_BIAS:
        return (pith_slot_place){.vector = &l->after_attention.bias};
    case PITH_BERT_UP:
        return (pith_slot_place){.matrix = &l->gate_up.matrix};
    case PITH_BERT_UP_BIAS:
        return (pith_slot_place){.vector = &l->gate_up.bias};
    case PITH_BERT_DOWN:
        return (pith_slot_place){.matrix = &l->down.matrix};
    case PITH_BERT_DOWN_BIAS:
        return (pith_slot_place){.vector = &l->down.bias};
    case PITH_BERT_OUTPUT_NORM_WEIGHT:
        return (pith_slot_place){.vector = &l->after_mlp.weight};
    case PITH_BERT_OUTPUT_NORM_BIAS:
        return (pith_slot_place){.vector = &l->after_mlp.bias};
    case PITH_BERT_N_PARTS:
        break;
    }
    return (pith_slot_place){NULL, NULL};
}
