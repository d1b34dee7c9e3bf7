/* BERT's hyper-parameters with the defaults of transformers' BertConfig. */
#include "convert/hf_bert.h"

#include "families/hf_json.h"

#include <math.h>
#include <string.h>

static const char config_name[] = "config.json";

/* ---- config.json ----------------------------------------------------------------------------- */

bool pith_hf_is_bert(pith_json config) {
    const char *type = pith_hf_json_text(pith_json_get(config, "model_type"));
    pith_json list = pith_json_get(config, "architectures");
    const char *architecture = pith_hf_json_text(pith_json_at(list, 0));
    if (type != NULL) {
        return strcmp(type, "bert") == 0;
    }
    return architecture != NULL && strncmp(architecture, "Bert", 4) == 0;
}

/* Heads for other tasks sit on other things than the last hidden state. */
static pith_status check_architecture(pith_json config, pith_error *error) {
    static const char *const names[] = {"BertModel", "BertForMaskedLM", "BertForPreTraining"};
    pith_json list = pith_hf_json_get(config, "architectures");
    if (list.at == NULL) {
        return PITH_OK;
    }
    const char *name = pith_hf_json_text(pith_json_at(list, 0));
    if (name == NULL) {
        return pith_hf_json_fail(config_name, "architectures", "an array of strings", list, error);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return PITH_OK;
        }
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.100s is not supported; supported of BERT are BertModel, "
                     "BertForMaskedLM and BertForPreTraining",
                     config_name, name);
}

/* A key that must be absent or have one value. */
static pith_status require_text(pith_json config, const char *key, const char *value,
                                pith_error *error) {
    pith_json found = pith_hf_json_get(config, key);
    const char *text = pith_hf_json_text(found);
    if (found.at == NULL) {
        return PITH_OK;
    }
    if (text == NULL) {
        return pith_hf_json_fail(config_name, key, "a string", found, error);
    }
    if (strcmp(text, value) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: %s \"%.60s\" is not supported, only \"%s\"", config_name, key, text,
                         value);
    }
    return PITH_OK;
}

/* True for an object with members. */
static bool is_filled(pith_json value) {
    return pith_json_is(value, PITH_JSON_OBJECT) && pith_json_size(value) > 0;
}

static pith_status refuse_other_parts(pith_json config, pith_error *error) {
    static const char *const flags[] = {"is_decoder", "add_cross_attention", "is_encoder_decoder"};
    pith_status status = require_text(config, "hidden_act", "gelu", error);
    if (status == PITH_OK) {
        status = require_text(config, "position_embedding_type", "absolute", error);
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && status == PITH_OK; i++) {
        bool set = false;
        status = pith_hf_json_flag(config, flags[i], config_name, &set, error);
        if (set) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: %s is not supported, only BERT as an encoder", config_name,
                             flags[i]);
        }
    }
    if (status == PITH_OK && is_filled(pith_json_get(config, "pruned_heads"))) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: pruned_heads is not supported",
                         config_name);
    }
    return status;
}

static pith_status read_shape(pith_config *out, pith_json config, pith_error *error) {
    double epsilon = 1e-12;
    *out = (pith_config){
        PITH_ENCODER_RECIPE,
        .vocab_size = 30522,
        .hidden_size = 768,
        .intermediate_size = 3072,
        .num_hidden_layers = 12,
        .num_attention_heads = 12,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .pooling = PITH_POOLING_MEAN,
    };
    const struct {
        const char *key;
        size_t *value;
    } counts[] = {
        {"vocab_size", &out->vocab_size},
        {"hidden_size", &out->hidden_size},
        {"intermediate_size", &out->intermediate_size},
        {"num_hidden_layers", &out->num_hidden_layers},
        {"num_attention_heads", &out->num_attention_heads},
        {"max_position_embeddings", &out->max_position_embeddings},
        {"type_vocab_size", &out->type_vocab_size},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        pith_status status =
            pith_hf_json_count(config, counts[i].key, config_name, counts[i].value, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    pith_status status =
        pith_hf_json_number(config, "layer_norm_eps", config_name, &epsilon, error);
    /* Beyond the range of float the cast would be undefined. */
    out->norm_eps = fabs(epsilon) < 1e30 ? (float)epsilon : INFINITY;
    out->max_seq_length = out->max_position_embeddings;
    pith_config_set_encoder_heads(out);
    return status;
}

pith_status pith_hf_bert_config(pith_config *out, pith_json config, pith_error *error) {
    pith_config parsed;
    pith_status status = check_architecture(config, error);
    if (status == PITH_OK) {
        status = refuse_other_parts(config, error);
    }
    if (status == PITH_OK) {
        status = read_shape(&parsed, config, error);
    }
    if (status == PITH_OK) {
        status = pith_config_check(&parsed, config_name, error);
    }
    if (status == PITH_OK) {
        *out = parsed;
    }
    return status;
}

pith_config pith_hf_bert_minilm(void) {
    pith_config config = {
        PITH_ENCODER_RECIPE,
        .vocab_size = 30522,
        .hidden_size = 384,
        .intermediate_size = 1536,
        .num_hidden_layers = 6,
        .num_attention_heads = 12,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .norm_eps = 1e-12F,
        .max_seq_length = 512,
        .pooling = PITH_POOLING_MEAN,
    };
    pith_config_set_encoder_heads(&config);
    return config;
}
