/* Files with a memory path that was measured on a machine: pith_tuning_load in pith.h, and writing
 * them. docs/format.md has the form. */
#ifndef PITH_SIMD_TUNING_H
#define PITH_SIMD_TUNING_H

#include "simd/memory_path.h"

enum {
    PITH_TUNING_VERSION = 1,
    PITH_TUNING_BYTES = 4096,       /* most bytes of a file */
    PITH_TUNING_DISTANCE = 1 << 20, /* most bytes ahead; a power of two */
    PITH_TUNING_DISTANCE_UNIT = 64, /* a cache line */
};

/* By enum: "none", "nta", "t1", "t0". */
extern const char *const pith_hint_names[PITH_N_HINTS];

/* "t1 16 KB", "none". */
typedef struct pith_fetch_text {
    char text[32];
} pith_fetch_text;
pith_fetch_text pith_fetch_describe(pith_fetch fetch);

/* Errors: ARGUMENT, naming the field and what it may be. */
pith_status pith_tuning_check(const pith_tuning *tuning, pith_error *error);

/* As pith_tuning_load, from a text [n] that a file holds; `where` names it in messages. */
pith_status pith_tuning_parse(pith_tuning *out, const char *text, size_t n, const char *where,
                              pith_error *error);

/* Writes a file that pith_tuning_load reads back as it is. Errors: ARGUMENT (pith_tuning_check),
 * MEMORY, IO, FORMAT (there is something else than a regular file under this name). */
pith_status pith_tuning_save(const pith_tuning *tuning, const char *path, pith_error *error);

/* The path for kernels on this CPU, by the table. */
pith_memory_path pith_memory_path_here(const char *isa);

#endif
