/* The safetensors header parser: what it accepts, and one test per way of being wrong. */
#include "tests/support.h"
#include "tests/test.h"
#include "weights/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parses `text` [n] out of a buffer that ends at a guard page. */
static pith_status parse(pith_safetensors **out, const char *text, size_t n, size_t data_size,
                         pith_error *error) {
    char *guarded = test_guarded(n);
    memcpy(guarded, text, n);
    *error = (pith_error){0};
    pith_status status = pith_safetensors_parse(out, guarded, n, 8 + n + data_size, "f.safetensors",
                                                &pith_malloc_allocator, error);
    test_guarded_free(guarded, n);
    return status;
}

static pith_safetensors *accept(const char *text, size_t data_size) {
    pith_safetensors *st = NULL;
    pith_error error;
    pith_status status = parse(&st, text, strlen(text), data_size, &error);
    CHECK(status == PITH_OK, "%.200s: %s", text, error.message);
    return st;
}

/* Checks that `text` [n] is refused with a status, in a message with the file's name and `part`. */
static void refuse_bytes(const char *text, size_t n, size_t data_size, pith_status expected,
                         const char *part) {
    pith_safetensors *untouched = (pith_safetensors *)&untouched;
    pith_safetensors *st = untouched;
    pith_error error;
    pith_status status = parse(&st, text, n, data_size, &error);
    CHECK(status == expected && error.status == expected, "%.200s: status %s, expected %s", text,
          pith_status_name(status), pith_status_name(expected));
    CHECK(st == untouched, "%.200s: the output was touched", text);
    CHECK(strstr(error.message, "f.safetensors") != NULL && strstr(error.message, part) != NULL,
          "%.200s: message \"%s\" lacks \"%s\"", text, error.message, part);
}

static void refuse(const char *text, size_t data_size, const char *part) {
    refuse_bytes(text, strlen(text), data_size, PITH_ERROR_FORMAT, part);
}

TEST(safetensors, gives_names_types_shapes_and_offsets) {
    const char *text = "{\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[1,7]},"
                       "\"__metadata__\":{\"format\":\"pt\",\"x\":\"\"},"
                       "\"a\":{\"dtype\":\"U8\",\"shape\":[1,1],\"data_offsets\":[0,1]}}   ";
    pith_safetensors *st = accept(text, 7);
    CHECK(pith_safetensors_count(st) == 2, "%zu tensors", pith_safetensors_count(st));
    CHECK(pith_safetensors_data_offset(st) == 8 + strlen(text), "data at %zu",
          pith_safetensors_data_offset(st));
    const pith_tensor *a = pith_safetensors_at(st, 0);
    const pith_tensor *b = pith_safetensors_at(st, 1);
    CHECK(strcmp(a->name, "a") == 0 && a->dtype == PITH_DTYPE_U8 && a->n_dims == 2 &&
              a->shape[0] == 1 && a->shape[1] == 1 && a->size == 1,
          "a is %s, %zu bytes", a->name, a->size);
    CHECK(strcmp(b->name, "b") == 0 && b->dtype == PITH_DTYPE_F16 && b->n_dims == 1 &&
              b->shape[0] == 3 && b->size == 6 && b->offset == 8 + strlen(text) + 1,
          "b is %s at %zu, %zu bytes", b->name, b->offset, b->size);
    CHECK(pith_safetensors_find(st, "b") == b, "b is not found");
    CHECK(pith_safetensors_find(st, "c") == NULL, "c is found");
    CHECK(pith_safetensors_find(st, "__metadata__") == NULL, "metadata is a tensor");
    CHECK(strcmp(pith_safetensors_metadata(st, "format"), "pt") == 0, "format");
    CHECK(strcmp(pith_safetensors_metadata(st, "x"), "") == 0, "x");
    CHECK(pith_safetensors_metadata(st, "y") == NULL, "y");
    pith_safetensors_free(st);
    CHECK_NO_LEAKS();
}

