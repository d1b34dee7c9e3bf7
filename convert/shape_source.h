/* What stands in for a checkpoint when random weights of a known shape are written: the
 * configuration is the shape's, the vocabulary is that of a tokenizer given by its path. */
#ifndef PITH_CONVERT_SHAPE_SOURCE_H
#define PITH_CONVERT_SHAPE_SOURCE_H

#include "convert/hf_config.h"
#include "convert/hf_tokenizer.h"
#include "convert/sources.h"

/* The configuration of the shape `name`, without special tokens. Errors: ARGUMENT (unknown). */
pith_status pith_shape_config(pith_hf_config *out, const char *name, pith_error *error);

/* Opens the directory `path`, or the one that the file `path` is in, whose tokenizer_config.json
 * and the like belong to the tokenizer. *file is `path` when that is a file, NULL when it is a
 * directory, which then has a tokenizer. Errors: IO, FORMAT (no tokenizer in it), MEMORY. */
pith_status pith_shape_open_tokenizer(pith_sources *out, const char **file, const char *path,
                                      const pith_allocator *allocator, pith_error *error);

/* Sets the vocabulary's size in the configuration of the shape `name` to the tokenizer's, so that
 * every id has a text and generation cannot choose one without, and, for a decoder, sets the token
 * that ends a text. `path` is the tokenizer's, for messages. Warns when the size is another than
 * the shape's. Errors: UNSUPPORTED (more tokens than the shape has; WordPiece for a decoder). */
pith_status pith_shape_fit_vocab(pith_hf_config *config, const char *name, const pith_vocab *vocab,
                                 const char *path, const pith_log *log, pith_error *error);

#endif
