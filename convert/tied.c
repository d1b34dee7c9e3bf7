/* Comparing a stored head with the embedding. */
#include "convert/tied.h"

#include <string.h>

enum { PIECE = 64 << 10 }; /* bytes compared at once */

static const char head_name[] = "lm_head.weight";
static const char embed_name[] = "model.embed_tokens.weight";

static pith_status compare(const pith_hf_tensor *head, const pith_hf_tensor *embed, bool *same,
                           pith_error *error) {
    unsigned char a[PIECE], b[PIECE];
    size_t size = embed->tensor->size;
    *same = head->tensor->dtype == embed->tensor->dtype && head->tensor->size == size;
    for (size_t done = 0; done < size && *same;) {
        size_t n = size - done < PIECE ? size - done : PIECE;
        pith_status status = pith_file_read(head->file, head->tensor->offset + done, a, n, error);
        if (status == PITH_OK) {
            status = pith_file_read(embed->file, embed->tensor->offset + done, b, n, error);
        }
        if (status != PITH_OK) {
            return status;
        }
        *same = memcmp(a, b, n) == 0;
        done += n;
    }
    return PITH_OK;
}

pith_status pith_tied_resolve(pith_config *config, const pith_hf_shards *shards,
                              const pith_log *log, pith_error *error) {
    pith_hf_tensor head, embed;
    bool same = true;
    if (!config->tie_word_embeddings || !pith_hf_shards_find(shards, head_name, &head) ||
        !pith_hf_shards_find(shards, embed_name, &embed)) {
        return PITH_OK;
    }
    pith_status status = compare(&head, &embed, &same, error);
    if (status == PITH_OK && !same) {
        config->tie_word_embeddings = false;
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: lm_head.weight differs from the embedding, though tie_word_embeddings "
                       "is true: both are kept",
                       shards->sources->directory);
    }
    return status;
}
