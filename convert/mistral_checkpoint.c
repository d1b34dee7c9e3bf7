/* A directory in Mistral's own layout as a checkpoint: params.json, consolidated.safetensors or its
 * shards, and tokenizer.model.v3. It is read as the Hugging Face form of the same model: settings
 * and tensors have other names, and the rows of queries and keys are in the order of Mistral's
 * rotation, in which the two of a pair are neighbours.
 * Source: github.com/mistralai/mistral-inference, src/mistral_inference/args.py, transformer.py. */
#include "convert/mistral_checkpoint.h"

#include "base/bytes.h"
#include "families/hf_json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARAMS = 1 << 20, MAX_NAME = PITH_CHECKPOINT_MAX_NAME };

/* The context of the published configurations of the 7B models, where params.json does not give
 * it. */
enum { USUAL_CONTEXT = 32768 };

static const char params_name[] = "params.json";

/* ---- Settings -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *hf;
    bool is_count, needed;
} settings[] = {
    {"dim", "hidden_size", true, true},
    {"n_layers", "num_hidden_layers", true, true},
    {"head_dim", "head_dim", true, true},
    {"hidden_dim", "intermediate_size", true, true},
    {"n_heads", "num_attention_heads", true, true},
    {"n_kv_heads", "num_key_value_heads", true, true},
    {"vocab_size", "vocab_size", true, true},
    {"norm_eps", "rms_norm_eps", false, true},
    {"max_seq_len", "max_position_embeddings", true, false},
    {"max_position_embeddings", "max_position_embeddings", true, false},
    {"rope_theta", "rope_theta", false, false},
    {"sliding_window", "sliding_window", true, false},
    {"tied_embeddings", "tie_word_embeddings", false, false},
};
enum { N_SETTINGS = sizeof settings / sizeof settings[0] };

static bool is_setting(const char *key) {
    for (size_t i = 0; i < N_SETTINGS; i++) {
        if (strcmp(settings[i].name, key) == 0) {
            return true;
        }
    }
    return false;
}

/* Settings that change nothing of a decoder's pass: memory to reserve, and names. */
static bool is_harmless(const char *key, pith_json value) {
    bool flag = true;
    return strcmp(key, "max_batch_size") == 0 || strcmp(key, "model_type") == 0 ||
           (strcmp(key, "causal") == 0 && pith_json_is_true(value)) || pith_json_is_none(value) ||
           (pith_json_bool(value, &flag) && !flag);
}

/* Refuses experts, a vision encoder, YaRN and all other settings that this reader does not know:
 * they could change results. */
static pith_status refuse_others(pith_json params, pith_error *error) {
    for (pith_json_walk walk = pith_json_begin(params); pith_json_next(&walk);) {
        if (!is_setting(walk.key) && !is_harmless(walk.key, walk.value)) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: %.60s is not supported; take the repository's model*.safetensors "
                             "and config.json",
                             params_name, walk.key);
        }
    }
    return PITH_OK;
}

static pith_status check_setting(size_t i, pith_json value, pith_error *error) {
    size_t count;
    double number;
    bool flag;
    if (value.at == NULL) {
        return settings[i].needed
                   ? pith_hf_json_fail(params_name, settings[i].name, "a number", value, error)
                   : PITH_OK;
    }
    if (settings[i].is_count) {
        return pith_json_count(value, &count)
                   ? PITH_OK
                   : pith_hf_json_fail(params_name, settings[i].name, "a count", value, error);
    }
    if (pith_json_number(value, &number) || pith_json_bool(value, &flag)) {
        return PITH_OK;
    }
    return pith_hf_json_fail(params_name, settings[i].name, "a number", value, error);
}

/* Appends ,"KEY":VALUE with the value's own characters. */
static bool append_setting(pith_bytes *out, const char *key, pith_json value) {
    bool flag = false;
    bool is_flag = pith_json_bool(value, &flag);
    const char *text = is_flag ? flag ? "true" : "false" : value.at;
    size_t n = is_flag ? strlen(text) : pith_json_number_size(value);
    return pith_bytes_append_text(out, ",\"") && pith_bytes_append_text(out, key) &&
           pith_bytes_append_text(out, "\":") && pith_bytes_append(out, text, n);
}

/* What params.json leaves out: its program has other defaults than transformers' class. */
static bool append_defaults(pith_bytes *out, pith_json params) {
    bool windowed = pith_hf_json_get(params, "sliding_window").at != NULL;
    bool good = windowed || pith_bytes_append_text(out, ",\"sliding_window\":null");
    if (pith_hf_json_get(params, "rope_theta").at == NULL) {
        good = good && pith_bytes_append_text(out, windowed ? ",\"rope_theta\":10000.0"
                                                            : ",\"rope_theta\":1000000.0");
    }
    return good;
}

static bool has_context(pith_json params) {
    return pith_hf_json_get(params, "max_position_embeddings").at != NULL ||
           pith_hf_json_get(params, "max_seq_len").at != NULL;
}

