/* The rotary embedding of a GGUF file. */
#ifndef PITH_CONVERT_GGUF_ROPE_H
#define PITH_CONVERT_GGUF_ROPE_H

#include "convert/gguf_reading.h"

/* The scaling that the keys of a file name. */
typedef struct pith_gguf_scaling {
    pith_text type;  /* "none", "linear", "yarn", or any other bytes, within the file's */
    double factor;   /* 1 where no key names one */
    const char *key; /* which says the type: rope.scaling.type, or rope.scale_linear */
} pith_gguf_scaling;

/* Reads it. Where no other type is named, the old key rope.scale_linear of another factor than 1
 * makes it a linear one, and else it is "none". *out stays on failure. Errors: FORMAT. */
pith_status pith_gguf_read_scaling(const pith_gguf_reading *r, pith_gguf_scaling *out);

/* Writes rope_theta and rope_scaling. Errors: IO, FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_rope(pith_gguf_reading *r);

#endif
