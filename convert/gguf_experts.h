/* A mixture of experts in a GGUF file: keys that are put into the words of config.json. */
#ifndef PITH_CONVERT_GGUF_EXPERTS_H
#define PITH_CONVERT_GGUF_EXPERTS_H

#include "convert/gguf_reading.h"

/* Writes what a mixture has beside its MLP's width, and which model_type that makes it; nothing for
 * architectures without experts and Llama's with none. Errors: FORMAT (a key is missing, is 0),
 * UNSUPPORTED (another router, shared experts, layers without experts). */
pith_status pith_gguf_put_experts(pith_gguf_reading *r, const char **model_type);

#endif
