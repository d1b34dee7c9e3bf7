/* What decides the vectors of an encoder, as a number: configuration, types, the checksums of its
 * tensors and the settings of its tokenizer, and nothing of where the file came from. Databases
 * keep it (docs/search.md), so it must stay as it is from version to version: a setting that comes
 * later is added only where it differs from what was done before. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/model.h"
#include "weights/config.h"
#include "weights/metadata_vocab.h"

/* Two independent 64-bit hashes; each step of either is a bijection, so no single change goes
 * unnoticed. It guards against mistakes, not against forgery. */
typedef struct digest {
    uint64_t a, b;
} digest;

static const digest seed = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x9e3779b97f4a7c15)};

static void add_bytes(digest *d, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t byte = (unsigned char)bytes[i];
        d->a = (d->a ^ byte) * UINT64_C(0x100000001b3);
        d->a ^= d->a >> 32;
        d->b = (d->b ^ byte) * UINT64_C(0xd6e8feb86659fd93);
        d->b ^= d->b >> 29;
    }
}

__attribute__((format(printf, 2, 3))) static void add_line(digest *d, const char *format, ...) {
    char line[160];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    add_bytes(d, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
    add_bytes(d, "\n", 1);
}

static void add_config(digest *d, const pith_config *c) {
    add_line(d, "vocab_size %zu", c->vocab_size);
    add_line(d, "hidden_size %zu", c->hidden_size);
    add_line(d, "intermediate_size %zu", c->intermediate_size);
    add_line(d, "num_hidden_layers %zu", c->num_hidden_layers);
    add_line(d, "num_attention_heads %zu", c->num_attention_heads);
    add_line(d, "max_position_embeddings %zu", c->max_position_embeddings);
    add_line(d, "type_vocab_size %zu", c->type_vocab_size);
    add_line(d, "layer_norm_eps %.9g", (double)c->norm_eps);
    add_line(d, "max_seq_length %zu", c->max_seq_length);
    add_line(d, "pooling %s", pith_pooling_name(c->pooling));
    add_line(d, "normalize %d", c->normalize);
    if (c->skip_prompt) {
        add_line(d, "skip_prompt 1");
    }
}

static void add_vocab(digest *d, const pith_vocab *v) {
    add_line(d, "kind %d", (int)v->kind);
    add_line(d, "ids %" PRId32 " %" PRId32 " %" PRId32, v->bos, v->eos, v->unk);
    add_line(d, "lowercase %d strip_accents %d clean_text %d split_cjk %d", v->lowercase,
             v->strip_accents, v->clean_text, v->split_cjk);
    add_line(d, "max_word_chars %zu", v->max_word_chars);
}

/* Adds the settings that the first encoders and WordPiece did not have, as the metadata of a file
 * writes them. */
static pith_status add_further_settings(digest *d, const pith_model *model, pith_error *error) {
    pith_config config = model->network.config;
    pith_json_writer to;
    config.skip_prompt = false; /* has a line of its own */
    pith_json_write_begin(&to, &model->allocator);
    pith_json_open(&to, NULL, '{');
    pith_config_write_further(&config, &to);
    if (model->tokenizer != NULL &&
        pith_vocab_format_version(pith_tokenizer_vocab(model->tokenizer)) > 1) {
        pith_vocab_settings_write(pith_tokenizer_vocab(model->tokenizer), &to);
    }
    pith_json_close(&to, '}');
    pith_status status = pith_json_write_end(&to, "what decides an encoder's vectors", error);
    if (status == PITH_OK && to.bytes.size > strlen("{}")) {
        add_bytes(d, to.bytes.data, to.bytes.size);
    }
    pith_bytes_release(&to.bytes);
    return status;
}

/* Sums, so that the order of the tensors in the file does not matter. */
static void add_notes(digest *d, const pith_metadata *metadata) {
    digest sum = {0, 0};
    for (size_t i = 0; i < metadata->n_notes; i++) {
        const pith_tensor_note *note = &metadata->notes[i];
        digest one = seed;
        add_bytes(&one, note->name, strlen(note->name));
        add_line(&one, " %s %s", note->is_matrix ? pith_type_name(note->type) : "-", note->sha256);
        sum.a += one.a;
        sum.b += one.b;
    }
    add_line(d, "tensors %zu %016" PRIx64 "%016" PRIx64, metadata->n_notes, sum.a, sum.b);
}

pith_status pith_embed_fingerprint(const pith_model *model, char *out, pith_error *error) {
    if (model == NULL || out == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_embed_fingerprint: null argument");
    }
    if (model->network.config.role != PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is no encoder: it gives no sentence embeddings");
    }
    digest d = seed;
    add_line(&d, "%s %s", model->architecture, pith_type_name(model->type));
    add_config(&d, &model->network.config);
    if (model->tokenizer != NULL) {
        add_vocab(&d, pith_tokenizer_vocab(model->tokenizer));
    }
    pith_status status = add_further_settings(&d, model, error);
    if (status != PITH_OK) {
        return status;
    }
    if (model->file != NULL) {
        add_line(&d, "head_type %s", pith_type_name(model->file->metadata.head_type));
        add_notes(&d, &model->file->metadata);
    }
    snprintf(out, PITH_FINGERPRINT, "%016" PRIx64 "%016" PRIx64, d.a, d.b);
    return PITH_OK;
}
