/* Opening a checkpoint in the form that it has. */
#include "convert/checkpoint.h"

pith_status pith_checkpoint_open(pith_checkpoint *out, const char *path,
                                 const pith_allocator *allocator, const pith_log *log,
                                 pith_error *error) {
    pith_checkpoint checkpoint = {.allocator = allocator, .log = log};
    *out = checkpoint;
    pith_status status = pith_hf_checkpoint_open(out, path, error);
    if (status != PITH_OK) {
        pith_checkpoint_close(out);
    }
    return status;
}

void pith_checkpoint_close(pith_checkpoint *checkpoint) {
    if (checkpoint->allocator == NULL) {
        return;
    }
    pith_hf_tokenizer_free(&checkpoint->tokenizer);
    pith_hf_prompts_free(&checkpoint->prompts, checkpoint->allocator);
    if (checkpoint->form != NULL) {
        checkpoint->form->close(checkpoint);
    }
    pith_sources_close(&checkpoint->sources);
    *checkpoint = (pith_checkpoint){.form = NULL};
}

pith_status pith_checkpoint_read_tokenizer(pith_checkpoint *checkpoint, const char *path,
                                           pith_error *error) {
    return checkpoint->form->read_tokenizer(checkpoint, path, error);
}

bool pith_checkpoint_find(const pith_checkpoint *checkpoint, const char *name,
                          pith_checkpoint_tensor *out) {
    return checkpoint->form->find(checkpoint, name, out);
}

bool pith_checkpoint_at(const pith_checkpoint *checkpoint, size_t i, pith_checkpoint_tensor *out) {
    return checkpoint->form->at(checkpoint, i, out);
}

const char *pith_checkpoint_name(const pith_checkpoint *checkpoint) {
    return checkpoint->sources.directory;
}
