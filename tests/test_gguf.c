/* The reader of GGUF headers: what it accepts, one test per way of being wrong, and values. */
#include "tests/gguf.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/gguf.h"

#include <stdlib.h>
#include <string.h>

/* A file with the fields that tests make wrong. */
typedef struct fields {
    const char *magic;
    uint32_t version;
    uint64_t n_tensors, n_keys;
    uint32_t alignment, alignment_type; /* 0: no such key */
    const char *second_key;             /* beside "general.architecture"; NULL: none */
    uint32_t second_type;
    const char *second_name; /* of the second tensor; the first is "a" */
    uint64_t second_dims[5];
    uint32_t n_dims;
    uint32_t tensor_type;
    uint64_t second_offset;
    size_t data; /* bytes behind the padding */
} fields;

/* Two tensors: "a" [3] of F32, "b" [2, 32] of Q8_0. */
static fields good(void) {
    return (fields){
        .magic = "GGUF",
        .version = 3,
        .n_tensors = 2,
        .n_keys = 1,
        .second_name = "b",
        .second_dims = {32, 2},
        .n_dims = 2,
        .tensor_type = 8,
        .second_offset = 32,
        .data = 32 + 68,
    };
}

static test_gguf build(const fields *f) {
    test_gguf g;
    test_gguf_begin(&g);
    test_gguf_header(&g, f->version, f->n_tensors,
                     f->n_keys + (f->alignment != 0) + (f->second_key != NULL));
    memcpy(g.data, f->magic, 4);
    test_gguf_key_text(&g, "general.architecture", "llama");
    if (f->alignment != 0) {
        test_gguf_key(&g, "general.alignment", f->alignment_type != 0 ? f->alignment_type : 4);
        test_gguf_number(&g, f->alignment, 4);
    }
    if (f->second_key != NULL) {
        test_gguf_key(&g, f->second_key, f->second_type);
        test_gguf_number(&g, 7, 4);
    }
    test_gguf_tensor(&g, "a", 0, 3, 0, 0);
    test_gguf_string(&g, f->second_name);
    test_gguf_number(&g, f->n_dims, 4);
    for (size_t i = 0; i < f->n_dims && i < 5; i++) {
        test_gguf_number(&g, f->second_dims[i], 8);
    }
    test_gguf_number(&g, f->tensor_type, 4);
    test_gguf_number(&g, f->second_offset, 8);
    test_gguf_pad(&g, f->alignment != 0 && f->alignment <= 4096 ? f->alignment : 32);
    for (size_t i = 0; i < f->data; i++) {
        test_gguf_number(&g, i, 1);
    }
    return g;
}

/* Parses bytes [n] out of a buffer that ends at a guard page. */
static pith_status parse(pith_gguf **out, const void *bytes, size_t n, pith_error *error) {
    void *guarded = test_guarded(n);
    memcpy(guarded, bytes, n);
    *error = (pith_error){0};
    pith_status status = pith_gguf_parse(out, guarded, n, "f.gguf", &pith_malloc_allocator, error);
    test_guarded_free(guarded, n);
    return status;
}

