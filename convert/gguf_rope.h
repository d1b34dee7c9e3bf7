/* The rotary embedding of a GGUF file. */
#ifndef PITH_CONVERT_GGUF_ROPE_H
#define PITH_CONVERT_GGUF_ROPE_H

#include "convert/gguf_reading.h"

/* Writes rope_theta and rope_scaling. Errors: IO, FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_rope(pith_gguf_reading *r);

#endif