TEST(safetensors, knows_every_dtype) {
    static const size_t sizes[PITH_N_DTYPES] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8};
    for (unsigned i = 0; i < PITH_N_DTYPES; i++) {
        char text[200];
        const char *name = pith_dtype_name((pith_dtype)i);
        CHECK(pith_dtype_size((pith_dtype)i) == sizes[i], "%s has %zu bytes", name,
              pith_dtype_size((pith_dtype)i));
        snprintf(text, sizeof text,
                 "{\"t\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}", name,
                 2 * sizes[i]);
        pith_safetensors *st = accept(text, 2 * sizes[i]);
        CHECK(pith_safetensors_at(st, 0)->dtype == (pith_dtype)i, "%s is another", name);
        pith_safetensors_free(st);
    }
}

TEST(safetensors, takes_scalars_empty_tensors_and_no_tensors) {
    pith_safetensors *st =
        accept("{\"e\":{\"dtype\":\"F64\",\"shape\":[0,9],\"data_offsets\":[4,4]},"
               "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
               "\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[4,5]}}",
               5);
    CHECK(pith_safetensors_count(st) == 3, "%zu tensors", pith_safetensors_count(st));
    CHECK(pith_safetensors_find(st, "s")->n_dims == 0, "the scalar has dimensions");
    CHECK(pith_safetensors_find(st, "e")->size == 0, "the empty tensor has bytes");
    pith_safetensors_free(st);
    pith_safetensors_free(accept("{}", 0));
    pith_safetensors_free(NULL);
}

TEST(safetensors, refuses_text_that_does_not_start_with_a_brace) {
    refuse(" {}", 0, "start with '{'");
    refuse("[]", 0, "start with '{'");
    refuse("", 0, "start with '{'");
    refuse("\xef\xbb\xbf{}", 0, "start with '{'");
}

TEST(safetensors, refuses_a_header_longer_than_the_file) {
    pith_error error;
    pith_safetensors *st = NULL;
    size_t sizes[] = {0, 7, 9};
    for (size_t i = 0; i < 3; i++) {
        pith_status status =
            pith_safetensors_parse(&st, "{}", 2, sizes[i], "f", &pith_malloc_allocator, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "exceeds the file") != NULL,
              "file of %zu bytes: %s", sizes[i], error.message);
    }
}

TEST(safetensors, refuses_a_header_longer_than_the_limit) {
    pith_error error;
    pith_safetensors *st = NULL;
    pith_status status = pith_safetensors_parse(&st, "{}", (size_t)PITH_SAFETENSORS_MAX_HEADER + 1,
                                                SIZE_MAX, "f", &pith_malloc_allocator, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "104857600") != NULL, "%s",
          error.message);
}

static const char two_tensors[] =
    "{\"__metadata__\":{\"k\":\"v\"},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
    "\"b\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]}}";

TEST(safetensors, refuses_text_truncated_anywhere) {
    for (size_t n = 1; n < sizeof two_tensors - 1; n++) {
        refuse_bytes(two_tensors, n, 24, PITH_ERROR_FORMAT, "bad JSON");
    }
    pith_safetensors_free(accept(two_tensors, 24));
}

TEST(safetensors, refuses_data_of_another_size) {
    refuse(two_tensors, 25, "the tensors end at data offset 24, the data has 25");
    refuse(two_tensors, 23, "outside the data");
    refuse(two_tensors, 0, "outside the data");
    refuse("{}", 1, "the tensors end at data offset 0");
}

TEST(safetensors, refuses_gaps_and_overlaps) {
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "gap");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
           5, "gap");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
           3, "overlap");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
           2, "overlap");
    /* An empty tensor inside another one. */
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}",
           2, "overlap");
}

TEST(safetensors, refuses_bad_offsets) {
    static const char *const spans[] = {
        "[-1,1]", "[0,2.0]", "[0,2,2]", "[2]",       "[]",
        "null",   "\"0,2\"", "{}",      "[\"0\",2]", "[true,2]",
    };
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":%s}}",
                 spans[i]);
        refuse(text, 2, "\"t\": data_offsets is not a pair of counts");
    }
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[2]}}", 2, "is not a pair of counts");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2,
           "outside the data");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}}", 2,
           "outside the data");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,18446744073709551616]}}", 2,
           "is not a pair of counts");
}

