/* EXAONE 4: norms after the sub-layers alone, and of each head of q and k before RoPE; where some
 * layers have a window, the others have no RoPE. LG AI Research 2025. */
#include "families/family.h"

#include "base/status.h"

#include <string.h>

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 102400),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 16384),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT(num_key_value_heads, 32),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 2048),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
};

/* sliding_window_pattern: either a number n, of which every n-th layer sees all keys; or a word of
 * L (a window) and G, which is repeated, and the last layer sees all. */
static pith_status read_pattern(pith_json json, size_t n_layers, bool *sliding, pith_error *error) {
    static const char key[] = "sliding_window_pattern";
    pith_json found = pith_hf_json_get(json, key);
    const char *word = pith_hf_json_text(found);
    size_t n = word != NULL ? strlen(word) : 4;
    if (word != NULL && (n == 0 || strspn(word, "LG") != n)) {
        return pith_hf_json_fail("config.json", key, "an integer or a word of L and G", found,
                                 error);
    }
    pith_status status =
        word == NULL ? pith_hf_json_count(json, key, "config.json", &n, error) : PITH_OK;
    if (status == PITH_OK && n == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "config.json: %s is 0", key);
    }
    for (size_t i = 0; status == PITH_OK && i < n_layers; i++) {
        sliding[i] = word != NULL ? word[i % n] == 'L' && i + 1 < n_layers : (i + 1) % n != 0;
    }
    return status;
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    size_t n_layers = config->num_hidden_layers;
    bool sliding[PITH_MAX_LAYERS] = {false};
    bool given = false;
    size_t window = 0;
    config->qk_norm = PITH_QK_NORM_HEAD;
    pith_status status = pith_window_read(json, 4096, &window, error);
    if (status == PITH_OK) {
        status = pith_layer_types_read(json, n_layers, &given, sliding, error);
    }
    if (status == PITH_OK && !given && window != 0) {
        status = read_pattern(json, n_layers, sliding, error);
    }
    const pith_layer_kind turning = config->kinds[0];
    for (size_t i = 0; status == PITH_OK && i < n_layers; i++) {
        pith_layer_kind kind = {.sliding_window = sliding[i] ? window : 0};
        kind.rope = sliding[i] || window == 0 ? turning.rope : kind.rope;
        pith_config_set_kind(config, i, &kind);
    }
    return status;
}

const pith_family pith_family_exaone4 = {
    .name = "exaone4",
    .classes = {"Exaone4ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention, &pith_rules_qk_norm,
              &pith_rules_norms_after, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 0,
    .eos = 2,
    .read = read,
};
