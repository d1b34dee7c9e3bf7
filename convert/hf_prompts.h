/* config_sentence_transformers.json: the texts that an encoder was trained to read in front of
 * others, and what sentence-transformers does with its embeddings. */
#ifndef PITH_CONVERT_HF_PROMPTS_H
#define PITH_CONVERT_HF_PROMPTS_H

#include "base/status.h"
#include "convert/sources.h"

/* A zeroed one has no prompts. */
typedef struct pith_hf_prompts {
    pith_prompt *prompts; /* [n] in the file's order */
    size_t n;
    const char *default_prompt; /* name of one of them, or NULL */
    char *text;                 /* the file, which all strings are in */
} pith_hf_prompts;

/* Reads a text as sentence-transformers does: a prompt that is null is empty; "query" and
 * "document" are there, and empty, when the file does not say so. `text` becomes the property of
 * *out and is released by pith_hf_prompts_free, also on failure. `where` is its name in messages;
 * `hidden_size` bounds truncate_dim; where pith deviates from the file it says so in `log`.
 * Errors: FORMAT, UNSUPPORTED (embeddings cut short, another kind of model), MEMORY. */
pith_status pith_hf_prompts_parse(pith_hf_prompts *out, char *text, size_t size, const char *where,
                                  size_t hidden_size, bool normalized,
                                  const pith_allocator *allocator, const pith_log *log,
                                  pith_error *error);
void pith_hf_prompts_free(pith_hf_prompts *prompts, const pith_allocator *allocator);

#endif
