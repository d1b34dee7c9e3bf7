/* The keys of a GGUF file as a config.json. */
#include "convert/gguf_config.h"

#include "base/json_write.h"
#include "base/status.h"
#include "base/text.h"
#include "convert/convert.h"
#include "convert/gguf_encoder.h"
#include "convert/gguf_experts.h"
#include "convert/gguf_rope.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pith_gguf_architecture architectures[] = {
    {"llama", "llama", .interleaved = true, .steps = PITH_GGUF_WINDOW | PITH_GGUF_EXPERTS,
     .mixture = &pith_gguf_mixtral}, /* Mistral's too */
    {"qwen2", "qwen2", .encoder = false},
    {"qwen3", "qwen3", .encoder = false},
    {"smollm3", "smollm3", .interleaved = true},
    {"granite", "granite", .interleaved = true, .steps = PITH_GGUF_SCALES},
    {"gemma2", "gemma2", .steps = PITH_GGUF_CAPS, .pattern = 2, .wide = 46},
    {"gemma3", "gemma3_text", .steps = PITH_GGUF_CAPS, .pattern = 6, .wide = 62},
    {"olmo2", "olmo2", .steps = PITH_GGUF_WINDOW}, /* OLMo 3's too */
    {"phi3", "phi3", .steps = PITH_GGUF_WINDOW},
    {"mistral3", "ministral3", .interleaved = true,
     .steps = PITH_GGUF_GROWTH}, /* and Mistral's without YaRN */
    {"qwen3moe", "qwen3_moe", .steps = PITH_GGUF_EXPERTS, .mixture = &pith_gguf_qwen3_moe},
    {"olmoe", "olmoe", .steps = PITH_GGUF_EXPERTS, .mixture = &pith_gguf_olmoe},
    {"granitemoe", "granitemoe", .interleaved = true, .steps = PITH_GGUF_SCALES | PITH_GGUF_EXPERTS,
     .mixture = &pith_gguf_granitemoe},
    {"gpt-oss", "gpt_oss", .steps = PITH_GGUF_EXPERTS, .pattern = 2, .mixture = &pith_gguf_gpt_oss},
    {"bert", "bert", .encoder = true},
    {"nomic-bert", "nomic_bert", .encoder = true},
    {"modern-bert", "modernbert", .encoder = true},
};

enum { N_ARCHITECTURES = sizeof architectures / sizeof architectures[0] };

static pith_status fail_architecture(const pith_gguf *gguf, pith_text name, pith_error *error) {
    char known[200] = "";
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, i > 0 ? ", %s" : "%s", architectures[i].name);
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.*s is not supported; supported are %s",
                     pith_gguf_name(gguf), (int)(name.n_bytes < 60 ? name.n_bytes : 60), name.data,
                     known);
}

bool pith_convert_gguf_names_encoder(const char *architecture) {
    bool encoder = false;
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        encoder = encoder ||
                  (architectures[i].encoder && strcmp(architecture, architectures[i].name) == 0);
    }
    return encoder;
}

