/* What a file is by its first bytes, and whether a path is the name of a model. Every answer has a
 * message; looking at the file gives the same answer as looking at its bytes. */
#include "base/file_kind.h"
#include "base/gguf_look.h"
#include "convert/convert.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

static void check_look(const pith_file_look *look) {
    pith_error error = {0};
    fuzz_require((unsigned)look->kind < PITH_N_FILE_KINDS &&
                 memchr(look->detail, '\0', sizeof look->detail) != NULL);
    if (look->kind != PITH_FILE_OTHER) {
        fuzz_require(pith_file_kind_what(look->kind)[0] != '\0');
        fuzz_require(pith_fail_kind(&error, "path", look, ", not that") == PITH_ERROR_FORMAT &&
                     strncmp(error.message, "path", 4) == 0);
    }
}

/* The bytes as a path: nothing is there, so a name of the hub may be meant. */
static void check_name(const uint8_t *data, size_t size) {
    char name[PITH_HUB_NAME];
    pith_error error = {0};
    char *text = malloc(size + 1);
    fuzz_require(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    char *part = fuzz_copy(text, size + 1);
    size_t n_parts = pith_gguf_n_parts(text);
    fuzz_require(n_parts >= 1 && (n_parts == 1 || !pith_gguf_is_later_part(text)));
    if (pith_gguf_set_part(part, 1, 3)) { /* which is as long as the name was */
        fuzz_require(strlen(part) == strlen(text) && pith_gguf_is_later_part(part) &&
                     pith_gguf_set_part(part, 0, 3) && pith_gguf_n_parts(part) == 3);
    }
    fuzz_require(!pith_gguf_set_part(part, 100000, 100001));
    free(part);
    (void)pith_convert_gguf_names_encoder(text);
    (void)pith_convert_names_encoder(NULL, text);
    if (pith_hub_name(text, name)) {
        fuzz_require(strchr(name, '/') != NULL && strlen(name) < sizeof name);
        fuzz_require(pith_fail_hub_name(&error, text, name) != PITH_OK && error.message[0] != '\0');
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = fuzz_copy(data, size);
    /* Of a larger file only the first bytes are seen. */
    size_t file_size = fuzz_hash(data, size) % 4 == 0 ? (size_t)1 << 40 : size;
    pith_file_look look = pith_file_look_at(copy, size, file_size);
    check_look(&look);
    check_name(data, size);
    pith_gguf_look words;
    bool gguf = pith_gguf_look_at(&words, (const unsigned char *)copy, size);
    fuzz_require(gguf == (size >= 4 && memcmp(copy, "GGUF", 4) == 0));

    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    fuzz_file on_disk;
    pith_file file;
    fuzz_file_open(&on_disk);
    fuzz_file_write(&on_disk, data, size);
    fuzz_require(pith_file_open(&file, on_disk.path, NULL) == PITH_OK);
    pith_file_look seen = pith_file_look_in(&file, &memory.allocator);
    check_look(&seen);
    fuzz_require(file_size != size || size > PITH_FILE_LOOK || seen.kind == look.kind ||
                 fuzz_allocation_failed(&memory));
    pith_file_close(&file);
    fuzz_file_close(&on_disk);
    fuzz_require(memory.n_live == 0);
    free(copy);
    return 0;
}
