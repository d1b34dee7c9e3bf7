/* The list of families, and what is done by a page's tables. */
#include "families/family.h"

#include "base/status.h"
#include "families/hf_rope.h"

#include <stdio.h>
#include <string.h>

static const char config_name[] = "config.json";

const pith_family *const pith_families[] = {
    &pith_family_llama,    &pith_family_mistral,    &pith_family_qwen2,      &pith_family_qwen3,
    &pith_family_smollm3,  &pith_family_granite,    &pith_family_gemma2,     &pith_family_gemma3,
    &pith_family_olmo2,    &pith_family_phi3,       &pith_family_ministral3, &pith_family_olmo3,
    &pith_family_mixtral,  &pith_family_qwen3_moe,  &pith_family_arcee,      &pith_family_seed_oss,
    &pith_family_ernie4_5, &pith_family_hunyuan,    &pith_family_exaone4,    &pith_family_glm4,
    &pith_family_stablelm, &pith_family_starcoder2, &pith_family_bert,       NULL,
};

/* ---- Names ----------------------------------------------------------------------------------- */

const pith_family *pith_family_find(const char *architecture) {
    for (size_t i = 0; pith_families[i] != NULL; i++) {
        if (strcmp(architecture, pith_families[i]->name) == 0) {
            return pith_families[i];
        }
    }
    return NULL;
}

const char *pith_family_architecture(const pith_family *family, const pith_config *config) {
    /* Versions that know one kind of layer only would run a model of several without a word. */
    return family->architecture != NULL && config->n_kinds == 1 ? family->architecture
                                                                : family->name;
}