pith_status pith_gguf_architecture_find(const pith_gguf *gguf, const pith_gguf_architecture **out,
                                        pith_error *error) {
    static const char key[] = "general.architecture";
    pith_text name = {"", 0};
    pith_status status = pith_gguf_require(gguf, key, error);
    if (status == PITH_OK) {
        status = pith_gguf_text(gguf, key, &name, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (pith_text_is(name, architectures[i].name)) {
            *out = &architectures[i];
            return PITH_OK;
        }
    }
    return fail_architecture(gguf, name, error);
}

/* ---- Keys of the architecture ---------------------------------------------------------------- */

pith_gguf_arch_key pith_gguf_key_of(const pith_gguf_reading *r, const char *name) {
    pith_gguf_arch_key key;
    snprintf(key.text, sizeof key.text, "%s.%s", r->architecture->name, name);
    return key;
}

bool pith_gguf_has(const pith_gguf_reading *r, const char *name) {
    pith_gguf_value ignored;
    return pith_gguf_find(r->gguf, pith_gguf_key_of(r, name).text, &ignored);
}

pith_status pith_gguf_read_count(const pith_gguf_reading *r, const char *name, size_t *out) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, name);
    pith_gguf_value value;
    int64_t first, number;
    if (!pith_gguf_find(r->gguf, key.text, &value) || !value.is_array) {
        return pith_gguf_count(r->gguf, key.text, out, r->error);
    }
    *out = 0;
    for (size_t i = 0; i < value.count; i++) {
        if (!pith_gguf_integer_at(&value, 0, &first) || !pith_gguf_integer_at(&value, i, &number) ||
            number < 0) {
            return pith_fail(r->error, PITH_ERROR_FORMAT,
                             "%s: key %s: expected integers of 0 or more", pith_gguf_name(r->gguf),
                             key.text);
        }
        if (number != first) {
            return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                             "%s: key %s: layers with %lld and %lld are not supported: all must be "
                             "alike",
                             pith_gguf_name(r->gguf), key.text, (long long)first,
                             (long long)number);
        }
        *out = (size_t)number;
    }
    return PITH_OK;
}

pith_status pith_gguf_put_count(pith_gguf_reading *r, const char *name, const char *member,
                                size_t *out) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, name);
    pith_status status = pith_gguf_require(r->gguf, key.text, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_read_count(r, name, out);
    }
    if (status == PITH_OK && (*out == 0 || *out > INT32_MAX)) {
        status = pith_fail(r->error, PITH_ERROR_FORMAT, "%s: key %s is %zu, not 1 to %d",
                           pith_gguf_name(r->gguf), key.text, *out, INT32_MAX);
    }
    if (status == PITH_OK) {
        pith_json_put_integer(&r->json, member, (int64_t)*out);
    }
    return status;
}

pith_status pith_gguf_positive(const pith_gguf_reading *r, const char *name, double *out) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, name);
    pith_status status = pith_gguf_number(r->gguf, key.text, out, r->error);
    if (status == PITH_OK && (!isfinite(*out) || *out <= 0)) {
        status = pith_fail(r->error, PITH_ERROR_FORMAT, "%s: key %s is %g, not positive and finite",
                           pith_gguf_name(r->gguf), key.text, *out);
    }
    return status;
}

/* Most keys hold as a float a number that was written as text in config.json: the shortest decimal
 * that reads back as that float is the original text. */
void pith_gguf_put_number(pith_json_writer *json, const char *member, double value) {
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        snprintf(text, sizeof text, "%.*g", digits, value);
        back = strtod(text, NULL);
        if (back == value || (digits < 10 && (double)(float)back == value)) {
            break;
        }
    }
    pith_json_put_raw(json, member, text, strlen(text));
}

pith_status pith_gguf_put_positive(pith_gguf_reading *r, const char *name, const char *member) {
    double value = 0;
    pith_status status = pith_gguf_require(r->gguf, pith_gguf_key_of(r, name).text, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, name, &value);
    }
    if (status == PITH_OK) {
        pith_gguf_put_number(&r->json, member, value);
    }
    return status;
}