static pith_gguf *accept(test_gguf *g) {
    pith_gguf *gguf = NULL;
    pith_error error;
    pith_status status = parse(&gguf, g->data, g->size, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_bytes_release(g);
    return gguf;
}

static void refuse_bytes(const void *bytes, size_t n, pith_status expected, const char *words) {
    pith_gguf *untouched = (pith_gguf *)&untouched;
    pith_gguf *gguf = untouched;
    pith_error error;
    pith_status status = parse(&gguf, bytes, n, &error);
    CHECK(status == expected, "%s: status %s, expected %s: %s", words, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(gguf == untouched, "%s: the output was touched", words);
    CHECK(strncmp(error.message, "f.gguf: ", 8) == 0 && strstr(error.message, words) != NULL,
          "\"%s\" lacks \"%s\"", error.message, words);
}

static void refuse_built(test_gguf *g, pith_status expected, const char *words) {
    refuse_bytes(g->data, g->size, expected, words);
    pith_bytes_release(g);
}

static void refuse(const fields *f, const char *words) {
    test_gguf g = build(f);
    refuse_built(&g, PITH_ERROR_FORMAT, words);
}

static void refuse_unsupported(const fields *f, const char *words) {
    test_gguf g = build(f);
    refuse_built(&g, PITH_ERROR_UNSUPPORTED, words);
}

TEST(gguf, gives_tensors_with_rows_first) {
    fields f = good();
    test_gguf g = build(&f);
    size_t size = g.size;
    pith_gguf *gguf = accept(&g);
    CHECK(pith_gguf_n_tensors(gguf) == 2, "%zu tensors", pith_gguf_n_tensors(gguf));
    const pith_gguf_tensor *a = pith_gguf_find_tensor(gguf, "a");
    const pith_gguf_tensor *b = pith_gguf_find_tensor(gguf, "b");
    CHECK(a == pith_gguf_tensor_at(gguf, 0) && b == pith_gguf_tensor_at(gguf, 1), "not in order");
    CHECK(a->n_dims == 1 && a->shape[0] == 3 && a->size == 12 && strcmp(a->type->name, "F32") == 0,
          "a is [%zu] of %s, %zu bytes", a->shape[0], a->type->name, a->size);
    CHECK(b->n_dims == 2 && b->shape[0] == 2 && b->shape[1] == 32 && b->size == 68,
          "b is [%zu, %zu]", b->shape[0], b->shape[1]);
    CHECK(a->offset % 32 == 0 && b->offset == a->offset + 32 && b->offset + b->size == size,
          "at %zu and %zu of %zu", a->offset, b->offset, size);
    CHECK(pith_gguf_find_tensor(gguf, "c") == NULL && pith_gguf_find_tensor(gguf, "") == NULL,
          "found a tensor that is not there");
    pith_gguf_free(gguf);
    pith_gguf_free(NULL);
    CHECK_NO_LEAKS();
}

TEST(gguf, takes_version_2_and_other_alignments) {
    static const uint32_t alignments[] = {8, 16, 64, 4096};
    fields f = good();
    f.version = 2;
    for (size_t i = 0; i < 4; i++) {
        f.alignment = alignments[i];
        f.second_offset = alignments[i] > 16 ? alignments[i] : 16;
        f.data = f.second_offset + 68;
        test_gguf g = build(&f);
        pith_gguf *gguf = accept(&g);
        CHECK(pith_gguf_tensor_at(gguf, 1)->offset % alignments[i] == 0, "offset %zu",
              pith_gguf_tensor_at(gguf, 1)->offset);
        pith_gguf_free(gguf);
    }
}

TEST(gguf, refuses_every_truncation) {
    fields f = good();
    test_gguf g = build(&f);
    for (size_t n = 0; n < g.size; n++) {
        refuse_bytes(g.data, n, PITH_ERROR_FORMAT, "");
    }
    pith_bytes_release(&g);
}

/* The file is longer than the header's first reads, and the header longer than one of them. */
TEST(gguf, reads_a_long_header_from_a_file) {
    enum { N = 400000 };
    test_gguf g;
    pith_file file;
    pith_gguf *gguf;
    pith_error error;
    pith_gguf_value tokens = {.count = 0};
    pith_text text;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 1, 1);
    test_gguf_key_array(&g, "tokens", PITH_GGUF_STRING, N);
    for (size_t i = 0; i < N; i++) {
        test_gguf_string(&g, i % 2 == 0 ? "token" : "");
    }
    test_gguf_tensor(&g, "a", 0, 3, 0, 0);
    test_gguf_pad(&g, 32);
    test_gguf_bytes(&g, "abcdefghijkl", 12);
    test_write_file(test_path("long.gguf"), g.data, g.size);
    pith_bytes_release(&g);
    pith_status status = pith_file_open(&file, test_path("long.gguf"), &error);
    CHECK(status == PITH_OK, "%s", error.message);
    status = pith_gguf_read(&gguf, &file, &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    status = pith_gguf_array(gguf, "tokens", PITH_GGUF_STRING, &tokens, &error);
    CHECK(status == PITH_OK && tokens.count == N, "%zu tokens", tokens.count);
    pith_gguf_strings walk = {tokens};
    size_t n = 0;
    for (; pith_gguf_next_string(&walk, &text); n++) {
        CHECK(text.n_bytes == (n % 2 == 0 ? 5 : 0), "token %zu has %zu bytes", n, text.n_bytes);
    }
    CHECK(n == N, "%zu tokens", n);
    pith_gguf_free(gguf);
    pith_file_close(&file);
    CHECK_NO_LEAKS();
}

/* ---- Counts ---------------------------------------------------------------------------------- */

TEST(gguf, refuses_other_beginnings) {
    fields f = good();
    f.magic = "GGUX";
    refuse(&f, "does not begin with \"GGUF\"");
    f = good();
    static const uint32_t versions[] = {0, 1, 4, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        f.version = versions[i];
        refuse_unsupported(&f, "only 2 and 3");
    }
    f.version = UINT32_C(3) << 24;
    refuse_unsupported(&f, "big-endian");
}

TEST(gguf, refuses_counts_that_the_file_cannot_hold) {
    static const uint64_t counts[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 32, 1000};
    for (size_t i = 0; i < 4; i++) {
        fields f = good();
        f.n_tensors = counts[i];
        refuse(&f, "tensors, more than the limit of 65536");
        f = good();
        f.n_keys = counts[i];
        refuse(&f, "keys, more than the limit of 65536");
    }
    test_gguf g;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 0, PITH_GGUF_MAX_KEYS + 1);
    for (size_t i = 0; i <= 2 * PITH_GGUF_MAX_KEYS; i++) {
        test_gguf_number(&g, 1, 8);
    }
    refuse_built(&g, PITH_ERROR_FORMAT, "65537 keys, more than the limit of 65536");
    fields f = good();
    f.n_tensors = 3; /* the third is the padding and data */
    refuse(&f, "tensor 2: a name of 0 bytes");
}

/* A count within the file's size costs no more memory than the promise in gguf.h. */
TEST(gguf, bounds_memory_by_the_file) {
    enum { N = 60000 };
    test_gguf g;
    test_allocator memory;
    pith_gguf *gguf = NULL;
    pith_error error;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 0, N);
    test_gguf_bytes(&g, g.data, 24); /* a key's length that is far too large */
    for (size_t i = 0; i < N; i++) {
        test_gguf_bytes(&g, "12345678901234", 14);
    }
    test_allocator_init(&memory);
    pith_status status =
        pith_gguf_parse(&gguf, g.data, g.size, "f.gguf", &memory.allocator, &error);
    CHECK(status == PITH_ERROR_FORMAT, "%s", pith_status_name(status));
    CHECK(memory.most_bytes <= 2 * g.size + (64 << 20), "%zu bytes for a file of %zu",
          memory.most_bytes, g.size);
    CHECK(memory.n_live == 0, "%zu blocks are left", memory.n_live);
    pith_bytes_release(&g);
}

