/* A GGUF file as a checkpoint. */
#include "convert/checkpoint.h"

#include "base/text.h"
#include "convert/gguf_config.h"
#include "convert/gguf_tokenizer.h"

#include <string.h>

/* ---- Tensors --------------------------------------------------------------------------------- */

/* True for the rows of queries and keys, and their biases. */
static bool is_rotated(const char *name) {
    static const char *const endings[] = {".attn_q.weight", ".attn_k.weight", ".attn_q.bias",
                                          ".attn_k.bias"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (pith_ends_with(name, endings[i])) {
            return true;
        }
    }
    return false;
}

static pith_checkpoint_tensor tensor_of(const pith_checkpoint *c, size_t source,
                                        const pith_gguf_tensor *tensor) {
    pith_checkpoint_tensor out = {
        .file = &c->sources.files[source].file,
        .name = tensor->name,
        .type = tensor->type->name,
        .n_dims = tensor->n_dims,
        .offset = tensor->offset,
        .size = tensor->size,
        .block = tensor->type->block,
        .block_bytes = tensor->type->block_bytes,
        .quantised = tensor->type->quantised,
        .widen = tensor->type->widen,
    };
    memcpy(out.shape, tensor->shape, sizeof tensor->shape);
    if (c->interleaved && is_rotated(tensor->name)) {
        out.head_rows = out.turned_rows = c->config.config.head_dim;
    }
    return out;
}

static bool find(const pith_checkpoint *c, const char *name, pith_checkpoint_tensor *out) {
    size_t source;
    const pith_gguf_tensor *found = pith_gguf_parts_find(&c->parts, name, &source);
    if (found == NULL) {
        return false;
    }
    *out = tensor_of(c, source, found);
    return true;
}

static bool at(const pith_checkpoint *c, size_t i, pith_checkpoint_tensor *out) {
    size_t source;
    const pith_gguf_tensor *found = pith_gguf_parts_at(&c->parts, i, &source);
    if (found == NULL) {
        return false;
    }
    *out = tensor_of(c, source, found);
    return true;
}

/* ---- The form -------------------------------------------------------------------------------- */

static pith_status read_tokenizer(pith_checkpoint *c, const char *path, pith_error *error) {
    if (path != NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: a GGUF file is converted with its own tokenizer, not with %s",
                         c->name, path);
    }
    return pith_gguf_tokenizer_read(&c->tokenizer, pith_gguf_keys(&c->parts),
                                    c->config.config.vocab_size, c->allocator, c->log, error);
}

static void close_parts(pith_checkpoint *c) {
    pith_gguf_parts_close(&c->parts);
}

static const pith_checkpoint_form form = {
    .naming = PITH_NAMES_GGUF,
    .settings = "the keys ask",
    .types = "F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS and MXFP4",
    .reads_quantised = true,
    .find = find,
    .at = at,
    .read_tokenizer = read_tokenizer,
    .close = close_parts,
};

pith_status pith_gguf_checkpoint_open(pith_checkpoint *c, const char *path, pith_error *error) {
    const pith_gguf_architecture *architecture;
    pith_status status = pith_sources_open_beside(&c->sources, path, c->allocator, error);
    if (status == PITH_OK) {
        status = pith_gguf_parts_open(&c->parts, &c->sources, path, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    c->form = &form;
    c->name = pith_gguf_name(pith_gguf_keys(&c->parts));
    status = pith_gguf_architecture_find(pith_gguf_keys(&c->parts), &architecture, error);
    if (status == PITH_OK) {
        c->interleaved = architecture->interleaved;
        status = pith_gguf_config_read(&c->config, &c->parts, &c->sources, c->log, error);
    }
    return status;
}
