/* Arbitrary text as a JSON document: the reader must agree with jansson, stay in its buffer and, of
 * what it has written itself, read the same again. The writer must refuse texts that are not UTF-8
 * and numbers that are not finite, and write nothing but JSON otherwise. */
#include "base/json_write.h"
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tests/json_reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes as a text, as a key, and the first of them as numbers. */
static void write_object(pith_json_writer *w, const char *text, size_t n, double real) {
    pith_json_open(w, NULL, '{');
    pith_json_open(w, "elements", '[');
    pith_json_put_bytes(w, NULL, text, n % 2 == 0 ? n : 0);
    pith_json_close(w, ']');
    pith_json_put_bytes(w, "text", text, n);
    pith_json_put_text(w, text, "key");
    pith_json_put_real(w, "real", real);
    pith_json_put_integer(w, "integer", (int64_t)n);
    pith_json_put_null(w, "null");
    pith_json_close(w, '}');
}

static void check_writer(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    double real = (double)size;
    pith_json_writer w;
    pith_json root;
    pith_error error = {0};
    test_allocator memory;
    fuzz_require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    memcpy(&real, data, size < sizeof real ? size : sizeof real);
    fuzz_allocator_init(&memory, data, size);
    pith_json_write_begin(&w, &memory.allocator);
    w.style = (pith_json_style)(fuzz_hash(data, size) >> 50) % 3;
    write_object(&w, text, size, real);
    bool valid = pith_utf8_check(text, size) == size && isfinite(real);
    pith_status status = pith_json_write_end(&w, "fuzz", &error);
    fuzz_require(status == (valid ? PITH_OK : PITH_ERROR_ARGUMENT) ||
                 fuzz_allocation_failed(&memory));
    fuzz_require(status == PITH_OK || error.message[0] != '\0');
    if (status == PITH_OK && strlen(text) == size) { /* no NUL byte, which one mode refuses */
        status = pith_json_read(&root, w.bytes.data, w.bytes.size, PITH_JSON_PYTHON, "written",
                                &memory.allocator, &error);
        fuzz_require(status == PITH_OK || fuzz_allocation_failed(&memory));
    }
    pith_bytes_release(&w.bytes);
    fuzz_require(memory.n_live == 0);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *problem = test_json_compare((const char *)data, size);
    if (problem != NULL) {
        fprintf(stderr, "%s\n", problem);
        abort();
    }
    if (size > 0) {
        check_writer(data, size);
    }
    return 0;
}
