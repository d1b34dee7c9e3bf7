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

#endif
