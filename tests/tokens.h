/* What the tokenizer's tests and fuzz harnesses share: tokenizers read from golden/, the lines of
 * the reference files, comparison of ids. */
#ifndef PITH_TESTS_TOKENS_H
#define PITH_TESTS_TOKENS_H

#include "tokenizer/tokenizer.h"

#include <jansson.h>

/* The parsers of tokenizer/vocab.h for texts that must not change; `allocator` may be NULL. An
 * optional text is NULL when there is none. */
pith_status test_vocab_from_json(pith_vocab_file *out, const char *text, size_t size,
                                 const char *name, const pith_allocator *allocator,
                                 pith_error *error);
pith_status test_vocab_from_wordpiece(pith_vocab_file *out, const char *lines, size_t size,
                                      const char *name, const char *config, size_t config_size,
                                      const char *map, size_t map_size,
                                      const pith_allocator *allocator, pith_error *error);
pith_status test_vocab_add_tokens(pith_vocab_file *file, const char *config, size_t config_size,
                                  const char *added, size_t added_size, const char *name,
                                  pith_error *error);

typedef struct test_tokenizer {
    pith_vocab_file file;
    pith_tokenizer *tokenizer;
} test_tokenizer;

/* Reads "....model", "....json" or "....txt" (with the configuration beside it) below the project's
 * root; ends the process when it cannot. */
void test_tokenizer_open(test_tokenizer *out, const char *relative);
/* The same of a SentencePiece model whose pieces are numbered as fairseq's. */
void test_tokenizer_open_fairseq(test_tokenizer *out, const char *relative);
/* Like test_tokenizer_open, for a tokenizer.json given as text. */
void test_tokenizer_open_json(test_tokenizer *out, const char *text);
void test_tokenizer_close(test_tokenizer *t);

/* The lines of a JSON Lines file below the project's root, as an array for json_decref. */
json_t *test_json_lines(const char *relative);

/* Ids of an array of integers, malloc'ed. */
int32_t *test_ids(const json_t *array, size_t *n);

/* "1 2 3", in one of 4 rotating static buffers; long lists are cut. */
const char *test_show_ids(const int32_t *ids, size_t n);

/* Index of the first difference, or -1 when both lists are the same. */
long test_first_other_token(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);

/* Text of the ids, with a NUL behind it, malloc'ed. */
char *test_decode(const pith_tokenizer *tokenizer, const int32_t *ids, size_t n, bool show_special,
                  size_t *n_bytes);

#endif