TEST(safetensors, refuses_bad_shapes) {
    static const char *const elements[] = {"-2", "2.0", "\"2\"", "[2]", "null", "1,-1", "true"};
    static const char *const shapes[] = {"2", "null", "{}", "\"2\""};
    char text[200];
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        snprintf(text, sizeof text,
                 "{\"t\":{\"dtype\":\"U8\",\"shape\":[%s],\"data_offsets\":[0,2]}}", elements[i]);
        refuse(text, 2, "\"t\": shape holds something other than a count");
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        snprintf(text, sizeof text,
                 "{\"t\":{\"dtype\":\"U8\",\"shape\":%s,\"data_offsets\":[0,2]}}", shapes[i]);
        refuse(text, 2, "\"t\": shape is not an array");
    }
    refuse("{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,2]}}", 2, "shape is not an array");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2,
           "shape x dtype is 3 bytes, data_offsets span 2");
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2,
           "shape x dtype is 1 bytes, data_offsets span 2");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "is 8 bytes");
}

TEST(safetensors, refuses_shapes_that_overflow) {
    /* 2^32 x 2^32 and 2^61 x 8 wrap to 0, 2^62 x 4 + ... to something small. */
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
           "overflows");
    refuse("{\"t\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
           "overflows");
    refuse("{\"t\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4,
           "overflows");
}

