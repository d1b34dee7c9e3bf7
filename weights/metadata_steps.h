/* The lists of steps in the section "tokenizer" of the metadata document, for metadata_vocab.c. */
#ifndef PITH_WEIGHTS_METADATA_STEPS_H
#define PITH_WEIGHTS_METADATA_STEPS_H

#include "base/json.h"
#include "base/json_write.h"
#include "tokenizer/vocab.h"
#include "weights/metadata_vocab.h"

/* Writes the lists that the vocabulary has as members. */
void pith_vocab_steps_write(const pith_vocab *vocab, pith_json_writer *to);

/* Reads them; as pith_vocab_settings_read. */
pith_status pith_vocab_steps_read(pith_vocab *vocab, pith_vocab_lists *lists, pith_json object,
                                  const char *where, const pith_allocator *allocator,
                                  pith_error *error);

/* Index of the string `object[key]` in `names`, or n_names. */
size_t pith_find_name(pith_json object, const char *key, const char *const *names, size_t n_names);

#endif
