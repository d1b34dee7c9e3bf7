/* SentencePiece models written field by field (protobuf's wire format), so that a test can make any
 * of them wrong. */
#ifndef PITH_TESTS_SENTENCEPIECE_H
#define PITH_TESTS_SENTENCEPIECE_H

#include <stddef.h>
#include <stdint.h>

/* A message under construction; {.size = 0} is an empty one. */
typedef struct test_spm {
    unsigned char data[8192];
    size_t size;
} test_spm;

void test_spm_varint(test_spm *w, uint64_t value);
void test_spm_number(test_spm *w, unsigned field, uint64_t value);
void test_spm_bytes(test_spm *w, unsigned field, const void *data, size_t n);
void test_spm_message(test_spm *w, unsigned field, const test_spm *message);

/* A piece of a model; `type` is a pith_piece_type. */
void test_spm_piece(test_spm *w, const char *text, float score, unsigned type);

#endif