TEST(gguf, survives_every_failed_allocation) {
    fields f = good();
    test_gguf g = build(&f);
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator memory;
        pith_gguf *gguf = NULL;
        pith_error error;
        test_allocator_init(&memory);
        memory.fail_at = fail_at;
        pith_status status =
            pith_gguf_parse(&gguf, g.data, g.size, "f.gguf", &memory.allocator, &error);
        if (status == PITH_OK) {
            pith_gguf_free(gguf);
            CHECK(fail_at > 3 && memory.n_live == 0, "%zu blocks are left", memory.n_live);
            break;
        }
        CHECK(status == PITH_ERROR_MEMORY && memory.n_live == 0, "allocation %zu: %s", fail_at,
              error.message);
    }
    pith_bytes_release(&g);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

TEST(gguf, refuses_bad_keys) {
    fields f = good();
    f.second_key = "";
    f.second_type = PITH_GGUF_U32;
    refuse(&f, "key 1: a name of 0 bytes");
    f.second_key = "general.architecture";
    refuse(&f, "key general.architecture is there twice");
    f.second_key = "x";
    f.second_type = PITH_GGUF_N_VALUE_TYPES;
    refuse(&f, "key x: type 13 is not known");
    f.second_type = UINT32_MAX;
    refuse(&f, "type 4294967295 is not known");
}

