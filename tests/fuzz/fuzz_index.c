/* model.safetensors.index.json. Names of shards that are accepted must stay inside the directory.
 */
#include "convert/hf_shards.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pith_hf_index index;
    pith_error error = {0};
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    char *text = fuzz_copy(data, size);
    pith_status status =
        pith_hf_index_parse(&index, text, size, "index.json", &memory.allocator, &error);
    fuzz_require(memory.n_live == 0);
    if (status != PITH_OK) {
        fuzz_require(error.status == status && error.message[0] != '\0');
        free(text);
        return 0;
    }
    fuzz_require(index.n_shards > 0 && index.n_shards <= PITH_HF_MAX_SHARDS);
    for (size_t i = 0; i < index.n_shards; i++) {
        const char *name = index.shards[i];
        fuzz_require(name[0] != '\0' && strchr(name, '/') == NULL && strstr(name, "..") == NULL);
        for (size_t j = 0; j < i; j++) {
            fuzz_require(strcmp(index.shards[j], name) != 0);
        }
    }
    free(text);
    return 0;
}
