/* Writing GGUF files for the tests; the format is that of weights/gguf.h. */
#include "tests/gguf.h"

#include "base/half.h"
#include "base/memory.h"
#include "tests/support.h"

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

/* ---- A whole model --------------------------------------------------------------------------- */

static const test_gguf_change base_keys[] = {
    {"general.architecture", TEST_GGUF_TEXT, 0, "llama"},
    {"llama.block_count", TEST_GGUF_U32, 1, NULL},
    {"llama.context_length", TEST_GGUF_U32, 128, NULL},
    {"llama.embedding_length", TEST_GGUF_U32, TEST_GGUF_WIDTH, NULL},
    {"llama.feed_forward_length", TEST_GGUF_U32, 64, NULL},
    {"llama.attention.head_count", TEST_GGUF_U32, 4, NULL},
    {"llama.attention.head_count_kv", TEST_GGUF_U32, 2, NULL},
    {"llama.attention.layer_norm_rms_epsilon", TEST_GGUF_F32, 1e-5, NULL},
};

enum { N_BASE_KEYS = sizeof base_keys / sizeof base_keys[0] };

/* The last change of a key, or the key itself. */
static const test_gguf_change *changed(const test_gguf_model *model, const test_gguf_change *key) {
    const test_gguf_change *found = key;
    for (size_t i = 0; i < TEST_GGUF_MAX_CHANGES && model->changes[i].key != NULL; i++) {
        found = strcmp(model->changes[i].key, key->key) == 0 ? &model->changes[i] : found;
    }
    return found;
}

