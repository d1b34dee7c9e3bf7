/* Writing GGUF files for the tests; the format is that of weights/gguf.h. */
#include "tests/gguf.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void test_gguf_begin(test_gguf *g) {
    pith_bytes_init(g, &pith_malloc_allocator);
}

void test_gguf_bytes(test_gguf *g, const void *data, size_t n) {
    if (!pith_bytes_append(g, data, n)) {
        fprintf(stderr, "no memory for a GGUF file\n");
        exit(1);
    }
}

void test_gguf_number(test_gguf *g, uint64_t value, size_t n_bytes) {
    unsigned char bytes[8];
    for (size_t i = 0; i < n_bytes; i++) {
        bytes[i] = (unsigned char)(value >> 8 * i);
    }
    test_gguf_bytes(g, bytes, n_bytes);
}

void test_gguf_string(test_gguf *g, const char *text) {
    test_gguf_number(g, strlen(text), 8);
    test_gguf_bytes(g, text, strlen(text));
}

void test_gguf_header(test_gguf *g, uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
    test_gguf_bytes(g, "GGUF", 4);
    test_gguf_number(g, version, 4);
    test_gguf_number(g, n_tensors, 8);
    test_gguf_number(g, n_keys, 8);
}

void test_gguf_key(test_gguf *g, const char *key, uint32_t type) {
    test_gguf_string(g, key);
    test_gguf_number(g, type, 4);
}

void test_gguf_key_u32(test_gguf *g, const char *key, uint32_t value) {
    test_gguf_key(g, key, 4);
    test_gguf_number(g, value, 4);
}

void test_gguf_key_f32(test_gguf *g, const char *key, float value) {
    test_gguf_key(g, key, 6);
    test_gguf_bytes(g, &value, sizeof value);
}

void test_gguf_key_bool(test_gguf *g, const char *key, bool value) {
    test_gguf_key(g, key, 7);
    test_gguf_number(g, value, 1);
}

void test_gguf_key_text(test_gguf *g, const char *key, const char *text) {
    test_gguf_key(g, key, 8);
    test_gguf_string(g, text);
}

void test_gguf_key_array(test_gguf *g, const char *key, uint32_t type, uint64_t count) {
    test_gguf_key(g, key, 9);
    test_gguf_number(g, type, 4);
    test_gguf_number(g, count, 8);
}

void test_gguf_tensor(test_gguf *g, const char *name, uint64_t rows, uint64_t cols, uint32_t type,
                      uint64_t offset) {
    test_gguf_string(g, name);
    test_gguf_number(g, rows == 0 ? 1 : 2, 4);
    test_gguf_number(g, cols, 8);
    if (rows != 0) {
        test_gguf_number(g, rows, 8);
    }
    test_gguf_number(g, type, 4);
    test_gguf_number(g, offset, 8);
}

void test_gguf_pad(test_gguf *g, size_t alignment) {
    while (g->size % alignment != 0) {
        test_gguf_number(g, 0, 1);
    }
}
