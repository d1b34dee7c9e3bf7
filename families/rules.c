/* Shapes and places of tensors by their rules. */
#include "families/rules.h"

#include "base/checked.h"
#include "simd/blocks.h"

#include <stdio.h>
#include <string.h>

unsigned pith_config_parts(const pith_config *c) {
    return (c->tie_word_embeddings ? 0U : PITH_HAS_HEAD) | (c->qkv_bias ? PITH_HAS_QKV_BIAS : 0U) |
           (c->o_bias ? PITH_HAS_O_BIAS : 0U) | (c->mlp_bias ? PITH_HAS_MLP_BIAS : 0U) |
           (c->qk_norm != PITH_QK_NORM_NONE ? PITH_HAS_QK_NORM : 0U) |
           (c->type_vocab_size != 0 ? PITH_HAS_TYPES : 0U) |
           (c->n_experts != 0 ? PITH_HAS_EXPERTS : 0U) |
           (c->attention_sinks ? PITH_HAS_SINKS : 0U) |
           (c->role == PITH_ENCODER && !c->no_positions ? PITH_HAS_POSITIONS : 0U) |
           (c->relative_buckets != 0 ? PITH_HAS_RELATIVE : 0U) |
           (c->dense[0].width != 0 ? PITH_HAS_DENSE_0 : 0U) |
           (c->dense[1].width != 0 ? PITH_HAS_DENSE_1 : 0U);
}

bool pith_rule_applies(const pith_rule *rule, const pith_config *config) {
    return (rule->needs & ~pith_config_parts(config)) == 0;
}

/* Without padding. */
static size_t real_extent(pith_extent extent, const pith_config *c) {
    const pith_qkv_layout qkv = pith_config_qkv_layout(c);
    bool whole = c->qk_norm == PITH_QK_NORM_WHOLE;
    switch (extent) {
    case PITH_EXTENT_ONE:
        return 1;
    case PITH_EXTENT_VOCAB:
        return c->vocab_size;
    case PITH_EXTENT_POSITIONS:
        return c->max_position_embeddings;
    case PITH_EXTENT_TYPES:
        return c->type_vocab_size;
    case PITH_EXTENT_HIDDEN:
        return c->hidden_size;
    case PITH_EXTENT_INTERMEDIATE:
        return c->intermediate_size;
    case PITH_EXTENT_HEADS:
        return qkv.q_rows;
    case PITH_EXTENT_QKV:
        return qkv.q_rows + qkv.k_rows + qkv.v_rows;
    case PITH_EXTENT_GATE_UP:
        return c->gated ? 2 * c->intermediate_size : c->intermediate_size;
    case PITH_EXTENT_Q_NORM:
        return whole ? qkv.q_rows : c->head_dim;
    case PITH_EXTENT_K_NORM:
        return whole ? qkv.k_rows : c->head_dim;
    case PITH_EXTENT_EXPERTS:
        return c->n_experts;
    case PITH_EXTENT_BUCKETS:
        return c->relative_buckets;
    case PITH_EXTENT_N_HEADS:
        return c->num_attention_heads;
    case PITH_EXTENT_DENSE_0:
        return c->dense[0].width;
    case PITH_EXTENT_DENSE_1:
        return c->dense[1].width;
    case PITH_N_EXTENTS:
        break;
    }
    return 0;
}

static size_t padded_extent(pith_extent extent, const pith_config *c) {
    switch (extent) {
    case PITH_EXTENT_QKV:
        return pith_config_qkv_layout(c).total_rows;
    case PITH_EXTENT_GATE_UP:
        return pith_config_gate_up_rows(c);
    default:
        return pith_round_up(real_extent(extent, c), PITH_TILE_ROWS);
    }
}

void pith_rule_shape(const pith_rule *rule, const pith_config *config, pith_slot *out) {
    /* Norms and numbers are no rows of a product: they are not padded. */
    bool is_alone = rule->kind == PITH_KIND_NORM || rule->kind == PITH_KIND_NORM_BIAS ||
                    rule->kind == PITH_KIND_SCALARS;
    size_t real_rows = real_extent(rule->rows, config);
    *out = (pith_slot){
        .is_matrix = !is_alone && rule->kind != PITH_KIND_BIAS,
        .kind = rule->kind,
        .rows = is_alone ? real_rows : padded_extent(rule->rows, config),
        .real_rows = real_rows,
        .cols = real_extent(rule->cols, config),
    };
}

bool pith_rule_alternates(const pith_rule *rule, const pith_config *config) {
    return rule->rows == PITH_EXTENT_GATE_UP && config->gated;
}

size_t pith_rule_blocks(const pith_rule *rule, const pith_config *config,
                        size_t rows[PITH_MAX_BLOCKS]) {
    if (rule->rows == PITH_EXTENT_QKV) {
        const pith_qkv_layout qkv = pith_config_qkv_layout(config);
        rows[0] = qkv.q_rows;
        rows[1] = qkv.k_rows;
        rows[2] = qkv.v_rows;
        return 3;
    }
    if (pith_rule_alternates(rule, config)) {
        rows[0] = rows[1] = config->intermediate_size;
        return 2;
    }
    rows[0] = real_extent(rule->rows, config);
    return 1;
}

size_t pith_rule_sources(const pith_rule *rule, pith_naming naming,
                         const char *names[PITH_MAX_BLOCKS]) {
    const char *const *all = naming == PITH_NAMES_GGUF ? rule->gguf : rule->from;
    size_t n = 0;
    while (n < PITH_MAX_BLOCKS && all[n] != NULL) {
        names[n] = all[n];
        n++;
    }
    if (n == 0) {
        names[n++] = rule->name;
    }
    return n;
}

size_t pith_rule_n_tensors(const pith_rule *rule, const pith_config *config) {
    size_t layers = rule->in_layer ? config->num_hidden_layers : 1;
    return rule->of_expert ? layers * config->n_experts : layers;
}

void pith_rule_name(char *out, size_t size, const pith_rule *rule, const pith_config *config,
                    const char *name, size_t number) {
    const char *star = rule->of_expert ? strchr(name, '*') : NULL;
    const size_t layer = rule->of_expert ? number / config->n_experts : number;
    if (!rule->in_layer) {
        snprintf(out, size, "%s", name);
    } else if (star == NULL) {
        snprintf(out, size, "%zu.%s", layer, name);
    } else {
        snprintf(out, size, "%zu.%.*s%zu%s", layer, (int)(star - name), name,
                 number % config->n_experts, star + 1);
    }
}

pith_slot_place pith_rule_place(const pith_rule *rule, pith_network *network, size_t number) {
    char *base = rule->of_expert  ? (char *)&network->experts[number]
                 : rule->in_layer ? (char *)&network->layers[number]
                                  : (char *)network;
    void *place = base + rule->place;
    switch (rule->kind) {
    case PITH_KIND_LINEAR:
    case PITH_KIND_HEAD:
    case PITH_KIND_TABLE:
        return (pith_slot_place){.matrix = place};
    case PITH_KIND_BIAS:
    case PITH_KIND_NORM:
    case PITH_KIND_NORM_BIAS:
    case PITH_KIND_SCALARS:
    case PITH_N_KINDS:
        break;
    }
    return (pith_slot_place){.vector = place};
}