/* Keys that differ in length, or in a byte beyond a NUL, are different. */
TEST(gguf, tells_similar_keys_apart) {
    static const char *const names[] = {"ab", "a", "abc", "b", "A"};
    test_gguf g;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 0, 6);
    for (size_t i = 0; i < 5; i++) {
        test_gguf_key_u32(&g, names[i], (uint32_t)i);
    }
    test_gguf_number(&g, 3, 8);
    test_gguf_bytes(&g, "a\0b", 3);
    test_gguf_number(&g, PITH_GGUF_U32, 4);
    test_gguf_number(&g, 9, 4);
    pith_gguf *gguf = accept(&g);
    for (size_t i = 0; i < 5; i++) {
        size_t value = 99;
        pith_error error;
        pith_status status = pith_gguf_count(gguf, names[i], &value, &error);
        CHECK(status == PITH_OK && value == i, "%s is %zu", names[i], value);
    }
    pith_gguf_free(gguf);
}

static void refuse_value(uint32_t type, uint64_t length, size_t left, const char *words) {
    test_gguf g;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 0, 1);
    test_gguf_key(&g, "x", type);
    test_gguf_number(&g, length, 8);
    for (size_t i = 0; i < left; i++) {
        test_gguf_number(&g, 0, 1);
    }
    refuse_built(&g, PITH_ERROR_FORMAT, words);
}

TEST(gguf, refuses_strings_beyond_the_file) {
    refuse_value(PITH_GGUF_STRING, 11, 10, "key x: 11 bytes are needed, but only 10 are left");
    refuse_value(PITH_GGUF_STRING, UINT64_C(1) << 60, 10, "only 10 are left");
    refuse_value(PITH_GGUF_STRING, UINT64_MAX, 10, "only 10 are left");
    refuse_value(PITH_GGUF_STRING, UINT64_MAX - 7, 10, "only 10 are left");
}

static void refuse_array(uint32_t type, uint64_t count, size_t left, pith_status expected,
                         const char *words) {
    test_gguf g;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 0, 1);
    test_gguf_key_array(&g, "x", type, count);
    for (size_t i = 0; i < left; i++) {
        test_gguf_number(&g, 0, 1);
    }
    refuse_built(&g, expected, words);
}

TEST(gguf, refuses_arrays_beyond_the_file) {
    const pith_status bad = PITH_ERROR_FORMAT;
    refuse_array(PITH_GGUF_U32, 3, 11, bad, "key x: an array of 3 elements, but only 11 bytes");
    refuse_array(PITH_GGUF_U64, (UINT64_C(1) << 61) + 1, 16, bad, "only 16 bytes");
    refuse_array(PITH_GGUF_U8, UINT64_MAX, 16, bad, "only 16 bytes");
    refuse_array(PITH_GGUF_STRING, UINT64_C(1) << 60, 16, bad, "only 16 bytes");
    refuse_array(PITH_GGUF_STRING, 2, 15, bad, "only 15 bytes");
    refuse_array(99, 1, 16, bad, "type 99 is not known");
    refuse_array(PITH_GGUF_ARRAY, 1, 16, PITH_ERROR_UNSUPPORTED, "an array of arrays");
}

