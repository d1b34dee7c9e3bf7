/* The keys of a mixture of experts in a GGUF file; see gguf_experts.h. */
#include "convert/gguf_experts.h"

#include <string.h>

const pith_gguf_mixture pith_gguf_mixtral = {"mixtral", "num_local_experts", .norm = true};
const pith_gguf_mixture pith_gguf_qwen3_moe = {NULL, "num_experts", .own_width = true, .norm = true,
                                               .either = true};
const pith_gguf_mixture pith_gguf_olmoe = {NULL, "num_experts", .norm = false, .either = true};
const pith_gguf_mixture pith_gguf_granitemoe = {NULL, "num_local_experts", .norm = true};
const pith_gguf_mixture pith_gguf_gpt_oss = {NULL, "num_local_experts", .norm = true,
                                             .biases = true};

/* Refuses steps that only other mixtures have, and routers that are no softmax (function 1). */
static pith_status refuse_others(const pith_gguf_reading *r) {
    static const struct {
        const char *name;
        double neutral, other;
    } keys[] = {
        {"expert_shared_count", 0, 0},       {"expert_shared_feed_forward_length", 0, 0},
        {"leading_dense_block_count", 0, 0}, {"expert_group_count", 0, 1},
        {"expert_weights_scale", 0, 1},      {"expert_gating_func", 0, 1},
        {"interleave_moe_layer_step", 0, 1}, {"moe_every_n_layers", 0, 1},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        pith_gguf_arch_key key = pith_gguf_key_of(r, keys[i].name);
        double value = keys[i].neutral;
        pith_status status = pith_gguf_number(r->gguf, key.text, &value, r->error);
        if (status != PITH_OK) {
            return status;
        }
        if (value != keys[i].neutral && value != keys[i].other) {
            return pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s of %g is not supported",
                             pith_gguf_name(r->gguf), key.text, value);
        }
    }
    return PITH_OK;
}

/* Refuses tensors of steps that change a result: shared experts, biases of the router's choice and
 * of experts. */
static pith_status refuse_tensors(const pith_gguf_reading *r, bool biases) {
    static const char *const parts[] = {"_shexp.", "exp_probs_b.", "_exps.bias"};
    const size_t n = sizeof parts / sizeof parts[0] - biases;
    const pith_gguf_tensor *tensor;
    size_t source;
    for (size_t i = 0; (tensor = pith_gguf_parts_at(r->parts, i, &source)) != NULL; i++) {
        for (size_t k = 0; k < n; k++) {
            if (strstr(tensor->name, parts[k]) != NULL) {
                return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                                 "%s: tensor %s of a mixture of experts is not supported",
                                 pith_gguf_name(r->gguf), tensor->name);
            }
        }
    }
    return PITH_OK;
}

pith_status pith_gguf_put_experts(pith_gguf_reading *r, const char **model_type) {
    const pith_gguf_mixture *m = r->architecture->mixture;
    size_t n = 0, ignored;
    pith_status status = pith_gguf_read_count(r, "expert_count", &n);
    if (status != PITH_OK || m == NULL || (n == 0 && m->model_type != NULL)) {
        return status;
    }
    bool norm = m->norm;
    status = refuse_others(r);
    if (status == PITH_OK) {
        status = refuse_tensors(r, m->biases);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_count(r, "expert_count", m->count, &ignored);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_count(r, "expert_used_count", "num_experts_per_tok", &ignored);
    }
    if (status == PITH_OK && m->own_width) {
        status =
            pith_gguf_put_count(r, "expert_feed_forward_length", "moe_intermediate_size", &ignored);
    }
    const pith_gguf_arch_key key = pith_gguf_key_of(r, "expert_weights_norm");
    if (status == PITH_OK) {
        status = pith_gguf_flag(r->gguf, key.text, &norm, r->error);
    }
    if (status == PITH_OK && norm != m->norm && !m->either) {
        status = pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s %s is not supported",
                           pith_gguf_name(r->gguf), key.text, norm ? "true" : "false");
    }
    if (m->either) {
        pith_json_put_bool(&r->json, "norm_topk_prob", norm);
    }
    *model_type = m->model_type != NULL ? m->model_type : *model_type;
    return status;
}
