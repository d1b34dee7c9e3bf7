/* A BERT encoder as sentence-transformers lays it out: the module files that say how the vectors of
 * a text's tokens become its embedding (modules.json, 1_Pooling/config.json,
 * sentence_bert_config.json). */
#ifndef PITH_CONVERT_HF_BERT_H
#define PITH_CONVERT_HF_BERT_H

#include "base/json.h"
#include "base/status.h"
#include "convert/hf_prompts.h"
#include "families/config.h"

enum { PITH_HF_MAX_MODULE_PATH = 128 };

/* The readers of a text below change it, also on failure. */

/* modules.json. */
typedef struct pith_hf_modules {
    char pooling[PITH_HF_MAX_MODULE_PATH]; /* directory of the pooling module: "1_Pooling" */
    bool normalize;
} pith_hf_modules;

/* Errors: FORMAT, UNSUPPORTED (another module, another order), MEMORY. */
pith_status pith_hf_modules_parse(pith_hf_modules *out, char *text, size_t size,
                                  const pith_allocator *allocator, pith_error *error);

/* The configuration of a pooling module; `where` is its name in messages. */
typedef struct pith_hf_pooling {
    pith_pooling mode;
    bool include_prompt; /* the tokens of a prompt are pooled too */
    size_t width;        /* of the vectors as the file says; 0: it does not. It decides nothing */
} pith_hf_pooling;

/* Errors: FORMAT, UNSUPPORTED, MEMORY. */
pith_status pith_hf_pooling_parse(pith_hf_pooling *out, char *text, size_t size, const char *where,
                                  const pith_allocator *allocator, pith_error *error);

/* sentence_bert_config.json, or one of its older names; `where` is its name in messages. */
typedef struct pith_hf_sentence {
    size_t max_seq_length; /* 0: not said */
    bool lowercase;        /* texts are lower-cased before they are tokenized */
} pith_hf_sentence;

/* Errors: FORMAT, UNSUPPORTED (another task, a setting that would change embeddings; named),
 * MEMORY. */
pith_status pith_hf_sentence_parse(pith_hf_sentence *out, char *text, size_t size,
                                   const char *where, const pith_allocator *allocator,
                                   pith_error *error);

/* model_max_length of tokenizer_config.json; 0 when it is absent or no length a text could have.
 * Errors: FORMAT, MEMORY. */
pith_status pith_hf_model_max_length(size_t *out, char *text, size_t size,
                                     const pith_allocator *allocator, pith_error *error);

/* Older versions of sentence-transformers put the model into a directory of its own, which
 * modules.json names: lets the model's files be looked up there. Which modules there are does not
 * matter yet. Errors: IO, FORMAT, MEMORY. */
pith_status pith_hf_bert_enter_model(pith_sources *sources, pith_error *error);

/* Reads the module files of a directory into a configuration that has its shape already; *lowercase
 * is that of pith_hf_sentence, *prompts is the caller's to free. Errors: IO, FORMAT, UNSUPPORTED,
 * MEMORY. */
pith_status pith_hf_bert_read_modules(pith_config *config, bool *lowercase,
                                      pith_hf_prompts *prompts, pith_sources *sources,
                                      const pith_log *log, pith_error *error);

#endif
