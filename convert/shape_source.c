/* A shape and a tokenizer in place of a checkpoint; see shape_source.h. */
#include "convert/shape_source.h"

#include <string.h>
#include <sys/stat.h>

#include "weights/shapes.h"

pith_status pith_shape_config(pith_hf_config *out, const char *name, pith_error *error) {
    const pith_shape *shape;
    pith_status status = pith_shape_find(&shape, name, error);
    if (status == PITH_OK) {
        *out = (pith_hf_config){.family = shape->family, .config = shape->config, .bos = -1};
    }
    return status;
}

/* ---- The tokenizer's place ------------------------------------------------------------------- */

pith_status pith_shape_open_tokenizer(pith_sources *out, const char **file, const char *path,
                                      const pith_allocator *allocator, pith_error *error) {
    struct stat facts;
    if (stat(path, &facts) == 0 && !S_ISDIR(facts.st_mode)) {
        *file = path;
        return pith_sources_open_beside(out, path, allocator, error);
    }
    *file = NULL;
    pith_status status = pith_sources_open(out, path, allocator, error);
    if (status == PITH_OK && !pith_hf_tokenizer_is_there(out)) {
        status = pith_fail(error, PITH_ERROR_FORMAT,
                           "%s: no tokenizer.json, tokenizer.model or vocab.txt in this directory",
                           path);
    }
    return status;
}

/* ---- The vocabulary -------------------------------------------------------------------------- */

pith_status pith_shape_fit_vocab(pith_hf_config *config, const char *name, const pith_vocab *vocab,
                                 const char *path, const pith_log *log, pith_error *error) {
    bool encoder = config->family->role == PITH_ENCODER;
    size_t *vocab_size = &config->config.vocab_size;
    if (!encoder && vocab->kind == PITH_TOKENIZER_WORDPIECE) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: a WordPiece tokenizer is for encoders, and %s is a decoder", path,
                         name);
    }
    if (vocab->n_pieces > *vocab_size) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: %zu tokens do not fit %s, whose vocabulary has %zu", path,
                         vocab->n_pieces, name, *vocab_size);
    }
    if (vocab->n_pieces < *vocab_size) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "the vocabulary has the tokenizer's %zu tokens, not the %zu of %s",
                       vocab->n_pieces, *vocab_size, name);
    }
    *vocab_size = vocab->n_pieces;
    if (!encoder && vocab->eos >= 0) {
        config->eos[0] = vocab->eos;
        config->n_eos = 1;
    }
    return PITH_OK;
}
