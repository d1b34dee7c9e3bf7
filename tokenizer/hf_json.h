/* A tokenizer.json while it is being turned into a vocabulary. */
#ifndef PITH_TOKENIZER_HF_JSON_H
#define PITH_TOKENIZER_HF_JSON_H

#include "base/bytes.h"
#include "tokenizer/vocab.h"

#include <jansson.h>

/* One id. */
typedef struct pith_hf_piece {
    const char *text; /* owned by the JSON document; NULL: nothing has this id */
    size_t n_bytes;
    uint8_t type;
    uint8_t added;
    bool literal; /* byte-level BPE: spelled with characters outside GPT-2's byte alphabet, so that
                     it stands for its own spelling and no text can be merged to it */
} pith_hf_piece;

typedef struct pith_hf {
    const char *name; /* of the file */
    const pith_allocator *allocator;
    pith_error *error;
    json_t *root;
    const json_t *model;
    pith_vocab settings;   /* kind and settings; arrays come last */
    bool has_normalizer;   /* so that `normalized` of an added token means something */
    pith_bytes pattern;    /* empty: none */
    pith_hf_piece *pieces; /* [n_pieces] */
    size_t n_pieces;
} pith_hf;

/* The parts of hf_json_parts.c; each reads one section of the document into hf->settings.
 * Errors: FORMAT, MEMORY, UNSUPPORTED by name. */
pith_status pith_hf_read_kind(pith_hf *hf);
pith_status pith_hf_read_normalizer(pith_hf *hf);
pith_status pith_hf_read_pre_tokenizer(pith_hf *hf);
pith_status pith_hf_read_decoder(pith_hf *hf);
pith_status pith_hf_read_post_processor(pith_hf *hf);

/* The same for WordPiece (hf_json_bert.c): everything but the vocabulary and the post-processor,
 * and the post-processor, which needs to know the number of pieces. */
pith_status pith_hf_read_bert(pith_hf *hf);
pith_status pith_hf_read_bert_post_processor(pith_hf *hf);

/* What both share. */
pith_status pith_hf_unsupported(const pith_hf *hf, const char *section, const char *what);
pith_status pith_hf_malformed(const pith_hf *hf, const char *section, const char *what);
bool pith_hf_is_text(const json_t *value, const char *text);
bool pith_hf_is_number(const json_t *value, json_int_t number);
const char *pith_hf_type_of(const json_t *component); /* its "type", never NULL */
bool pith_hf_has_type(const json_t *component, const char *type);
/* The i-th step of a section: of the list `list_key` of a Sequence, or the section itself; NULL
 * after the last one. */
const json_t *pith_hf_step_of(const json_t *section, const char *list_key, size_t i);
/* The id of a token that a TemplateProcessing names. Errors: FORMAT. */
pith_status pith_hf_template_id(const pith_hf *hf, const json_t *template, const json_t *token,
                                int32_t *out);

/* Reads a member that is true or false; `fallback` when it is missing or null. Errors: FORMAT. */
pith_status pith_hf_bool(const json_t *object, const char *key, bool fallback, const char *name,
                         bool *out, pith_error *error);

/* Reads the flags of an added token (PITH_ADDED_*). Errors: FORMAT. */
pith_status pith_hf_flags(const json_t *token, const char *name, uint8_t *out, pith_error *error);

/* Writes in PCRE2's language (with UTF, UCP and \n as newline) what a regular expression means in
 * Oniguruma's, which Hugging Face's tokenizers use. Appends to `out`.
 * Errors: UNSUPPORTED (constructs that the two read differently, named), FORMAT, MEMORY. */
pith_status pith_pattern_translate(const char *regex, size_t n_bytes, const char *name,
                                   pith_bytes *out, pith_error *error);

#endif
