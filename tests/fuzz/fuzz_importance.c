/* Importance files. Input: 4 bytes, little-endian length of the header's JSON, the JSON, then the
 * data; with the highest bit of the length set all that follows is the file as it is. What loads is
 * found again, and only numbers that can be mean squares load. */
#include "base/checked.h"
#include "convert/importance.h"
#include "tests/fuzz/input.h"
#include "weights/safetensors.h"

#include <math.h>
#include <string.h>

static void make_file(const fuzz_file *file, const uint8_t *data, size_t size) {
    uint32_t given;
    memcpy(&given, data, sizeof given);
    data += sizeof given;
    size -= sizeof given;
    if (given >> 31 == 0) {
        uint64_t n_json = pith_min_size(given, size);
        fuzz_file_write(file, &n_json, sizeof n_json);
    }
    fuzz_file_write(file, data, size);
}

/* Every tensor of the file is there, under its name. */
static void use(const pith_importance *importance, const char *path) {
    pith_safetensors *header;
    pith_file file;
    fuzz_require(pith_file_open(&file, path, NULL) == PITH_OK);
    fuzz_require(pith_safetensors_read(&header, &file, &pith_malloc_allocator, NULL) == PITH_OK);
    for (size_t i = 0; i < pith_safetensors_count(header); i++) {
        const pith_tensor *tensor = pith_safetensors_at(header, i);
        size_t n = tensor->shape[0];
        const float *means = pith_importance_find(importance, tensor->name, n);
        fuzz_require(means != NULL);
        fuzz_require(pith_importance_find(importance, tensor->name, n + 1) == NULL);
        fuzz_require(pith_importance_width(importance, tensor->name) == n);
        fuzz_require(pith_importance_name(importance, i, &n) != NULL);
        for (size_t k = 0; k < n; k++) {
            fuzz_require(isfinite(means[k]) && means[k] >= 0.0F);
        }
    }
    size_t n;
    fuzz_require(pith_importance_name(importance, SIZE_MAX, &n) == NULL);
    fuzz_require(pith_importance_width(importance, "no such") == 0);
    pith_safetensors_free(header);
    pith_file_close(&file);
}

/* What came from a file cannot be added to; another matrix can. */
static void add(pith_importance *importance) {
    static const float rows[6] = {1, 2, 3, 4, 5, 6};
    pith_error error;
    bool from_file = pith_importance_find(importance, "a", 2) != NULL;
    pith_status status = pith_importance_add(importance, "a", rows, 3, 2, &error);
    fuzz_require(status != PITH_OK || !from_file);
    fuzz_require(pith_importance_add(importance, "b", rows, 0, 0, &error) == PITH_ERROR_ARGUMENT);
    fuzz_require(pith_importance_add(importance, "b", rows, 0, SIZE_MAX, &error) ==
                 PITH_ERROR_ARGUMENT);
    (void)pith_importance_add(importance, "b", rows, 0, 3, &error);
    (void)pith_importance_add(importance, "b", rows, 2, 3, &error);
    fuzz_require(pith_importance_add(importance, "b", rows, 1, 2, &error) != PITH_OK);
    status = pith_importance_save(importance, test_path("saved"), &error);
    fuzz_require(status == PITH_OK || status == PITH_ERROR_MEMORY);
}

/* Nothing in it cannot be saved. */
static void save_none(const pith_allocator *allocator) {
    pith_importance *importance = NULL;
    pith_error error;
    if (pith_importance_new(&importance, allocator, &error) == PITH_OK) {
        fuzz_require(pith_importance_save(importance, test_path("none"), &error) ==
                     PITH_ERROR_ARGUMENT);
    }
    pith_importance_free(importance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < sizeof(uint32_t)) {
        return 0;
    }
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    fuzz_file file;
    fuzz_file_open(&file);
    make_file(&file, data, size);
    pith_importance *importance = NULL;
    pith_error error = {0};
    pith_status status = pith_importance_load(&importance, file.path, &memory.allocator, &error);
    if (status == PITH_OK) {
        use(importance, file.path);
        fuzz_allocator_arm(&memory, data, size);
        add(importance);
        save_none(&memory.allocator);
    } else {
        fuzz_require(error.status == status && error.message[0] != '\0' && importance == NULL);
    }
    pith_importance_free(importance);
    fuzz_file_close(&file);
    fuzz_require(memory.n_live == 0);
    return 0;
}
