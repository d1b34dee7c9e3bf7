/* What is an encoder's own among the keys of a GGUF file. */
#ifndef PITH_CONVERT_GGUF_ENCODER_H
#define PITH_CONVERT_GGUF_ENCODER_H

#include "convert/gguf_reading.h"

/* Writes the hyper-parameters. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_encoder(pith_gguf_reading *r);

/* Reads how vectors become an embedding. No key says that it is normalised; what reads GGUF files
 * normalises them, and the cosine of two embeddings is the same either way. Errors: FORMAT,
 * UNSUPPORTED. */
pith_status pith_gguf_read_pooling(const pith_gguf_reading *r, pith_config *out,
                                   const pith_log *log);

#endif
