/* A tokenizer.json while it is being turned into a vocabulary. */
#ifndef PITH_TOKENIZER_HF_JSON_H
#define PITH_TOKENIZER_HF_JSON_H

#include "base/bytes.h"
#include "base/json.h"
#include "tokenizer/tables.h"
#include "tokenizer/vocab.h"

/* The document's members that matter, found once: looking one up in a large object walks over all
 * that lies before it. */
typedef struct pith_hf_root {
    pith_json model, normalizer, pre_tokenizer, post_processor, decoder, added_tokens;
} pith_hf_root;

/* The members of "model", likewise. */
typedef struct pith_hf_model {
    pith_json type, vocab, merges, unk_token, unk_id, dropout;
    pith_json byte_fallback, fuse_unk, ignore_merges;
    pith_json continuing_subword_prefix, end_of_word_suffix, max_input_chars_per_word;
} pith_hf_model;

/* The sections that may become lists of steps. */
enum { PITH_HF_PRE_TOKENIZER, PITH_HF_NORMALIZER, PITH_HF_DECODER, PITH_HF_N_LISTS };

typedef struct pith_hf {
    const char *name; /* of the file */
    const pith_allocator *allocator;
    pith_error *error;
    pith_hf_root root;
    pith_hf_model model;
    pith_vocab settings;    /* kind and settings; arrays come last */
    bool has_normalizer;    /* so that `normalized` of an added token means something */
    pith_bytes pattern;     /* empty: none */
    pith_split_step *steps; /* [n_steps] */
    size_t n_steps;
    pith_normal_step *normalizer; /* [n_normalizer] */
    size_t n_normalizer;
    pith_decode_step *decoder; /* [n_decoder] */
    size_t n_decoder;
    bool decodes_bytes;                /* one of them is BYTES */
    pith_bytes texts[PITH_HF_N_LISTS]; /* of each list, those of its steps one after the other, a
                                          pattern before a text */
    uint8_t *charsmap;                 /* [n_charsmap] */
    size_t n_charsmap;

    size_t n_pieces;
    uint32_t *offsets; /* [n_pieces + 1] into bytes */
    char *bytes;
    uint8_t *types;   /* [n_pieces]; 0: neither the model nor an added token has this id */
    uint8_t *added;   /* [n_pieces] */
    uint32_t *merges; /* [n_merges, 3] */
    size_t n_merges;
    double *log_probabilities; /* [n_pieces], Unigram only */
} pith_hf;

/* Finds the members of hf->root and hf->model. */
void pith_hf_find_parts(pith_hf *hf, pith_json document);

/* Each reads one section of the document into hf->settings or a list. Errors: FORMAT, MEMORY,
 * UNSUPPORTED by name. */
pith_status pith_hf_read_kind(pith_hf *hf);
pith_status pith_hf_read_normalizer(pith_hf *hf);    /* hf_json_normal.c */
pith_status pith_hf_read_pre_tokenizer(pith_hf *hf); /* hf_json_pre.c */
pith_status pith_hf_read_decoder(pith_hf *hf);       /* hf_json_decode.c; after both */
pith_status pith_hf_read_post_processor(pith_hf *hf);

/* Reads the merges; `table` finds pieces as the file spells them. Errors: FORMAT, MEMORY. */
pith_status pith_hf_read_merges(pith_hf *hf, const pith_piece_table *table);

/* Turns the spellings of a byte-level vocabulary into the bytes they mean, and drops the merges of
 * tokens that no text can lead to. Errors: MEMORY. */
pith_status pith_hf_undo_alphabet(pith_hf *hf);

/* For WordPiece (hf_json_bert.c): reads everything but the vocabulary and the post-processor; then
 * the post-processor, which needs the number of pieces. */
pith_status pith_hf_read_bert(pith_hf *hf);
pith_status pith_hf_read_bert_post_processor(pith_hf *hf);

/* Errors about a section, for all readers. */
pith_status pith_hf_unsupported(const pith_hf *hf, const char *section, const char *what);
pith_status pith_hf_malformed(const pith_hf *hf, const char *section, const char *what);
bool pith_hf_is_number(pith_json value, int64_t number);
const char *pith_hf_type_of(pith_json component); /* its "type", never NULL */
bool pith_hf_has_type(pith_json component, const char *type);

/* The steps of a section: those in the list `list_key` of a Sequence, or the section itself; none
 * when it is absent or null. */
typedef struct pith_hf_steps {
    pith_json step; /* after pith_hf_next_step returned true */
    pith_json single;
    pith_json_walk walk;
} pith_hf_steps;

pith_hf_steps pith_hf_steps_of(pith_json section, const char *list_key);
bool pith_hf_next_step(pith_hf_steps *steps);

/* An id within the vocabulary. */
bool pith_hf_read_id(const pith_hf *hf, pith_json value, int32_t *out);

/* The id of a token that a TemplateProcessing names. Errors: FORMAT. */
pith_status pith_hf_template_id(const pith_hf *hf, pith_json template, pith_json token,
                                int32_t *out);

/* True for a Replace of exactly that string. */
bool pith_hf_is_replacement(pith_json step, const char *from, const char *to);

/* Appends the pattern of a step, {"Regex": ...} or {"String": ...}, as PCRE2 with its NUL.
 * Errors: UNSUPPORTED (by name), FORMAT, MEMORY. */
pith_status pith_hf_read_pattern(const pith_hf *hf, const char *section, pith_json pattern,
                                 pith_bytes *out);
/* Appends a pattern that matches a text as it is. Errors: MEMORY. */
pith_status pith_hf_literal(const pith_hf *hf, const char *text, size_t n, pith_bytes *out);

/* The value, if it is an array: for walks that must not go through an object. */
pith_json pith_hf_array(pith_json value);

/* Reads the member `key`, which is true or false; `fallback` when it is absent or null.
 * Errors: FORMAT. */
pith_status pith_hf_bool(pith_json value, const char *key, bool fallback, const char *name,
                         bool *out, pith_error *error);

/* Reads the flags of an added token (PITH_ADDED_*). Errors: FORMAT. */
pith_status pith_hf_flags(pith_json token, const char *name, uint8_t *out, pith_error *error);

/* Writes in PCRE2's language (with UTF, UCP and \n as newline) what a regular expression means in
 * Oniguruma's, which Hugging Face's tokenizers use. Appends to `out`.
 * Errors: UNSUPPORTED (constructs that the two read differently, named), FORMAT, MEMORY. */
pith_status pith_pattern_translate(const char *regex, size_t n_bytes, const char *name,
                                   pith_bytes *out, pith_error *error);

#endif
