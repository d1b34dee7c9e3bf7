/* A directory in Mistral's own layout as a checkpoint. */
#ifndef PITH_CONVERT_MISTRAL_CHECKPOINT_H
#define PITH_CONVERT_MISTRAL_CHECKPOINT_H

#include "convert/checkpoint.h"

/* True when the directory has weights in this layout and params.json, and none in Hugging Face's
 * layout. */
bool pith_mistral_checkpoint_is_there(const pith_sources *sources);

/* Opens it; `sources` of the checkpoint is open. Errors: IO, FORMAT, UNSUPPORTED (a setting that
 * Mistral's dense models do not have), MEMORY. */
pith_status pith_mistral_checkpoint_open(pith_checkpoint *checkpoint, pith_error *error);

#endif
