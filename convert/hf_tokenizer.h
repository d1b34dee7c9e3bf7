/* The tokenizer of a Hugging Face checkpoint: tokenizer.model, tokenizer.json, BERT's vocab.txt or
 * XLM-R's sentencepiece.bpe.model, the special tokens that tokenizer_config.json and
 * special_tokens_map.json name, and the chat template. */
#ifndef PITH_CONVERT_HF_TOKENIZER_H
#define PITH_CONVERT_HF_TOKENIZER_H

#include "base/status.h"
#include "convert/hf_templates.h"
#include "convert/sources.h"
#include "tokenizer/vocab.h"

typedef struct pith_hf_tokenizer {
    const pith_allocator *allocator;
    pith_vocab_file file;
    bool present;
    bool no_bos; /* the configuration says that there is no beginning-of-text token */
    pith_hf_templates templates;
    bool llama2_markup; /* there is no template, but the configuration asks for Llama 2's markup */
} pith_hf_tokenizer;

/* Reads the tokenizer at `path`, or the directory's when path is NULL; a directory without one is a
 * warning and present is false. Opened files join `sources`.
 * Errors: IO, FORMAT (also more tokens than vocab_size), UNSUPPORTED, MEMORY. */
pith_status pith_hf_tokenizer_read(pith_hf_tokenizer *out, pith_sources *sources, const char *path,
                                   size_t vocab_size, const pith_log *log, pith_error *error);
/* Reads the tokenizer in the file at `path` as it stands, without what a directory may have beside
 * it. Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
pith_status pith_hf_tokenizer_read_file(pith_hf_tokenizer *out, const char *path,
                                        const pith_allocator *allocator, const pith_log *log,
                                        pith_error *error);
/* Returns true when the directory has a tokenizer's file. */
bool pith_hf_tokenizer_is_there(const pith_sources *sources);
/* Leaves out tokens that an embedding of vocab_size rows has no rows for. Special tokens are left
 * out, as no text becomes one unless asked for; others could be produced and are an error. `name`
 * is that of the tokenizer's file. Errors: FORMAT. */
pith_status pith_hf_tokenizer_fit(pith_vocab *vocab, size_t vocab_size, const char *name,
                                  const pith_log *log, pith_error *error);
void pith_hf_tokenizer_free(pith_hf_tokenizer *tokenizer);

#endif
