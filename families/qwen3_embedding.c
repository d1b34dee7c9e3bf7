/* Qwen3-Embedding: Qwen 3 without its head; the last token, which has seen all the others, stands
 * for the text. Zhang et al. 2025. */
#include "families/qwen3.h"

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    pith_config_set_decoder_block(config);
    config->causal = true;
    return pith_qwen3_layers_read(config, json, error);
}

const pith_family pith_family_qwen3_embedding = {
    .name = "qwen3-embedding",
    .classes = {"Qwen3Model", "Qwen3ForCausalLM"},
    .role = PITH_ENCODER,
    .rules = {&pith_rules_headless_embed, &pith_rules_headless_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_qk_norm, &pith_rules_mlp_norm, &pith_rules_mlp,
              &pith_rules_dense},
    .layers = "layers.",
    .prefix = "model.",
    .ignored = {"lm_head.weight"},
    .keys = pith_qwen3_keys,
    .n_keys = sizeof pith_qwen3_keys / sizeof pith_qwen3_keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .rope = true,
    .bos = -1,
    .eos = -1,
    .read = read,
};
