/* Comparing a stored head with the embedding. */
#include "convert/tied.h"

#include <string.h>

enum { PIECE = 64 << 10 }; /* bytes compared at once */

static pith_status compare(const pith_checkpoint_tensor *head, const pith_checkpoint_tensor *embed,
                           bool *same, pith_error *error) {
    unsigned char a[PIECE], b[PIECE];
    size_t size = embed->size;
    *same = head->type == embed->type && head->size == size;
    for (size_t done = 0; done < size && *same;) {
        size_t n = size - done < PIECE ? size - done : PIECE;
        pith_status status = pith_file_read(head->file, head->offset + done, a, n, error);
        if (status == PITH_OK) {
            status = pith_file_read(embed->file, embed->offset + done, b, n, error);
        }
        if (status != PITH_OK) {
            return status;
        }
        *same = memcmp(a, b, n) == 0;
        done += n;
    }
    return PITH_OK;
}

/* The name of the one tensor of a rule. */
static const char *name_of(const pith_rule *rule, const pith_checkpoint *checkpoint) {
    const char *names[PITH_MAX_BLOCKS];
    pith_rule_sources(rule, checkpoint->form->naming, names);
    return names[0];
}

pith_status pith_tied_resolve(const pith_family *family, pith_config *config,
                              const pith_checkpoint *checkpoint, const pith_log *log,
                              pith_error *error) {
    const pith_rule *of_head = pith_family_rule_at(family, offsetof(pith_network, head));
    const pith_rule *of_embed = pith_family_rule_at(family, offsetof(pith_network, embed));
    pith_checkpoint_tensor head, embed;
    bool same = true;
    if (!config->tie_word_embeddings || of_head == NULL ||
        !pith_checkpoint_find(checkpoint, name_of(of_head, checkpoint), &head) ||
        !pith_checkpoint_find(checkpoint, name_of(of_embed, checkpoint), &embed)) {
        return PITH_OK;
    }
    pith_status status = compare(&head, &embed, &same, error);
    if (status == PITH_OK && !same) {
        config->tie_word_embeddings = false;
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: %s differs from the embedding, though tie_word_embeddings "
                       "is true: both are kept",
                       checkpoint->name, name_of(of_head, checkpoint));
    }
    return status;
}
