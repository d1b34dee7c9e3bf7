/* Converting a GGUF file, and opening what came out. Input: three bytes of options (type, type of
 * the head, flags), then the header of a file; the data is put behind it, zeros or as the flags
 * say, so that seeds are small and a mutation of a shape still finds its values. With PARTS the
 * file has the name of the first of three parts, and each "GGUF" after the first four bytes begins
 * the next one. What is converted must open. */
#include "base/gguf_look.h"
#include "convert/convert.h"
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATA = 128 << 10, N_PARTS = 3 };

/* Bits of the flags. */
enum {
    QUIET = 1,
    WITHOUT_WEIGHTS = 2,
    FAIL = 4, /* an allocation */
    PARTS = 8,
    ONES = 16, /* as F32 */
    NANS = 32,
};

static void see_log(void *user, pith_log_level level, const char *message) {
    (void)user;
    (void)level;
    fuzz_require(message[0] != '\0');
}

/* A file in its own place, of the header and the data. */
static void write_file(const char *path, const uint8_t *header, size_t n, unsigned flags) {
    const size_t padded = (n + 31) / 32 * 32;
    FILE *file = fopen(path, "wb");
    fuzz_require(file != NULL && fwrite(header, 1, n, file) == n);
    if ((flags & (ONES | NANS)) != 0) {
        static float data[DATA / sizeof(float)];
        memset(data, 0xFF, sizeof data); /* NaN in every type of floats */
        for (size_t i = 0; (flags & ONES) != 0 && i < DATA / sizeof *data; i++) {
            data[i] = 1;
        }
        fuzz_require(fseek(file, (long)padded, SEEK_SET) == 0 &&
                     fwrite(data, 1, DATA, file) == DATA);
    } else { /* zeros that take no room */
        fuzz_require(fflush(file) == 0 && ftruncate(fileno(file), (off_t)(padded + DATA)) == 0);
    }
    fuzz_require(fclose(file) == 0);
}

/* Writes the first part to `path`, and the others to their names. */
static void write_parts(const char *path, const uint8_t *data, size_t n, unsigned flags) {
    static char name[256];
    snprintf(name, sizeof name, "%s", path);
    for (size_t i = 0; i < N_PARTS; i++) {
        const uint8_t *next = n > 4 ? memmem(data + 4, n - 4, "GGUF", 4) : NULL;
        size_t size = next != NULL && i + 1 < N_PARTS ? (size_t)(next - data) : n;
        fuzz_require(pith_gguf_set_part(name, i, N_PARTS));
        write_file(name, data, size, flags);
        data += size;
        n -= size;
    }
}

static void remove_parts(const char *path) {
    static char name[256];
    snprintf(name, sizeof name, "%s", path);
    for (size_t i = 0; i < N_PARTS; i++) {
        fuzz_require(pith_gguf_set_part(name, i, N_PARTS));
        unlink(name);
    }
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
    static char whole[256], parts[256], out[256];
    fuzz_input in = {data, size};
    uint8_t type = fuzz_byte(&in);
    uint8_t head = fuzz_byte(&in);
    uint8_t flags = fuzz_byte(&in);
    if (whole[0] == '\0') {
        snprintf(whole, sizeof whole, "%s", test_path("fuzz.gguf"));
        snprintf(parts, sizeof parts, "%s", test_path("fuzz-00001-of-00003.gguf"));
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
    const char *source = (flags & PARTS) != 0 ? parts : whole;
    if (source == parts) {
        write_parts(parts, in.at, in.left, flags);
    } else {
        write_file(whole, in.at, in.left, flags);
    }
    pith_status status = pith_convert(source, out, &options, &error);
    if (status == PITH_OK) {
        use(out);
    } else {
        fuzz_require(error.message[0] != '\0' && access(out, F_OK) != 0);
    }
    fuzz_require(memory.n_live == 0);
    unlink(out);
    if (source == parts) {
        remove_parts(parts);
    } else {
        unlink(whole);
    }
    return 0;
}
