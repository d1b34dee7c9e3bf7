/* The few words of a GGUF file's metadata that say what it is. */
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

/* Reads what bytes [n] from the start of a file hold of them; "" where they do not. False: the
 * bytes are no GGUF header. Words are cut, control characters in them become '?'. */
bool pith_gguf_look_at(pith_gguf_look *out, const unsigned char *bytes, size_t n);

/* ---- Names of parts -------------------------------------------------------------------------- */

/* A model may be in parts, PREFIX-00001-of-00003.gguf and those after it. */
enum { PITH_GGUF_MAX_PARTS = 512 };

/* How many parts the file is the first of, by its name; 1 when it is not named as one. */
size_t pith_gguf_n_parts(const char *path);

/* Writes the path of part `number` (from 0) of `count` over that of another; false: it is not named
 * as a part of so many. */
bool pith_gguf_set_part(char *path, size_t number, size_t count);

/* A part behind the first, by its name. */
bool pith_gguf_is_later_part(const char *name);

#endif
