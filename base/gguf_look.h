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

#endif
