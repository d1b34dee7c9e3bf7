/* The reader of GGUF files. Input: one byte, then either a file (the byte is even), or the
 * instructions of a small program that writes one field by field (odd), so that mutations reach
 * behind the checks of lengths and counts. What is accepted must keep the promises of
 * weights/gguf.h; every value is read in every way, and every tensor that is small is widened. */
#include "tests/fuzz/input.h"
#include "tests/gguf.h"
#include "weights/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ELEMENTS = 1 << 14 };

/* ---- Writing --------------------------------------------------------------------------------- */

static const char *const keys[] = {
    "general.alignment",
    "general.architecture",
    "split.count",
    "tokenizer.ggml.tokens",
    "llama.block_count",
    "x",
    "",
};

static uint64_t number(fuzz_input *in) {
    static const uint64_t edges[] = {0,          1,          2,         32,
                                     256,        UINT32_MAX, INT64_MAX, UINT64_MAX,
                                     1ULL << 63, 1ULL << 32, 1ULL << 61};
    uint8_t choice = fuzz_byte(in);
    return choice < 128 ? choice : edges[choice % (sizeof edges / sizeof edges[0])];
}

/* A value of `type`, most often of the size that it should have. */
static void write_value(test_gguf *g, fuzz_input *in, uint32_t type) {
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == PITH_GGUF_STRING) {
        size_t n = fuzz_byte(in) % 8;
        test_gguf_number(g, fuzz_byte(in) == 255 ? number(in) : n, 8);
        test_gguf_bytes(g, "ab\0\xff\n{}z", n);
    } else if (type < sizeof sizes) {
        test_gguf_number(g, number(in), sizes[type]);
    }
}

static void write_key(test_gguf *g, fuzz_input *in) {
    uint32_t type = fuzz_byte(in) % 14;
    test_gguf_key(g, keys[fuzz_byte(in) % (sizeof keys / sizeof keys[0])], type);
    if (type != PITH_GGUF_ARRAY) {
        write_value(g, in, type);
        return;
    }
    uint32_t elements = fuzz_byte(in) % 14;
    size_t n = fuzz_byte(in) % 8;
    test_gguf_number(g, elements, 4);
    test_gguf_number(g, fuzz_byte(in) == 255 ? number(in) : n, 8);
    for (size_t i = 0; i < n; i++) {
        write_value(g, in, elements);
    }
}

static void write_tensor(test_gguf *g, fuzz_input *in) {
    char name[4] = {'t', (char)('0' + fuzz_byte(in) % 8), '\0'};
    uint32_t n_dims = fuzz_byte(in) % 6;
    test_gguf_string(g, name);
    test_gguf_number(g, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) {
        test_gguf_number(g, number(in) * (i == 0 && fuzz_byte(in) % 2 == 0 ? 32 : 1), 8);
    }
    test_gguf_number(g, fuzz_byte(in) % 44, 4);
    test_gguf_number(g, number(in) * 32, 8);
}

static void write_file(test_gguf *g, fuzz_input *in) {
    uint32_t n_keys = fuzz_byte(in) % 8;
    uint32_t n_tensors = fuzz_byte(in) % 4;
    test_gguf_header(g, 2 + fuzz_byte(in) % 2, n_tensors, n_keys);
    for (uint32_t i = 0; i < n_keys; i++) {
        write_key(g, in);
    }
    for (uint32_t i = 0; i < n_tensors; i++) {
        write_tensor(g, in);
    }
    test_gguf_pad(g, 8U << fuzz_byte(in) % 5);
    while (in->left > 0) {
        test_gguf_number(g, fuzz_byte(in) * UINT64_C(0x0101010101010101), 8);
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void read_values(const pith_gguf *gguf) {
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        pith_gguf_value value;
        size_t count;
        double real;
        bool flag;
        pith_text text;
        int64_t integer;
        pith_gguf_count(gguf, keys[i], &count, NULL);
        pith_gguf_number(gguf, keys[i], &real, NULL);
        pith_gguf_flag(gguf, keys[i], &flag, NULL);
        pith_gguf_text(gguf, keys[i], &text, NULL);
        if (!pith_gguf_find(gguf, keys[i], &value)) {
            continue;
        }
        if (value.is_array && value.type == PITH_GGUF_STRING) {
            pith_gguf_strings walk = {value};
            size_t n = 0;
            while (pith_gguf_next_string(&walk, &text)) {
                fuzz_hash((const uint8_t *)text.data, text.n_bytes); /* all of it can be read */
                n++;
            }
            fuzz_require(n == value.count && walk.rest.size == 0);
        } else {
            for (size_t e = 0; e < value.count; e++) {
                pith_gguf_integer_at(&value, e, &integer);
            }
        }
    }
}

static void widen(const pith_gguf_tensor *tensor, const uint8_t *data) {
    size_t n = tensor->size / tensor->type->block_bytes * tensor->type->block;
    if (n > MAX_ELEMENTS || tensor->type->widen == NULL) {
        return;
    }
    uint8_t *blocks = (uint8_t *)fuzz_copy(data + tensor->offset, tensor->size);
    float *values = malloc(n * sizeof *values);
    tensor->type->widen(blocks, n, values);
    free(values);
    free(blocks);
}

static void check(const pith_gguf *gguf, const uint8_t *data, size_t size) {
    size_t end = 0;
    for (size_t i = 0; i < pith_gguf_n_tensors(gguf); i++) {
        const pith_gguf_tensor *tensor = pith_gguf_tensor_at(gguf, i);
        size_t n = 1;
        fuzz_require(tensor->n_dims >= 1 && tensor->n_dims <= PITH_GGUF_MAX_DIMS);
        for (size_t d = 0; d < tensor->n_dims; d++) {
            fuzz_require(tensor->shape[d] > 0);
            n *= tensor->shape[d];
        }
        fuzz_require(tensor->size == n / tensor->type->block * tensor->type->block_bytes);
        fuzz_require(tensor->offset >= end &&
                     tensor->offset - end < PITH_GGUF_MAX_ALIGNMENT + size);
        fuzz_require(tensor->size <= size && tensor->offset <= size - tensor->size);
        fuzz_require(pith_gguf_find_tensor(gguf, tensor->name) == tensor);
        end = tensor->offset + tensor->size;
        widen(tensor, data);
    }
    read_values(gguf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    test_gguf written;
    test_gguf_begin(&written);
    if (fuzz_byte(&in) % 2 == 0) {
        test_gguf_bytes(&written, in.at, in.left);
    } else {
        write_file(&written, &in);
    }
    uint8_t *file = (uint8_t *)fuzz_copy(written.data, written.size);
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    pith_gguf *gguf = NULL;
    pith_error error;
    if (pith_gguf_parse(&gguf, file, written.size, "fuzz", &memory.allocator, &error) == PITH_OK) {
        check(gguf, file, written.size);
    } else {
        fuzz_require(gguf == NULL && memchr(error.message, '\0', sizeof error.message) != NULL);
    }
    fuzz_require(memory.most_bytes <= 2 * written.size + (64 << 20));
    pith_gguf_free(gguf);
    fuzz_require(memory.n_live == 0);
    free(file);
    pith_bytes_release(&written);
    return 0;
}
