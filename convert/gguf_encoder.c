/* The encoders' keys of a GGUF file: BERT's, which XLM-R and RoBERTa share, and what Nomic's BERT
 * and ModernBERT have besides. */
#include "convert/gguf_encoder.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"
#include "convert/gguf_rope.h"

#include <stdio.h>
#include <string.h>

static bool is(const pith_gguf_reading *r, const char *architecture) {
    return strcmp(r->architecture->name, architecture) == 0;
}

static pith_status refuse_causal(const pith_gguf_reading *r) {
    bool causal = false;
    pith_gguf_arch_key key = pith_gguf_key_of(r, "attention.causal");
    pith_status status = pith_gguf_flag(r->gguf, key.text, &causal, r->error);
    return status == PITH_OK && causal
               ? pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s true is not supported",
                           pith_gguf_name(r->gguf), key.text)
               : status;
}

/* Writes the shape, and keeps what RoPE needs of it. */
static pith_status put_shape(pith_gguf_reading *r) {
    size_t heads;
    pith_status status = pith_gguf_put_sizes(r);
    if (status == PITH_OK) {
        status = pith_gguf_put_count(r, "attention.head_count", "num_attention_heads", &heads);
    }
    if (status == PITH_OK) {
        r->head_dim = r->hidden / heads; /* the configuration's check wants no remainder */
    }
    return status;
}

/* ---- Nomic's BERT ---------------------------------------------------------------------------- */

/* Writes RoPE, whose base the file must say, in transformers' own spelling of the model. */
static pith_status put_nomic(pith_gguf_reading *r) {
    pith_json_put_text(&r->json, "hidden_act", "silu");
    pith_status status =
        pith_gguf_require(r->gguf, pith_gguf_key_of(r, "rope.freq_base").text, r->error);
    return status == PITH_OK ? pith_gguf_put_rope(r) : status;
}

/* ---- ModernBERT ------------------------------------------------------------------------------ */

/* RoPE without a scaling, and the word for the MLP's activation. */
static pith_status put_texts(pith_gguf_reading *r) {
    pith_gguf_scaling scaling;
    pith_text activation = {"gelu", 4};
    pith_status status = pith_gguf_read_scaling(r, &scaling);
    if (status == PITH_OK && !pith_text_is(scaling.type, "none")) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: key %s: only none is supported, not %.*s", pith_gguf_name(r->gguf),
                         pith_gguf_key_of(r, scaling.key).text,
                         (int)pith_min_size(scaling.type.n_bytes, 60), scaling.type.data);
    }
    pith_gguf_arch_key key = pith_gguf_key_of(r, "hidden_activation");
    if (status == PITH_OK) {
        status = pith_gguf_text(r->gguf, key.text, &activation, r->error);
    }
    pith_json_put_bytes(&r->json, "hidden_activation", activation.data, activation.n_bytes);
    return status;
}

/* Layers see a window but for every third one, or so, from the first on; without a window all see
 * all of a text. */
static pith_status put_modern(pith_gguf_reading *r) {
    size_t window = 0;
    size_t every = 3;
    pith_status status = pith_gguf_read_count(r, "attention.sliding_window", &window);
    if (status == PITH_OK) {
        status = pith_gguf_read_count(r, "attention.sliding_window_pattern", &every);
    }
    if (status == PITH_OK && (window > INT32_MAX || every == 0 || every > INT32_MAX)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: keys %s and _pattern are %zu and %zu",
                         pith_gguf_name(r->gguf),
                         pith_gguf_key_of(r, "attention.sliding_window").text, window, every);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_positive(r, "rope.freq_base", "global_rope_theta");
    }
    if (status == PITH_OK && window > 0) {
        pith_json_put_integer(&r->json, "local_attention", (int64_t)window);
        status = pith_gguf_put_positive(r, "rope.freq_base_swa", "local_rope_theta");
    }
    pith_json_put_integer(&r->json, "global_attn_every_n_layers", window > 0 ? (int64_t)every : 1);
    return status == PITH_OK ? put_texts(r) : status;
}

/* ---- All of them ----------------------------------------------------------------------------- */

pith_status pith_gguf_put_encoder(pith_gguf_reading *r) {
    bool modern = is(r, "modern-bert");
    pith_status status = refuse_causal(r);
    if (status == PITH_OK) {
        status = pith_gguf_put_steps(r);
    }
    if (status == PITH_OK) {
        status = put_shape(r);
    }
    if (status == PITH_OK) {
        status = pith_gguf_put_positive(r, "attention.layer_norm_epsilon",
                                        modern ? "norm_eps" : "layer_norm_eps");
    }
    if (status == PITH_OK && is(r, "nomic-bert")) {
        status = put_nomic(r);
    } else if (status == PITH_OK && modern) {
        status = put_modern(r);
    }
    pith_json_put_integer(&r->json, "type_vocab_size",
                          (int64_t)pith_gguf_rows_of(r, "token_types.weight"));
    pith_json_put_text(&r->json, "model_type", r->architecture->model_type);
    return status;
}

pith_status pith_gguf_read_pooling(const pith_gguf_reading *r, pith_config *out,
                                   const pith_log *log) {
    enum { NONE, MEAN, CLS };
    size_t type = NONE;
    pith_gguf_arch_key key = pith_gguf_key_of(r, "pooling_type");
    pith_status status = pith_gguf_count(r->gguf, key.text, &type, r->error);
    if (status == PITH_OK && type > CLS) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: key %s of %zu is not supported, only 1 (mean) and 2 (cls)",
                         pith_gguf_name(r->gguf), key.text, type);
    }
    if (status == PITH_OK && type == NONE) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: no pooling is named: embeddings are the mean over all tokens",
                       pith_gguf_name(r->gguf));
    }
    out->pooling = type == CLS ? PITH_POOLING_CLS : PITH_POOLING_MEAN;
    out->normalize = true;
    return status;
}
