/* Small random Llama models for the tests, written as real .pith files. */
#ifndef PITH_TESTS_FIXTURE_H
#define PITH_TESTS_FIXTURE_H

#include "weights/pith_file.h"

/* A model to write. Start from test_model_default and change what the test is about. */
typedef struct test_model {
    pith_config config;
    pith_type type;      /* of the linear layers */
    pith_type head_type; /* of embedding and head */
    uint64_t seed;
    bool tokenizer;                           /* with the 300 pieces below */
    const char *chat_format;                  /* or NULL */
    const char *chat_template;                /* or NULL */
    const pith_chat_template *chat_templates; /* [n_chat_templates] */
    size_t n_chat_templates;
} test_model;

/* 2 layers, hidden 32, intermediate 96, 4 heads of 8 over 1 KV head (so that the k and v blocks are
 * padded), 300 tokens, 128 positions, an untied head (int8 when `type` is int8 or int4, else
 * `type`), no biases, seed 1, with tokenizer, chat format "llama2". */
void test_model_default(test_model *model, pith_type type);

/* Writes it: weights random and scaled so that logits stay near the unit normal, padding rows zero,
 * checksums set. The same model gives the same bytes. Ends the process on failure. */
void test_write_model(const char *path, const test_model *model);

/* The default model with a seed. */
void test_write_tiny_model(const char *path, pith_type type, uint64_t seed);

/* The vocabulary of the models, static, SentencePiece: 0 <unk>, 1 <s>, 2 </s>, 3..258 the bytes
 * <0x00>..<0xFF>, then 14 merged pieces ("▁t", "he", "▁the", ...), then "▁" and a..z. */
const pith_vocab *test_vocab(void);

/* A real row (false: padding) of a matrix or bias of the joined layouts. */
bool test_is_real_row(const pith_config *config, const pith_slot *slot, pith_extent rows,
                      size_t row);

/* A whole file in memory, 64-byte aligned for pith_model_file_open_memory; free(bytes). */
typedef struct test_image {
    unsigned char *bytes;
    size_t size;
    size_t room; /* bytes allocated: a little more than the size */
} test_image;

test_image test_image_of(const test_model *model);
test_image test_image_of_type(pith_type type);  /* the default model */
test_image test_image_smallest(void);           /* int4, one layer, 16 tokens */
size_t test_image_header(const test_image *im); /* the header length field */

/* Replaces every `from` in the header by `to`; what the header gains or loses comes out of its
 * padding. Returns the number of replacements. */
size_t test_image_replace(test_image *im, const char *from, const char *to);

#endif
