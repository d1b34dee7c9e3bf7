/* A BERT encoder as sentence-transformers lays it out: the module files that say how the vectors of
 * a text's tokens become its embedding (modules.json, 1_Pooling/config.json,
 * sentence_bert_config.json). */
#ifndef PITH_CONVERT_HF_BERT_H
#define PITH_CONVERT_HF_BERT_H

#include "base/json.h"
#include "base/status.h"
#include "convert/hf_prompts.h"
#include "families/keys.h"

enum {
    PITH_HF_MAX_MODULE_PATH = 128,
    PITH_HF_MODULE_CONFIG = PITH_HF_MAX_MODULE_PATH + sizeof "/config.json", /* its name */
};

/* The readers of a text below change it, also on failure. */

/* The last part of a module's type: sentence-transformers has moved its modules from version to
 * version. "" for code of the checkpoint's own. */
const char *pith_hf_module_name(const char *type);

/* modules.json. */
typedef struct pith_hf_modules {
    char pooling[PITH_HF_MAX_MODULE_PATH]; /* directory of the pooling module: "1_Pooling" */
    size_t n_dense;
    char dense[PITH_MAX_DENSE][PITH_HF_MAX_MODULE_PATH]; /* of the dense ones: "2_Dense" */
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

/* The configuration of a dense module: reads its width, its activation and whether it has a bias,
 * and checks that it takes vectors of `width` elements. Errors: FORMAT, UNSUPPORTED (the
 * activation, by its name), MEMORY.
 */
pith_status pith_hf_dense_parse(pith_dense *out, bool *bias, size_t width, char *text, size_t size,
                                const char *where, const pith_allocator *allocator,
                                pith_error *error);

/* sentence_bert_config.json, or one of its older names; `where` is its name in messages. */
typedef struct pith_hf_sentence {
    size_t max_seq_length; /* 0: not said */
    bool lowercase;        /* texts are lower-cased before they are tokenized */
} pith_hf_sentence;

/* `scores`: of a model that scores pairs of texts. Errors: FORMAT, UNSUPPORTED (another task, a
 * setting that would change embeddings; named), MEMORY. */
pith_status pith_hf_sentence_parse(pith_hf_sentence *out, bool scores, char *text, size_t size,
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

/* What the module files say beside the configuration. */
typedef struct pith_hf_beside {
    bool lowercase;                                      /* pith_hf_sentence */
    bool dense_bias[PITH_MAX_DENSE];                     /* the dense layers have biases */
    char dense[PITH_MAX_DENSE][PITH_HF_MAX_MODULE_PATH]; /* pith_hf_modules; "": none */
    pith_hf_prompts prompts;                             /* the caller's to free */
} pith_hf_beside;

/* Reads the module files of a directory into a configuration that has its shape already. Errors:
 * IO, FORMAT, UNSUPPORTED, MEMORY. */
pith_status pith_hf_bert_read_modules(pith_config *config, pith_hf_beside *beside,
                                      pith_sources *sources, const pith_log *log,
                                      pith_error *error);

/* Refuses a tokenizer_config.json whose texts are cut elsewhere than at their ends. After the
 * tokenizer is read, so that the list of sources has it where it always was. Errors: IO, FORMAT,
 * UNSUPPORTED, MEMORY. */
pith_status pith_hf_truncation_check(pith_sources *sources, pith_error *error);

#endif