static bool is_base(const char *key) {
    for (size_t i = 0; i < N_BASE_KEYS; i++) {
        if (strcmp(base_keys[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static void put_change(test_gguf *g, const test_gguf_change *c, uint64_t *n) {
    *n += c->kind != TEST_GGUF_GONE;
    switch (c->kind) {
    case TEST_GGUF_U32:
        test_gguf_key_u32(g, c->key, (uint32_t)c->number);
        break;
    case TEST_GGUF_F32:
        test_gguf_key_f32(g, c->key, (float)c->number);
        break;
    case TEST_GGUF_TEXT:
        test_gguf_key_text(g, c->key, c->text);
        break;
    case TEST_GGUF_BOOL:
        test_gguf_key_bool(g, c->key, c->number != 0);
        break;
    case TEST_GGUF_LIST:
        test_gguf_key_array(g, c->key, 4, 2);
        test_gguf_number(g, 2, 4);
        test_gguf_number(g, (uint64_t)c->number, 4);
        break;
    case TEST_GGUF_EMPTY:
        test_gguf_key_array(g, c->key, 4, 0);
        break;
    case TEST_GGUF_GONE:
        break;
    }
}

static void put_tokenizer(test_gguf *g, uint64_t *n) {
    static const char *const first[] = {"<unk>", "<s>", "</s>"};
    test_gguf_key_text(g, "tokenizer.ggml.model", "llama");
    test_gguf_key_array(g, "tokenizer.ggml.tokens", 8, TEST_GGUF_VOCAB);
    for (size_t i = 0; i < TEST_GGUF_VOCAB; i++) {
        char letter[2] = {(char)('A' + i), '\0'};
        test_gguf_string(g, i < 3 ? first[i] : letter);
    }
    test_gguf_key_array(g, "tokenizer.ggml.scores", 6, TEST_GGUF_VOCAB);
    for (size_t i = 0; i < TEST_GGUF_VOCAB; i++) {
        float score = -(float)i;
        test_gguf_bytes(g, &score, sizeof score);
    }
    test_gguf_key_array(g, "tokenizer.ggml.token_type", 5, TEST_GGUF_VOCAB);
    for (size_t i = 0; i < TEST_GGUF_VOCAB; i++) {
        test_gguf_number(g, i == 0 ? 2 : i < 3 ? 3 : 1, 4);
    }
    test_gguf_key_u32(g, "tokenizer.ggml.bos_token_id", 1);
    test_gguf_key_u32(g, "tokenizer.ggml.eos_token_id", 2);
    *n += 6;
}

/* Tensors of the model; kind 'm': a matrix, 'b': a bias, 'n': a norm, 'r': rope_freqs. */
static const struct {
    const char *name;
    uint64_t rows, cols;
    char kind;
    bool may_be_quantised;
} tensors[] = {
    {"token_embd.weight", TEST_GGUF_VOCAB, 32, 'm', false},
    {"output.weight", TEST_GGUF_VOCAB, 32, 'm', false},
    {"output_norm.weight", 0, 32, 'n', false},
    {"rope_freqs.weight", 0, 4, 'r', false},
    {"blk.0.attn_norm.weight", 0, 32, 'n', false},
    {"blk.0.attn_q.weight", 32, 32, 'm', false},
    {"blk.0.attn_q.bias", 0, 32, 'b', false},
    {"blk.0.attn_k.weight", 16, 32, 'm', false},
    {"blk.0.attn_k.bias", 0, 16, 'b', false},
    {"blk.0.attn_v.weight", 16, 32, 'm', false},
    {"blk.0.attn_v.bias", 0, 16, 'b', false},
    {"blk.0.attn_output.weight", 32, 32, 'm', false},
    {"blk.0.ffn_norm.weight", 0, 32, 'n', false},
    {"blk.0.ffn_gate.weight", 64, 32, 'm', true},
    {"blk.0.ffn_up.weight", 64, 32, 'm', true},
    {"blk.0.ffn_down.weight", 32, 64, 'm', true},
};

enum { N_TENSORS = sizeof tensors / sizeof tensors[0] };

static bool is_there(const test_gguf_model *model, size_t i) {
    return (tensors[i].kind != 'r' || model->rope_freqs != NULL) &&
           (tensors[i].kind != 'b' || model->biases) &&
           (model->without == NULL || strcmp(model->without, tensors[i].name) != 0);
}

static bool is_quantised(const test_gguf_model *model, size_t i) {
    return model->quantised && tensors[i].may_be_quantised;
}

/* Values of a row: its number, as a float or as a block of Q8_0. */
static void put_row(test_gguf *g, uint64_t row, uint64_t cols, bool quantised) {
    float value = (float)row / 64;
    for (uint64_t c = 0; c < cols; c++) {
        if (quantised && c % 32 == 0) {
            test_gguf_number(g, pith_f32_to_f16(1.0F / 64), 2);
        }
        if (quantised) {
            test_gguf_number(g, row, 1);
        } else {
            test_gguf_bytes(g, &value, sizeof value);
        }
    }
}

static void put_values(test_gguf *g, const test_gguf_model *model, size_t i) {
    if (tensors[i].kind == 'r') {
        test_gguf_bytes(g, model->rope_freqs, 4 * sizeof(float));
    } else if (tensors[i].kind == 'm') {
        for (uint64_t row = 0; row < tensors[i].rows; row++) {
            put_row(g, row, tensors[i].cols, is_quantised(model, i));
        }
    } else {
        for (uint64_t c = 0; c < tensors[i].cols; c++) {
            put_row(g, tensors[i].kind == 'n' ? 64 : c, 1, false);
        }
    }
    test_gguf_pad(g, 32);
}

static void put_tensors(test_gguf *g, const test_gguf_model *model, uint64_t *n) {
    uint64_t offset = 0;
    for (size_t i = 0; i < N_TENSORS; i++) {
        if (!is_there(model, i)) {
            continue;
        }
        uint64_t count = tensors[i].cols * (tensors[i].rows == 0 ? 1 : tensors[i].rows);
        uint64_t size = is_quantised(model, i) ? count / 32 * 34 : count * 4;
        test_gguf_tensor(g, tensors[i].name, tensors[i].rows, tensors[i].cols,
                         is_quantised(model, i) ? 8 : 0, offset);
        offset += (size + 31) / 32 * 32;
        ++*n;
    }
}

void test_gguf_write_model(const char *path, const test_gguf_model *model) {
    uint64_t n_keys = 0;
    uint64_t n_tensors = 0;
    test_gguf body, file;
    test_gguf_begin(&body);
    test_gguf_begin(&file);
    for (size_t i = 0; i < N_BASE_KEYS; i++) {
        put_change(&body, changed(model, &base_keys[i]), &n_keys);
    }
    for (size_t i = 0; i < TEST_GGUF_MAX_CHANGES && model->changes[i].key != NULL; i++) {
        if (!is_base(model->changes[i].key)) {
            put_change(&body, &model->changes[i], &n_keys);
        }
    }
    if (model->tokenizer) {
        put_tokenizer(&body, &n_keys);
    }
    put_tensors(&body, model, &n_tensors);
    test_gguf_header(&file, 3, n_tensors, n_keys);
    test_gguf_bytes(&file, body.data, body.size);
    test_gguf_pad(&file, 32);
    for (size_t i = 0; i < N_TENSORS; i++) {
        if (is_there(model, i)) {
            put_values(&file, model, i);
        }
    }
    test_write_file(path, file.data, file.size);
    pith_bytes_release(&body);
    pith_bytes_release(&file);
}
