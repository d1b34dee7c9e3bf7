/* The rotary embedding of a GGUF file, and what its reading shares with that of the other keys. */
#ifndef PITH_CONVERT_GGUF_ROPE_H
#define PITH_CONVERT_GGUF_ROPE_H

#include "base/json_write.h"
#include "convert/gguf_config.h"

/* A configuration while it is being turned into a config.json. */
typedef struct pith_gguf_reading {
    const pith_gguf *gguf; /* with the keys */
    const pith_gguf_parts *parts;
    const pith_sources *sources;
    const pith_gguf_architecture *architecture;
    pith_json_writer json;
    size_t head_dim, context; /* when they have been read */
    size_t rope_dims;         /* elements of a head that turn; when they have been read */
    pith_error *error;
} pith_gguf_reading;

/* Writes rope_theta and rope_scaling. Errors: IO, FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_rope(pith_gguf_reading *r);

/* Reads a key of the architecture that must be positive where it is there. Errors: FORMAT. */
pith_status pith_gguf_positive(const pith_gguf_reading *r, const char *name, double *out);

/* Writes a number as the text that it was read from. */
void pith_gguf_put_number(pith_json_writer *json, const char *member, double value);

#endif
