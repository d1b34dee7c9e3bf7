/* Opening a checkpoint in the form that it has. */
#include "convert/checkpoint.h"

#include "base/file_kind.h"
#include "base/text.h"

#include <sys/stat.h>

/* A GGUF file is known by its first bytes, one that is damaged there by its name. */
static bool is_gguf(const char *path) {
    struct stat facts;
    bool named = pith_ends_with(path, ".gguf");
    pith_file_kind kind = pith_file_kind_at(path);
    return kind == PITH_FILE_GGUF ||
           (named && kind == PITH_FILE_OTHER && stat(path, &facts) == 0 && S_ISREG(facts.st_mode));
}

pith_status pith_checkpoint_open(pith_checkpoint *out, const char *path,
                                 const pith_allocator *allocator, const pith_log *log,
                                 pith_error *error) {
    pith_checkpoint checkpoint = {.allocator = allocator, .log = log};
    *out = checkpoint;
    pith_status status = is_gguf(path) ? pith_gguf_checkpoint_open(out, path, error)
                                       : pith_hf_checkpoint_open(out, path, error);
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

bool pith_checkpoint_quantised(const pith_checkpoint *checkpoint) {
    pith_checkpoint_tensor tensor;
    for (size_t i = 0; pith_checkpoint_at(checkpoint, i, &tensor); i++) {
        if (tensor.quantised) {
            return true;
        }
    }
    return false;
}
