/* Converting a GGUF file, and opening what came out. Input: three bytes of options (type, type of
 * the head, flags), then the header of a file; zeros are put behind it for the data, so that seeds
 * are small and a mutation of a shape still finds its values. What is converted must open. */
#include "convert/convert.h"
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATA = 128 << 10, QUIET = 1, WITHOUT_WEIGHTS = 2, FAIL = 4 };

static void see_log(void *user, pith_log_level level, const char *message) {
    (void)user;
    (void)level;
    fuzz_require(message[0] != '\0');
}

static void write_file(const char *path, const uint8_t *header, size_t n) {
    FILE *file = fopen(path, "wb");
    fuzz_require(file != NULL && fwrite(header, 1, n, file) == n && fflush(file) == 0);
    fuzz_require(ftruncate(fileno(file), (off_t)((n + 31) / 32 * 32 + DATA)) == 0);
    fclose(file);
}

/* What was published opens, and can be used as far as its tokenizer goes. */
static void use(const char *path) {
    static const char text[] = "ab Hello <s> \xC3\xA9";
    pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF, .map = true};
    pith_model *model = NULL;
    pith_error error;
    if (pith_model_open(&model, path, &options, &error) != PITH_OK) {
        fprintf(stderr, "converted, but: %s\n", error.message);
        abort();
    }
    int32_t ids[64];
    size_t n;
    pith_tokenize(model, (pith_text){text, sizeof text - 1}, PITH_TOKENIZE_AUTO, ids, 64, &n,
                  &error);
    pith_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char source[256], out[256];
    fuzz_input in = {data, size};
    uint8_t type = fuzz_byte(&in);
    uint8_t head = fuzz_byte(&in);
    uint8_t flags = fuzz_byte(&in);
    if (source[0] == '\0') {
        snprintf(source, sizeof source, "%s", test_path("fuzz.gguf"));
        snprintf(out, sizeof out, "%s", test_path("fuzz.pith"));
    }
    test_allocator memory;
    if ((flags & FAIL) != 0) {
        fuzz_allocator_init(&memory, data, size);
    } else {
        test_allocator_init(&memory);
    }
    const pith_convert_options options = {
        .type = (pith_type)(type % (PITH_N_TYPES + 1)),
        .head_type = (pith_type)(head % (PITH_N_TYPES + 1)),
        .n_threads = 1,
        .allocator = &memory.allocator,
        .without_weights = (flags & WITHOUT_WEIGHTS) != 0,
        .log = {.fn = (flags & QUIET) != 0 ? NULL : see_log},
    };
    pith_error error = {.message = ""};
    write_file(source, in.at, in.left);
    pith_status status = pith_convert(source, out, &options, &error);
    if (status == PITH_OK) {
        use(out);
    } else {
        fuzz_require(error.message[0] != '\0' && access(out, F_OK) != 0);
    }
    fuzz_require(memory.n_live == 0);
    unlink(out);
    unlink(source);
    return 0;
}