/* The last of three strings is longer than the file. */
TEST(gguf, refuses_an_element_beyond_the_file) {
    static const uint64_t lengths[] = {4, 500, UINT64_C(1) << 60, UINT64_MAX - 2, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        test_gguf g;
        test_gguf_begin(&g);
        test_gguf_header(&g, 3, 0, 1);
        test_gguf_key_array(&g, "x", PITH_GGUF_STRING, 3);
        test_gguf_string(&g, "one");
        test_gguf_string(&g, "two");
        test_gguf_number(&g, lengths[i], 8);
        test_gguf_bytes(&g, "abc", 3);
        refuse_built(&g, PITH_ERROR_FORMAT, "key x: element 2: ");
    }
}

/* ---- Tensors --------------------------------------------------------------------------------- */

TEST(gguf, refuses_bad_names_of_tensors) {
    char name[PITH_GGUF_MAX_NAME + 2];
    fields f = good();
    memset(name, 'n', sizeof name - 1);
    name[PITH_GGUF_MAX_NAME + 1] = '\0';
    f.second_name = name;
    refuse(&f, "tensor 1: a name of 64 bytes, not 1 to 63");
    f.second_name = "";
    refuse(&f, "tensor 1: a name of 0 bytes");
    f.second_name = "a";
    refuse(&f, "tensor a: it is there twice");
    name[PITH_GGUF_MAX_NAME] = '\0';
    f.second_name = name;
    test_gguf g = build(&f);
    pith_gguf *gguf = accept(&g);
    CHECK(pith_gguf_find_tensor(gguf, name) != NULL, "a name of 63 bytes is not found");
    pith_gguf_free(gguf);
}

TEST(gguf, refuses_bad_shapes) {
    fields f = good();
    f.n_dims = 5;
    refuse(&f, "tensor b: 5 dimensions, not 1 to 4");
    f.n_dims = UINT32_MAX;
    refuse(&f, "4294967295 dimensions");
    f.n_dims = 0;
    refuse(&f, "0 dimensions");
    f = good();
    f.second_dims[1] = 0;
    refuse(&f, "a dimension of 0");
    f.second_dims[1] = UINT64_MAX;
    refuse(&f, "a dimension of -1");
    f.second_dims[1] = UINT64_C(1) << 62;
    refuse(&f, "tensor b: its size does not fit in 63 bits");
    f.second_dims[1] = INT64_MAX;
    refuse(&f, "its size does not fit in 63 bits");
    f = good();
    f.n_dims = 4;
    f.second_dims[2] = f.second_dims[3] = UINT64_C(1) << 32; /* 2^64 in all */
    refuse(&f, "its size does not fit in 63 bits");
    f = good();
    f.second_dims[0] = 33;
    refuse(&f, "rows of 33 are no multiple of the 32 elements of a Q8_0 block");
}

TEST(gguf, refuses_types_that_are_gone_or_unknown) {
    static const uint32_t removed[] = {4, 5, 31, 32, 33, 36, 37, 38};
    fields f = good();
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
        f.tensor_type = removed[i];
        refuse(&f, "was removed from the format");
    }
    f.tensor_type = 43;
    refuse_unsupported(&f, "tensor b: type 43 is not known");
    f.tensor_type = UINT32_MAX;
    refuse_unsupported(&f, "type 4294967295 is not known");
}

TEST(gguf, refuses_tensors_out_of_place) {
    static const uint64_t offsets[] = {0, 12, 31, 33, 64, 1 << 20, INT64_MAX};
    fields f = good();
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        f.second_offset = offsets[i];
        refuse(&f, "not 32, the first multiple of 32 behind the tensor before it");
    }
    f.second_offset = UINT64_MAX - 31;
    refuse(&f, "its offset does not fit in 63 bits");
    f = good();
    f.data--;
    refuse(&f, "tensor b: 68 bytes from ");
    f.data = 0;
    refuse(&f, "tensor a: 12 bytes from ");
    f = good();
    f.second_dims[1] = UINT64_C(1) << 56; /* 2^61 bytes */
    refuse(&f, "but the file ends at ");
}

