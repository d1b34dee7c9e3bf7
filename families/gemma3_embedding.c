/* EmbeddingGemma: Gemma 3 without its head, where each token sees those on both sides of it, in
 * most layers within a window. Schechter Vera et al. 2025. */
#include "families/gemma.h"

#include "base/status.h"

static const pith_rule rules[] = {
    {"norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.weight),
     PITH_GGUF("output_norm.weight"), PITH_PLUS(1)},
};
static const pith_rule_table last_norm = {rules, sizeof rules / sizeof rules[0]};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    bool both = false;
    pith_status status =
        pith_hf_json_flag(json, "use_bidirectional_attention", "config.json", &both, error);
    if (status == PITH_OK) {
        pith_config_set_decoder_block(config);
        status = pith_gemma3_layers_read(config, json, error);
    }
    config->causal = !both;
    for (size_t i = 0; both && i < config->n_kinds; i++) {
        /* transformers halves it whenever it reads a file, even one that it wrote itself. */
        size_t *window = &config->kinds[i].sliding_window;
        *window = *window != 0 ? *window / 2 + 1 : 0;
    }
    return status;
}

const pith_family pith_family_gemma3_embedding = {
    .name = "gemma3-embedding",
    .classes = {"Gemma3TextModel", "Gemma3ForCausalLM"},
    .role = PITH_ENCODER,
    .rules = {&pith_rules_headless_embed, &last_norm, &pith_rules_gemma_layer_norms,
              &pith_rules_attention, &pith_rules_gemma_qk_norm, &pith_rules_mlp, &pith_rules_dense},
    .layers = "layers.",
    .prefix = "model.",
    .ignored = {"lm_head.weight"},
    .keys = pith_gemma3_keys,
    .n_keys = sizeof pith_gemma3_keys / sizeof pith_gemma3_keys[0],
    .fixed = {{"hidden_activation", "gelu_pytorch_tanh"}},
    .rope = true,
    .rope_type = "full_attention",
    .bos = -1,
    .eos = -1,
    .read = read,
};
