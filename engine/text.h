/* What the public text functions share. */
#ifndef PITH_ENGINE_TEXT_H
#define PITH_ENGINE_TEXT_H

#include "engine/model.h"

/* Errors: ARGUMENT (no model), UNSUPPORTED (one without a tokenizer cannot do text). */
pith_status pith_need_tokenizer(const pith_model *model, pith_error *error);

/* Hands tokens to a caller's buffer by the capacity rule of pith_tokenize. */
pith_status pith_give_tokens(const pith_tokens *from, int32_t *tokens, size_t capacity,
                             size_t *n_tokens, pith_error *error);

#endif