pith_status pith_gguf_put_steps(pith_gguf_reading *r) {
    static const struct {
        const char *name;
        double neutral;
        const char *member; /* of config.json; NULL: not written here */
        unsigned step;      /* 0: of no architecture */
    } steps[] = {
        {"expert_count", 0, NULL, PITH_GGUF_EXPERTS},
        {"attn_logit_softcapping", 0, "attn_logit_softcapping", PITH_GGUF_CAPS},
        {"final_logit_softcapping", 0, "final_logit_softcapping", PITH_GGUF_CAPS},
        {"attention.scale", 0, "attention_multiplier", PITH_GGUF_SCALES},
        {"logit_scale", 1, "logits_scaling", PITH_GGUF_SCALES},
        {"residual_scale", 1, "residual_multiplier", PITH_GGUF_SCALES},
        {"embedding_scale", 1, "embedding_multiplier", PITH_GGUF_SCALES},
        {"attention.max_alibi_bias", 0, NULL, 0},
        {"attention.clamp_kqv", 0, NULL, 0},
        {"attention.temperature_scale", 0, "llama_4_scaling_beta", PITH_GGUF_GROWTH},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        pith_gguf_arch_key key = pith_gguf_key_of(r, steps[i].name);
        double value = steps[i].neutral;
        pith_status status = pith_gguf_number(r->gguf, key.text, &value, r->error);
        bool has_step = (r->architecture->steps & steps[i].step) != 0;
        if (status == PITH_OK && has_step && (!isfinite(value) || value < 0)) {
            status = pith_fail(r->error, PITH_ERROR_FORMAT, "%s: key %s is %g, not 0 or more",
                               pith_gguf_name(r->gguf), key.text, value);
        } else if (status == PITH_OK && !has_step && value != steps[i].neutral) {
            status =
                pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s of %g is not supported",
                          pith_gguf_name(r->gguf), key.text, value);
        }
        if (status != PITH_OK) {
            return status;
        }
        if (has_step && steps[i].member != NULL && pith_gguf_has(r, steps[i].name)) {
            pith_gguf_put_number(&r->json, steps[i].member, value);
        }
    }
    return PITH_OK;
}

/* ---- Tensors that say something -------------------------------------------------------------- */

static bool has_tensor(const pith_gguf_reading *r, const char *name) {
    size_t source;
    return pith_gguf_parts_find(r->parts, name, &source) != NULL;
}

size_t pith_gguf_rows_of(const pith_gguf_reading *r, const char *name) {
    size_t source;
    const pith_gguf_tensor *found = pith_gguf_parts_find(r->parts, name, &source);
    return found != NULL && found->n_dims == 2 ? found->shape[0] : 0;
}

static pith_status put_vocab_size(pith_gguf_reading *r) {
    static const char name[] = "token_embd.weight";
    size_t rows = pith_gguf_rows_of(r, name);
    if (rows == 0 || rows > INT32_MAX) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: no tensor %s with two dimensions",
                         pith_gguf_name(r->gguf), name);
    }
    pith_json_put_integer(&r->json, "vocab_size", (int64_t)rows);
    return PITH_OK;
}

pith_status pith_gguf_put_sizes(pith_gguf_reading *r) {
    size_t inner;
    const struct {
        const char *name, *member;
        size_t *out;
    } counts[] = {
        {"embedding_length", "hidden_size", &r->hidden},
        {"feed_forward_length", "intermediate_size", &inner},
        {"block_count", "num_hidden_layers", &r->n_layers},
        {"context_length", "max_position_embeddings", &r->context},
    };
    pith_status status = put_vocab_size(r);
    for (size_t i = 0; status == PITH_OK && i < sizeof counts / sizeof counts[0]; i++) {
        status = pith_gguf_put_count(r, counts[i].name, counts[i].member, counts[i].out);
    }
    return status;
}

/* ---- Decoders -------------------------------------------------------------------------------- */