TEST(safetensors, bounds_the_number_of_dimensions) {
    pith_safetensors_free(
        accept("{\"t\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1));
    refuse("{\"t\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
           "9 dimensions, the limit is 8");
    enum { N = 100000 };
    static char text[2 * N + 100];
    char *at = text + sprintf(text, "{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":[1");
    for (size_t i = 1; i < N; i++) {
        at += sprintf(at, ",1");
    }
    strcpy(at, "]}}");
    refuse(text, 1, "100000 dimensions");
}

TEST(safetensors, refuses_bad_dtypes) {
    static const char *const dtypes[] = {"null", "3", "[]", "{}", "true"};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"t\":{\"dtype\":%s,\"shape\":[2],\"data_offsets\":[0,2]}}",
                 dtypes[i]);
        refuse(text, 2, "\"t\": dtype");
    }
    refuse("{\"t\":{\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "\"t\": dtype");
    const char *unknown = "{\"t\":{\"dtype\":\"F7_E9\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    refuse_bytes(unknown, strlen(unknown), 2, PITH_ERROR_UNSUPPORTED, "F7_E9");
    const char *lower = "{\"t\":{\"dtype\":\"u8\",\"shape\":[2],\"data_offsets\":[0,2]}}";
    refuse_bytes(lower, strlen(lower), 2, PITH_ERROR_UNSUPPORTED, "u8");
}

TEST(safetensors, refuses_duplicate_keys) {
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
           "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
           2, "twice");
    refuse("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "twice");
    refuse("{\"__metadata__\":{\"a\":\"\"},\"__metadata__\":{\"a\":\"\"}}", 0, "twice");
    refuse("{\"__metadata__\":{\"a\":\"\",\"a\":\"x\"}}", 0, "twice");
}

TEST(safetensors, refuses_metadata_other_than_strings) {
    refuse("{\"__metadata__\":[]}", 0, "__metadata__ is not an object");
    refuse("{\"__metadata__\":\"x\"}", 0, "__metadata__ is not an object");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
    refuse("{\"__metadata__\":{\"a\":{}}}", 0, "not a string");
    refuse("{\"__metadata__\":{\"a\":null}}", 0, "not a string");
}

TEST(safetensors, refuses_tensors_that_are_no_objects) {
    refuse("{\"t\":1}", 0, "\"t\": its description");
    refuse("{\"t\":[]}", 0, "\"t\": its description");
    refuse("{\"t\":null}", 0, "\"t\": its description");
}

TEST(safetensors, refuses_nul_and_control_characters) {
    static const char nul[] = "{\"a\0b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    static const char after[] = "{}\0\0";
    refuse_bytes(nul, sizeof nul - 1, 1, PITH_ERROR_FORMAT, "bad JSON");
    refuse_bytes(after, sizeof after - 1, 0, PITH_ERROR_FORMAT, "bad JSON");
    refuse("{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "bad JSON");
    refuse("{\"__metadata__\":{\"a\":\"x\\u0000\"}}", 0, "bad JSON");
    refuse("{\"a\\u001b[2J\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "control character");
    refuse("{\"t\":{\"dtype\":\"U\\u001b\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           "control character");
}

TEST(safetensors, messages_carry_no_control_characters) {
    pith_safetensors *st = NULL;
    pith_error error;
    const char *text = "{\x1b[2J}";
    CHECK(parse(&st, text, strlen(text), 0, &error) == PITH_ERROR_FORMAT, "accepted");
    for (const char *c = error.message; *c != '\0'; c++) {
        CHECK((unsigned char)*c >= 0x20, "byte %d in \"%s\"", *c, error.message);
    }
}

TEST(safetensors, refuses_text_that_is_not_utf8) {
    refuse("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "bad JSON");
    refuse("{\"\xc0\x80\":1}", 1, "bad JSON");
    refuse("{\"__metadata__\":{\"a\":\"\xed\xa0\x80\"}}", 0, "bad JSON");
}

TEST(safetensors, refuses_deep_nesting) {
    enum { N = 1 << 20 };
    char *text = malloc(N + 6);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', N);
    text[N + 5] = '\0';
    refuse(text, 0, "bad JSON");
    for (size_t i = 0; i + 5 <= N; i += 5) {
        memcpy(text + 5 + i, "{\"a\":", 5);
    }
    refuse(text, 0, "bad JSON");
    free(text);
}

TEST(safetensors, cuts_long_names_in_messages) {
    static char text[1000];
    char name[700];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,1]}}",
             name);
    refuse(text, 1, "shape x dtype is 3 bytes");
}

TEST(safetensors, ignores_unknown_keys_of_a_tensor) {
    pith_safetensors_free(
        accept("{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"note\":[1]}}", 1));
}

/* ---- Files ----------------------------------------------------------------------------------- */

static pith_status read_bytes(const void *bytes, size_t size, pith_safetensors **out,
                              pith_error *error) {
    const char *path = test_path("read.safetensors");
    pith_file file;
    test_write_file(path, bytes, size);
    CHECK(pith_file_open(&file, path, error) == PITH_OK, "%s", error->message);
    pith_status status = pith_safetensors_read(out, &file, &pith_malloc_allocator, error);
    pith_file_close(&file);
    return status;
}

TEST(safetensors, reads_a_file) {
    unsigned char bytes[8 + sizeof two_tensors - 1 + 24] = {sizeof two_tensors - 1};
    memcpy(bytes + 8, two_tensors, sizeof two_tensors - 1);
    pith_safetensors *st = NULL;
    pith_error error;
    CHECK(read_bytes(bytes, sizeof bytes, &st, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_safetensors_count(st) == 2, "%zu tensors", pith_safetensors_count(st));
    pith_safetensors_free(st);
    for (size_t size = 0; size < sizeof bytes; size++) {
        pith_status status = read_bytes(bytes, size, &st, &error);
        CHECK(status == PITH_ERROR_FORMAT, "cut to %zu bytes: %s", size, pith_status_name(status));
    }
    CHECK_NO_LEAKS();
}

TEST(safetensors, refuses_every_wrong_length_field) {
    unsigned char bytes[8 + sizeof two_tensors - 1 + 24] = {0};
    memcpy(bytes + 8, two_tensors, sizeof two_tensors - 1);
    for (size_t i = 0; i < 8; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            pith_safetensors *st = NULL;
            pith_error error;
            memset(bytes, 0, 8);
            bytes[0] = sizeof two_tensors - 1;
            bytes[i] = (unsigned char)(bytes[i] ^ 1U << bit);
            pith_status status = read_bytes(bytes, sizeof bytes, &st, &error);
            CHECK(status == PITH_ERROR_FORMAT, "byte %zu, bit %u: %s", i, bit,
                  pith_status_name(status));
        }
    }
}

static pith_status parse_with(test_allocator *t, size_t fail_at, pith_safetensors **out) {
    pith_error error;
    t->n_calls = 0;
    t->fail_at = fail_at;
    return pith_safetensors_parse(out, two_tensors, sizeof two_tensors - 1,
                                  8 + sizeof two_tensors - 1 + 24, "f", &t->allocator, &error);
}

TEST(safetensors, survives_every_failing_allocation) {
    test_allocator t;
    test_allocator_init(&t);
    pith_status status = PITH_ERROR_MEMORY;
    for (size_t n = 1; status != PITH_OK; n++) {
        pith_safetensors *st = NULL;
        status = parse_with(&t, n, &st);
        CHECK(status == PITH_ERROR_MEMORY || (status == PITH_OK && n > 3), "allocation %zu: %s", n,
              pith_status_name(status));
        CHECK((status == PITH_OK) == (st != NULL), "allocation %zu: the output was touched", n);
        pith_safetensors_free(st);
        CHECK(status == PITH_OK || t.n_calls >= n, "fails without a failing allocation");
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)t.n_live);
    }
}

