/* The strings of a GGUF file's metadata that say what it is. */
#ifndef PITH_BASE_GGUF_LOOK_H
#define PITH_BASE_GGUF_LOOK_H

#include <stdbool.h>
#include <stddef.h>

enum { PITH_GGUF_WORD = 64 };

typedef struct pith_gguf_look {
    char type[PITH_GGUF_WORD];         /* general.type: "model", "adapter" */
    char architecture[PITH_GGUF_WORD]; /* general.architecture */
    char name[PITH_GGUF_WORD];         /* general.name */
    char base[PITH_GGUF_WORD];         /* general.base_model.0.name */
} pith_gguf_look;

/* Reads them from bytes [n] of the start of a file; "" for those that are not there. False when the
 * bytes are no GGUF header. Long strings are cut, control characters become '?'. */
bool pith_gguf_look_at(pith_gguf_look *out, const unsigned char *bytes, size_t n);

/* ---- Names of parts -------------------------------------------------------------------------- */

/* A model may be in parts, PREFIX-00001-of-00003.gguf and those after it. */
enum { PITH_GGUF_MAX_PARTS = 512 };

/* Number of parts of the model when the file name is that of a first part, else 1. */
size_t pith_gguf_n_parts(const char *path);

/* Changes the path of one part to that of part `number` (from 0) of `count`; false when the path is
 * not that of a part of `count`. */
bool pith_gguf_set_part(char *path, size_t number, size_t count);

/* True when the name is that of a part after the first. */
bool pith_gguf_is_later_part(const char *name);

#endif