static bool has_class(const pith_family *family, const char *name) {
    for (size_t i = 0; i < sizeof family->classes / sizeof family->classes[0]; i++) {
        if (family->classes[i] != NULL && strcmp(name, family->classes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* "a, b and c". */
static void add_name(char *list, size_t size, const char *name, bool last) {
    size_t n = strlen(list);
    snprintf(list + n, size - n, "%s%s", n == 0 ? "" : last ? " and " : ", ", name);
}

static pith_status fail_unknown(const char *class, const char *type, pith_error *error) {
    char names[600] = "";
    for (size_t i = 0; pith_families[i] != NULL; i++) {
        const pith_family *f = pith_families[i];
        if (type != NULL && class != NULL && strcmp(type, f->name) == 0) {
            names[0] = '\0';
            for (size_t k = 0; k < sizeof f->classes / sizeof f->classes[0]; k++) {
                bool last = k + 1 == sizeof f->classes / sizeof f->classes[0];
                if (f->classes[k] != NULL) {
                    add_name(names, sizeof names, f->classes[k], last);
                }
            }
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: architecture %.100s with model_type %.100s is not supported; "
                             "supported of %s: %s",
                             config_name, class, type, f->name, names);
        }
        add_name(names, sizeof names, f->name, pith_families[i + 1] == NULL);
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.100s with model_type %.100s is not supported; supported "
                     "types are %s",
                     config_name, class != NULL ? class : "(none)", type != NULL ? type : "(none)",
                     names);
}

pith_status pith_family_recognise(const pith_family **out, pith_json json, pith_error *error) {
    pith_json list = pith_hf_json_get(json, "architectures");
    pith_json type = pith_hf_json_get(json, "model_type");
    const char *class_name = pith_hf_json_text(pith_json_at(list, 0));
    const char *type_name = pith_hf_json_text(type);
    if (type.at != NULL && type_name == NULL) {
        return pith_hf_json_fail(config_name, "model_type", "a string", type, error);
    }
    if (list.at == NULL && type.at == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: neither architectures nor model_type",
                         config_name);
    }
    if (list.at != NULL && class_name == NULL) {
        return pith_hf_json_fail(config_name, "architectures", "an array of strings", list, error);
    }
    for (size_t i = 0; pith_families[i] != NULL; i++) {
        const pith_family *f = pith_families[i];
        if ((class_name == NULL || has_class(f, class_name)) &&
            (type_name == NULL || strcmp(type_name, f->name) == 0)) {
            *out = f;
            return PITH_OK;
        }
    }
    return fail_unknown(class_name, type_name, error);
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* num_key_value_heads and head_dim where they follow from others. */
static pith_status derive_heads(pith_config *c, pith_error *error) {
    if (c->role == PITH_ENCODER) {
        pith_config_set_encoder_heads(c);
        return PITH_OK;
    }
    if (c->num_key_value_heads == SIZE_MAX) {
        c->num_key_value_heads = c->num_attention_heads;
    }
    if (c->head_dim != SIZE_MAX) {
        return PITH_OK;
    }
    if (c->num_attention_heads == 0 || c->hidden_size % c->num_attention_heads != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: hidden_size %zu is no multiple of num_attention_heads %zu, and there "
                         "is no head_dim",
                         config_name, c->hidden_size, c->num_attention_heads);
    }
    c->head_dim = c->hidden_size / c->num_attention_heads;
    return PITH_OK;
}

static pith_status require_fixed(const pith_family *family, pith_json json, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; i < sizeof family->fixed / sizeof family->fixed[0]; i++) {
        if (status == PITH_OK && family->fixed[i].key != NULL) {
            status = pith_key_require(json, family->fixed[i].key, family->fixed[i].value, error);
        }
    }
    return status;
}

pith_status pith_family_read(const pith_family *family, pith_config *out, pith_json json,
                             pith_error *error) {
    pith_config config = family->role == PITH_ENCODER ? (pith_config){PITH_ENCODER_RECIPE}
                                                      : (pith_config){PITH_DECODER_RECIPE};
    pith_status status = require_fixed(family, json, error);
    if (status == PITH_OK) {
        status = pith_keys_read(family->keys, family->n_keys, &config, json, error);
    }
    if (status == PITH_OK) {
        status = derive_heads(&config, error);
    }
    if (status == PITH_OK && family->role == PITH_DECODER) {
        const pith_hf_rope from = {.config = json,
                                   .n_positions = config.max_position_embeddings,
                                   .head_dim = config.head_dim,
                                   .partial = family->partial_rope,
                                   .share = family->share,
                                   .original = family->rope_original,
                                   .factors = &config.rope_factors,
                                   .type = family->rope_type};
        status = pith_hf_rope_read(&from, &config.kinds[0].rope, error);
    }
    /* A page counts on so few layers; with more the check below says so. */
    if (status == PITH_OK && family->read != NULL && config.num_hidden_layers <= PITH_MAX_LAYERS) {
        status = family->read(&config, json, error);
    }
    if (status == PITH_OK) {
        status = pith_config_check(&config, config_name, error);
    }
    if (status == PITH_OK) {
        status = pith_family_check(family, &config, config_name, error);
    }
    if (status == PITH_OK) {
        *out = config;
    }
    return status;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

size_t pith_family_n_parts(const pith_family *family) {
    size_t n = 0;
    for (size_t i = 0; i < PITH_MAX_RULE_TABLES && family->rules[i] != NULL; i++) {
        n += family->rules[i]->n;
    }
    return n;
}

const pith_rule *pith_family_rule(const pith_family *family, size_t part) {
    size_t i = 0;
    while (part >= family->rules[i]->n) {
        part -= family->rules[i++]->n;
    }
    return &family->rules[i]->rules[part];
}

const pith_rule *pith_family_rule_at(const pith_family *family, size_t place) {
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        const pith_rule *rule = pith_family_rule(family, part);
        if (!rule->in_layer && rule->place == place) {
            return rule;
        }
    }
    return NULL;
}

bool pith_family_slot(const pith_family *family, const pith_config *config, size_t part,
                      size_t number, pith_slot *out) {
    if (part >= pith_family_n_parts(family)) {
        return false;
    }
    const pith_rule *rule = pith_family_rule(family, part);
    if (number >= pith_rule_n_tensors(rule, config) || !pith_rule_applies(rule, config)) {
        return false;
    }
    pith_rule_shape(rule, config, out);
    size_t n = rule->in_layer ? strlen(family->layers) : 0;
    memcpy(out->name, family->layers, n);
    pith_rule_name(out->name + n, sizeof out->name - n, rule, config, rule->name, number);
    return true;
}

pith_status pith_family_check(const pith_family *family, const pith_config *config,
                              const char *where, pith_error *error) {
    static const struct {
        unsigned bit;
        const char *name;
    } parts[] = {
        {PITH_HAS_HEAD, "a head of its own"}, {PITH_HAS_QKV_BIAS, "qkv_bias"},
        {PITH_HAS_O_BIAS, "o_bias"},          {PITH_HAS_MLP_BIAS, "mlp_bias"},
        {PITH_HAS_QK_NORM, "qk_norm"},        {PITH_HAS_EXPERTS, "n_experts"},
    };
    unsigned known = 0;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        known |= pith_family_rule(family, part)->needs;
    }
    unsigned missing = pith_config_parts(config) & ~known;
    if ((known & ~pith_config_parts(config) & PITH_HAS_EXPERTS) != 0) { /* there is no other MLP */
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: n_experts is 0, which %s cannot do without",
                         where, family->name);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (family->role == PITH_DECODER && (missing & parts[i].bit) != 0) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %s is no part of %s", where,
                             parts[i].name, family->name);
        }
    }
    return PITH_OK;
}

size_t pith_family_n_params(const pith_family *family, const pith_config *config) {
    size_t n = 0;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        pith_slot slot;
        if (pith_family_slot(family, config, part, 0, &slot)) {
            n += slot.real_rows * slot.cols *
                 pith_rule_n_tensors(pith_family_rule(family, part), config);
        }
    }
    return n;
}