TEST(gguf, refuses_bad_alignments) {
    static const uint32_t bad[] = {1, 4, 24, 33, UINT32_C(1) << 21, UINT32_C(1) << 31, UINT32_MAX};
    fields f = good();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        f.alignment = bad[i];
        refuse(&f, "is no power of two from 8 to 1048576");
    }
    f.alignment = 32;
    f.alignment_type = PITH_GGUF_I32;
    refuse(&f, "key general.alignment: its type is i32, not u32");
    f = good();
    f.alignment = 128; /* offsets are for 32 */
    refuse(&f, "its offset is 32, not 128");
}

/* ---- Values ---------------------------------------------------------------------------------- */

TEST(gguf, reads_integers_of_any_width) {
    static const struct {
        uint32_t type;
        size_t size;
        uint64_t bits;
        int64_t expected;
    } cases[] = {
        {PITH_GGUF_U8, 1, 255, 255},
        {PITH_GGUF_I8, 1, 127, 127},
        {PITH_GGUF_U16, 2, 65535, 65535},
        {PITH_GGUF_I16, 2, 32767, 32767},
        {PITH_GGUF_U32, 4, UINT32_MAX, UINT32_MAX},
        {PITH_GGUF_I32, 4, INT32_MAX, INT32_MAX},
        {PITH_GGUF_U64, 8, INT64_MAX, INT64_MAX},
        {PITH_GGUF_I64, 8, INT64_MAX, INT64_MAX},
        {PITH_GGUF_I8, 1, 255, -1},
        {PITH_GGUF_I16, 2, 1 << 15, -32768},
        {PITH_GGUF_I32, 4, UINT32_MAX, -1},
        {PITH_GGUF_I64, 8, UINT64_C(1) << 63, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_gguf g;
        size_t count = 1;
        int64_t number = 0;
        pith_error error;
        pith_gguf_value value;
        test_gguf_begin(&g);
        test_gguf_header(&g, 3, 0, 1);
        test_gguf_key(&g, "x", cases[i].type);
        test_gguf_number(&g, cases[i].bits, cases[i].size);
        pith_gguf *gguf = accept(&g);
        CHECK(pith_gguf_find(gguf, "x", &value) && pith_gguf_integer_at(&value, 0, &number) &&
                  number == cases[i].expected,
              "case %zu is %lld", i, (long long)number);
        pith_status status = pith_gguf_count(gguf, "x", &count, &error);
        bool negative = cases[i].expected < 0;
        CHECK(status == (negative ? PITH_ERROR_FORMAT : PITH_OK), "case %zu: %s", i, error.message);
        CHECK(count == (negative ? 1 : (size_t)cases[i].expected), "case %zu: %zu", i, count);
        pith_gguf_free(gguf);
    }
}

/* A file with one value of each kind. */
static pith_gguf *one_of_each(void) {
    const double wide = 0.1;
    test_gguf g;
    test_gguf_begin(&g);
    test_gguf_header(&g, 3, 0, 7);
    test_gguf_key_f32(&g, "f32", 0.1F);
    test_gguf_key(&g, "f64", PITH_GGUF_F64);
    test_gguf_bytes(&g, &wide, sizeof wide);
    test_gguf_key_bool(&g, "yes", true);
    test_gguf_key(&g, "maybe", PITH_GGUF_BOOL);
    test_gguf_number(&g, 2, 1);
    test_gguf_key_text(&g, "text", "words");
    test_gguf_key(&g, "huge", PITH_GGUF_U64);
    test_gguf_number(&g, UINT64_MAX, 8);
    test_gguf_key_array(&g, "list", PITH_GGUF_I16, 2);
    test_gguf_number(&g, 0x0001FFFE, 4); /* -2, 1 */
    return accept(&g);
}

TEST(gguf, reads_values_by_type) {
    pith_gguf *gguf = one_of_each();
    pith_error error = {0};
    double number = 0;
    bool flag = false;
    int64_t element = 0;
    pith_text text = {NULL, 0};
    pith_gguf_value list = {.count = 0};
    CHECK(pith_gguf_number(gguf, "f32", &number, &error) == PITH_OK && number == (double)0.1F,
          "f32 is %.17g", number);
    CHECK(pith_gguf_number(gguf, "f64", &number, &error) == PITH_OK && number == 0.1,
          "f64 is %.17g", number);
    CHECK(pith_gguf_flag(gguf, "yes", &flag, &error) == PITH_OK && flag, "not true");
    CHECK(pith_gguf_text(gguf, "text", &text, &error) == PITH_OK && text.n_bytes == 5 &&
              memcmp(text.data, "words", 5) == 0,
          "%zu bytes", text.n_bytes);
    CHECK(pith_gguf_array(gguf, "list", PITH_GGUF_I16, &list, &error) == PITH_OK && list.count == 2,
          "%zu elements", list.count);
    CHECK(pith_gguf_integer_at(&list, 0, &element) && element == -2, "%lld", (long long)element);
    CHECK(pith_gguf_integer_at(&list, 1, &element) && element == 1, "%lld", (long long)element);
    CHECK(pith_gguf_number(gguf, "none", &number, &error) == PITH_OK && number == 0.1, "changed");
    CHECK(pith_gguf_require(gguf, "f32", &error) == PITH_OK, "%s", error.message);
    CHECK(pith_gguf_require(gguf, "none", &error) == PITH_ERROR_FORMAT &&
              strcmp(error.message, "f.gguf: there is no key none") == 0,
          "%s", error.message);
    pith_gguf_free(gguf);
    CHECK_NO_LEAKS();
}

static void check_refused(pith_status status, const pith_error *error, const char *words) {
    CHECK(status == PITH_ERROR_FORMAT && strstr(error->message, words) != NULL,
          "%s: \"%s\" lacks \"%s\"", pith_status_name(status), error->message, words);
}

TEST(gguf, refuses_values_of_another_type) {
    pith_gguf *gguf = one_of_each();
    pith_error e;
    double number = 7;
    size_t count = 7;
    bool flag = true;
    pith_text text = {NULL, 7};
    pith_gguf_value list = {.count = 7};
    check_refused(pith_gguf_count(gguf, "f32", &count, &e), &e, "expected an integer, found f32");
    check_refused(pith_gguf_count(gguf, "yes", &count, &e), &e, "expected an integer, found bool");
    check_refused(pith_gguf_count(gguf, "list", &count, &e), &e, "found an array of i16");
    check_refused(pith_gguf_count(gguf, "huge", &count, &e), &e,
                  "expected an integer of 0 or more");
    check_refused(pith_gguf_number(gguf, "text", &number, &e), &e, "a number, found string");
    check_refused(pith_gguf_number(gguf, "list", &number, &e), &e, "found an array of i16");
    check_refused(pith_gguf_flag(gguf, "f32", &flag, &e), &e, "f.gguf: key f32: expected a bool");
    check_refused(pith_gguf_flag(gguf, "maybe", &flag, &e), &e, "a bool of 2, not 0 or 1");
    check_refused(pith_gguf_text(gguf, "list", &text, &e), &e, "a string, found an array of i16");
    check_refused(pith_gguf_array(gguf, "list", PITH_GGUF_F32, &list, &e), &e,
                  "expected an array of f32, found an array of i16");
    check_refused(pith_gguf_array(gguf, "text", PITH_GGUF_STRING, &list, &e), &e,
                  "expected an array of string, found string");
    CHECK(number == 7 && count == 7 && flag && text.n_bytes == 7 && list.count == 7,
          "an output was touched");
    pith_gguf_free(gguf);
}
