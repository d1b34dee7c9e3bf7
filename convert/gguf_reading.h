/* A GGUF file's keys while they are being put into the words of config.json: what the readers of
 * decoders, encoders and rotary embeddings share (gguf_config.c). */
#ifndef PITH_CONVERT_GGUF_READING_H
#define PITH_CONVERT_GGUF_READING_H

#include "base/json_write.h"
#include "convert/gguf_config.h"

/* A configuration while it is being put into the words of config.json. */
typedef struct pith_gguf_reading {
    const pith_gguf *gguf; /* with the keys */
    const pith_gguf_parts *parts;
    const pith_sources *sources;
    const pith_gguf_architecture *architecture;
    pith_json_writer json;
    /* These are 0 until they have been read. */
    size_t hidden, n_layers, context;
    size_t head_dim;
    size_t rope_dims; /* elements of a head that turn */
    pith_error *error;
} pith_gguf_reading;

/* A key of the architecture: "llama." and `name`. */
typedef struct pith_gguf_arch_key {
    char text[96];
} pith_gguf_arch_key;

pith_gguf_arch_key pith_gguf_key_of(const pith_gguf_reading *r, const char *name);

/* Returns true when the file has this key of the architecture. */
bool pith_gguf_has(const pith_gguf_reading *r, const char *name);

/* Reads a count of which a file may have one for each layer: they must be the same. 0 of an empty
 * list; *out stays where there is no key. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_gguf_read_count(const pith_gguf_reading *r, const char *name, size_t *out);

/* Reads a key of the architecture that must be positive where it is there. Errors: FORMAT. */
pith_status pith_gguf_positive(const pith_gguf_reading *r, const char *name, double *out);

/* Rows of a matrix, which no key gives; 0 when there is no such tensor. */
size_t pith_gguf_rows_of(const pith_gguf_reading *r, const char *name);

/* Writes a number as the text that it was read from. */
void pith_gguf_put_number(pith_json_writer *json, const char *member, double value);

/* Write a key that must be there and above 0 as a member of config.json: a count, or a number that
 * is finite. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_count(pith_gguf_reading *r, const char *name, const char *member,
                                size_t *out);
pith_status pith_gguf_put_positive(pith_gguf_reading *r, const char *name, const char *member);

/* Writes and keeps the sizes that decoders and encoders call alike: vocab_size, which the embedding
 * has, the widths, and the numbers of layers and positions. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_sizes(pith_gguf_reading *r);

/* Writes the numbers of steps that this architecture has; those of other steps must be absent or
 * without effect. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_gguf_put_steps(pith_gguf_reading *r);

#endif
