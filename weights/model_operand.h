/* Messages for what was given in place of a .pith file. */
#ifndef PITH_WEIGHTS_MODEL_OPERAND_H
#define PITH_WEIGHTS_MODEL_OPERAND_H

#include "base/memory.h"

/* Opening `path` as a model failed with `status` and `error`. Where the path shows what is wrong (a
 * directory, a GGUF file, a Git LFS pointer, the name of a model on huggingface.co ...), `error`
 * says that instead and what to do. Returns the status of the final error. */
pith_status pith_explain_model_operand(const char *path, pith_status status,
                                       const pith_allocator *allocator, pith_error *error);

#endif