TEST(safetensors, survives_the_end_of_memory) {
    test_allocator t;
    test_allocator_init(&t);
    t.fail_after = true;
    pith_status status = PITH_ERROR_MEMORY;
    for (size_t n = 1; status != PITH_OK; n++) {
        pith_safetensors *st = NULL;
        status = parse_with(&t, n, &st);
        CHECK(status == PITH_OK || status == PITH_ERROR_MEMORY, "allocation %zu: %s", n,
              pith_status_name(status));
        pith_safetensors_free(st);
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)t.n_live);
    }
}

/* ---- What a header may cost ------------------------------------------------------------------ */

/* Headers of about a megabyte: `unit` again and again, with a number in place of its '#'. */
static char *repeated(const char *begin, const char *unit, const char *end, size_t *n) {
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE + 400);
    size_t at = (size_t)sprintf(text, "%s", begin);
    for (unsigned i = 0; at < SIZE; i++) {
        for (const char *c = unit; *c != '\0'; c++) {
            if (*c == '#') {
                at += (size_t)sprintf(text + at, "%x", i);
            } else {
                text[at++] = *c;
            }
        }
    }
    at += (size_t)sprintf(text + at, "%s", end);
    *n = at;
    return text;
}

TEST(safetensors, a_header_costs_at_most_four_bytes_a_byte) {
    static const struct {
        const char *begin, *unit, *end;
    } cases[] = {
        {"{\"a\":[", "{},", "0]}"},
        {"{", "\"#\":0,", "\"z\":0}"},
        {"{", "\"#\":{},", "\"z\":{}}"},
        {"{\"__metadata__\":{", "\"#\":\"\",", "\"z\":\"\"}}"},
        {"{", "\"#\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},",
         "\"z\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}"},
        {"{", "\"#\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
         "\"z\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}"},
        {"{\"a\":[", "\"\\u00e9\",", "0]}"},
        {"{\"a\":[", "[[[[[[]]]]]],", "0]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        char *text = repeated(cases[i].begin, cases[i].unit, cases[i].end, &n);
        test_allocator t;
        pith_safetensors *st = NULL;
        test_allocator_init(&t);
        pith_safetensors_parse(&st, text, n, 8 + n + 1, "f", &t.allocator, NULL);
        pith_safetensors_free(st);
        CHECK(t.most_bytes >= n && t.most_bytes <= 4 * n, "case %zu: %zu bytes for %zu", i,
              (size_t)t.most_bytes, n);
        free(text);
    }
}
