/* The section "tokenizer" of the metadata document, for metadata.c. */
#ifndef PITH_WEIGHTS_METADATA_VOCAB_H
#define PITH_WEIGHTS_METADATA_VOCAB_H

#include "base/json.h"
#include "base/json_write.h"
#include "tokenizer/vocab.h"

/* Writes the settings and counts of a vocabulary as members. */
void pith_vocab_settings_write(const pith_vocab *vocab, pith_json_writer *to);

/* The lowest format version whose readers ignore nothing that changes ids or text. */
int pith_vocab_format_version(const pith_vocab *vocab);

/* The arrays of a vocabulary's lists of steps, for the caller to release; NULL: none. */
typedef struct pith_vocab_lists {
    void *blocks[3];
} pith_vocab_lists;

/* Reads them; strings of *out are those of `object`, which is absent for a file without a
 * tokenizer. *lists, zero before, may be set on failure. Errors: FORMAT (names the key), MEMORY. */
pith_status pith_vocab_settings_read(pith_vocab *out, pith_vocab_lists *lists, pith_json object,
                                     const char *where, const pith_allocator *allocator,
                                     pith_error *error);

#endif