static pith_status put_heads(pith_gguf_reading *r, size_t *n_heads) {
    size_t heads = 0;
    size_t value_length = 0;
    pith_status status =
        pith_gguf_put_count(r, "attention.head_count", "num_attention_heads", &heads);
    size_t kv_heads = heads;
    if (status == PITH_OK && pith_gguf_has(r, "attention.head_count_kv")) {
        status =
            pith_gguf_put_count(r, "attention.head_count_kv", "num_key_value_heads", &kv_heads);
    } else if (status == PITH_OK) {
        pith_json_put_integer(&r->json, "num_key_value_heads", (int64_t)kv_heads);
    }
    if (status != PITH_OK) {
        return status;
    }
    *n_heads = heads;
    if (heads % kv_heads != 0) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: key %s is %zu, no divisor of the %zu heads", pith_gguf_name(r->gguf),
                         pith_gguf_key_of(r, "attention.head_count_kv").text, kv_heads, heads);
    }
    if (pith_gguf_has(r, "attention.key_length")) {
        status = pith_gguf_put_count(r, "attention.key_length", "head_dim", &r->head_dim);
    } else if (r->hidden % heads != 0) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: key %s is %zu, no divisor of the width %zu, and there is no key %s",
                         pith_gguf_name(r->gguf), pith_gguf_key_of(r, "attention.head_count").text,
                         heads, r->hidden, pith_gguf_key_of(r, "attention.key_length").text);
    } else {
        r->head_dim = r->hidden / heads;
        pith_json_put_integer(&r->json, "head_dim", (int64_t)r->head_dim);
    }
    value_length = r->head_dim;
    if (status == PITH_OK) {
        status = pith_gguf_read_count(r, "attention.value_length", &value_length);
    }
    if (status == PITH_OK && value_length != r->head_dim) {
        status = pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                           "%s: values of %zu elements with keys of %zu are not supported",
                           pith_gguf_name(r->gguf), value_length, r->head_dim);
    }
    return status;
}

/* OLMo 3, which OLMo 2's architecture becomes by a window: which layers have it, else three of
 * four.
 */
static pith_status put_olmo3(pith_gguf_reading *r) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, "attention.sliding_window_pattern");
    double theta = 5e5;
    pith_gguf_value pattern = {.count = 0};
    pith_status status = pith_gguf_array(r->gguf, key.text, PITH_GGUF_BOOL, &pattern, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, "rope.freq_base", &theta);
    }
    if (status == PITH_OK && theta != 5e5) { /* that of layers with a window, in its class */
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: key %s of %g with a window is not supported, only 500000",
                         pith_gguf_name(r->gguf), pith_gguf_key_of(r, "rope.freq_base").text,
                         theta);
    }
    if (status == PITH_OK && pattern.count > PITH_MAX_LAYERS) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: key %s has %zu elements, the limit is %d", pith_gguf_name(r->gguf),
                         key.text, pattern.count, PITH_MAX_LAYERS);
    }
    if (status == PITH_OK && pattern.count != 0) {
        pith_json_open(&r->json, "layer_types", '[');
        for (size_t i = 0; i < pattern.count; i++) {
            pith_json_put_text(&r->json, NULL,
                               pattern.data[i] != 0 ? "sliding_attention" : "full_attention");
        }
        pith_json_close(&r->json, ']');
    }
    return status;
}

/* Among the models of Llama's architecture only Mistral has a window, which a converter may have
 * kept. */
static pith_status put_window(pith_gguf_reading *r, const char **model_type) {
    bool olmo = strcmp(r->architecture->name, "olmo2") == 0;
    pith_gguf_arch_key key = pith_gguf_key_of(r, "attention.sliding_window");
    size_t window = 0;
    pith_status status = pith_gguf_read_count(r, "attention.sliding_window", &window);
    if (status != PITH_OK || window == 0) {
        return status;
    }
    if ((r->architecture->steps & PITH_GGUF_WINDOW) == 0 || window > INT32_MAX) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s of %zu is not supported",
                         pith_gguf_name(r->gguf), key.text, window);
    }
    if (strcmp(r->architecture->name, "llama") == 0) {
        *model_type = "mistral";
    }
    pith_json_put_integer(&r->json, "sliding_window", (int64_t)window);
    *model_type = olmo ? "olmo3" : *model_type;
    return olmo ? put_olmo3(r) : PITH_OK;
}

/* Writes the window of all layers but the last one of each pattern, which must be the
 * architecture's. */
static pith_status put_pattern(pith_gguf_reading *r) {
    size_t window;
    size_t pattern = r->architecture->pattern;
    pith_status status =
        pith_gguf_put_count(r, "attention.sliding_window", "sliding_window", &window);
    if (status == PITH_OK) {
        status = pith_gguf_read_count(r, "attention.sliding_window_pattern", &pattern);
    }
    if (status == PITH_OK && pattern != r->architecture->pattern) {
        status = pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                           "%s: key %s of %zu is not supported, only %zu", pith_gguf_name(r->gguf),
                           pith_gguf_key_of(r, "attention.sliding_window_pattern").text, pattern,
                           r->architecture->pattern);
    }
    return status;
}

