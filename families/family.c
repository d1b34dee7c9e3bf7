/* The list of families, and the functions that read a page's tables. */
#include "families/family.h"

#include "base/status.h"
#include "families/hf_rope.h"

#include <stdio.h>
#include <string.h>

static const char config_name[] = "config.json";

const pith_family *const pith_families[] = {
    &pith_family_llama,
    &pith_family_mistral,
    &pith_family_qwen2,
    &pith_family_qwen3,
    &pith_family_smollm3,
    &pith_family_granite,
    &pith_family_gemma2,
    &pith_family_gemma3,
    &pith_family_olmo2,
    &pith_family_olmo3,
    &pith_family_phi3,
    &pith_family_ministral3,
    &pith_family_mixtral,
    &pith_family_qwen3_moe,
    &pith_family_olmoe,
    &pith_family_granitemoe,
    &pith_family_gpt_oss,
    &pith_family_arcee,
    &pith_family_seed_oss,
    &pith_family_ernie4_5,
    &pith_family_hunyuan,
    &pith_family_exaone4,
    &pith_family_glm4,
    &pith_family_stablelm,
    &pith_family_starcoder2,
    &pith_family_bert,
    &pith_family_roberta,
    &pith_family_xlm_roberta,
    &pith_family_mpnet,
    &pith_family_distilbert,
    &pith_family_modernbert,
    &pith_family_nomic_bert,
    &pith_family_qwen3_embedding,
    &pith_family_gemma3_embedding,
    NULL,
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
    /* Versions that know only one kind of layer would run a model with several without a
     * warning. */
    return family->architecture != NULL && config->n_kinds == 1 ? family->architecture
                                                                : family->name;
}

static bool has_class(const pith_family *family, const char *name) {
    for (size_t i = 0; i < sizeof family->classes / sizeof family->classes[0]; i++) {
        if (family->classes[i] != NULL && strcmp(name, family->classes[i]) == 0) {
            return true;
        }
    }
    return family->score_class != NULL && strcmp(name, family->score_class) == 0;
}

const pith_family *pith_family_named(const char *type, const char *class_name) {
    if (type != NULL) {
        return pith_family_find(type);
    }
    for (size_t i = 0; class_name != NULL && pith_families[i] != NULL; i++) {
        if (has_class(pith_families[i], class_name)) {
            return pith_families[i];
        }
    }
    return NULL;
}

/* "a, b and c". */
static void add_name(char *list, size_t size, const char *name, bool last) {
    size_t n = strlen(list);
    snprintf(list + n, size - n, "%s%s", n == 0 ? "" : last ? " and " : ", ", name);
}

static pith_status fail_class(const pith_family *family, const char *class, const char *type,
                              pith_error *error) {
    enum { N = sizeof family->classes / sizeof family->classes[0] };
    char names[300] = "";
    for (size_t i = 0; i < N && family->classes[i] != NULL; i++) {
        bool last = i + 1 == N || family->classes[i + 1] == NULL;
        add_name(names, sizeof names, family->classes[i], last);
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.100s with model_type %.100s is not supported; supported "
                     "for %s: %s",
                     config_name, class, type, family->name, names);
}

/* True of the page of the encoders that are made of a decoder. */
static bool is_of_decoder(const pith_family *family) {
    bool found = false;
    for (size_t i = 0; pith_families[i] != NULL; i++) {
        found = found || pith_families[i]->encoder == family;
    }
    return found;
}

/* Names the types of models: the classes of all would not fit in a message. */
static pith_status fail_unknown(const char *class, const char *type, pith_error *error) {
    char names[500] = "";
    const char *previous = NULL;
    const pith_family *named = type != NULL && class != NULL ? pith_family_find(type) : NULL;
    if (named != NULL) {
        return fail_class(named, class, type, error);
    }
    for (size_t i = 0; pith_families[i] != NULL; i++) {
        if (!is_of_decoder(pith_families[i])) {
            if (previous != NULL) {
                add_name(names, sizeof names, previous, false);
            }
            previous = pith_families[i]->name;
        }
    }
    add_name(names, sizeof names, previous, true);
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.100s with model_type %.100s is not supported; supported "
                     "types are %s",
                     config_name, class != NULL ? class : "(none)", type != NULL ? type : "(none)",
                     names);
}

pith_status pith_family_recognise(const pith_family **out, pith_json json, bool embeds,
                                  pith_error *error) {
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
        const pith_family *named = pith_families[i];
        const pith_family *f = embeds && named->encoder != NULL ? named->encoder : named;
        if ((class_name == NULL || has_class(f, class_name)) &&
            (type_name == NULL || strcmp(type_name, named->name) == 0)) {
            bool newer = f->newer_page != NULL && pith_json_get(json, f->newer_key).at != NULL;
            *out = newer ? f->newer_page : f;
            return PITH_OK;
        }
    }
    return fail_unknown(class_name, type_name, error);
}

/* ---- config.json ----------------------------------------------------------------------------- */

