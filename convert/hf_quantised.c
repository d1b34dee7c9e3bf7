/* The marks that quantisers leave in config.json and in the names of tensors. */
#include "convert/hf_quantised.h"

#include "base/status.h"
#include "families/hf_json.h"

#include <stdio.h>
#include <string.h>

const char pith_hf_quantised_advice[] = "take the repository with the original weights";

/* quant_method as libraries write it, and what people call it. */
static const struct {
    const char *method, *name;
} methods[] = {
    {"gptq", "GPTQ"},
    {"awq", "AWQ"},
    {"bitsandbytes", "bitsandbytes"},
    {"fp8", "FP8"},
    {"fbgemm_fp8", "FP8 of FBGEMM"},
    {"compressed-tensors", "compressed-tensors"},
    {"mxfp4", "MXFP4"},
    {"modelopt", "NVIDIA ModelOpt"},
    {"aqlm", "AQLM"},
    {"hqq", "HQQ"},
    {"quanto", "Quanto"},
    {"eetq", "EETQ"},
    {"torchao", "torchao"},
    {"vptq", "VPTQ"},
    {"higgs", "HIGGS"},
    {"spqr", "SpQR"},
    {"auto-round", "AutoRound"},
    {"intel/auto-round", "AutoRound"},
    {"bitnet", "BitNet"},
    {"exl2", "ExLlamaV2"},
    {"exl3", "ExLlamaV3"},
};

/* Endings that stand for ".weight". */
static const struct {
    const char *ending, *name;
} tensors[] = {
    {"qweight", "GPTQ or AWQ"},
    {"weight_packed", "compressed-tensors"},
    {"W_q", "HQQ"},
    {"q_weight", "ExLlamaV2"},
    {"trellis", "ExLlamaV3"},
    {"weight_q", "torchao"},
    {"codes", "AQLM"},
    {"weight._data", "Quanto"},
};

/* MLX and old bitsandbytes write no quant_method. */
static const char *name_without_method(pith_json value) {
    bool bits = pith_json_get(value, "bits").at != NULL;
    if (pith_json_get(value, "load_in_4bit").at != NULL ||
        pith_json_get(value, "load_in_8bit").at != NULL) {
        return "bitsandbytes";
    }
    return bits && pith_json_get(value, "group_size").at != NULL ? "MLX" : "an unnamed method";
}

static const char *method_name(pith_json value) {
    const char *method = pith_hf_json_text(pith_json_get(value, "quant_method"));
    if (method == NULL) {
        return name_without_method(value);
    }
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(method, methods[i].method) == 0) {
            return methods[i].name;
        }
    }
    return method;
}

static bool is_mxfp4(pith_json value) {
    const char *method = pith_hf_json_text(pith_json_get(value, "quant_method"));
    return method != NULL && strcmp(method, "mxfp4") == 0;
}

pith_status pith_hf_refuse_quantised(pith_json config, const pith_family *family,
                                     pith_error *error) {
    static const char *const keys[] = {"quantization", "quantization_config", "compression_config"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        pith_json value = pith_hf_json_get(config, keys[i]);
        if (value.at != NULL && !(family->mxfp4 && is_mxfp4(value))) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "config.json: %s: the weights are already quantised by %.60s; %s",
                             keys[i], method_name(value), pith_hf_quantised_advice);
        }
    }
    return PITH_OK;
}

const char *pith_hf_quantised_instead(const pith_checkpoint *checkpoint, const char *name) {
    static const char weight[] = "weight";
    char other[192];
    pith_checkpoint_tensor found;
    size_t n = strlen(name);
    size_t m = sizeof weight - 1;
    if (n < m || strcmp(name + n - m, weight) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        int length = snprintf(other, sizeof other, "%.*s%s", (int)(n - m), name, tensors[i].ending);
        if (length > 0 && (size_t)length < sizeof other &&
            pith_checkpoint_find(checkpoint, other, &found)) {
            return tensors[i].name;
        }
    }
    return NULL;
}
