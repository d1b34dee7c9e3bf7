/* The safetensors header parser. Input: 4 bytes, little-endian size of the data that follows the
 * header (which is never read), then the header's JSON. What is accepted must keep the promises of
 * weights/safetensors.h. */
#include "tests/fuzz/input.h"
#include "weights/safetensors.h"

#include <string.h>

static void check(const pith_safetensors *st, size_t file_size) {
    size_t end = pith_safetensors_data_offset(st);
    for (size_t i = 0; i < pith_safetensors_count(st); i++) {
        const pith_tensor *tensor = pith_safetensors_at(st, i);
        size_t bytes = pith_dtype_size(tensor->dtype);
        fuzz_require(tensor->n_dims <= PITH_SAFETENSORS_MAX_DIMS);
        for (size_t d = 0; d < tensor->n_dims; d++) {
            bytes *= tensor->shape[d];
        }
        fuzz_require(tensor->offset == end && tensor->size == bytes);
        fuzz_require(pith_safetensors_find(st, tensor->name) == tensor);
        end += tensor->size;
    }
    fuzz_require(end == file_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint32_t data_size;
    if (size < sizeof data_size) {
        return 0;
    }
    memcpy(&data_size, data, sizeof data_size);
    const char *text = (const char *)data + sizeof data_size;
    size_t n = size - sizeof data_size;
    size_t file_size = 8 + n + data_size;
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    pith_safetensors *st = NULL;
    pith_error error;
    if (pith_safetensors_parse(&st, text, n, file_size, "fuzz", &memory.allocator, &error) ==
        PITH_OK) {
        check(st, file_size);
    } else {
        fuzz_require(st == NULL && memchr(error.message, '\0', sizeof error.message) != NULL);
    }
    pith_safetensors_free(st);
    fuzz_require(memory.n_live == 0);
    return 0;
}
