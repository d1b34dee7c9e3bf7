/* Texts that an encoder reads in front of others. */
#ifndef PITH_ENGINE_PROMPTS_H
#define PITH_ENGINE_PROMPTS_H

#include "engine/model.h"

/* The prompt that these options ask for, else the model's default, else "". Errors: ARGUMENT (both
 * a prompt and a name; no prompt of that name, and those there are are listed). */
pith_status pith_prompt_choose(const pith_model *model, const pith_embed_options *options,
                               const char **out, pith_error *error);

#endif
