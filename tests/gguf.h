/* GGUF files written field by field, so that a test can make any of them wrong. */
#ifndef PITH_TESTS_GGUF_H
#define PITH_TESTS_GGUF_H

#include "base/bytes.h"

#include <stdint.h>

/* A file under construction; starts with test_gguf_begin, is released with pith_bytes_release. */
typedef pith_bytes test_gguf;

void test_gguf_begin(test_gguf *g);
void test_gguf_bytes(test_gguf *g, const void *data, size_t n);
void test_gguf_number(test_gguf *g, uint64_t value, size_t n_bytes); /* little-endian */
void test_gguf_string(test_gguf *g, const char *text);               /* length and bytes */

/* "GGUF", the version and the two counts. */
void test_gguf_header(test_gguf *g, uint32_t version, uint64_t n_tensors, uint64_t n_keys);

/* Keys by the type of their value. */
void test_gguf_key(test_gguf *g, const char *key, uint32_t type); /* the value follows */
void test_gguf_key_u32(test_gguf *g, const char *key, uint32_t value);
void test_gguf_key_f32(test_gguf *g, const char *key, float value);
void test_gguf_key_bool(test_gguf *g, const char *key, bool value);
void test_gguf_key_text(test_gguf *g, const char *key, const char *text);
void test_gguf_key_array(test_gguf *g, const char *key, uint32_t type, uint64_t count);

/* A tensor of `rows` rows (0: a vector) of `cols` elements. */
void test_gguf_tensor(test_gguf *g, const char *name, uint64_t rows, uint64_t cols, uint32_t type,
                      uint64_t offset);
/* Zeros up to a multiple of `alignment`. */
void test_gguf_pad(test_gguf *g, size_t alignment);

/* ---- A whole model --------------------------------------------------------------------------- */

enum { TEST_GGUF_MAX_CHANGES = 12, TEST_GGUF_VOCAB = 40, TEST_GGUF_WIDTH = 32 };

/* A key that replaces one of the model, or is added to it. A list has 2 and the number. */
typedef struct test_gguf_change {
    const char *key;
    enum {
        TEST_GGUF_U32,
        TEST_GGUF_F32,
        TEST_GGUF_TEXT,
        TEST_GGUF_BOOL,
        TEST_GGUF_LIST,
        TEST_GGUF_EMPTY, /* a list of nothing */
        TEST_GGUF_GONE
    } kind;
    double number;
    const char *text;
} test_gguf_change;

/* Llama: 1 layer, width 32, 4 heads of 8 over 2 KV heads, ffn 64, 40 tokens, F32 values that are
 * the numbers of their rows: row r of every matrix holds r / 64 in all columns. */
typedef struct test_gguf_model {
    test_gguf_change changes[TEST_GGUF_MAX_CHANGES];
    const float *rope_freqs; /* [4] or NULL: no such tensor */
    const char *without;     /* a tensor to leave out, or NULL */
    bool quantised;          /* the MLP's matrices are Q8_0 */
    bool biases;             /* of q, k and v */
    bool tokenizer;          /* SentencePiece, as a token each: <unk> <s> </s>, then letters */
} test_gguf_model;

void test_gguf_write_model(const char *path, const test_gguf_model *model);

#endif
