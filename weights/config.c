/* Hyper-parameters to JSON and back; docs/format.md lists the keys. */
#include "weights/config.h"

#include "base/status.h"
#include "families/fields.h"

#include <string.h>

static const pith_field llama_fields[] = {
    {"vocab_size", PITH_FIELD_COUNT, offsetof(pith_config, vocab_size), PITH_MAX_VOCAB},
    {"hidden_size", PITH_FIELD_COUNT, offsetof(pith_config, hidden_size), PITH_MAX_WIDTH},
    {"intermediate_size", PITH_FIELD_COUNT, offsetof(pith_config, intermediate_size),
     PITH_MAX_WIDTH},
    {"num_hidden_layers", PITH_FIELD_COUNT, offsetof(pith_config, num_hidden_layers),
     PITH_MAX_LAYERS},
    {"num_attention_heads", PITH_FIELD_COUNT, offsetof(pith_config, num_attention_heads),
     PITH_MAX_HEADS},
    {"num_key_value_heads", PITH_FIELD_COUNT, offsetof(pith_config, num_key_value_heads),
     PITH_MAX_HEADS},
    {"head_dim", PITH_FIELD_COUNT, offsetof(pith_config, head_dim), PITH_MAX_HEAD_DIM},
    {"max_position_embeddings", PITH_FIELD_COUNT, offsetof(pith_config, max_position_embeddings),
     PITH_MAX_POSITIONS},
    {"sliding_window", PITH_FIELD_COUNT, offsetof(pith_config, kinds[0].sliding_window),
     PITH_MAX_POSITIONS},
    {"rms_norm_eps", PITH_FIELD_FLOAT, offsetof(pith_config, norm_eps), 0},
    {"rope_theta", PITH_FIELD_DOUBLE, offsetof(pith_config, kinds[0].rope.theta), 0},
    {"rope_factor", PITH_FIELD_DOUBLE, offsetof(pith_config, kinds[0].rope.factor), 0},
    {"rope_low_freq_factor", PITH_FIELD_DOUBLE,
     offsetof(pith_config, kinds[0].rope.low_freq_factor), 0},
    {"rope_high_freq_factor", PITH_FIELD_DOUBLE,
     offsetof(pith_config, kinds[0].rope.high_freq_factor), 0},
    {"rope_original_context", PITH_FIELD_COUNT,
     offsetof(pith_config, kinds[0].rope.original_context), PITH_MAX_POSITIONS},
    {"tie_word_embeddings", PITH_FIELD_FLAG, offsetof(pith_config, tie_word_embeddings), 0},
    {"qkv_bias", PITH_FIELD_FLAG, offsetof(pith_config, qkv_bias), 0},
    {"o_bias", PITH_FIELD_FLAG, offsetof(pith_config, o_bias), 0},
    {"mlp_bias", PITH_FIELD_FLAG, offsetof(pith_config, mlp_bias), 0},
};

/* Only where rope_scaling is yarn: files of other models are as they always were. */
static const pith_field yarn_fields[] = {
    {"rope_attention_factor", PITH_FIELD_DOUBLE,
     offsetof(pith_config, kinds[0].rope.attention_factor), 0},
    {"rope_beta_fast", PITH_FIELD_DOUBLE, offsetof(pith_config, kinds[0].rope.beta_fast), 0},
    {"rope_beta_slow", PITH_FIELD_DOUBLE, offsetof(pith_config, kinds[0].rope.beta_slow), 0},
    {"rope_truncate", PITH_FIELD_FLAG, offsetof(pith_config, kinds[0].rope.truncate), 0},
};

static const char *const rope_names[] = {
    [PITH_ROPE_NONE] = "none", [PITH_ROPE_LINEAR] = "linear",   [PITH_ROPE_LLAMA3] = "llama3",
    [PITH_ROPE_YARN] = "yarn", [PITH_ROPE_DYNAMIC] = "dynamic",
};

static const pith_field bert_fields[] = {
    {"vocab_size", PITH_FIELD_COUNT, offsetof(pith_config, vocab_size), PITH_MAX_VOCAB},
    {"hidden_size", PITH_FIELD_COUNT, offsetof(pith_config, hidden_size), PITH_MAX_WIDTH},
    {"intermediate_size", PITH_FIELD_COUNT, offsetof(pith_config, intermediate_size),
     PITH_MAX_WIDTH},
    {"num_hidden_layers", PITH_FIELD_COUNT, offsetof(pith_config, num_hidden_layers),
     PITH_MAX_LAYERS},
    {"num_attention_heads", PITH_FIELD_COUNT, offsetof(pith_config, num_attention_heads),
     PITH_MAX_HEADS},
    {"max_position_embeddings", PITH_FIELD_COUNT, offsetof(pith_config, max_position_embeddings),
     PITH_MAX_POSITIONS},
    {"type_vocab_size", PITH_FIELD_COUNT, offsetof(pith_config, type_vocab_size),
     PITH_MAX_TOKEN_TYPES},
    {"layer_norm_eps", PITH_FIELD_FLOAT, offsetof(pith_config, norm_eps), 0},
    {"max_seq_length", PITH_FIELD_COUNT, offsetof(pith_config, max_seq_length), PITH_MAX_POSITIONS},
    {"normalize", PITH_FIELD_FLAG, offsetof(pith_config, normalize), 0},
};

