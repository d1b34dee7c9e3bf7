/* Decides whether the output head of a decoder is its embedding. */
#ifndef PITH_CONVERT_TIED_H
#define PITH_CONVERT_TIED_H

#include "convert/checkpoint.h"
#include "families/family.h"

/* A configuration with tie_word_embeddings whose checkpoint stores another lm_head.weight than
 * model.embed_tokens.weight is no longer tied: fine-tuning has made the two differ, and
 * transformers 5 keeps both. Says so in a warning. Errors: IO, FORMAT (truncated). */
pith_status pith_tied_resolve(const pith_family *family, pith_config *config,
                              const pith_checkpoint *checkpoint, const pith_log *log,
                              pith_error *error);

#endif