/* num_key_value_heads and head_dim where they follow from others. */
static pith_status derive_heads(pith_config *c, pith_error *error) {
    if (c->role == PITH_ENCODER && c->head_dim == 0) { /* no key says it */
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

/* How many labels a class that classifies has: as many as id2label names, else num_labels. */
static pith_status read_n_labels(pith_json json, size_t *out, pith_error *error) {
    pith_json labels = pith_hf_json_get(json, "id2label");
    *out = 2; /* where neither key says it */
    if (labels.at == NULL) {
        return pith_hf_json_count(json, "num_labels", config_name, out, error);
    }
    if (!pith_json_is(labels, PITH_JSON_OBJECT)) {
        return pith_hf_json_fail(config_name, "id2label", "an object or null", labels, error);
    }
    *out = pith_json_size(labels);
    return PITH_OK;
}

/* A class that scores pairs of texts: the layers behind the first token's vector. Where no file
 * says otherwise, one label gets a sigmoid, as in sentence-transformers. */
static pith_status read_scores(const pith_family *family, pith_config *config, pith_json json,
                               pith_error *error) {
    const char *name = pith_hf_json_text(pith_json_at(pith_hf_json_get(json, "architectures"), 0));
    if (name == NULL || family->score_class == NULL || strcmp(name, family->score_class) != 0) {
        return PITH_OK;
    }
    static const char old_key[] = "sbert_ce_default_activation_function";
    size_t n_labels;
    pith_status status = read_n_labels(json, &n_labels, error);
    if (status == PITH_OK && n_labels != 1) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: %s with %zu labels is not supported, only with one", config_name,
                           name, n_labels);
    }
    config->scores = true;
    config->pooling = PITH_POOLING_CLS;
    config->dense[0] = (pith_dense){config->hidden_size, family->score_activation};
    config->dense[1] = (pith_dense){1, PITH_DENSE_SIGMOID};
    if (status == PITH_OK) { /* its key in older files */
        status =
            pith_torch_activation_read(&config->dense[1].activation, pith_json_get(json, old_key),
                                       config_name, old_key, error);
    }
    pith_json section = pith_hf_json_get(json, "sentence_transformers");
    return status == PITH_OK
               ? pith_torch_activation_read(&config->dense[1].activation,
                                            pith_json_get(section, "activation_fn"), config_name,
                                            "sentence_transformers.activation_fn", error)
               : status;
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
    if (status == PITH_OK && (family->role == PITH_DECODER || family->rope)) {
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
    /* A page relies on this limit; the check below refuses more layers. */
    if (status == PITH_OK && family->read != NULL && config.num_hidden_layers <= PITH_MAX_LAYERS) {
        status = family->read(&config, json, error);
    }
    if (status == PITH_OK) {
        status = read_scores(family, &config, json, error);
    }
    if (family->role == PITH_ENCODER) { /* unless the files beside config.json say less */
        config.max_seq_length = pith_config_positions(&config);
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

size_t pith_family_first_layer(const pith_family *family, size_t part) {
    return pith_family_rule(family, part)->first;
}

bool pith_family_slot(const pith_family *family, const pith_config *config, size_t part,
                      size_t number, pith_slot *out) {
    if (part >= pith_family_n_parts(family)) {
        return false;
    }
    const pith_rule *rule = pith_family_rule(family, part);
    if (number < rule->first || number >= pith_rule_n_tensors(rule, config) ||
        !pith_rule_applies(rule, config)) {
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
        {PITH_HAS_HEAD, "a head of its own"},
        {PITH_HAS_QKV_BIAS, "qkv_bias"},
        {PITH_HAS_O_BIAS, "o_bias"},
        {PITH_HAS_MLP_BIAS, "mlp_bias"},
        {PITH_HAS_QK_NORM, "qk_norm"},
        {PITH_HAS_EXPERTS, "n_experts"},
        {PITH_HAS_SINKS, "attention_sinks"},
        {PITH_HAS_TYPES, "type_vocab_size"},
        {PITH_HAS_POSITIONS, "learned positions"},
        {PITH_HAS_RELATIVE, "relative_buckets"},
        {PITH_HAS_DENSE_0, "a dense layer"},
    };
    unsigned known = 0;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        known |= pith_family_rule(family, part)->needs;
    }
    /* An encoder has no head, whatever its configuration says of tying. */
    unsigned missing = pith_config_parts(config) & ~known &
                       ~(config->role == PITH_ENCODER ? (unsigned)PITH_HAS_HEAD : 0U);
    if ((known & ~pith_config_parts(config) & PITH_HAS_EXPERTS) != 0) { /* there is no other MLP */
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: n_experts is 0, which %s cannot do without",
                         where, family->name);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if ((missing & parts[i].bit) != 0) {
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
        const pith_rule *rule = pith_family_rule(family, part);
        if (pith_family_slot(family, config, part, rule->first, &slot)) {
            n += slot.real_rows * slot.cols * (pith_rule_n_tensors(rule, config) - rule->first);
        }
    }
    return n;
}