static pith_status write_config(pith_bytes *out, pith_json params, pith_error *error) {
    bool good = pith_bytes_append_text(out, "{\"model_type\":\"mistral\"");
    for (size_t i = 0; i < N_SETTINGS; i++) {
        pith_json value = pith_hf_json_get(params, settings[i].name);
        pith_status status = check_setting(i, value, error);
        if (status != PITH_OK) {
            return status;
        }
        good = good && (value.at == NULL || append_setting(out, settings[i].hf, value));
    }
    if (!has_context(params)) {
        char text[64];
        snprintf(text, sizeof text, ",\"max_position_embeddings\":%d", USUAL_CONTEXT);
        good = good && pith_bytes_append_text(out, text);
    }
    good = good && append_defaults(out, params) && pith_bytes_append(out, "}", 1);
    return good ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory", params_name);
}

static pith_status read_params(pith_checkpoint *c, pith_json params, pith_error *error) {
    pith_bytes config;
    pith_bytes_init(&config, c->allocator);
    pith_status status = refuse_others(params, error);
    if (status == PITH_OK) {
        status = write_config(&config, params, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_config_parse(&c->config, config.data, config.size, NULL, 0, false,
                                      c->allocator, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "%s, by other names", params_name);
        }
    }
    pith_bytes_release(&config);
    if (status == PITH_OK && !has_context(params)) {
        pith_log_write(c->log, PITH_LOG_WARNING,
                       "%s: no max_position_embeddings: a context of %d tokens is assumed",
                       params_name, USUAL_CONTEXT);
    }
    return status;
}

static pith_status read_settings(pith_checkpoint *c, pith_error *error) {
    char *text = NULL;
    size_t size;
    size_t place;
    pith_json params;
    pith_status status = pith_sources_add(&c->sources, params_name, &place, error);
    if (status == PITH_OK) {
        status = pith_sources_read(&c->sources, place, MAX_PARAMS, &text, &size, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_object(&params, text, size, params_name, c->allocator, error);
    }
    if (status == PITH_OK) {
        status = read_params(c, params, error);
    }
    pith_release(c->allocator, text);
    return status;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static const struct {
    const char *hf, *name; /* within a layer what follows its number */
    bool rotated;
} names[] = {
    {"model.embed_tokens.weight", "tok_embeddings.weight", false},
    {"model.norm.weight", "norm.weight", false},
    {"lm_head.weight", "output.weight", false},
    {"input_layernorm.weight", "attention_norm.weight", false},
    {"post_attention_layernorm.weight", "ffn_norm.weight", false},
    {"self_attn.q_proj.weight", "attention.wq.weight", true},
    {"self_attn.k_proj.weight", "attention.wk.weight", true},
    {"self_attn.v_proj.weight", "attention.wv.weight", false},
    {"self_attn.o_proj.weight", "attention.wo.weight", false},
    {"mlp.gate_proj.weight", "feed_forward.w1.weight", false},
    {"mlp.up_proj.weight", "feed_forward.w3.weight", false},
    {"mlp.down_proj.weight", "feed_forward.w2.weight", false},
};

/* Mistral's name of a tensor, "layers.3.attention.wq.weight"; false: it has none. */
static bool translate(const char *hf, char out[MAX_NAME], bool *rotated) {
    static const char layers[] = "model.layers.";
    size_t digits = 0;
    bool in_layer = strncmp(hf, layers, sizeof layers - 1) == 0;
    const char *number = hf + sizeof layers - 1;
    if (in_layer) {
        digits = strspn(number, "0123456789");
        hf = number + digits + (number[digits] == '.');
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].hf, hf) == 0) {
            snprintf(out, MAX_NAME, "%s%.*s%s%s", in_layer ? "layers." : "", (int)digits,
                     in_layer ? number : "", in_layer ? "." : "", names[i].name);
            *rotated = names[i].rotated;
            return true;
        }
    }
    return false;
}

static bool find(const pith_checkpoint *c, const char *name, pith_checkpoint_tensor *out) {
    char own[MAX_NAME];
    bool rotated;
    if (!translate(name, own, &rotated) || !pith_hf_find_tensor(c, own, out)) {
        return false;
    }
    out->head_rows = out->turned_rows = rotated ? c->config.config.head_dim : 0;
    return true;
}

/* ---- The form -------------------------------------------------------------------------------- */

static const pith_checkpoint_form form = {
    .naming = PITH_NAMES_HF,
    .settings = "params.json asks",
    .types = PITH_HF_TYPES,
    .find = find,
    .at = pith_hf_tensor_at,
    .read_tokenizer = pith_hf_read_tokenizer,
    .close = pith_hf_close_shards,
};

bool pith_mistral_checkpoint_is_there(const pith_sources *sources) {
    return !pith_hf_shards_are_there(sources, PITH_HF_STEM) &&
           pith_hf_shards_are_there(sources, PITH_MISTRAL_STEM) &&
           pith_sources_has(sources, params_name);
}

pith_status pith_mistral_checkpoint_open(pith_checkpoint *c, pith_error *error) {
    c->form = &form;
    pith_status status = read_settings(c, error);
    return status == PITH_OK
               ? pith_hf_shards_open(&c->shards, &c->sources, PITH_MISTRAL_STEM, error)
               : status;
}