/* Writes what only Gemma has: windows, the base of RoPE in their layers, and query_pre_attn_scalar,
 * which no key holds: it is the size of a head, but hidden / heads in the 27B models. */
static pith_status put_gemma(pith_gguf_reading *r, size_t heads) {
    double theta = 0;
    pith_status status = put_pattern(r);
    if (status == PITH_OK && pith_gguf_has(r, "rope.freq_base_swa")) {
        status = pith_gguf_positive(r, "rope.freq_base_swa", &theta);
        pith_gguf_put_number(&r->json, "rope_local_base_freq", theta);
    }
    size_t divisor = r->n_layers == r->architecture->wide ? r->hidden / heads : r->head_dim;
    pith_json_put_integer(&r->json, "query_pre_attn_scalar", (int64_t)divisor);
    return status;
}

/* Writes the windows of gpt-oss, and refuses a file without a scaling of RoPE: its class would have
 * one, and llama.cpp none. */
static pith_status put_gpt_oss(pith_gguf_reading *r) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, "rope.scaling.type");
    pith_gguf_scaling scaling;
    pith_status status = put_pattern(r);
    if (status == PITH_OK) {
        status = pith_gguf_require(r->gguf, key.text, r->error);
    }
    if (status == PITH_OK) {
        status = pith_gguf_read_scaling(r, &scaling);
    }
    if (status == PITH_OK && pith_text_is(scaling.type, "none")) {
        status = pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s none is not supported",
                           pith_gguf_name(r->gguf), key.text);
    }
    return status;
}

/* Refuses Granite without its scale of scores, whose default differs between readers, and without
 * RoPE, which this key switches off there. */
static pith_status check_granite(const pith_gguf_reading *r) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, "rope.scaling.finetuned");
    bool turns = true;
    pith_status status =
        pith_gguf_require(r->gguf, pith_gguf_key_of(r, "attention.scale").text, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_flag(r->gguf, key.text, &turns, r->error);
    }
    if (status == PITH_OK && !turns) {
        status = pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                           "%s: key %s false (no RoPE) is not supported", pith_gguf_name(r->gguf),
                           key.text);
    }
    return status;
}

/* Ministral 3's architecture is also that of models by Mistral without a scaling of RoPE, whose
 * queries do not grow. */
static pith_status settle_mistral3(pith_gguf_reading *r, const char **model_type) {
    pith_gguf_arch_key key = pith_gguf_key_of(r, "attention.temperature_scale");
    pith_gguf_scaling scaling;
    double beta = 0;
    pith_status status = pith_gguf_read_scaling(r, &scaling);
    if (status == PITH_OK) {
        status = pith_gguf_number(r->gguf, key.text, &beta, r->error);
    }
    if (status != PITH_OK || !pith_text_is(scaling.type, "none")) {
        return status;
    }
    *model_type = "mistral";
    pith_json_put_null(&r->json, "sliding_window"); /* its class has one where nothing is said */
    return beta == 0 ? PITH_OK
                     : pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                                 "%s: key %s of %g is not supported without a scaling of RoPE",
                                 pith_gguf_name(r->gguf), key.text, beta);
}

static void put_flags(pith_gguf_reading *r) {
    pith_json_put_bool(&r->json, "tie_word_embeddings", !has_tensor(r, "output.weight"));
    pith_json_put_bool(&r->json, "attention_bias", has_tensor(r, "blk.0.attn_q.bias"));
    pith_json_put_bool(&r->json, "mlp_bias", has_tensor(r, "blk.0.ffn_up.bias"));
}