enum {
    N_LLAMA_FIELDS = sizeof llama_fields / sizeof *llama_fields,
    N_YARN_FIELDS = sizeof yarn_fields / sizeof *yarn_fields,
    N_ROPE_NAMES = sizeof rope_names / sizeof *rope_names,
    N_BERT_FIELDS = sizeof bert_fields / sizeof *bert_fields,
};

static bool is_bert(const pith_metadata *metadata) {
    return strcmp(metadata->architecture, pith_architecture_name(PITH_ARCHITECTURE_BERT)) == 0;
}

size_t pith_config_vocab_size(const pith_metadata *metadata) {
    return metadata->config.vocab_size;
}

void pith_config_write(const pith_metadata *metadata, pith_json_writer *to) {
    if (is_bert(metadata)) {
        pith_fields_write(bert_fields, N_BERT_FIELDS, &metadata->config, to);
        pith_json_put_text(to, "pooling", pith_pooling_name(metadata->config.pooling));
        if (metadata->config.skip_prompt) {
            pith_json_put_bool(to, "skip_prompt", true);
        }
    } else {
        pith_fields_write(llama_fields, N_LLAMA_FIELDS, &metadata->config, to);
        if (metadata->config.kinds[0].rope.scaling == PITH_ROPE_YARN) {
            pith_fields_write(yarn_fields, N_YARN_FIELDS, &metadata->config, to);
        }
        pith_json_put_text(to, "rope_scaling", rope_names[metadata->config.kinds[0].rope.scaling]);
    }
}

static pith_status bad_key(const char *key, const char *what, const char *where,
                           pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: metadata %s is missing or not %s", where, key,
                     what);
}

static pith_status read_llama(pith_config *config, pith_json object, const char *where,
                              pith_error *error) {
    *config = (pith_config){PITH_DECODER_RECIPE};
    pith_status status =
        pith_fields_read(llama_fields, N_LLAMA_FIELDS, config, object, where, "config", error);
    if (status != PITH_OK) {
        return status;
    }
    const char *name = pith_json_text(pith_json_get(object, "rope_scaling"));
    size_t scaling = 0;
    while (scaling < N_ROPE_NAMES && (name == NULL || strcmp(name, rope_names[scaling]) != 0)) {
        scaling++;
    }
    if (scaling == N_ROPE_NAMES) {
        return bad_key("config.rope_scaling", "none, linear, llama3, yarn or dynamic", where,
                       error);
    }
    config->kinds[0].rope.scaling = (pith_rope_scaling)scaling;
    config->kinds[0].rope.dims = config->head_dim;
    if (config->kinds[0].rope.scaling == PITH_ROPE_YARN) {
        status =
            pith_fields_read(yarn_fields, N_YARN_FIELDS, config, object, where, "config", error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return pith_config_check(config, where, error);
}

static pith_status read_bert(pith_config *config, pith_json object, const char *where,
                             pith_error *error) {
    *config = (pith_config){PITH_ENCODER_RECIPE};
    pith_status status =
        pith_fields_read(bert_fields, N_BERT_FIELDS, config, object, where, "config", error);
    if (status != PITH_OK) {
        return status;
    }
    const char *pooling = pith_json_text(pith_json_get(object, "pooling"));
    if (pooling == NULL || !pith_pooling_find(pooling, &config->pooling)) {
        return bad_key("config.pooling", "mean, cls or max", where, error);
    }
    pith_json skip = pith_json_get(object, "skip_prompt");
    pith_config_set_encoder_heads(config);
    if (skip.at != NULL && !pith_json_bool(skip, &config->skip_prompt)) {
        return bad_key("config.skip_prompt", "true or false", where, error);
    }
    return pith_config_check(config, where, error);
}

pith_status pith_config_read(pith_metadata *metadata, pith_json object, const char *where,
                             pith_error *error) {
    return is_bert(metadata) ? read_bert(&metadata->config, object, where, error)
                             : read_llama(&metadata->config, object, where, error);
}
