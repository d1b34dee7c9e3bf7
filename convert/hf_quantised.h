/* Recognises checkpoints whose weights are quantised already by another method, and refuses them
 * with the method's name. */
#ifndef PITH_CONVERT_HF_QUANTISED_H
#define PITH_CONVERT_HF_QUANTISED_H

#include "convert/checkpoint.h"

/* UNSUPPORTED when config.json says that the weights are quantised: quantization_config (as all
 * libraries but MLX write it), quantization (MLX) or compression_config; not when it says MXFP4 and
 * the family's experts are published in that. */
pith_status pith_hf_refuse_quantised(pith_json config, const pith_family *family,
                                     pith_error *error);

/* The method whose tensors stand in the place of tensor `name` ("qweight" for "weight"), or NULL.
 */
const char *pith_hf_quantised_instead(const pith_checkpoint *checkpoint, const char *name);

/* What to do about quantised weights, for the end of a message. */
extern const char pith_hf_quantised_advice[];

#endif