static pith_status put_decoder(pith_gguf_reading *r) {
    const char *model_type = r->architecture->model_type;
    size_t heads;
    pith_status status = pith_gguf_put_steps(r);
    if (status == PITH_OK) {
        status = pith_gguf_put_sizes(r);
    }
    if (status == PITH_OK) {
        status = put_heads(r, &heads);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_positive(r, "attention.layer_norm_rms_epsilon", "rms_norm_eps");
    }
    if (status == PITH_OK) {
        status = r->architecture->wide != 0      ? put_gemma(r, heads)
                 : r->architecture->pattern != 0 ? put_gpt_oss(r)
                                                 : put_window(r, &model_type);
    }
    if (status == PITH_OK && (r->architecture->steps & PITH_GGUF_SCALES) != 0) {
        status = check_granite(r);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_rope(r);
    }
    if (status == PITH_OK && strcmp(r->architecture->name, "mistral3") == 0) {
        status = settle_mistral3(r, &model_type);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_experts(r, &model_type);
    }
    put_flags(r);
    pith_json_put_text(&r->json, "model_type", model_type);
    return status;
}

/* ---- Special tokens -------------------------------------------------------------------------- */

/* Ids that no token has are left out, as with a directory's files. */
static pith_status put_special_ids(pith_gguf_reading *r) {
    static const char *const ends[] = {
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id",
        "tokenizer.ggml.eom_token_id",
    };
    size_t bos = SIZE_MAX;
    pith_status status = pith_gguf_count(r->gguf, "tokenizer.ggml.bos_token_id", &bos, r->error);
    if (bos <= INT32_MAX) {
        pith_json_put_integer(&r->json, "bos_token_id", (int64_t)bos);
    } else {
        pith_json_put_null(&r->json, "bos_token_id");
    }
    pith_json_open(&r->json, "eos_token_id", '[');
    size_t found[sizeof ends / sizeof ends[0]];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && status == PITH_OK; i++) {
        bool again = false;
        found[i] = SIZE_MAX;
        status = pith_gguf_count(r->gguf, ends[i], &found[i], r->error);
        for (size_t j = 0; j < i; j++) {
            again = again || found[j] == found[i];
        }
        if (status == PITH_OK && found[i] <= INT32_MAX && !again) {
            pith_json_put_integer(&r->json, NULL, (int64_t)found[i]);
        }
    }
    pith_json_close(&r->json, ']');
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static pith_status write_json(pith_gguf_reading *r) {
    pith_json_open(&r->json, NULL, '{');
    pith_status status = r->architecture->encoder ? pith_gguf_put_encoder(r) : put_decoder(r);
    if (status == PITH_OK && !r->architecture->encoder) {
        status = put_special_ids(r);
    }
    pith_json_close(&r->json, '}');
    if (status == PITH_OK && r->json.status == PITH_ERROR_ARGUMENT) { /* a text of the file */
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: its keys as config.json: %s %s",
                         pith_gguf_name(r->gguf), r->json.bad_key, r->json.problem);
    }
    return status == PITH_OK ? pith_json_write_end(&r->json, "config.json", r->error) : status;
}

pith_status pith_gguf_config_read(pith_hf_config *out, const pith_gguf_parts *parts,
                                  const pith_sources *sources, const pith_log *log,
                                  pith_error *error) {
    pith_gguf_reading r = {
        .gguf = pith_gguf_keys(parts),
        .parts = parts,
        .sources = sources,
        .error = error,
    };
    pith_hf_config config;
    pith_status status = pith_gguf_architecture_find(r.gguf, &r.architecture, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_json_write_begin(&r.json, parts->allocator);
    status = write_json(&r);
    if (status == PITH_OK) {
        status = pith_hf_config_parse(&config, r.json.bytes.data, r.json.bytes.size, NULL, 0, false,
                                      parts->allocator, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "%s: its keys as", pith_gguf_name(r.gguf));
        }
    }
    pith_bytes_release(&r.json.bytes);
    if (status == PITH_OK && r.architecture->encoder) {
        status = pith_gguf_read_pooling(&r, &config.config, log);
    }
    if (status == PITH_OK) {
        *out = config;
    }
    return status;
}
