/* What the pages of Qwen 3 share, the language models' and the encoders'. */
#ifndef PITH_FAMILIES_QWEN3_H
#define PITH_FAMILIES_QWEN3_H

#include "families/family.h"

extern const pith_key pith_qwen3_keys[12];

/* Sets up its layers. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_qwen3_layers_read(pith_config *config, pith_json json, pith_error *error);

#endif
