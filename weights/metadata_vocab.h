/* The section "tokenizer" of the metadata document, for metadata.c. */
#ifndef PITH_WEIGHTS_METADATA_VOCAB_H
#define PITH_WEIGHTS_METADATA_VOCAB_H

#include "base/json.h"
#include "base/json_write.h"
#include "tokenizer/vocab.h"

/* Writes the settings and counts of a vocabulary as members. */
void pith_vocab_settings_write(const pith_vocab *vocab, pith_json_writer *to);

/* Reads them; strings of *out are those of `object`, which is absent for a file without a
 * tokenizer. *steps becomes the array that out->steps points at, for the caller to release; it
 * stays when there is none, and may be set on failure. Errors: FORMAT (names the key), MEMORY. */
pith_status pith_vocab_settings_read(pith_vocab *out, pith_split_step **steps, pith_json object,
                                     const char *where, const pith_allocator *allocator,
                                     pith_error *error);

#endif
