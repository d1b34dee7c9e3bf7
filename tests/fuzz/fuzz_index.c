/* model.safetensors.index.json. Names of shards that are accepted must stay inside the directory.
 */
#include "base/memory.h"
#include "convert/hf_shards.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pith_hf_index index;
    pith_error error = {0};
    char *text = malloc(size > 0 ? size : 1); /* of its own, so that reading beyond is seen */
    if (size > 0) {
        memcpy(text, data, size);
    }
    pith_status status =
        pith_hf_index_parse(&index, text, size, "index.json", &pith_malloc_allocator, &error);
    if (status != PITH_OK) {
        require(error.status == status && error.message[0] != '\0');
        free(text);
        return 0;
    }
    require(index.n_shards > 0 && index.n_shards <= PITH_HF_MAX_SHARDS);
    for (size_t i = 0; i < index.n_shards; i++) {
        const char *name = index.shards[i];
        require(name[0] != '\0' && strchr(name, '/') == NULL && strstr(name, "..") == NULL);
        for (size_t j = 0; j < i; j++) {
            require(strcmp(index.shards[j], name) != 0);
        }
    }
    free(text);
    return 0;
}
