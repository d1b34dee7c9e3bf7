/* Messages for a source that is not a Hugging Face checkpoint: what it is, and what to do. */
#ifndef PITH_CONVERT_HF_DIRECTORY_H
#define PITH_CONVERT_HF_DIRECTORY_H

#include "convert/sources.h"

/* The directory has no `missing` ("config.json", "safetensors files"): says what is there instead,
 * such as an adapter, another layout of weights, or the checkpoint in a directory within. Returns
 * FORMAT. */
pith_status pith_hf_explain_directory(const pith_sources *sources, const char *missing,
                                      pith_error *error);

#endif
